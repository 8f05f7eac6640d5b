"""The management of sources, and trying again what they received.

Every verb checks its input, hands one change to the committer and returns a ``Pending``, as those of ``outbox`` do.
The endpoints of a source are managed by the outbox's verbs, with the source's id in place of an application's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import msgspec

from ringback import ids, policy, tokens
from ringback.changes import addressed, check_uid_of_path, looking_twice, patched
from ringback.entrance import Entrance
from ringback.errors import Conflict, InvalidInput
from ringback.former_addresses import GRACE, MAX_GRACE, end_former, keep_former
from ringback.last_look import keep_look
from ringback.model import Duration, Instant, Message, Source
from ringback.outbox import found, system_clock
from ringback.repetition import idempotency, once
from ringback.source_drafts import SourceDraft, source_draft
from ringback.store import Census, MessageFilter, Page, Pending, Store
from ringback.store.commit import Committer

T = TypeVar("T")

MAX_REPLAYED = 500
MAX_REFUSALS = 1_000
# Payloads come along when messages are looked for, so not too many at a time.
LOOKED_AT = 25


class Found(msgspec.Struct, frozen=True):
    """Ids of messages, oldest first, and whether there are no more after them."""

    message_ids: tuple[str, ...]
    done: bool


class Fare(msgspec.Struct, frozen=True):
    """How a source fares: what it received and refused in a span of time, and what is left over now."""

    received: int
    refused: int
    left: Census


class Sources:
    """Manages sources.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
        declared_tokens: The uids of the sources whose tokens a configuration file has.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        clock: Callable[[], Instant] = system_clock,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        declared_tokens: Collection[str] = frozenset(),
    ) -> None:
        self._committer = committer
        self._declared_tokens = declared_tokens
        self._clock = clock
        self._entropy = entropy

    # --- Sources ------------------------------------------------------------------------------------------

    def create(self, draft: SourceDraft, *, idempotency_key: str | None = None) -> Pending[Source]:
        """Create a source, with a token of its own.

        Raises:
            InvalidInput: Something does not obey the rules, or there is no secret.
            Conflict: The uid, the token or the idempotency key is taken.
        """
        record = self._record_of(draft)
        check_secrets(record)
        key = idempotency("source", idempotency_key, draft)
        return self._committer.write(lambda store: store.source(store.add_source(record, key)))

    def put(self, ref: str, draft: SourceDraft) -> Pending[tuple[Source, bool]]:
        """Replace a source, or create it, with *ref* as its uid, when there is none; tell which by True.

        A replaced source keeps its token and its secrets where the draft has none, but no secrets of another provider.
        """
        record = self._record_of(draft)

        def change(store: Store) -> tuple[Source, bool]:
            if found(lambda: store.source(ref)) is None:
                check_uid_of_path(ref, draft.uid, ids.SOURCE)
                check_secrets(record)
                return store.source(store.add_source(msgspec.structs.replace(record, uid=ref))), True
            return store.change_source(
                ref, lambda old: _renewed(old, addressed(ref, old, record), draft)
            ), False

        return self._committer.write(looking_twice(change))

    def change(self, ref: str, changes: Mapping[str, Any]) -> Pending[Source]:
        """Change the fields named in *changes* (as in ``SourceDraft``); the others stay."""

        def renew(old: Source) -> Source:
            draft = patched(source_draft(old), changes)
            return _renewed(old, self._record_of(draft), draft)

        return self._committer.write(lambda store: store.change_source(ref, renew))

    def remove(self, ref: str) -> Pending[None]:
        """Delete a source and its endpoints; what was received stays on record."""
        now = self._clock()

        def change(store: Store) -> None:
            source = store.source(ref)
            end_former(store, source)
            keep_look(store, source.id, None)
            store.remove_source(ref, now)

        return self._committer.write(change)

    def rotate_token(
        self, ref: str, *, grace: Duration = GRACE, idempotency_key: str | None = None
    ) -> Pending[Source]:
        """Give a source another address; the one before is good until *grace* has passed.

        Without any, nothing is accepted at it any more, nor at those that it had before.

        Raises:
            InvalidInput: The grace period is out of bounds.
            LimitReached: Three former addresses are still good.
            Conflict: Its secrets are in a program of its own, so nothing could be verified at an address here; or its
                token is declared in the configuration file, which would give it back at the next start.
        """
        if not 0 <= grace <= MAX_GRACE:
            most = MAX_GRACE // 1000
            raise InvalidInput.at("body", "gracePeriodSeconds", msg=f"is between 0 and {most} seconds")
        now, token = self._clock(), self._new_token()
        key = idempotency("rotate-token", idempotency_key, grace)

        def renew(old: Source) -> Source:
            if old.uid in self._declared_tokens:
                raise Conflict("its token is in ringback.toml; change it there and start again")
            if not old.secrets:
                raise Conflict(
                    "a program's own inbox receives for this source; give it secrets to receive here"
                )
            return msgspec.structs.replace(old, token=token, updated_at=now)

        def change(store: Store) -> Source:
            source = store.source(ref)

            def rotate() -> str:
                changed = store.change_source(source.id, renew)
                if grace:
                    keep_former(store, source, now, grace)
                else:
                    end_former(store, source)
                return changed.id

            return store.source(once(store, key, (source.id,), now, rotate))

        return self._committer.write(change)

    # --- What was received --------------------------------------------------------------------------------

    def replay(self, ref: str, message_id: str, *, rematch: bool, done_too: bool) -> Pending[int]:
        """Deliver a message again; return to how many endpoints.

        Args:
            ref: The source's id or uid.
            message_id: Which.
            rematch: To the endpoints that match it now, as it is understood now, rather than to those it was for.
            done_too: Also to those that it succeeded at.

        Raises:
            NotFound: There is no such source or message.
            MissingPayload: The message's payload has been removed.
        """
        now = self._clock()

        def change(store: Store) -> int:
            source = store.source(ref)
            event_type = _understood(source, store.message(source.id, message_id)) if rematch else None
            return store.replay(
                source.id, message_id, now, event_type=event_type, rematch=rematch, done_too=done_too
            )

        return self._committer.write(change)

    def fare(self, ref: str, since: Instant | None = None, until: Instant | None = None) -> Pending[Fare]:
        """Tell how a source fares: from *since* (None: 28 days before *until*) to *until* (None: now).

        Raises:
            InvalidRange: That is empty or longer than 28 days.
            NotFound: There is no such source.
        """
        begin, end = policy.tally_window(since, until, self._clock())

        def look(store: Store) -> Fare:
            source = store.source(ref)
            refusals = store.refusals(source.id, Page(limit=MAX_REFUSALS, descending=True))
            return Fare(
                received=store.came(source.id, begin, end),
                refused=sum(1 + one.more for one in refusals if begin <= one.at < end),
                left=store.census(source.id),
            )

        return self._committer.read(look)

    def find(self, ref: str, where: MessageFilter, *, after: str | None = None) -> Pending[Found]:
        """Find up to 500 of a source's messages to replay.

        Args:
            ref: The source's id or uid.
            where: Which.
            after: The id of the message to go on from.
        """

        def look(store: Store) -> Found:
            source_id, cursor = store.source(ref).id, after
            named: list[str] = []
            while len(named) <= MAX_REPLAYED:
                rows = store.messages(source_id, where, Page(limit=LOOKED_AT, cursor=cursor))
                named += [message.id for message in rows]
                if len(rows) < LOOKED_AT:
                    break
                cursor = named[-1]
            return Found(tuple(named[:MAX_REPLAYED]), done=len(named) <= MAX_REPLAYED)

        return self._committer.read(look)

    # --- Looking ------------------------------------------------------------------------------------------

    def read(self, query: Callable[[Store], T]) -> Pending[T]:
        """Ask the store something, off the event loop; *query* must only use verbs that read."""
        return self._committer.read(query)

    # --- From drafts to records ---------------------------------------------------------------------------

    def _record_of(self, draft: SourceDraft) -> Source:
        draft.check()
        now = self._clock()
        record = Source(
            id=ids.new_id(ids.SOURCE, now, self._entropy(ids.ENTROPY_BYTES)),
            name=draft.name,
            provider=draft.provider,
            uid=draft.uid,
            secrets=draft.secrets or (),
            token=draft.token or self._new_token(),
            url=draft.url,
            options=draft.options,
            ack=draft.ack,
            metadata=draft.metadata,
            alias=draft.alias,
            created_at=now,
            updated_at=now,
        )
        Entrance(record)  # its options must be those of its provider's scheme
        return record

    def _new_token(self) -> str:
        return tokens.new_token(self._entropy(tokens.ENTROPY_BYTES), tokens.SOURCE_PREFIX)


def check_secrets(record: Source) -> None:
    """Refuse a source that anybody could send to.

    Raises:
        InvalidInput: It has no secret.
    """
    if not record.secrets:
        raise InvalidInput.at("body", "secrets", msg="is missing: without a secret, anybody could send")


def _renewed(old: Source, record: Source, draft: SourceDraft) -> Source:
    kept = old.secrets if draft.secrets is None and record.provider == old.provider else record.secrets
    renewed = msgspec.structs.replace(
        record,
        id=old.id,
        created_at=old.created_at,
        secrets=kept,
        # Without secrets of its own, a program's inbox receives for it, and it needs no address here.
        token=(draft.token or old.token or record.token) if kept else old.token,
    )
    if old.secrets:
        check_secrets(renewed)
    unchanged = msgspec.structs.replace(renewed, updated_at=old.updated_at) == old
    return old if unchanged else renewed


def _understood(source: Source, message: Message) -> str | None:
    try:
        return Entrance(source).event_type_of(message)
    except InvalidInput:
        return None  # its provider's profile is in a program of its own
