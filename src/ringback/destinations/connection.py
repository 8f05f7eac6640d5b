"""One connection to a receiver: a request goes out, an answer comes back, perhaps another round follows."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from ringback.destinations.answer import Answer
from ringback.destinations.failures import CERTIFICATE_REFUSED, DeliveryFailed, tls_failure
from ringback.destinations.routes import Door
from ringback.model import Outcome, OutcomeKind, Phases

# A head and a body up to this size together leave in one packet train, as one write.
SMALL = 64 * 1024
_MICROSECONDS = 1_000_000


class Opening:
    """How far the opening of a connection has come: the phase under way, and how long each one took."""

    __slots__ = ("_monotonic", "_since", "connect", "dns", "phase", "tls")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self.phase = "dns"
        self.dns = self.connect = self.tls = 0

    def enter(self, phase: str) -> None:
        """End the phase under way and begin *phase*: ``connect``, ``tls`` or, when all is done, ``write``."""
        now = self._monotonic()
        setattr(self, self.phase, getattr(self, self.phase) + round((now - self._since) * _MICROSECONDS))
        self._since = now
        self.phase = phase

    def phases(self) -> Phases:
        """Return what has been measured, the phase under way included."""
        if self.phase != "write":
            self.enter(self.phase)
        return Phases(dns=self.dns, connect=self.connect, tls=self.tls)


class Connection(asyncio.Protocol):
    """A connection through a judged door, used for one exchange at a time.

    The event loop's callbacks do the work directly: a stream would cost a task switch for each read, which is
    most of the price of a small request.
    """

    __slots__ = (
        "_answer",
        "_fault",
        "_first_byte_at",
        "_loop",
        "_lost",
        "_monotonic",
        "_on_lost",
        "_paused",
        "_sent_at",
        "_transport",
        "_used",
        "_waiter",
        "_was_idle",
        "_written_at",
        "door",
        "idle_since",
    )

    def __init__(
        self,
        door: Door,
        on_lost: Callable[[Connection], None],
        monotonic: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        """Belong to *door*, and call *on_lost* when the receiver closes; the clocks are in seconds."""
        self.door = door
        self.idle_since = 0.0
        self._on_lost = on_lost
        self._monotonic = monotonic
        self._answer = Answer(now)
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._fault: DeliveryFailed | None = None
        self._lost = False
        self._paused = False
        self._used = self._was_idle = False
        self._sent_at = self._written_at = self._first_byte_at = 0.0

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow."""
        return self._answer.reusable and not self._lost

    @property
    def stale(self) -> bool:
        """Whether it had been idle, and was closed before a single byte of an answer to the last request.

        The receiver most likely closed it before it saw the request (RFC 9112, 9.3.1).
        """
        return self._was_idle and self._answer.verdict is OutcomeKind.RESET and not self._first_byte_at

    def close(self) -> None:
        """Close at once, without waiting for anything unsent."""
        self._lost = True
        if self._transport is not None:
            self._transport.abort()

    async def exchange(
        self, head: bytes, body: bytes, expires: float, opening: Phases | None = None
    ) -> Outcome:
        """Send a request and return what came of it.

        Args:
            head: The request line and headers.
            body: What follows them.
            expires: When to give up, in the event loop's time.
            opening: What opening the connection took, if it was opened for this request.
        """
        self._was_idle, self._used = self._used, True
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(expires, self._expire)
        self._send(head, body)
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
        if not self._answer.reusable:
            self.close()
        return self._outcome(opening)

    def _send(self, head: bytes, body: bytes) -> None:
        self._answer.begin()
        self._first_byte_at = 0.0
        self._sent_at = self._monotonic()
        if self._lost or self._transport is None:
            self._end()
        elif len(head) + len(body) <= SMALL:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        self._written_at = self._monotonic()

    def _outcome(self, opening: Phases | None) -> Outcome:
        answer = self._answer
        ended_at = self._monotonic()
        written_at = ended_at if self._paused else self._written_at
        first_byte_at = max(self._first_byte_at or ended_at, written_at)
        return Outcome(
            kind=cast("OutcomeKind", answer.verdict),
            detail=answer.detail,
            status=answer.status,
            body=answer.body,
            retry_after=answer.retry_after,
            phases=Phases(
                opening.dns if opening else 0,
                opening.connect if opening else 0,
                opening.tls if opening else 0,
                int((written_at - self._sent_at) * _MICROSECONDS),
                int((first_byte_at - written_at) * _MICROSECONDS),
                int((ended_at - first_byte_at) * _MICROSECONDS),
            ),
        )

    def _end(self) -> None:
        """Let the exchange under way, if any, go on with the answer as it is."""
        if self._waiter is not None and not self._waiter.done():
            if self._fault is not None:
                self._answer.refuse(self._fault)
            self._answer.end()
            self._waiter.set_result(None)

    def _expire(self) -> None:
        phase = "write" if self._paused else "read" if self._first_byte_at else "wait"
        self._answer.give_up(phase)
        self._end()

    # What follows is called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes unasked is the end of the connection, since it could be taken for an answer."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._answer.reusable = False
            self.close()
            return
        if not self._first_byte_at:
            self._first_byte_at = self._monotonic()
        if self._answer.feed(data):
            if self._paused or (self._transport is not None and self._transport.get_write_buffer_size()):
                self._answer.reusable = False  # answered before the whole request was sent
            waiter.set_result(None)

    def pause_writing(self) -> None:
        """Note that the receiver does not read as fast as we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """Note that the request is as good as sent."""
        self._paused = False
        self._written_at = self._monotonic()

    def eof_received(self) -> None:
        """Treat the end of what the receiver says as the end of the connection."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the exchange under way, or leave the pool."""
        self._lost = True
        failure = tls_failure(exc) if isinstance(exc, ssl.SSLError) else None
        # TLS 1.3 is through before the receiver has looked at our certificate. Everything else that may end TLS now is
        # the end of a connection like any other.
        if failure is not None and failure.detail == CERTIFICATE_REFUSED:
            self._fault = failure
        self._end()
        self._on_lost(self)
