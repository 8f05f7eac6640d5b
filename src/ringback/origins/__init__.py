"""Other products' records, as they move to Ringback: what is read from another server, behind one protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

import msgspec

from ringback.model import Application, Endpoint, EventType, Message

T = TypeVar("T", Application, Endpoint, EventType)


class Found(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A record as Ringback would keep it, with its id there.

    ``left_out`` are sentences on parts of it that cannot come along; ``obstacle`` is why none of it can.
    """

    record: T
    left_out: tuple[str, ...] = ()
    obstacle: str | None = None


class Whole(msgspec.Struct, frozen=True):
    """An application with its endpoints; with none where it cannot come along itself."""

    application: Found[Application]
    endpoints: tuple[Found[Endpoint], ...]


class Origin(Protocol):
    """A server whose records are read, in the order of their ids and no more at a time than fits into memory.

    Every verb raises ``ConfigurationError`` where the server cannot be read at all, and ``ConnectionError`` or
    ``TimeoutError`` where it is lost on the way.
    """

    name: str

    def check(self) -> None:
        """Make sure that everything can be read, before anything is written."""
        ...

    def event_types(self) -> Iterator[Found[EventType]]:
        """Yield all event types, in the order of their names."""
        ...

    def operators(self) -> Iterator[Found[Endpoint]]:
        """Yield the operators' own endpoints, for operational webhooks, where the server has and shows any."""
        ...

    def applications(self, after: str | None) -> Iterator[Whole]:
        """Yield the applications whose ids come after *after* (None: all)."""
        ...

    def messages(self, application_id: str, after: str) -> Iterator[list[Message]]:
        """Yield an application's messages whose ids come after *after*, a page at a time; some without payload."""
        ...

    def close(self) -> None:
        """Leave the server alone."""
        ...
