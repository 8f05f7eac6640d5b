"""What goes into a store and comes out of it, beside the model's own values."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.access import Scope
from ringback.model import (
    Attempt,
    Duration,
    Endpoint,
    Inbound,
    Instant,
    Message,
    Trigger,
)
from ringback.policy import Decision, Health


class Idempotency(msgspec.Struct, frozen=True):
    """A caller's key for a change: the same scope and key make the change once, whatever is lost on the way.

    ``fingerprint`` identifies the request's content, so that a key reused for something else is noticed. A use
    whose result has been removed is forgotten. Acceptances of different applications never share a scope.
    """

    scope: str
    key: str
    fingerprint: bytes


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The exclusive right to make the next attempt, until an instant. ``token`` fences out earlier holders."""

    token: int
    until: Instant


class Document(msgspec.Struct, frozen=True):
    """What a program keeps beside its messages: a *body* of its own under an id in a *collection*; None removes it."""

    collection: str
    id: str
    body: bytes | None


# Payloads that are to be forgotten: the ids are INSTANT.APPLICATION.MESSAGE, the instant in thirteen digits.
EXPIRING = "ringback.expiring"
# In place of an endpoint's id: that of none.
NOBODY = ""


class Acceptance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message to accept. ``application`` is an id or a uid; ``id`` is the new message's.

    With *inbound* it was received, ``application`` is a source's id, and an event that was received before is
    answered with the first message's id. Otherwise it was published, and ``application`` is no source. *documents* are
    kept in the same transaction, unless it is refused or was accepted before. With *only*, the id or uid of an
    endpoint, it is for that one alone, whatever it listens to; with ``NOBODY``, for none: a record of what another
    server sent. Its payload is to be forgotten after *payload_until*: a document in the collection ``EXPIRING`` says
    so. Nothing is delivered before *deliver_at*.
    """

    application: str
    id: str
    event_type: str
    payload: bytes
    created_at: Instant
    event_id: str | None = None
    channels: tuple[str, ...] | None = None
    idempotency: Idempotency | None = None
    inbound: Inbound | None = None
    documents: tuple[Document, ...] = ()
    only: str | None = None
    payload_until: Instant | None = None
    tags: tuple[str, ...] | None = None
    deliver_at: Instant | None = None


class Work(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A leased delivery with all that an attempt needs. ``key`` is the store's own name for the delivery.

    ``attempts`` counts those made before, ``begun`` the runs of a handler that were begun and vanished.
    """

    key: tuple[int, int]
    message_id: str
    event_type: str
    payload: bytes
    accepted_at: Instant
    endpoint: Endpoint
    attempts: int
    trigger: Trigger
    lease: Lease
    inbound: Inbound | None = None
    begun: int = 0


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The stored message, the deliveries born leased to this node, and the endpoints whose share was spilled.

    ``scheduled`` counts the deliveries that wait for the time that was asked for.
    ``replayed`` tells that it had been stored before: by a call with the same idempotency key, or because the event
    was received already; then ``message`` has neither payload nor headers.
    """

    message: Message
    works: tuple[Work, ...] = ()
    spilled: tuple[Endpoint, ...] = ()
    replayed: bool = False
    scheduled: int = 0


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The end of a lease: the decision, the attempt if one was made, and what it means for the endpoint.

    ``reason`` says why there was no attempt, or none that counts: postponing uses up none. It takes effect only
    while ``work.lease`` is still held.
    """

    work: Work
    decision: Decision
    attempt: Attempt | None = None
    health: Health | None = None
    reason: str | None = None


class Begun(msgspec.Struct, frozen=True):
    """Whether a handler may run: only while the lease is *held*, and not before *blocked_until* where that is set."""

    held: bool
    blocked_until: Instant | None = None


class Statement(msgspec.Struct, frozen=True):
    """A statement in the store's SQL, with ``?`` where *values* go; it must change exactly *changes* rows if set."""

    text: str
    values: tuple[Any, ...]
    changes: int | None = None


class DueEndpoint(msgspec.Struct, frozen=True):
    """An endpoint with deliveries that may be taken now, and since when the oldest of them could have been.

    ``handler`` is the name of the handler it stands for, if it does.
    """

    endpoint_id: str
    oldest_due_at: Instant
    handler: str | None = None


class Quota(msgspec.Struct, frozen=True):
    """How many deliveries to take for one endpoint."""

    endpoint_id: str
    limit: int


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: up to *limit* rows after (or, backwards, before) the row whose id is *cursor*.

    The rows come in the list's order either way: going backwards, the one farthest from the cursor is first. Nothing
    beyond the row whose id is *end* is looked at.
    """

    limit: int = 50
    cursor: str | None = None
    end: str | None = None
    backwards: bool = False
    descending: bool = False


class ApplicationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which applications: those *with_endpoints* only, and none whose endpoints are all disabled (*without_idle*)."""

    with_endpoints: bool = False
    without_idle: bool = False


