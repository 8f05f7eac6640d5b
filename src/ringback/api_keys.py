"""API keys: tokens in the store, known by their digests, each for some scopes and perhaps for one application only."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import msgspec

from ringback import ids, tokens
from ringback.access import Principal, Scope, rights_of
from ringback.errors import FieldError, InvalidInput, NotFound
from ringback.model import Duration, Instant
from ringback.outbox import found, system_clock
from ringback.store import Pending, Store, Token
from ringback.store.commit import Committer

T = TypeVar("T")

MAX_NAME = 256
# When a key was last used is written this seldom.
USE_GRAIN = 60_000


class ApiKeyDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A key to be made: who it is for, its scopes, its application by id or uid (None: all), and when it ends."""

    name: str
    scopes: tuple[Scope, ...] = (Scope.ADMIN,)
    application: str | None = None
    expires_at: Instant | None = None

    def check(self, now: Instant) -> None:
        """Check the draft; raises ``InvalidInput`` with every fault."""
        faults = []
        if not 1 <= len(self.name) <= MAX_NAME or not self.name.isprintable():
            faults.append(FieldError(("body", "name"), f"has 1 to {MAX_NAME} printable characters"))
        if not self.scopes:
            faults.append(FieldError(("body", "scopes"), "has at least one scope"))
        if Scope.PORTAL in self.scopes and self.application is None:
            faults.append(FieldError(("body", "scopes"), "has portal only for a key of one application"))
        if self.expires_at is not None and self.expires_at <= now:
            faults.append(FieldError(("body", "expiresAt"), "lies in the future"))
        if faults:
            raise InvalidInput(*faults)


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What an application's people may do in its portal, with which feature flags, and for how long."""

    scopes: tuple[Scope, ...] = (Scope.PORTAL,)
    feature_flags: tuple[str, ...] = ()
    session: str = ""
    lifetime: Duration


class Caller(msgspec.Struct, frozen=True):
    """Whoever has a key or a signed token, and by which names its one application goes (id and uid).

    ``visit`` is the id of the token that let somebody into a portal, or of a browser's session; ``session`` is what
    goes by its name. ``who`` says to people whose doing something was: the id of a key, ``admin``, ``signed``, ``link``
    for a session that a link began, or ``portal:`` with what a session of an application's people is named or began
    with.
    """

    principal: Principal
    names: frozenset[str] = frozenset()
    expires_at: Instant | None = None
    visit: str | None = None
    session: str | None = None
    who: str = ""

    def application(self, ref: str) -> str | None:
        """Return *ref*, or for one bound to an application the id of that, if *ref* names it; None if not."""
        if self.principal.application_id is None:
            return ref
        return self.principal.application_id if ref in self.names else None


