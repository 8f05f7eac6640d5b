"""What is measured: each scenario runs real processes on loopback, returns figures and says what is wrong."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench import backlog, intake, wire
from bench.figures import Expectation, Figures, Run, disagreement, figures
from bench.generator import PLACE, Plan
from bench.processes import Installation, Server, Sink, bare, installation, publish, server, sink
from bench.wire import Record
from ringback.demo.payloads import samples

SAMPLE = samples()[0]
PAYLOAD = msgspec.json.encode(SAMPLE.body)

FAN_OUT = 5
TENANTS = 100
HANGING = frozenset({0})  # the kind of request that publishes to the endpoint that hangs
MAX_RATIO = 2.0
LIMIT_SECONDS = 5.0
DRAIN_SECONDS = 300.0
STUCK_SECONDS = 10.0
SURPLUS_SECONDS = 0.5
STRANGERS_SECONDS = 5.0  # for the last new messages, while a backlog is being delivered
POLL_SECONDS = 0.1
# Where intake is measured, the server has one core and the provider the other.
FIRST_CORE, SECOND_CORE = 0, 1
NOTHING = Record(ids=b"", ended=b"")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how hard.

    ``rate`` is in messages per second, of the scenarios that are paced; ``messages`` wait in the backlog.
    """

    seconds: float = 30.0
    connections: int = 64
    rate: float = 300.0
    messages: int = 1_000_000


class Result(msgspec.Struct, frozen=True):
    """What a scenario measured and, unless all is well, what is wrong."""

    figures: Figures
    fault: str | None = None


