"""Handlers: Python functions that messages are delivered to, and how one is run.

A run is an attempt like any other: what the function does comes back as an ``Outcome``, and the worker settles it.
A run is counted in the store before it begins, so that a function which kills its process is noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ringback import policy
from ringback.crew import Crew
from ringback.errors import ConfigurationError, RingbackError
from ringback.model import Duration, Inbound, Instant, Outcome, OutcomeKind, Phases
from ringback.providers.recognition import read
from ringback.signing import Request
from ringback.store import Begun, Settlement, Store, Work
from ringback.store.commit import Committer
from ringback.store.effects import Effect, Effects

MAX_TRACEBACK = 64 * 1024
DEFAULT_TIMEOUT = 30.0
MAX_TIMEOUT = 3_600.0
TRANSACTION = "tx"
WITHOUT_STORE = 1_000


class Retry(Exception):  # noqa: N818 - a handler asks for something; nothing went wrong
    """Raise or return it to be called again with the same message, after a time or after the usual one.

    Args:
        reason: Why, for people.
        after: When: seconds, or a ``timedelta``.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        self.reason = str(reason)
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        self.after: Duration | None = None if seconds is None else max(0, round(seconds * 1000))
        super().__init__(reason)


class Discard(Exception):  # noqa: N818 - as Retry
    """Raise or return it to have nothing more to do with a message; *reason* is kept."""

    def __init__(self, reason: str = "") -> None:
        self.reason = str(reason)
        super().__init__(reason)


class Message:
    """What a handler gets.

    Attributes:
        id: The message's id.
        source: The name of the source that received it.
        event_type: What happened, such as ``invoice.paid``.
        raw: The body, byte for byte as it came.
        headers: The request's headers, names in lower case, without those that hold secrets.
        attempt: Which attempt this is, from 1 on.
        idempotency_key: The same for every attempt of this handler at this message: for calls to other systems.
        event_id: The provider's id for the event, None where it sends none.
        received_at: When it was accepted, in UTC.
        polled: Whether asking the provider found it before its webhook came.
        model: The body as the type given with ``model=``; None without one.
    """

    __slots__ = (
        "_data",
        "attempt",
        "event_id",
        "event_type",
        "headers",
        "id",
        "idempotency_key",
        "model",
        "polled",
        "raw",
        "received_at",
        "source",
    )

    def __init__(self, work: Work, handler: Handler) -> None:
        inbound = work.inbound or Inbound(headers={})
        self.id = work.message_id
        self.source = handler.source
        self.event_type = work.event_type
        self.raw = work.payload
        self.headers: Mapping[str, str] = inbound.headers
        self.attempt = work.attempts + 1
        self.event_id = inbound.event_id
        self.polled = inbound.polled
        self.received_at = datetime.fromtimestamp(work.accepted_at / 1000, UTC)
        event = inbound.dedupe_key or work.message_id
        self.idempotency_key = f"{handler.source}:{event}:{handler.name}"
        self.model: Any = None
        self._data: Any = _UNREAD

    @property
    def data(self) -> Any:
        """The body as Python values: parsed JSON, or a dictionary of a form; None where it is neither."""
        if self._data is _UNREAD:
            self._data = read(Request("POST", "", self.headers, self.raw)).body
        return self._data

    def __repr__(self) -> str:
        return f"Message({self.id}, {self.source}, {self.event_type}, attempt {self.attempt})"


_UNREAD = object()

