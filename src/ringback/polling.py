"""Pollers: endpoints without an address, for receivers that nobody can reach: they ask for their messages.

A poller keeps the messages that it gets in a feed. Whoever asks goes through it by positions, each keeping its own or,
as a *consumer* with a name, having it kept here. Nothing is lost on the way: what was handed out is handed out again
until it is asked for what comes after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ringback import ids, tokens
from ringback.access import Scope
from ringback.changes import check_subscription, patched
from ringback.drafts import PollerDraft, check_name
from ringback.errors import LimitReached
from ringback.model import POLLED, Endpoint, EndpointState, Instant
from ringback.repetition import idempotency, once
from ringback.store import MessageFilter, Page, Pending, Polled, Store, Token
from ringback.store.commit import Committer

MAX_POLLERS = 100
_EVERYTHING = MessageFilter()


class Maker(msgspec.Struct, frozen=True):
    """Whoever makes a token for a poller, which is to know no more, and to end with what let its maker in.

    Args:
        feature_flags: Which event types it may know of; None for all.
        session: That of an application's portal which it was made in, empty where it has no name; None for none.
    """

    feature_flags: tuple[str, ...] | None = None
    session: str | None = None

    @property
    def flags(self) -> frozenset[str] | None:
        """The feature flags, as those of a principal."""
        return None if self.feature_flags is None else frozenset(self.feature_flags)


ANYBODY = Maker()


class Pollers:
    """Manages pollers, and hands out what they have; made by ``Outbox.pollers``.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
    """

    def __init__(
        self, committer: Committer, clock: Callable[[], Instant], entropy: Callable[[int], bytes]
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._entropy = entropy

    # --- Management ---------------------------------------------------------------------------------------

    def create(
        self, application: str, draft: PollerDraft, maker: Maker = ANYBODY
    ) -> Pending[tuple[Endpoint, str]]:
        """Create a poller; return it and the text of a token for it, which nothing keeps.

        Event types which its *maker* may not know of are not there.

        Raises:
            InvalidInput: Something does not obey the rules.
            NotFound: There is no such application.
            LimitReached: It has too many pollers.
        """
        draft.check()
        record, text = self._poller_of(draft), self._text()

        def change(store: Store) -> tuple[Endpoint, str]:
            owner = store.application(application).id
            check_subscription(store, owner, record, maker.flags)
            if len(store.pollers(owner, Page(limit=MAX_POLLERS))) == MAX_POLLERS:
                raise LimitReached(f"an application has at most {MAX_POLLERS} pollers")
            store.add_poller(msgspec.structs.replace(record, application_id=owner))
            self._add_token(store, owner, record.id, text, maker)
            return store.poller(owner, record.id), text

        return self._committer.write(change)

    def list(self, application: str, page: Page) -> Pending[list[Endpoint]]:
        """Return a page of an application's pollers; raises ``NotFound``."""
        return self._committer.read(lambda store: store.pollers(store.application(application).id, page))

    def change(
        self,
        application: str,
        poller: str,
        changes: Mapping[str, Any],
        flags: frozenset[str] | None = None,
    ) -> Pending[Endpoint]:
        """Change the fields named in *changes*, as in ``PollerDraft``; the others stay.

        Raises:
            InvalidInput: Something does not obey the rules.
            NotFound: There is no such poller.
        """
        now = self._clock()

        def renew(store: Store, old: Endpoint) -> Endpoint:
            draft = patched(_draft_of(old), changes)
            fields = {name: getattr(draft, name) for name in changes}
            if fields.get("metadata", {}) is None:
                fields["metadata"] = {}
            new = msgspec.structs.replace(old, **fields, updated_at=now)
            if "event_types" in changes:
                check_subscription(store, old.application_id, new, flags, old)
            return new

        def change(store: Store) -> Endpoint:
            owner = store.application(application).id
            return store.change_poller(owner, poller, lambda old: renew(store, old))

        return self._committer.write(change)

    def remove(self, application: str, poller: str) -> Pending[None]:
        """Delete a poller and its tokens; what it had is not handed out any more. Raises ``NotFound``."""
        now = self._clock()
        return self._committer.write(
            lambda store: store.remove_poller(store.application(application).id, poller, now)
        )

    def rotate_token(self, application: str, poller: str, maker: Maker = ANYBODY) -> Pending[str]:
        """Return the text of a new token for a poller; those before it end. Raises ``NotFound``."""
        text = self._text()

        def change(store: Store) -> str:
            owner = store.application(application).id
            name = store.poller(owner, poller).id
            store.forget_poller_tokens(name)
            self._add_token(store, owner, name, text, maker)
            return text

        return self._committer.write(change)

    def _poller_of(self, draft: PollerDraft) -> Endpoint:
        now = self._clock()
        return Endpoint(
            id=ids.new_id(ids.POLLER, now, self._entropy(ids.ENTROPY_BYTES)),
            application_id="",
            url=POLLED,
            description=draft.description,
            event_types=draft.event_types,
            channels=draft.channels,
            metadata=draft.metadata or {},
            # No worker delivers to an endpoint that is paused, and all that it gets is kept.
            state=EndpointState.PAUSED,
            secrets=(),
            created_at=now,
            updated_at=now,
        )

    def _text(self) -> str:
        return tokens.new_token(self._entropy(tokens.ENTROPY_BYTES))

    def _add_token(self, store: Store, owner: str, poller_id: str, text: str, maker: Maker) -> None:
        now = self._clock()
        token = Token(
            id=ids.new_id(ids.TOKEN, now, self._entropy(ids.ENTROPY_BYTES)),
            name=poller_id,
            digest=tokens.digest(text),
            created_at=now,
            scopes=(Scope.POLL,),
            application_id=owner,
            feature_flags=maker.feature_flags,
            session=maker.session,
            poller_id=poller_id,
        )
        store.add_token(token)

    # --- Asking -------------------------------------------------------------------------------------------

    async def poll(
        self,
        application: str,
        poller: str,
        position: int | None,
        where: MessageFilter = _EVERYTHING,
        *,
        limit: int,
    ) -> Polled:
        """Return what a poller has behind a position, of the messages that are meant, in the order of the feed.

        Without a position it begins with the first that is kept, or with the first that *where* lets through in time.

        Raises:
            NotFound: There is no such poller.
        """
        if position is None:
            position = 0
            if where.after is not None:
                position = await self._position_after(application, poller, where.after)
        return await self._poll(application, poller, position, where, limit)

    async def consume(
        self, application: str, poller: str, consumer: str, position: int | None, *, limit: int
    ) -> Polled:
        """Return what a consumer has not seen yet.

        With a *position*, which an earlier answer had, all up to there is taken to have been seen, now and for ever.
        Without one, what follows the last such position is handed out, again perhaps.

        Raises:
            InvalidInput: It is no name for a consumer.
            NotFound: There is no such poller.
            LimitReached: The poller has too many consumers.
        """
        check_name(("path", "consumer"), consumer)
        seen = await self._seen(application, poller, consumer)
        if position is not None and position > seen:
            seen = await self._committer.write(_keeping(application, poller, consumer, position))
        return await self._poll(application, poller, seen, _EVERYTHING, limit)

    async def seek(
        self,
        application: str,
        poller: str,
        consumer: str,
        after: Instant,
        *,
        idempotency_key: str | None = None,
    ) -> int:
        """Have a consumer go on with what was accepted after an instant; return the position before that.

        Raises:
            InvalidInput: It is no name for a consumer.
            NotFound: There is no such poller.
            LimitReached: The poller has too many consumers.
            Conflict: The key was used for another request.
        """
        check_name(("path", "consumer"), consumer)
        now = self._clock()
        key = idempotency("seek", idempotency_key, after)

        def move(store: Store, owner: str) -> str:
            position = store.position_after(owner, poller, after, now)
            store.keep_consumer(owner, poller, consumer, position)
            return str(position)

        def change(store: Store) -> int:
            owner = store.application(application).id
            return int(once(store, key, (owner, poller, consumer), now, lambda: move(store, owner)))

        return await self._committer.write(change)

    async def _poll(
        self, application: str, poller: str, position: int, where: MessageFilter, limit: int
    ) -> Polled:
        now = self._clock()

        def query(store: Store) -> Polled:
            owner = store.application(application).id
            return store.poll(owner, poller, position, where, limit=limit, now=now)

        polled = await self._committer.read(query)
        if polled.more and len(polled.messages) < limit and polled.ended:
            await self._committer.write(
                lambda store: store.give_positions(store.application(application).id, poller, limit, now)
            )
            polled = await self._committer.read(query)
        return polled

    def _position_after(self, application: str, poller: str, after: Instant) -> Pending[int]:
        now = self._clock()
        return self._committer.write(
            lambda store: store.position_after(store.application(application).id, poller, after, now)
        )

    def _seen(self, application: str, poller: str, consumer: str) -> Pending[int]:
        return self._committer.read(
            lambda store: store.consumer(store.application(application).id, poller, consumer)
        )


def _keeping(application: str, poller: str, consumer: str, position: int) -> Callable[[Store], int]:
    def change(store: Store) -> int:
        owner = store.application(application).id
        seen = max(store.consumer(owner, poller, consumer), position)
        return store.keep_consumer(owner, poller, consumer, seen)

    return change


def _draft_of(record: Endpoint) -> PollerDraft:
    return PollerDraft(
        description=record.description,
        event_types=record.event_types,
        channels=record.channels,
        metadata=record.metadata,
    )
