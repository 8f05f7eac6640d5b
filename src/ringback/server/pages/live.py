"""Tells open pages that something happened: one stream of server-sent events for each tab, shared by all of it.

A stream says which kinds of things have happened, once a second at most; what they are the page asks for itself, with
its session. Other nodes' doings are not seen here, so that every few seconds a stream says that time has passed, and
pages look then, too. Where there are too many streams, further ones are refused, and pages look every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product

from ringback.observe import (
    AttemptFinished,
    CircuitChanged,
    DeliveryPostponed,
    EndpointDisabled,
    Event,
    MessageAccepted,
    Observer,
    RequestRefused,
    StoreFailed,
    WebhookReceived,
)

# What pages may wait for, and what of the catalogue makes it happen.
TOPICS: dict[str, tuple[type[Event], ...]] = {
    "messages": (MessageAccepted,),
    "deliveries": (AttemptFinished, DeliveryPostponed),
    "endpoints": (EndpointDisabled, CircuitChanged),
    "sources": (WebhookReceived, RequestRefused),
    "store": (StoreFailed,),
}
TIME = "time"
MAX_STREAMS = 100
PAUSE_SECONDS = 1.0
TIME_SECONDS = 5.0
CONTENT_TYPE = "text/event-stream"
# How long a browser waits before it comes back.
_GREETING = b"retry: 3000\n\n"

Still = Callable[[], Awaitable[bool]]


class TooMany(Exception):  # noqa: N818 - named for what is the matter
    """There are as many streams as there may be."""


class Live:
    """The streams of one node, on its event loop.

    Args:
        observer: Says what happens. It is listened to only while somebody watches.
        most: How many streams there may be.
        pause: How many seconds there are between two events of a stream, at least.
        time: After how many seconds without any a stream says that time has passed.
    """

    def __init__(
        self,
        observer: Observer,
        *,
        most: int = MAX_STREAMS,
        pause: float = PAUSE_SECONDS,
        time: float = TIME_SECONDS,
    ) -> None:
        self._observers = [observer]
        self._most = most
        self._pause = pause
        self._time = time
        self._streams: set[_Stream] = set()
        self._listening = contextlib.ExitStack()
        self._closed = False

    @property
    def count(self) -> int:
        """How many streams there are."""
        return len(self._streams)

    def follow(self, observer: Observer) -> None:
        """Tell of what *observer* tells as well, such as that of an inbox in the same process."""
        self._observers.append(observer)

    def stream(self, still: Still) -> AsyncIterator[bytes]:
        """Return a new stream, which ends when *still* says that its reader may not read it any more.

        Raises:
            TooMany: There are too many, or the server is stopping.
        """
        if self._closed or len(self._streams) >= self._most:
            raise TooMany
        return self._told(_Stream(), still)

    def close(self) -> None:
        """End all streams, and begin none."""
        self._closed = True
        for stream in self._streams:
            stream.ended = True
            stream.happened.set()

    async def _told(self, stream: _Stream, still: Still) -> AsyncIterator[bytes]:
        self._streams.add(stream)
        try:
            if len(self._streams) == 1:
                self._listen()
            yield _GREETING
            while not stream.ended:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stream.happened.wait(), self._time)
                if stream.ended or not await still():
                    return
                yield _event(stream.take())
                # What happens meanwhile is told together.
                await asyncio.sleep(self._pause)
        finally:
            self._streams.discard(stream)
            if not self._streams:
                self._listening.close()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for topic, kinds in TOPICS.items():
            note = self._noting(loop, topic)
            for observer, kind in product(self._observers, kinds):
                self._listening.enter_context(observer.subscribed(kind, note))

    def _noting(self, loop: asyncio.AbstractEventLoop, topic: str) -> Callable[[Event], None]:
        pending = False

        def tell() -> None:
            nonlocal pending
            pending = False
            for stream in self._streams:
                stream.topics.add(topic)
                stream.happened.set()

        def note(_: Event) -> None:
            # On the thread where it happens, which must not wait: thousands of events make one call.
            nonlocal pending
            if not pending:
                pending = True
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(tell)

        return note


class _Stream:
    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.happened = asyncio.Event()
        self.ended = False

    def take(self) -> set[str]:
        """Return what has happened since this was asked last."""
        topics, self.topics = self.topics, set()
        self.happened.clear()
        return topics or {TIME}


def _event(topics: set[str]) -> bytes:
    return f"data: {' '.join(sorted(topics))}\n\n".encode()
