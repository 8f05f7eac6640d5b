"""Tells open pages that something happened: one stream of server-sent events for each tab, shared by all of it.

A stream says which kinds of things have happened, once a second at most; what they are the page asks for itself, with
its session. What happens at one application is told to operators and to its own people alone. Other nodes' doings are
not seen here, so that every few seconds a stream says that time has passed, and pages look then, too. Where there are
too many streams, of a session, an application or all, further ones are refused, and pages look every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product

import msgspec

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
# One for each tab that is looked at: of one browser, and of all the people of one application.
MAX_OF_SESSION = 6
MAX_OF_APPLICATION = 25
PAUSE_SECONDS = 1.0
TIME_SECONDS = 5.0
CONTENT_TYPE = "text/event-stream"
# How long a browser waits before it comes back.
_GREETING = b"retry: 3000\n\n"

Still = Callable[[], Awaitable[bool]]


class Reader(msgspec.Struct, frozen=True):
    """Whose a stream is: a session, of an application's own people or (None) of an operator, who hears of all."""

    session_id: str
    application_id: str | None = None


class TooMany(Exception):  # noqa: N818 - named for what is the matter
    """There are as many streams as there may be."""


class Live:
    """The streams of one node, on its event loop.

    Args:
        observer: Says what happens. It is listened to only while somebody watches.
        most: How many streams there may be.
        most_of_session: How many of them one session may have.
        most_of_application: How many of them one application's people may have together.
        pause: How many seconds there are between two events of a stream, at least.
        time: After how many seconds without any a stream says that time has passed.
    """

    def __init__(
        self,
        observer: Observer,
        *,
        most: int = MAX_STREAMS,
        most_of_session: int = MAX_OF_SESSION,
        most_of_application: int = MAX_OF_APPLICATION,
        pause: float = PAUSE_SECONDS,
        time: float = TIME_SECONDS,
    ) -> None:
        self._observers = [observer]
        self._most = most
        self._most_of_session = most_of_session
        self._most_of_application = most_of_application
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

    def stream(self, reader: Reader, still: Still) -> AsyncIterator[bytes]:
        """Return a new stream, which ends when *still* says that its *reader* may not read it any more.

        Raises:
            TooMany: There are too many, or the server is stopping.
        """
        if self._closed or self._is_full(reader):
            raise TooMany
        return self._told(_Stream(reader), still)

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

    def _is_full(self, reader: Reader) -> bool:
        readers = [stream.reader for stream in self._streams]
        of_session = sum(one.session_id == reader.session_id for one in readers)
        together = sum(one.application_id == reader.application_id for one in readers)
        is_one_of_many = reader.application_id is not None and together >= self._most_of_application
        return len(readers) >= self._most or of_session >= self._most_of_session or is_one_of_many

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        news = _News()
        for topic, kinds in TOPICS.items():
            note = self._noting(loop, news, topic)
            for observer, kind in product(self._observers, kinds):
                self._listening.enter_context(observer.subscribed(kind, note))

    def _noting(self, loop: asyncio.AbstractEventLoop, news: _News, topic: str) -> Callable[[Event], None]:
        def note(event: Event) -> None:
            # On the thread where it happens, which must not wait: thousands of events make one call.
            if news.add(topic, _owner(event)):
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(self._tell, news)

        return note

    def _tell(self, news: _News) -> None:
        topics = news.take()
        everything = frozenset[str]().union(*topics.values())
        for stream in self._streams:
            own = stream.reader.application_id
            if told := everything if own is None else topics.get(own):
                stream.topics |= told
                stream.happened.set()


class _News:
    """What has happened and was not told yet: topics, by the application that they are of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[str | None, set[str]] = defaultdict(set)

    def add(self, topic: str, owner: str | None) -> bool:
        """Note that something happened; tell whether it is the first since ``take``."""
        with self._lock:
            is_first = not self._topics
            self._topics[owner].add(topic)
            return is_first

    def take(self) -> dict[str | None, set[str]]:
        """Return what is noted, and begin anew."""
        with self._lock:
            topics, self._topics = self._topics, defaultdict(set)
            return topics


class _Stream:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader
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


def _owner(event: Event) -> str | None:
    """Return the application that an event is of; None for what is told to operators alone."""
    match event:
        case MessageAccepted():
            return event.message.application_id
        case AttemptFinished() | EndpointDisabled() | CircuitChanged():
            return event.endpoint.application_id
        case DeliveryPostponed():
            return event.application_id
        case _:
            return None
