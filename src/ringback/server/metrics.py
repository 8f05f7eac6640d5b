"""Metrics in the Prometheus text format, fed by what the engine says happened.

Names follow the Prometheus conventions: base units, ``_total`` for counters. Labels are bounded: ids of
applications, endpoints and sources are never among them.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import falcon
from falcon.asgi import Request, Response

import ringback
from ringback import ids
from ringback.errors import RingbackError
from ringback.intake import NOT_STORED
from ringback.model import Held, Instant
from ringback.observe import (
    AttemptFinished,
    BatchCommitted,
    BatchTaken,
    CircuitChanged,
    DeliveryPostponed,
    EndpointDisabled,
    FoundByPoll,
    LeaseLost,
    MessageAccepted,
    MessageReplayed,
    MessagesPruned,
    Observer,
    PollFailed,
    PollFinished,
    RequestRefused,
    StepFailed,
    StoreFailed,
    WebhookReceived,
)
from ringback.outbox import Outbox, system_clock
from ringback.policy import Step
from ringback.server.operation import operation
from ringback.store import Statistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STORE_SECONDS = 2.0

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ATTEMPT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
END_TO_END = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
RUN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
ROWS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 512.0)

RESULTS = {Step.SUCCEED: "succeeded", Step.EXHAUST: "failed", Step.CANCEL: "discarded"}
CODE_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
# More combinations of labels than this are counted together, whoever chose the names.
MAX_SERIES = 1_000
OTHER = "other"


class Numbers:
    """A counter or a gauge: one number for each combination of its labels. For use on any thread."""

    def __init__(self, name: str, kind: str, text: str, *labels: str) -> None:
        self.name = name
        self.kind = kind
        self.text = text
        self.labels = labels
        self._lock = threading.Lock()
        self._values: dict[tuple[str, ...], float] = {}
        if kind == "counter" and not labels:
            self._values[()] = 0

    def add(self, amount: int, *values: str) -> None:
        """Grow by *amount* where the labels have these *values*."""
        with self._lock:
            held = self._values
            if values not in held:
                values = _bounded(values, len(held))
            held[values] = held.get(values, 0) + amount

    def put(self, number: float, *values: str) -> None:
        """Become *number* where the labels have these *values*."""
        self._values[values] = number

    def clear(self) -> None:
        """Show nothing until the next number is put."""
        self._values.clear()

    def samples(self) -> Iterator[str]:
        """Yield the lines that show it."""
        for values, number in sorted(self._values.copy().items()):
            yield f"{self.name}{_labelled(self.labels, values)} {number!r}"


class Histogram:
    """How often a number fell at or below each of some bounds, and the sum of them all. For use on any thread."""

    kind = "histogram"

    def __init__(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> None:
        self.name = name
        self.text = text
        self.labels = (*labels, "le")
        self._named = labels
        self._bounds = bounds
        self._edges = (*map("{:g}".format, bounds), "+Inf")
        self._lock = threading.Lock()
        # For each combination of its labels, how many fell between two bounds, and last the sum.
        self._series: dict[tuple[str, ...], list[float]] = {}
        if not labels:
            self._series[()] = self._nothing()

    def observe(self, number: float, *values: str) -> None:
        """Count *number* where the labels have these *values*."""
        with self._lock:
            series = self._series.get(values)
            if series is None:
                series = self._series.setdefault(_bounded(values, len(self._series)), self._nothing())
            series[bisect_left(self._bounds, number)] += 1
            series[-1] += number

    def samples(self) -> Iterator[str]:
        """Yield the lines that show it."""
        with self._lock:
            shown = {values: tuple(series) for values, series in self._series.items()}
        for values, (*counts, sum_of_all) in sorted(shown.items()):
            total = 0
            for edge, count in zip(self._edges, counts, strict=True):
                total += int(count)
                yield f"{self.name}_bucket{_labelled(self.labels, (*values, edge))} {total}"
            named = _labelled(self._named, values)
            yield f"{self.name}_sum{named} {sum_of_all!r}"
            yield f"{self.name}_count{named} {total}"

    def _nothing(self) -> list[float]:
        return [0] * len(self._edges) + [0.0]


class Metrics:
    """All metrics of one process. Subscribes to *observer* for as long as both live."""

    def __init__(self, observer: Observer) -> None:
        self.families: list[Numbers | Histogram] = []
        self._count_messages(observer)
        self._count_webhooks(observer)
        self._count_polls(observer)
        self._count_attempts(observer)
        self._count_handlers(observer)
        self._count_endpoints(observer)
        self._count_store(observer)
        self._count_surprises(observer)
        self._measure_queue()
        self._measure_process()

    def render(self, statistics: Statistics | None, now: Instant) -> str:
        """Return everything in the text format.

        Args:
            statistics: The queue at a glance; None leaves out what follows from it.
            now: The present instant.
        """
        self._look_at_queue(statistics, now)
        self._look_at_process()
        return "".join(_lines(family) for family in self.families)

    def _counter(self, name: str, text: str, *labels: str) -> Numbers:
        return self._numbers(name, "counter", text, *labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Numbers:
        return self._numbers(name, "gauge", text, *labels)

    def _numbers(self, name: str, kind: str, text: str, *labels: str) -> Numbers:
        family = Numbers(name, kind, text, *labels)
        self.families.append(family)
        return family

    def _histogram(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> Histogram:
        family = Histogram(name, text, bounds, *labels)
        self.families.append(family)
        return family

    def _count_messages(self, observer: Observer) -> None:
        published = self._counter("ringback_messages_published_total", "Messages made durable.")
        replayed = self._counter(
            "ringback_messages_replayed_total",
            "Publishes answered with an earlier message, by idempotency key.",
        )
        waited = self._histogram(
            "ringback_message_accept_seconds", "From the call that publishes a message to its commit.", QUICK
        )
        spilled = self._counter(
            "ringback_deliveries_spilled_total", "Deliveries left to the store because the worker was full."
        )
        pruned = self._counter("ringback_messages_pruned_total", "Messages removed by retention.")

        def accepted(event: MessageAccepted) -> None:
            if event.message.inbound is None:
                published.add(1)
                waited.observe(event.waited)
            if event.spilled:
                spilled.add(event.spilled)

        def repeated(event: MessageReplayed) -> None:
            # What a source received again is counted with its webhooks.
            if not event.message.application_id.startswith(ids.SOURCE):
                replayed.add(1)

        observer.subscribe(MessageAccepted, accepted)
        observer.subscribe(MessageReplayed, repeated)
        observer.subscribe(MessagesPruned, lambda event: pruned.add(event.count))

    def _count_webhooks(self, observer: Observer) -> None:
        received = self._counter(
            "ringback_webhooks_received_total",
            "Requests to sources, by provider and outcome.",
            "provider",
            "outcome",
        )
        refused = self._counter(
            "ringback_webhooks_refused_total",
            "Requests that did not verify, by provider and reason.",
            "provider",
            "reason",
        )
        held = self._counter(
            "ringback_messages_held_total",
            "Received messages that nothing handles, by provider and why.",
            "provider",
            "held",
        )
        acknowledged = self._histogram(
            "ringback_webhook_acknowledge_seconds", "From a webhook's request to its acknowledgement.", QUICK
        )

        def count_held(provider: str, why: Held | None) -> None:
            if why is not None:
                held.add(1, provider, why)

        def took(event: WebhookReceived) -> None:
            received.add(1, event.source.provider, event.outcome)
            if event.outcome != NOT_STORED:
                acknowledged.observe(event.seconds)
            count_held(event.source.provider, event.held)

        def refuse(event: RequestRefused) -> None:
            received.add(1, event.source.provider, "refused")
            refused.add(1, event.source.provider, event.reason)

        observer.subscribe(WebhookReceived, took)
        observer.subscribe(RequestRefused, refuse)
        observer.subscribe(FoundByPoll, lambda event: count_held(event.source.provider, event.held))

    def _count_polls(self, observer: Observer) -> None:
        found = self._counter(
            "ringback_found_by_poll_total",
            "Events that asking the provider found before their webhook came.",
            "provider",
        )
        polls = self._counter(
            "ringback_polls_total", "Times a provider was asked for its events.", "provider", "outcome"
        )
        unusable = self._counter(
            "ringback_polled_unusable_total", "What providers told that could not be used.", "provider"
        )

        def finished(event: PollFinished) -> None:
            polls.add(1, event.source.provider, "finished")
            if event.unusable:
                unusable.add(event.unusable, event.source.provider)

        observer.subscribe(FoundByPoll, lambda event: found.add(1, event.source.provider))
        observer.subscribe(PollFinished, finished)
        observer.subscribe(PollFailed, lambda event: polls.add(1, event.source.provider, "failed"))

    def _count_attempts(self, observer: Observer) -> None:
        attempts = self._counter(
            "ringback_delivery_attempts_total",
            "Attempts by outcome and class of HTTP status.",
            "outcome",
            "code_class",
        )
        duration = self._histogram(
            "ringback_delivery_attempt_duration_seconds", "How long an attempt took.", ATTEMPT
        )
        results = self._counter(
            "ringback_deliveries_total", "Deliveries that came to rest, by result.", "result"
        )
        end_to_end = self._histogram(
            "ringback_delivery_end_to_end_seconds",
            "From a message's acceptance to the end of its successful attempt.",
            END_TO_END,
        )
        postponed = self._counter(
            "ringback_deliveries_postponed_total",
            "Deliveries given back without an attempt, by reason.",
            "reason",
        )

        def finished(event: AttemptFinished) -> None:
            if event.endpoint.handler is not None:
                return
            outcome = event.attempt.outcome
            attempts.add(1, outcome.kind, _code_class(outcome.status))
            duration.observe(event.attempt.duration / 1000)
            if event.step in RESULTS:
                results.add(1, RESULTS[Step(event.step)])
            if event.step == Step.SUCCEED:
                end_to_end.observe(event.since_accepted / 1000)

        observer.subscribe(AttemptFinished, finished)
        observer.subscribe(DeliveryPostponed, lambda event: postponed.add(1, event.reason))

    def _count_handlers(self, observer: Observer) -> None:
        runs = self._counter(
            "ringback_handler_runs_total", "Runs of handlers, by handler and outcome.", "handler", "outcome"
        )
        seconds = self._histogram("ringback_handler_run_seconds", "How long a run took.", RUN, "handler")
        results = self._counter(
            "ringback_messages_handled_total",
            "Messages that a handler is done with, by handler and result.",
            "handler",
            "result",
        )
        end_to_end = self._histogram(
            "ringback_handling_end_to_end_seconds",
            "From a message's acceptance to the end of its successful run.",
            END_TO_END,
        )

        def finished(event: AttemptFinished) -> None:
            handler = event.endpoint.handler
            if handler is None:
                return
            runs.add(1, handler, event.attempt.outcome.kind)
            seconds.observe(event.attempt.duration / 1000, handler)
            if event.step in RESULTS:
                results.add(1, handler, RESULTS[Step(event.step)])
            if event.step == Step.SUCCEED:
                end_to_end.observe(event.since_accepted / 1000)

        observer.subscribe(AttemptFinished, finished)

    def _count_endpoints(self, observer: Observer) -> None:
        disabled = self._counter(
            "ringback_endpoints_disabled_total", "Endpoints disabled, by reason.", "reason"
        )
        circuits = self._counter(
            "ringback_circuit_changes_total", "Circuit breakers that opened or closed.", "to"
        )
        observer.subscribe(EndpointDisabled, lambda event: disabled.add(1, event.reason))
        observer.subscribe(CircuitChanged, lambda event: circuits.add(1, "open" if event.open else "closed"))

    def _count_store(self, observer: Observer) -> None:
        seconds = self._histogram(
            "ringback_store_commit_seconds", "How long a transaction took to be durable.", QUICK
        )
        rows = self._histogram(
            "ringback_store_commit_rows", "How many operations shared a transaction.", ROWS
        )
        failures = self._counter("ringback_store_failures_total", "Transactions that the store refused.")
        lost = self._counter(
            "ringback_leases_lost_total", "Attempts that ended after their lease had passed to another node."
        )
        take_seconds = self._histogram(
            "ringback_take_seconds", "How long it took to lease due deliveries.", QUICK
        )
        taken = self._counter("ringback_taken_total", "Deliveries leased from the store.")

        def committed(event: BatchCommitted) -> None:
            seconds.observe(event.seconds)
            rows.observe(event.rows)

        def took(event: BatchTaken) -> None:
            take_seconds.observe(event.seconds)
            taken.add(event.count)

        observer.subscribe(BatchCommitted, committed)
        observer.subscribe(BatchTaken, took)
        observer.subscribe(StoreFailed, lambda _: failures.add(1))
        observer.subscribe(LeaseLost, lambda _: lost.add(1))

    def _count_surprises(self, observer: Observer) -> None:
        surprises = self._counter(
            "ringback_internal_errors_total", "Errors of the worker that nobody foresaw, by step.", "step"
        )
        observer.subscribe(StepFailed, lambda event: surprises.add(1, event.step))

    def _measure_queue(self) -> None:
        self._due = self._gauge(
            "ringback_delivery_due",
            "Deliveries waiting, and those of them past due; a count stops at 100000.",
            "state",
        )
        self._oldest = self._gauge(
            "ringback_delivery_oldest_due_age_seconds",
            "For how long the delivery longest due could have been taken.",
        )
        self._size = self._gauge("ringback_store_size_bytes", "How large the database is.")

    def _measure_process(self) -> None:
        build = self._gauge("ringback_build_info", "Always 1; the label tells the version.", "version")
        build.put(1, ringback.__version__)
        self._memory = self._gauge("process_resident_memory_bytes", "Resident memory of this process.")
        self._processor = self._counter("process_cpu_seconds_total", "Processor time this process has used.")

    def _look_at_queue(self, statistics: Statistics | None, now: Instant) -> None:
        if statistics is None:
            for gauge in (self._due, self._size, self._oldest):
                gauge.clear()
            return
        self._due.put(statistics.waiting, "waiting")
        self._due.put(statistics.past_due, "past_due")
        self._size.put(statistics.size_bytes)
        oldest = statistics.oldest_due_at
        self._oldest.put(0.0 if oldest is None else max(0, now - oldest) / 1000)

    def _look_at_process(self) -> None:
        self._processor.put(time.process_time())
        if (resident := _resident_bytes()) is not None:
            self._memory.put(resident)


class MetricsPage:
    """Answers Prometheus; needs no token.

    Args:
        metrics: What to show.
        outbox: Reads the store.
        clock: Returns the present instant.
    """

    open = True

    def __init__(self, metrics: Metrics, outbox: Outbox, clock: Callable[[], Instant] = system_clock) -> None:
        self._metrics = metrics
        self._outbox = outbox
        self._clock = clock

    @operation("metrics.get", {200: str}, query=None, media_type=CONTENT_TYPE)
    async def on_get(self, _req: Request, resp: Response) -> None:
        """Show all metrics; without those of the store while it cannot be read."""
        now = self._clock()
        try:
            async with asyncio.timeout(STORE_SECONDS):
                statistics = await self._outbox.read(lambda store: store.statistics(now))
        except (RingbackError, TimeoutError):
            statistics = None
        resp.status = falcon.HTTP_200
        resp.content_type = CONTENT_TYPE
        resp.data = self._metrics.render(statistics, now).encode()


def _lines(family: Numbers | Histogram) -> str:
    head = f"# HELP {family.name} {family.text}\n# TYPE {family.name} {family.kind}\n"
    return head + "".join(f"{sample}\n" for sample in family.samples())


def _labelled(names: Sequence[str], values: Sequence[str]) -> str:
    pairs = [f'{name}="{value.translate(_ESCAPED)}"' for name, value in zip(names, values, strict=True)]
    return "{" + ",".join(pairs) + "}" if pairs else ""


# Programs name their handlers and providers themselves.
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def _bounded(values: tuple[str, ...], held: int) -> tuple[str, ...]:
    return values if held < MAX_SERIES else (OTHER,) * len(values)


def _code_class(status: int) -> str:
    index = status // 100
    return CODE_CLASSES[index] if index < len(CODE_CLASSES) else OTHER


def _resident_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None  # only Linux tells so cheaply
    return pages * os.sysconf("SC_PAGE_SIZE")
