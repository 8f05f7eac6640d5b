"""What a migration does to one record, what it tells of that, and what it remembers of it."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

import msgspec

from ringback.errors import Conflict
from ringback.model import Application, Endpoint, EventType, Instant
from ringback.origins import Found
from ringback.outbox import found
from ringback.store import Document, Page, Store

R = TypeVar("R", Application, Endpoint, EventType)

PROGRESS = "ringback.import"
LOOKED_AT = 250
DIGEST_BYTES = 16
# What every origin tells of a record, and what some do.
_TOLD: dict[type, tuple[str, ...]] = {
    Application: ("uid", "name", "throttle_rate", "metadata", "updated_at"),
    Endpoint: (
        "url",
        "uid",
        "description",
        "event_types",
        "channels",
        "metadata",
        "headers",
        "throttle_rate",
        "state",
        "disabled_reason",
        "secrets",
        "updated_at",
    ),
    EventType: (
        "description",
        "archived",
        "deprecated",
        "schemas",
        "feature_flag",
        "feature_flags",
        "updated_at",
    ),
}
_PERHAPS = ("retry_schedule", "group_name")

DELETED_HERE = "it was deleted here after an earlier import"


class Kind(enum.StrEnum):
    """What is brought over."""

    EVENT_TYPE = "event type"
    APPLICATION = "application"
    ENDPOINT = "endpoint"
    MESSAGE = "message"


class Fate(enum.StrEnum):
    """What becomes of a record."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    GONE = "gone"  # it was brought over, and is no longer where it came from
    REMOVED = "removed"  # likewise, and so it was deleted here


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one record: why it was skipped, what of it was left out, under which other id it is kept."""

    kind: Kind
    name: str
    fate: Fate
    why: str | None = None
    left_out: tuple[str, ...] = ()
    kept_as: str | None = None


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to bring over, and how.

    Messages only those accepted from ``since`` on (None: none), as a record of what was sent: nothing is delivered.
    ``rehearse`` changes nothing. ``restart`` begins anew instead of going on where an earlier run was stopped.
    ``remove_gone`` deletes here what was brought over and has been deleted there.
    """

    since: Instant | None = None
    rehearse: bool = False
    restart: bool = False
    remove_gone: bool = False


class Progress(msgspec.Struct, frozen=True):
    """Up to which application a run came, and what it was asked for."""

    application: str
    with_messages: bool
    remove_gone: bool

    @classmethod
    def of(cls, application: str, wish: Wish) -> Progress:
        """Return how far a run came that was asked for *wish*."""
        return cls(application, wish.since is not None, wish.remove_gone)


class Kept(msgspec.Struct, frozen=True):
    """What is remembered of a record: a digest of how it was there, and the id it has here."""

    digest: bytes
    here: str


class Memory:
    """What migrations remember in the store, from one run to the next."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def kept(self, kind: Kind, name: str) -> Kept | None:
        """Return what is remembered of a record, None where it was never brought over."""
        body = self._store.document(_collection(kind), name)
        return None if body is None else _kept(body)

    def keep(self, kind: Kind, name: str, digest: bytes, here: str) -> None:
        """Remember a record."""
        self._store.keep(
            [Document(_collection(kind), name, digest.ljust(DIGEST_BYTES, b"\0") + here.encode())]
        )

    def forget(self, kind: Kind, name: str) -> None:
        """Remember a record no longer."""
        self._store.keep([Document(_collection(kind), name, None)])

    def below(self, kind: Kind, owner: str) -> list[str]:
        """Return the names of what is remembered below *owner*."""
        return [name for name, _ in self.between(kind, f"{owner}.", f"{owner}/")]

    def between(self, kind: Kind, after: str | None, last: str | None) -> Iterator[tuple[str, Kept]]:
        """Yield what is remembered after one name and up to another (None: to the end), in order."""
        cursor = after
        while rows := self._store.documents(_collection(kind), Page(limit=LOOKED_AT, cursor=cursor)):
            for row in rows:
                if last is not None and row.id > last:
                    return
                yield row.id, _kept(row.body or b"")
            cursor = rows[-1].id

    def stopped_at(self, origin: str, wish: Wish) -> str | None:
        """Return after which application to go on, None where to begin with the first."""
        body = None if wish.restart or wish.rehearse else self._store.document(PROGRESS, origin)
        if body is None:
            return None
        progress = msgspec.json.decode(body, type=Progress)
        return progress.application if progress == Progress.of(progress.application, wish) else None

    def keep_progress(self, origin: str, progress: Progress | None) -> None:
        """Remember how far a run came, None where it came to its end."""
        body = None if progress is None else msgspec.json.encode(progress)
        self._store.keep([Document(PROGRESS, origin, body)])


def placed(store: Store, record: Application | Endpoint | EventType, *, known: bool) -> tuple[Fate, str]:
    """Put a record into the store, in place of the one with its id or uid if there is one; return its id here.

    Raises:
        Conflict: It was *known* here, and has been deleted since; or another has its uid.
    """
    here = _here(store, record)
    if here is None and known:
        raise Conflict(DELETED_HERE)
    if here is None:
        return Fate.CREATED, store.add(record)
    if isinstance(record, EventType):
        store.change_event_type(here, partial(_renewed, record=record, known=known))
    elif isinstance(record, Application):
        store.change_application(here, partial(_renewed, record=record, known=known))
    else:
        store.change_endpoint(record.application_id, here, partial(_renewed, record=record, known=known))
    return Fate.UPDATED, here


def _renewed(old: R, *, record: R, known: bool) -> R:
    """Return *old* as *record* makes it: what other servers do not have stays, once it was brought over."""
    fields = {name: getattr(record, name) for name in _TOLD[type(record)]}
    told = {name: value for name in _PERHAPS if (value := getattr(record, name, None)) is not None}
    first = {} if known or not isinstance(record, Endpoint) else {"header_family": record.header_family}
    return msgspec.structs.replace(old, **(fields | told | first))


def _here(store: Store, record: Application | Endpoint | EventType) -> str | None:
    """Return the id or name of what *record* takes the place of."""
    if isinstance(record, EventType):
        return None if found(partial(store.event_type, record.name)) is None else record.name
    # Somebody may have made it here already, under the same uid and another id.
    for ref in (record.id, record.uid):
        if ref is None:
            continue
        if isinstance(record, Endpoint):
            old: Any = found(partial(store.endpoint, record.application_id, ref))
        else:
            old = found(partial(store.application, ref))
        if old is not None:
            return str(old.id)
    return None


def digest_of(one: Found[Any]) -> bytes:
    """Return a digest of a record, its secrets included."""
    return hashlib.sha256(msgspec.json.encode(one)).digest()[:DIGEST_BYTES]


def _collection(kind: Kind) -> str:
    return f"{PROGRESS}.{kind}"


def _kept(body: bytes) -> Kept:
    return Kept(body[:DIGEST_BYTES], body[DIGEST_BYTES:].decode())
