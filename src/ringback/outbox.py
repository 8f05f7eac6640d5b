"""The door for publishing, and the management of what is published and to whom.

Every verb checks its input, hands one change to the committer and returns a ``Pending``: await it in a
coroutine, or call ``result()`` in a thread. ``publish`` returns only after the message is durable.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ringback import drafts, ids, redelivery
from ringback.archive import Archive
from ringback.audience import is_wanted
from ringback.changes import (
    add_endpoint,
    add_event_type,
    addressed,
    changed_headers,
    check_inline,
    check_not_handler,
    check_subscription,
    check_uid_of_path,
    looking_twice,
    one_way_of_flags,
    patched,
    renewed,
    replaced,
    rotated,
)
from ringback.delivery_options import DeliveryOptions
from ringback.drafts import ApplicationDraft, EndpointDraft, EventTypeDraft, MessageDraft, SecretRotation
from ringback.errors import Conflict, InvalidInput, NotFound
from ringback.event_type_import import Import, importing, plan
from ringback.model import (
    Application,
    Delivery,
    Endpoint,
    EndpointSecret,
    EndpointState,
    EventType,
    Instant,
)
from ringback.polling import Pollers
from ringback.publication import PUBLISHING, acceptance_of, draft_of, of_each
from ringback.repetition import idempotency, rotated_once
from ringback.replays import Replays
from ringback.signing import standard
from ringback.store import Acceptance, Accepted, Document, Page, Pending, Store, Task
from ringback.store.commit import Committer

T = TypeVar("T")

MAX_DOCUMENTS = 1_000_000
MAX_PAYLOAD = 1024 * 1024
MANUALLY = "manual"


def system_clock() -> Instant:
    """Return the present instant."""
    return time.time_ns() // 1_000_000


class Outbox:
    """Publishes messages and manages applications, endpoints and event types.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
        max_payload: The largest payload accepted, in bytes.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        clock: Callable[[], Instant] = system_clock,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._entropy = entropy
        self._max_payload = max_payload

    def with_entropy(self, entropy: Callable[[int], bytes]) -> Outbox:
        """Return the same door, whose ids and secrets are made of other bytes: for who wants them to come out again."""
        return Outbox(self._committer, clock=self._clock, entropy=entropy, max_payload=self._max_payload)

    # --- Messages -----------------------------------------------------------------------------------------

    def publish(
        self,
        application: str,
        event_type: str,
        payload: bytes | Mapping[str, Any],
        *,
        event_id: str | None = None,
        channels: tuple[str, ...] | None = None,
        tags: tuple[str, ...] | None = None,
        deliver_at: datetime | None = None,
        idempotency_key: str | None = None,
        documents: tuple[Document, ...] = (),
        tx: Any = None,
    ) -> Pending[Accepted]:
        """Publish a message to the endpoints of an application, durably.

        With *tx*, the message exists exactly if that transaction is committed. On an asynchronous connection the
        result is to be awaited; on others it is there at once, and errors are raised here.

        Args:
            application: The application's id or uid.
            event_type: What happened, such as ``invoice.paid``.
            payload: A JSON object: bytes are delivered exactly as given, a mapping is encoded.
            event_id: The caller's own id for the event, unique in the application.
            channels: Up to five names that endpoints may filter by.
            tags: Up to ten names to find the message by.
            deliver_at: Nothing is delivered before, up to 90 days ahead. Without an offset it is UTC.
            idempotency_key: Publishing again with the same key answers with the first message.
            documents: To keep in the same transaction: what the message tells of. For those that no message tells
                of, see ``keep``. Not with *tx*.
            tx: The caller's transaction in the store's own database: a connection of psycopg, asyncpg, Django, sqlite3
                or apsw, or a connection or session of SQLAlchemy.

        Raises:
            InvalidInput: Something does not obey the rules, or *tx* cannot be used.
            PayloadTooLarge: The payload is larger than the limit.
            NotFound: There is no such application.
            Conflict: The event id or the idempotency key belongs to another message.
            StoreUnavailable: The store failed; publish again with the same key.
        """
        draft = draft_of(
            event_type, payload, event_id=event_id, channels=channels, tags=tags, deliver_at=deliver_at
        )
        acceptance = self._acceptance_of(application, draft, idempotency_key)
        if tx is None:
            return self._committer.accept(msgspec.structs.replace(acceptance, documents=documents))
        if documents:
            raise InvalidInput.at("documents", msg="cannot be kept with tx")
        return self._committer.accept_within(tx, acceptance)

    def publish_draft(
        self, application: str, draft: MessageDraft, idempotency_key: str | None = None
    ) -> Pending[Accepted]:
        """Publish a message whose payload is known to be JSON; see ``publish``.

        It may be a ``MessageRequest``; the application that one tells is not looked at, see ``ensure_application``.
        """
        return self._committer.accept(self._acceptance_of(application, draft, idempotency_key))

    def publish_example(
        self, application: str, endpoint: str, draft: MessageDraft, idempotency_key: str | None = None
    ) -> Pending[Accepted]:
        """Publish a message to one endpoint alone, whatever it listens to; see ``publish``.

        Raises:
            NotFound: There is no such application or endpoint.
            Conflict: The endpoint is disabled.
        """
        acceptance = self._acceptance_of(application, draft, idempotency_key, "example")
        return self._committer.accept(msgspec.structs.replace(acceptance, only=endpoint))

    def publish_batch(
        self, application: str, batch: Sequence[MessageDraft], idempotency_key: str | None = None
    ) -> list[Pending[Accepted]]:
        """Publish several messages, each with a key of its own made of *idempotency_key*, a colon and its index.

        All are checked before any is stored. Each is then accepted or refused by itself.

        Raises:
            InvalidInput: Something does not obey the rules; nothing is stored.
            PayloadTooLarge: A payload is larger than the limit; nothing is stored.
        """
        keys = [
            None if idempotency_key is None else f"{idempotency_key}:{index}" for index in range(len(batch))
        ]
        acceptances = of_each(
            list(zip(batch, keys, strict=True)), lambda one: self._acceptance_of(application, *one, "batch")
        )
        return [self._committer.accept(acceptance) for acceptance in acceptances]

    def resend(
        self, application: str, message_id: str, endpoint: str, *, idempotency_key: str | None = None
    ) -> Pending[Delivery]:
        """Deliver a message to an endpoint again, whatever became of it; filters do not apply."""
        key = idempotency("resend", idempotency_key, None)
        return self._committer.write(
            redelivery.resending(application, message_id, endpoint, self._clock(), key)
        )

    def recover(
        self,
        application: str,
        endpoint: str,
        since: Instant,
        until: Instant | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Pending[Task]:
        """Deliver again what failed at an endpoint; see ``Replays.recover``."""
        return self.replays.recover(application, endpoint, since, until, idempotency_key=idempotency_key)

    # --- Applications -------------------------------------------------------------------------------------

    def ensure_application(self, ref: str, draft: ApplicationDraft) -> Pending[None]:
        """Create an application, unless there is one already that *ref* names: then *draft* is not looked at.

        Raises:
            InvalidInput: The draft does not obey the rules, or its uid is not *ref*.
        """
        record = self._application_of(draft)

        def change(store: Store) -> None:
            if found(lambda: store.application(ref)) is None:
                check_inline(ref, draft)
                store.add(record)

        return self._committer.write(looking_twice(change))

    def create_application(
        self, draft: ApplicationDraft, *, reuse: bool = False, idempotency_key: str | None = None
    ) -> Pending[tuple[Application, bool]]:
        """Create an application; return it and True, or, with *reuse*, the one that has its uid and False."""
        draft.check()
        record = self._application_of(draft)
        key = idempotency("application", idempotency_key, draft)

        def change(store: Store) -> tuple[Application, bool]:
            try:
                with store.transaction():
                    return store.application(store.add(record, key)), True
            except Conflict:
                existing = found(lambda: store.application(draft.uid or "")) if reuse and draft.uid else None
                if existing is None:
                    raise
                return existing, False

        return self._committer.write(change)

    def put_application(self, ref: str, draft: ApplicationDraft) -> Pending[tuple[Application, bool]]:
        """Replace an application, or create it, with *ref* as its uid, when there is none; tell which by True."""
        draft.check()
        record = self._application_of(draft)

        def change(store: Store) -> tuple[Application, bool]:
            if found(lambda: store.application(ref)) is None:
                check_uid_of_path(ref, draft.uid, ids.APPLICATION)
                return store.application(store.add(msgspec.structs.replace(record, uid=ref))), True
            return store.change_application(ref, lambda old: renewed(old, addressed(ref, old, record))), False

        return self._committer.write(looking_twice(change))

    def change_application(self, ref: str, changes: Mapping[str, Any]) -> Pending[Application]:
        """Change the fields named in *changes* (as in ``ApplicationDraft``); the others stay."""

        def renew(old: Application) -> Application:
            draft = patched(drafts.application_draft(old), changes)
            return renewed(old, self._application_of(draft))

        return self._committer.write(lambda store: store.change_application(ref, renew))

    def remove_application(self, ref: str) -> Pending[None]:
        """Delete an application; what was sent stays on record."""
        now = self._clock()
        return self._committer.write(lambda store: store.remove_application(ref, now))

    def ensure_operators(self) -> Pending[None]:
        """Have there be the application that operational webhooks belong to; ``ids.OPERATOR`` is its id."""
        now = self._clock()
        return self._committer.write(lambda store: add_operators(store, now))

    # --- Endpoints ----------------------------------------------------------------------------------------

    def create_endpoint(
        self,
        application: str,
        draft: EndpointDraft,
        *,
        idempotency_key: str | None = None,
        flags: frozenset[str] | None = None,
    ) -> Pending[Endpoint]:
        """Create an endpoint; without a secret, one is generated.

        With feature *flags*, event types are not there which who has these may not know of.
        """
        draft.check()
        record = self._endpoint_of(draft)
        key = idempotency("endpoint", idempotency_key, draft)

        def change(store: Store) -> Endpoint:
            return add_endpoint(store, application, record, key, flags)

        return self._committer.write(change)

    def put_endpoint(
        self,
        application: str,
        ref: str,
        draft: EndpointDraft,
        *,
        keep: Collection[str] = (),
        flags: frozenset[str] | None = None,
    ) -> Pending[tuple[Endpoint, bool]]:
        """Replace an endpoint, or create it, with *ref* as its uid, when there is none; tell which by True.

        A replaced endpoint keeps its secrets, which change only by rotation, and the fields named in *keep*.
        """
        draft.check()
        record = self._endpoint_of(draft)

        def renew(old: Endpoint) -> Endpoint:
            check_not_handler(old)
            kept = {name: getattr(old, name) for name in keep}
            return replaced(old, addressed(ref, old, msgspec.structs.replace(record, **kept)))

        def change(store: Store) -> tuple[Endpoint, bool]:
            owner = store.application(application).id
            old = found(lambda: store.endpoint(owner, ref))
            if old is None:
                check_uid_of_path(ref, draft.uid, ids.ENDPOINT)
                named = msgspec.structs.replace(record, uid=ref)
                return add_endpoint(store, owner, named, None, flags), True
            check_subscription(store, owner, record, flags, old)
            return store.change_endpoint(owner, ref, renew), False

        return self._committer.write(looking_twice(change))

    def change_endpoint(
        self,
        application: str,
        ref: str,
        changes: Mapping[str, Any],
        flags: frozenset[str] | None = None,
    ) -> Pending[Endpoint]:
        """Change the fields named in *changes* (as in ``EndpointDraft``, but not the secret); the others stay."""

        def change(store: Store) -> Endpoint:
            def renew(old: Endpoint) -> Endpoint:
                check_not_handler(old)
                record = self._endpoint_of(patched(drafts.endpoint_draft(old), changes))
                if "event_types" in changes:
                    check_subscription(store, old.application_id, record, flags, old)
                return replaced(old, record)

            return store.change_endpoint(store.application(application).id, ref, renew)

        return self._committer.write(change)

    def change_headers(
        self, application: str, ref: str, changes: Mapping[str, str | None]
    ) -> Pending[Endpoint]:
        """Set an endpoint's own headers named in *changes*, or remove those given as None; the others stay.

        Names ignore case.
        """
        now = self._clock()

        def renew(old: Endpoint) -> Endpoint:
            check_not_handler(old)
            headers = changed_headers(old.headers, changes)
            patched(drafts.endpoint_draft(old), {"headers": headers})
            return msgspec.structs.replace(old, headers=headers, updated_at=now)

        return self._committer.write(
            lambda store: store.change_endpoint(store.application(application).id, ref, renew)
        )

    def pause_endpoint(self, application: str, ref: str) -> Pending[Endpoint]:
        """Stop delivering to an endpoint; what is accepted for it from now on waits."""
        return self._move_endpoint(application, ref, EndpointState.PAUSED)

    def resume_endpoint(self, application: str, ref: str) -> Pending[Endpoint]:
        """Deliver to an endpoint again, beginning with what waited."""
        return self._move_endpoint(application, ref, EndpointState.ENABLED)

    def rotate_secret(
        self, application: str, ref: str, rotation: SecretRotation, *, idempotency_key: str | None = None
    ) -> Pending[Endpoint]:
        """Make a new secret current; the one before signs along for the grace period.

        Raises:
            LimitReached: Ten old secrets are still signing.
        """
        rotation.check()
        now = self._clock()
        fresh = rotation.key or standard.symmetric_secret(self._entropy(standard.GENERATED_SECRET_BYTES))
        key = idempotency("rotate", idempotency_key, rotation)

        def renew(old: Endpoint) -> Endpoint:
            check_not_handler(old)
            return msgspec.structs.replace(
                old, secrets=rotated(old.secrets, fresh, now, rotation.grace * 1000), updated_at=now
            )

        def change(store: Store) -> Endpoint:
            endpoint = store.endpoint(store.application(application).id, ref)
            return rotated_once(store, key, endpoint, now, renew)

        return self._committer.write(change)

    def remove_endpoint(self, application: str, ref: str) -> Pending[None]:
        """Delete an endpoint; what was sent stays on record, what waits is cancelled."""
        now = self._clock()
        return self._committer.write(
            lambda store: store.remove_endpoint(store.application(application).id, ref, now)
        )

    # --- Event types --------------------------------------------------------------------------------------

    def create_event_type(
        self, draft: EventTypeDraft, *, idempotency_key: str | None = None
    ) -> Pending[EventType]:
        """Create an event type, or revive an archived one of that name."""
        draft.check()
        record = self._event_type_of(draft)
        key = idempotency("event_type", idempotency_key, draft)
        return self._committer.write(lambda store: add_event_type(store, record, key))

    def put_event_type(self, name: str, draft: EventTypeDraft) -> Pending[tuple[EventType, bool]]:
        """Replace an event type, or create it when there is none of that name; tell which by True."""
        draft.check()
        record = self._event_type_of(draft)

        def change(store: Store) -> tuple[EventType, bool]:
            if found(lambda: store.event_type(name)) is None:
                return store.event_type(store.add(record)), True
            return store.change_event_type(name, lambda old: renewed(old, record)), False

        return self._committer.write(looking_twice(change))

    def change_event_type(self, name: str, changes: Mapping[str, Any]) -> Pending[EventType]:
        """Change the fields named in *changes* (as in ``EventTypeDraft``, but not the name); the others stay."""

        def renew(old: EventType) -> EventType:
            draft = patched(drafts.event_type_draft(old), one_way_of_flags(changes))
            return renewed(old, self._event_type_of(draft))

        return self._committer.write(lambda store: store.change_event_type(name, renew))

    def remove_event_type(self, name: str, *, expunge: bool = False) -> Pending[None]:
        """Archive an event type, or with *expunge* delete it."""
        now = self._clock()

        def change(store: Store) -> None:
            if expunge:
                store.remove_event_type(name)
            else:
                store.change_event_type(
                    name, lambda old: msgspec.structs.replace(old, archived=True, updated_at=now)
                )

        return self._committer.write(change)

    def import_event_types(
        self, wanted: Sequence[EventTypeDraft], *, replace_all: bool = False, dry_run: bool = False
    ) -> Pending[Import]:
        """Take over event types, all or none, as ``event_type_import`` says; with *dry_run* only tell of it."""
        now = self._clock()
        if dry_run:
            return self._committer.read(lambda store: plan(store, wanted, now, replace_all=replace_all))
        return self._committer.write(importing(wanted, now, replace_all=replace_all))

    @property
    def archive(self) -> Archive:
        """What was sent, to look back on."""
        return Archive(self._committer, self._clock, self._entropy)

    @property
    def pollers(self) -> Pollers:
        """Endpoints without an address, for receivers that ask for their messages."""
        return Pollers(self._committer, self._clock, self._entropy)

    @property
    def options(self) -> DeliveryOptions:
        """How endpoints are sent to."""
        return DeliveryOptions(self._committer, self._clock)

    def precheck(
        self, application: str, event_type: str, channels: tuple[str, ...] | None = None
    ) -> Pending[bool]:
        """Tell whether any endpoint would be sent such a message now; nothing is published."""
        MessageDraft(event_type=event_type, payload=msgspec.Raw(b"{}"), channels=channels).check()
        return self._committer.read(lambda store: is_wanted(store, application, event_type, channels))

    @property
    def replays(self) -> Replays:
        """Many messages delivered again."""
        return Replays(self._committer, self._clock, self._entropy)

    # --- Looking ------------------------------------------------------------------------------------------

    def keep(self, documents: Sequence[Document]) -> Pending[None]:
        """Keep documents durably, each in place of the one with its id; remove those without a body."""
        return self._committer.write(lambda store: store.keep(documents))

    def documents(self, collection: str) -> Pending[list[Document]]:
        """Return all documents of a collection, in the order of their ids."""
        return self._committer.read(lambda store: store.documents(collection, Page(limit=MAX_DOCUMENTS)))

    def read(self, query: Callable[[Store], T]) -> Pending[T]:
        """Ask the store something, off the event loop; *query* must only use verbs that read."""
        return self._committer.read(query)

    # --- From drafts to records ---------------------------------------------------------------------------

    def _acceptance_of(
        self, application: str, draft: MessageDraft, key: str | None, operation: str = PUBLISHING
    ) -> Acceptance:
        now = self._clock()
        message_id = ids.new_id(ids.MESSAGE, now, self._entropy(ids.ENTROPY_BYTES))
        return acceptance_of(
            application, draft, key, operation, now=now, message_id=message_id, max_payload=self._max_payload
        )

    def _application_of(self, draft: ApplicationDraft) -> Application:
        now = self._clock()
        return Application(
            id=ids.new_id(ids.APPLICATION, now, self._entropy(ids.ENTROPY_BYTES)),
            name=draft.name,
            uid=draft.uid,
            throttle_rate=draft.throttle_rate,
            metadata=draft.metadata or {},
            created_at=now,
            updated_at=now,
        )

    def _endpoint_of(self, draft: EndpointDraft) -> Endpoint:
        now = self._clock()
        secret = draft.secret or standard.symmetric_secret(self._entropy(standard.GENERATED_SECRET_BYTES))
        return Endpoint(
            id=ids.new_id(ids.ENDPOINT, now, self._entropy(ids.ENTROPY_BYTES)),
            application_id="",
            url=draft.url,
            uid=draft.uid,
            description=draft.description,
            event_types=draft.event_types,
            channels=draft.channels,
            metadata=draft.metadata or {},
            headers=draft.headers or {},
            throttle_rate=draft.throttle_rate,
            retry_schedule=draft.schedule,
            header_family=draft.header_family,
            ordered=draft.ordered,
            manner=draft.manner if isinstance(draft, drafts.PlayedDraft) else None,
            state=EndpointState.DISABLED if draft.disabled else EndpointState.ENABLED,
            disabled_reason=MANUALLY if draft.disabled else None,
            secrets=(EndpointSecret(secret),),
            created_at=now,
            updated_at=now,
        )

    def _event_type_of(self, draft: EventTypeDraft) -> EventType:
        now = self._clock()
        return EventType(
            name=draft.name,
            description=draft.description,
            archived=draft.archived,
            deprecated=draft.deprecated,
            schemas=draft.schemas,
            feature_flag=draft.feature_flag,
            feature_flags=draft.feature_flags,
            group_name=draft.group_name,
            created_at=now,
            updated_at=now,
        )

    def _move_endpoint(self, application: str, ref: str, state: EndpointState) -> Pending[Endpoint]:
        now = self._clock()

        def renew(old: Endpoint) -> Endpoint:
            if old.state is EndpointState.DISABLED and state is EndpointState.PAUSED:
                raise Conflict("the endpoint is disabled, so nothing flows to pause; enable it first")
            return msgspec.structs.replace(
                old, state=state, disabled_reason=None, failing_since=None, updated_at=now
            )

        return self._committer.write(
            lambda store: store.change_endpoint(store.application(application).id, ref, renew)
        )


def add_operators(store: Store, now: Instant) -> None:
    """Have there be the application that operational webhooks belong to."""
    if found(lambda: store.application(ids.OPERATOR)) is None:
        store.add(Application(id=ids.OPERATOR, name="Operators", created_at=now, updated_at=now))


def found(look_up: Callable[[], T]) -> T | None:
    """Return what *look_up* finds, None where it raises ``NotFound``."""
    try:
        return look_up()
    except NotFound:
        return None