class Bench:
    """Runs scenarios one after another, each with a folder of its own below *folder*."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self._folder = folder
        self._numbers = itertools.count(1)

    def limit(self) -> Result:
        """Let the publisher talk to the receiver directly: what this machine could carry without a server."""
        seconds = min(self.options.seconds, LIMIT_SECONDS)
        with sink() as receiver:
            headers = {
                "webhook-id": PLACE.decode(),
                "webhook-timestamp": "1700000000",
                "webhook-signature": "v1,",
            }
            plan = Plan(
                port=receiver.port,
                requests=[wire.request("/", receiver.port, headers, PAYLOAD)],
                seconds=seconds,
                connections=self.options.connections,
                direct=True,
                status=204,
            )
            run = self.run(receiver, plan, (), Expectation())
        measured = figures(run)
        result = msgspec.structs.replace(measured, limit_per_s=measured.delivered_per_s)
        return Result(result, disagreement(run, Expectation()))

    def steady(self) -> Result:
        """One endpoint, as fast as it goes."""
        return self._one_application(1)

    def fanout(self) -> Result:
        """Five endpoints for each message."""
        return self._one_application(FAN_OUT)

    def hanging(self) -> Result:
        """A hundred applications with an endpoint each, paced: what does one that hangs do to the others?"""
        without, fault = self._tenants(hang=False)
        measured, other = self._tenants(hang=True)
        ratio = measured.e2e_p99_ms / without.e2e_p99_ms if without.e2e_p99_ms else 0.0
        slowed = f"one hanging endpoint makes the p99 of others {ratio:.1f} times what it is without"
        both = msgspec.structs.replace(measured, baseline_e2e_p99_ms=without.e2e_p99_ms, p99_ratio=ratio)
        return Result(both, fault or other or (slowed if ratio > MAX_RATIO else None))

    def backlog(self) -> Result:
        """A million deliveries wait: what does that do to taking the next, to memory, and to new messages?"""
        place, few = self._installation(), self._installation()
        expected = Expectation(strangers=True)
        with sink() as receiver:
            url = f"http://{wire.LOOPBACK}:{receiver.port}/"
            small = backlog.measure(few, url, SAMPLE.event_type, PAYLOAD, backlog.TAKEN)
            large = backlog.measure(place, url, SAMPLE.event_type, PAYLOAD, self.options.messages)
            with server(place) as node:
                run = self.run(receiver, self._paced_plan(node, receiver), [node], expected)
        measured = msgspec.structs.replace(
            figures(run),
            backlog_deliveries=self.options.messages,
            take_p99_ms=large.take_p99_ms,
            take_p99_ms_small=small.take_p99_ms,
            due_p99_ms=large.due_p99_ms,
            due_p99_ms_small=small.due_p99_ms,
        )
        return Result(_per_delivery(measured, run), disagreement(run, expected))

    def intake(self) -> Result:
        """Webhooks that come in: verified, de-duplicated and on disk before each is acknowledged."""
        place = self._installation()
        token = intake.add_source(place)
        with server(place, core=FIRST_CORE) as node:
            plan = intake.plan(node.port, f"/in/{token}", self.options.seconds, self.options.connections)
            before = node.cpu_seconds()
            received = publish(plan, place.folder / "published", core=SECOND_CORE)
            run = Run(
                published=received,
                arrived=NOTHING,
                cpu_seconds=node.cpu_seconds() - before,
                rss_mb=node.peak_rss_mb(),
            )
        return Result(figures(run), intake.fault(received, place))

    def bare(self) -> Result:
        """The same requests, answered by a bare ASGI application: what the server alone could do."""
        folder = self.new_folder()
        folder.mkdir()
        with bare(folder, core=FIRST_CORE) as node:
            seconds = min(self.options.seconds, LIMIT_SECONDS)
            plan = intake.plan(node.port, "/in/nowhere", seconds, self.options.connections)
            before = node.cpu_seconds()
            received = publish(plan, folder / "published", core=SECOND_CORE)
            run = Run(
                published=received,
                arrived=NOTHING,
                cpu_seconds=node.cpu_seconds() - before,
                rss_mb=node.peak_rss_mb(),
            )
        return Result(figures(run), None if received.ids else f"it answered {received.refusal!r}")

    def _one_application(self, endpoints: int) -> Result:
        expected = Expectation(copies=endpoints)
        with sink() as receiver, server(self._installation()) as node:
            add_application(node, "bench", [receiver.port] * endpoints)
            plan = self.plan(node, ["bench"])
            run = self.run(receiver, plan, [node], expected)
        return Result(figures(run), disagreement(run, expected))

    def _tenants(self, *, hang: bool) -> tuple[Figures, str | None]:
        names = [f"tenant-{number}" for number in range(TENANTS)]
        hanging = HANGING if hang else frozenset()
        expected = Expectation(without=hanging)
        with sink() as receiver, server(self._installation()) as node:
            for number, name in enumerate(names):
                add_application(node, name, [receiver.hanging_port if number in hanging else receiver.port])
            plan = self.plan(node, names, rate=self.options.rate)
            run = self.run(receiver, plan, [node], expected)
        # The same tenants are compared in both runs.
        return figures(run, without=HANGING), disagreement(run, expected)

    def _paced_plan(self, node: Server, receiver: Sink) -> Plan:
        add_application(node, "fresh", [receiver.port])
        return self.plan(node, ["fresh"], rate=self.options.rate)

    def plan(self, node: Server, applications: list[str], rate: float = 0.0) -> Plan:
        """Return how to publish to *applications* in turn."""
        headers = {"authorization": f"Bearer {node.token}"}
        body = b'{"eventType":"%s","payload":%s}' % (SAMPLE.event_type.encode(), PAYLOAD)
        return Plan(
            port=node.port,
            requests=[
                wire.request(f"/api/v1/app/{name}/msg", node.port, headers, body) for name in applications
            ],
            seconds=self.options.seconds,
            connections=self.options.connections,
            rate=rate,
        )

    def run(self, receiver: Sink, plan: Plan, nodes: Sequence[Server], expected: Expectation) -> Run:
        """Carry out *plan*, wait until all is delivered, and return what was seen and what *nodes* used."""
        folder = self.new_folder()
        folder.mkdir()
        before = sum(node.cpu_seconds() for node in nodes)
        published = publish(plan, folder / "published")
        if expected.strangers:
            time.sleep(STRANGERS_SECONDS)  # new messages do not queue behind those of others
        else:
            _drain(receiver, expected.deliveries(published).total())
        return Run(
            published=published,
            arrived=receiver.record(folder / "arrived"),
            cpu_seconds=sum(node.cpu_seconds() for node in nodes) - before,
            rss_mb=max((node.peak_rss_mb() for node in nodes), default=0.0),
        )

    def _installation(self) -> Installation:
        return installation(self.new_folder())

    def new_folder(self) -> Path:
        """Return where a folder may be made that nobody else has."""
        return self._folder / str(next(self._numbers))


SCENARIOS: Mapping[str, Callable[[Bench], Result]] = {
    "limit": Bench.limit,
    "steady": Bench.steady,
    "fanout": Bench.fanout,
    "hanging": Bench.hanging,
    "backlog": Bench.backlog,
    "bare": Bench.bare,
    "intake": Bench.intake,
}


def add_application(node: Server, uid: str, ports: list[int]) -> None:
    """Make an application with an endpoint at each of *ports*."""
    node.call("/app", {"name": uid, "uid": uid})
    for number, port in enumerate(ports):
        node.call(f"/app/{uid}/endpoint", {"url": f"http://{wire.LOOPBACK}:{port}/{number}"})


def _drain(receiver: Sink, expected: int) -> None:
    """Wait until *expected* deliveries have come or nothing comes any more; then a moment for more."""
    end = time.monotonic() + DRAIN_SECONDS
    count, progress = receiver.count(), time.monotonic()
    while count < expected and time.monotonic() < min(end, progress + STUCK_SECONDS):
        time.sleep(POLL_SECONDS)
        before, count = count, receiver.count()
        progress = time.monotonic() if count > before else progress
    time.sleep(SURPLUS_SECONDS)


def _per_delivery(measured: Figures, run: Run) -> Figures:
    """Spread the processor time over all deliveries made, where most are of messages accepted earlier."""
    begin = min(wire.times(run.published.begun), default=0.0)
    deliveries = sum(moment >= begin for moment in wire.times(run.arrived.ended))
    cost = run.cpu_seconds * 1e6 / max(deliveries, 1)
    return msgspec.structs.replace(measured, cpu_us_per_message=cost)