Function = Callable[..., Any]
Key = Callable[[Message], object]


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """One function and what it handles. ``timeout`` is in seconds; ``schedule`` of None is the worker's."""

    source: str
    name: str
    event_types: tuple[str, ...]
    function: Function
    key: Key | None = None
    model: Any = None
    timeout: float = DEFAULT_TIMEOUT
    schedule: policy.RetrySchedule | None = None

    @property
    def full_name(self) -> str:
        """The name by which the store knows it: unique over all sources."""
        return f"{self.source}/{self.name}"

    def ordering_key_of(self, message: Message) -> str | None:
        """Return the key by which a message is ordered, None without ``key``; raises whatever that raises."""
        if self.key is None:
            return None
        # Half of a pair of surrogates cannot be stored, and would keep all that is taken with it from being so.
        return str(self.key(message)).encode("utf-8", "backslashreplace").decode()

    @property
    def wants_transaction(self) -> bool:
        """Whether the function asks for the application's transaction."""
        try:
            return TRANSACTION in inspect.signature(self.function).parameters
        except ValueError:  # some functions written in C do not tell
            return False

    @property
    def is_coroutine(self) -> bool:
        """Whether the function is ``async def``."""
        function = self.function.func if isinstance(self.function, functools.partial) else self.function
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object whose call is a coroutine function
        )

    @property
    def needs_thread(self) -> bool:
        """Whether it runs on a thread: what has a transaction does so even if it is ``async def``."""
        return self.wants_transaction or not self.is_coroutine


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run. Without an outcome nothing was run.

    ``settled`` means the handler's own transaction has recorded the success. ``postponed_until`` is when to come back
    and *reason* why; without it, the lease has passed to another worker.
    """

    outcome: Outcome | None = None
    settled: Settlement | None = None
    postponed_until: Instant | None = None
    reason: str = ""


class Handlers:
    """Runs the handlers of one process.

    Args:
        handlers: All of them.
        committer: Counts the runs.
        effects: The application's transactions, where the store shares its database.
        clock: Returns the present instant.
        threads: How many functions that are not coroutines run at once.

    Raises:
        ConfigurationError: A handler asks for a transaction, and there is none to give.
    """

    def __init__(
        self,
        handlers: tuple[Handler, ...],
        committer: Committer,
        *,
        effects: Effects | None,
        clock: Callable[[], Instant],
        threads: int,
    ) -> None:
        check_transactions(handlers, shared=effects is not None)
        self._handlers = {handler.full_name: handler for handler in handlers}
        self._committer = committer
        self._effects = effects
        self._clock = clock
        self._crew = Crew(threads)
        # Deliveries whose last run vanished go one at a time, so that the next crash tells which of them it was.
        self._suspects = asyncio.Lock()

    def serves(self, name: str | None) -> bool:
        """Tell whether a handler is among these; whatever is no handler at all is served elsewhere in the worker."""
        return name is None or name in self._handlers

    async def run(self, work: Work, settlement: Callable[[Outcome], Settlement]) -> Ran:
        """Run the handler that a delivery is for.

        Args:
            work: The delivery.
            settlement: Builds the settlement of a success, for a handler that records its own.
        """
        handler = self._handlers[work.endpoint.handler or ""]
        message = Message(work, handler)
        try:
            ordering_key = handler.ordering_key_of(message)
        except BaseException as error:  # noqa: BLE001 - whatever a key function does is the handler's failure
            return Ran(outcome=_raised(error))
        async with (
            self._suspects if work.begun else contextlib.nullcontext(),
            self._crew.places if handler.needs_thread else contextlib.nullcontext(),
        ):
            # Only now: waiting may have taken long, and counts neither as a run nor as the handler's time.
            if not policy.may_send(self._clock(), work.lease.until, round(handler.timeout * 1000)):
                return Ran(postponed_until=self._clock(), reason="lease_too_short")
            try:
                begun = await self._begin(work, ordering_key)
            except RingbackError as error:
                return Ran(postponed_until=self._clock() + WITHOUT_STORE, reason=error.code)
            if not begun.held:
                return Ran(reason="lease_lost")
            if begun.blocked_until is not None:
                return Ran(postponed_until=begun.blocked_until, reason=policy.BEHIND_ANOTHER)
            return await self._call(handler, message, settlement)

    def keys_of(self, works: Sequence[Work]) -> list[tuple[Work, str]]:
        """Return the ordering keys of those deliveries whose order matters."""
        return [(work, key) for work in works if work.endpoint.ordered and (key := self._key_of(work))]

    def _key_of(self, work: Work) -> str | None:
        handler = self._handlers[work.endpoint.handler or ""]
        try:
            return handler.ordering_key_of(Message(work, handler))
        except BaseException:  # noqa: BLE001 - told when it runs; until then it stands in nobody's way
            return f"{work.message_id} has no key"

    async def _begin(self, work: Work, ordering_key: str | None) -> Begun:
        def begin(store: Store) -> Begun:
            return store.begin(work, ordering_key, self._clock())

        return await self._committer.write(begin)

    async def _call(
        self, handler: Handler, message: Message, settlement: Callable[[Outcome], Settlement]
    ) -> Ran:
        open_effects: list[Effect] = []
        try:
            message.model = _typed(handler.model, message)
            async with asyncio.timeout(handler.timeout) as limit:
                if handler.wants_transaction:
                    return await self._crew.do(
                        functools.partial(self._call_within, handler, message, settlement, open_effects)
                    )
                if handler.is_coroutine:
                    result = await handler.function(message)
                else:
                    result = await self._crew.do(functools.partial(handler.function, message))
                    if inspect.isawaitable(result):  # such as that of an `async def` under a plain decorator
                        result = await result
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            return Ran(outcome=_raised(error))
        except TimeoutError as error:
            for effect in open_effects:
                await asyncio.to_thread(effect.give_up)
            return Ran(outcome=_timed_out(handler) if limit.expired() else _raised(error))
        except BaseException as error:  # noqa: BLE001 - the function is the application's, and may raise anything
            return Ran(outcome=_outcome_of(error))
        return Ran(outcome=_outcome_of(result))

    def _call_within(
        self,
        handler: Handler,
        message: Message,
        settlement: Callable[[Outcome], Settlement],
        open_effects: list[Effect],
    ) -> Ran:
        """Call a function with a transaction, on a thread of the crew, and record the success in it."""
        assert self._effects is not None  # noqa: S101 - checked when the handlers were put together
        started = time.perf_counter()
        with self._effects.transaction() as effect:
            open_effects.append(effect)
            result = handler.function(message, **{TRANSACTION: effect.tx})
            if inspect.iscoroutine(result):
                result = effect.run(result)
            asked = _asked(result)
            if asked is not None:
                raise asked
            waited = round((time.perf_counter() - started) * 1_000_000)
            outcome = Outcome(kind=OutcomeKind.SUCCESS, phases=Phases(wait=waited))
            settled = settlement(outcome)
            fence, *others = self._committer.done_statements(settled)
            if effect.execute(fence) != fence.changes:
                raise _LeaseLost
            for statement in others:
                effect.execute(statement)
        return Ran(outcome=outcome, settled=settled)

    def close(self) -> None:
        """Start nothing more; a function under way on a thread is left to its end."""
        self._crew.close()


class _LeaseLost(Exception):  # noqa: N818 - never leaves this module
    """Another worker has taken the delivery over while the handler ran; its writes are undone."""


def check_transactions(handlers: tuple[Handler, ...], *, shared: bool) -> None:
    """Refuse handlers that ask for a transaction where there is none to give: where the database is not *shared*.

    Raises:
        ConfigurationError: Which handlers do.
    """
    asking = sorted(handler.full_name for handler in handlers if handler.wants_transaction)
    if asking and not shared:
        raise ConfigurationError(
            f"the handler {', '.join(asking)} asks for `tx`, but the inbox does not share the application's database:"
            " give Inbox(..., shared=True) the application's database, or effects= for its framework"
        )


def _typed(model: Any, message: Message) -> Any:
    if model is None:
        return None
    try:
        if hasattr(model, "model_validate_json"):
            return model.model_validate_json(message.raw)
        return msgspec.json.decode(message.raw, type=model)
    except ValueError as error:  # both libraries' validation errors are ValueErrors
        raise _Misfit(f"the body does not fit {getattr(model, '__name__', model)}: {error}") from None


class _Misfit(ValueError):  # noqa: N818 - never leaves this module
    """The body does not fit the type that the handler asks for."""


def _is_cancelled() -> bool:
    # A handler may raise the same error, when something that it waits for has been cancelled.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _asked(result: object) -> Retry | Discard | None:
    """Return what a handler asks for by what it returned; the class alone will do, as it does for ``raise``."""
    if result is Retry or result is Discard:
        return Retry() if result is Retry else Discard()
    return result if isinstance(result, (Retry, Discard)) else None


def _timed_out(handler: Handler) -> Outcome:
    told = f"the handler took more than {handler.timeout:g} s"
    return Outcome(kind=OutcomeKind.TIMEOUT, detail="handler", body=told.encode())


def _outcome_of(result: object) -> Outcome:
    asked = _asked(result)
    if isinstance(asked, Retry):
        return Outcome(kind=OutcomeKind.AGAIN, body=_bytes(asked.reason), retry_after=asked.after)
    if isinstance(asked, Discard):
        return Outcome(kind=OutcomeKind.DISCARDED, body=_bytes(asked.reason))
    if isinstance(result, _Misfit):
        return Outcome(kind=OutcomeKind.RAISED, detail=policy.MISFIT, body=_bytes(str(result)))
    if isinstance(result, _LeaseLost):
        return Outcome(kind=OutcomeKind.UNKNOWN, detail="lease_lost")
    if isinstance(result, BaseException):
        return _raised(result)
    return Outcome(kind=OutcomeKind.SUCCESS)


def _raised(error: BaseException) -> Outcome:
    lines = "".join(traceback.format_exception(_without_our_frames(error)))
    return Outcome(kind=OutcomeKind.RAISED, detail=type(error).__name__[:200], body=_bytes(lines))


def _without_our_frames(error: BaseException) -> BaseException:
    trace = error.__traceback__
    while (
        trace is not None
        and trace.tb_next is not None
        and trace.tb_frame.f_code.co_filename.startswith(_NOT_THE_APPLICATIONS)
    ):
        trace = trace.tb_next
    return error.with_traceback(trace)


def _bytes(text: str) -> bytes:
    # The end tells most: a traceback's error stands there.
    return text.encode("utf-8", "backslashreplace")[-MAX_TRACEBACK:]


_NOT_THE_APPLICATIONS = tuple(str(Path(file).parent) + os.sep for file in (__file__, asyncio.__file__))