class ApiKeys:
    """Makes, lists, finds and revokes API keys.

    Args:
        committer: Writes and reads the store.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        clock: Callable[[], Instant] = system_clock,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._committer = committer
        self._entropy = entropy
        self.clock = clock

    def read(self, query: Callable[[Store], T]) -> Pending[T]:
        """Ask the store something, off the event loop."""
        return self._committer.read(query)

    def create(self, draft: ApiKeyDraft) -> Pending[tuple[Token, str]]:
        """Make a key; return it and its text, which nothing keeps.

        Raises:
            InvalidInput: Something does not obey the rules.
            NotFound: There is no such application.
        """
        now = self.clock()
        draft.check(now)
        text, token_id = self._new()
        return self._committer.write(lambda store: (add_key(store, draft, token_id, text, now), text))

    def admit(self, application: str, visit: Visit) -> Pending[str]:
        """Return the text of a token for an application's portal; forget those that have ended.

        Raises:
            NotFound: There is no such application.
        """
        now = self.clock()
        text, token_id = self._new()

        def change(store: Store) -> str:
            owner = store.application(application).id
            store.forget_tokens(owner, now)
            token = Token(
                id=token_id,
                name="portal",
                digest=tokens.digest(text),
                created_at=now,
                scopes=visit.scopes,
                application_id=owner,
                feature_flags=visit.feature_flags,
                session=visit.session,
                expires_at=now + visit.lifetime,
            )
            store.add_token(token)
            return text

        return self._committer.write(change)

    def expire(
        self, application: str, sessions: Collection[str] | None = None, delay: Duration = 0
    ) -> Pending[None]:
        """Have the tokens of an application's portal, or only those of some *sessions*, end after *delay*.

        Raises:
            NotFound: There is no such application.
        """
        at = self.clock() + delay
        return self._committer.write(
            lambda store: store.expire_tokens(store.application(application).id, sessions, at)
        )

    def remove(self, token_id: str) -> Pending[None]:
        """Revoke a key; raises ``NotFound``."""
        return self._committer.write(lambda store: store.remove_token(token_id))

    def callers(self, digests: Collection[bytes]) -> Pending[Mapping[bytes, Caller]]:
        """Return who has keys with these digests, of those that are good, and note that they are used."""
        now = self.clock()

        def query(store: Store) -> Mapping[bytes, Caller]:
            good = [t for t in store.tokens_of(digests) if t.expires_at is None or now < t.expires_at]
            for token in good:
                if token.last_used_at is None or now - token.last_used_at >= USE_GRAIN:
                    self._note_use(token.id, now)
            return {token.digest: caller_of(store, unnamed(token)) for token in good}

        return self._committer.read(query)

    def _new(self) -> tuple[str, str]:
        """Return the text of a new token, and its id."""
        text = tokens.new_token(self._entropy(tokens.ENTROPY_BYTES))
        return text, ids.new_id(ids.TOKEN, self.clock(), self._entropy(ids.ENTROPY_BYTES))

    def _note_use(self, token_id: str, now: Instant) -> None:
        # Nobody waits: that it is lost with a store that fails now costs nothing.
        self._committer.write(lambda store: store.use_token(token_id, now))


def add_key(store: Store, draft: ApiKeyDraft, token_id: str, text: str, now: Instant) -> Token:
    """Keep a new key; *text* is what its owner is given. Raises ``NotFound`` where its application is not there."""
    token = Token(
        id=token_id,
        name=draft.name,
        digest=tokens.digest(text),
        created_at=now,
        scopes=draft.scopes,
        application_id=None if draft.application is None else store.application(draft.application).id,
        expires_at=draft.expires_at,
    )
    bound = token.application_id
    if bound is not None and (ids.is_id(ids.SOURCE, bound) or bound == ids.OPERATOR):
        raise NotFound(f"there is no application {draft.application}")
    store.add_token(token)
    return token


def caller_of(store: Store, caller: Caller) -> Caller:
    """Return *caller* with the names that its application goes by now, if it is bound to one."""
    bound = caller.principal.application_id
    if bound is None:
        return caller
    application = found(lambda: store.application(bound))
    names = (application.id, application.uid) if application else ()
    return msgspec.structs.replace(caller, names=frozenset(name for name in names if name))


def unnamed(token: Token) -> Caller:
    """Return whoever has a token, without the names of its application."""
    flags = token.feature_flags
    principal = Principal(
        rights=rights_of(token.scopes),
        application_id=token.application_id,
        feature_flags=None if flags is None else frozenset(flags),
        poller_id=token.poller_id,
    )
    # A poller's token ends with the session that it was made in, but it is none.
    is_visit = token.session is not None and token.poller_id is None
    return Caller(
        principal,
        expires_at=token.expires_at,
        visit=token.id if is_visit else None,
        session=token.session,
        who=_who(token) if is_visit else token.id,
    )


def _who(token: Token) -> str:
    if token.application_id is not None:
        return f"portal:{token.session}"
    # What follows the point tells one administrator's token from another.
    return (token.session or "").partition(".")[0] or "link"