EVERY_APPLICATION = ApplicationFilter()


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages: accepted at or after *after* and before *before*, of these types, in this channel, so tagged."""

    before: Instant | None = None
    after: Instant | None = None
    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    tag: str | None = None


class AttemptFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempts: of a message or an endpoint, by time, success, class of HTTP status (0, 100 … 500).

    Without *answers* what receivers answered is left out, which is most of what there is to read.
    """

    message_id: str | None = None
    endpoint_id: str | None = None
    before: Instant | None = None
    after: Instant | None = None
    ok: bool | None = None
    status_class: int | None = None
    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    tag: str | None = None
    answers: bool = True


# Where counting stops: more is "many", and a count must not cost a scan.
CEILING = 10_000


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint fares in a window of time: attempts by outcome, and deliveries that are not at rest.

    What is pending, being sent or cancelled stops counting at 10,000.
    """

    succeeded: int
    failed: int
    pending: int
    sending: int
    cancelled: int


# The name of tokens that are sessions of browsers; the name of such a session is the id of the token it began with.
BROWSER = "browser"


class Spell(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts at an endpoint in a while that began at *since*, by what came of them."""

    since: Instant
    succeeded: int
    failed: int
    cancelled: int


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An API token as the store knows it: only its SHA-256 digest.

    It is for *scopes*, in one application or (None) in all. A *session*, empty where it has no name, marks one that
    lets people in for a while: an application's into its portal, or a browser; or, with *poller_id*, one that was made
    by somebody who was let in so. ``last_used_at`` is right to within a minute or two.
    """

    id: str
    name: str
    digest: bytes
    created_at: Instant
    scopes: tuple[Scope, ...] = (Scope.ADMIN,)
    application_id: str | None = None
    feature_flags: tuple[str, ...] | None = None
    session: str | None = None
    expires_at: Instant | None = None
    last_used_at: Instant | None = None
    poller_id: str | None = None


class Pruned(msgspec.Struct, frozen=True):
    """What one batch of retention removed, and the cursor to go on from (None: the end is reached).

    Where the end is that others were in the way, *hindrance* says what: it goes on the next time.
    """

    messages: int
    cursor: int | None
    hindrance: str | None = None


class Statistics(msgspec.Struct, frozen=True):
    """The queue at a glance: deliveries not at rest, those past due, and since when the oldest is.

    What waits for paused endpoints, or to be asked for, is not past due.
    ``waiting`` and ``past_due`` stop counting at 100,000: more is "many", and a count must not cost a scan.
    """

    waiting: int
    past_due: int
    oldest_due_at: Instant | None
    size_bytes: int


class Census(msgspec.Struct, frozen=True):
    """What is left over at a source, each counted to 10,000: deliveries not at rest by endpoint, and more."""

    waiting: dict[str, int]
    # Those of them that failed before.
    retrying: dict[str, int]
    quarantined: int
    unhandled: int
    dead: int  # deliveries that were given up


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """How a database fares; None is what there is none of in databases of its kind.

    ``faults`` are sentences about what is broken in it. ``syncs`` tells that commits wait for the disk, ``days_ahead``
    for how many days after this one there are tables, ``vacuums`` that dead rows are cleared away by themselves.
    ``oldest_transaction`` is for how long one has been open, whoever began it; where not ``all_seen``, of those that
    this role may see. ``oldest_prepared`` is the same of those prepared for a commit in two phases. ``dead_rows`` are
    those of the queue; ``idle_slots`` are replication slots that the server keeps its log for, and nobody reads from.
    ``open_schema`` is the schema with its tables, where every role may make functions in it.
    """

    faults: tuple[str, ...]
    syncs: bool = True
    days_ahead: int | None = None
    vacuums: bool | None = None
    oldest_transaction: Duration | None = None
    all_seen: bool = True
    oldest_prepared: Duration = 0
    dead_rows: int | None = None
    idle_slots: tuple[str, ...] = ()
    open_schema: str | None = None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """What a database is, before anything is opened or changed.

    ``schema`` is the version of what it holds, None where it holds nothing of Ringback's; ``newest`` the one that
    this Ringback writes. ``foreign`` tells that it has tables of another program, ``durable`` that its log is of the
    kind that commits survive in.
    """

    path: str
    exists: bool
    newest: int
    schema: int | None = None
    foreign: bool = False
    durable: bool = True
