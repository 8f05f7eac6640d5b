"""Sessions of browsers: what lets one in for a while, kept in the store so that it can be ended on any node.

A browser is given a cookie: 32 random bytes, and a signature that turns away what we never made without a look into
the store. The store knows a digest under our key, which is that of no API token: a cookie is no token, and a token no
cookie. A session ends with the token that it began with, and after half a day.

A link is for one use: whoever opens it in time gets a session for what it grants.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable

import msgspec

from ringback import ids, tokens
from ringback.access import Principal, Right, Scope
from ringback.api_keys import USE_GRAIN, Caller, caller_of, unnamed
from ringback.errors import Forbidden, NotAuthenticated
from ringback.model import Duration, Instant
from ringback.outbox import system_clock
from ringback.signed_tokens import Signed, Signer, is_signed
from ringback.store import BROWSER, Pending, Store, Token
from ringback.store.commit import Committer

# What the key that signs cookies is derived for.
SESSION_KEY = "sessions"
LIFETIME: Duration = 12 * 3_600_000
LINK_LIFETIME: Duration = 15 * 60_000
LINK = "link"
MAX_TEXT = 8_192
# What sessions begin with that is no token in the store.
ADMIN = "admin"
SIGNED = "signed"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a session lets its browser do.

    It is for *scopes*, in one application or (None) in all, until an instant at most. ``origin`` is what it ends with:
    the id of the token it began with; or the name of a session in a portal (see ``store.Token``).
    """

    scopes: tuple[Scope, ...]
    origin: str
    application_id: str | None = None
    feature_flags: tuple[str, ...] | None = None
    until: Instant | None = None


ALL = Grant(scopes=(Scope.ADMIN,), origin="")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's session. ``csrf`` goes into every form of its pages: no other site can know it."""

    id: str
    digest: bytes
    caller: Caller
    csrf: str
    expires_at: Instant

    @property
    def principal(self) -> Principal:
        """Whoever has it."""
        return self.caller.principal

    @property
    def application_id(self) -> str | None:
        """The application that it is bound to."""
        return self.principal.application_id

    def may(self, right: Right) -> bool:
        """Tell whether it lets its browser do something."""
        return right in self.principal.rights


class Begun(msgspec.Struct, frozen=True):
    """A session that has begun: its browser's cookie, and what it grants."""

    cookie: str
    grant: Grant


class Sessions:
    """Begins, finds and ends sessions.

    Args:
        committer: Writes and reads the store.
        key: Signs cookies, the same on all nodes.
        admin: The administrator's token; None when there is none.
        signer: Reads signed tokens; None when there are none.
        clock: Returns the present instant.
        entropy: Returns that many random bytes.
    """

    def __init__(
        self,
        committer: Committer,
        key: bytes,
        *,
        admin: str | None = None,
        signer: Signer | None = None,
        clock: Callable[[], Instant] = system_clock,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._committer = committer
        self._key = key
        self._admin = None if admin is None else tokens.digest(admin)
        # Of another administrator's token this is another: its sessions end when the setting is changed.
        self._admin_origin = "" if self._admin is None else f"{ADMIN}.{self._signature('admin', admin or '')}"
        self._signer = signer
        self._entropy = entropy
        self.clock = clock

    def login(self, token: str) -> Pending[Begun]:
        """Begin a session with an API token.

        Raises:
            NotAuthenticated: It is unknown, revoked or expired.
            Forbidden: It lets nobody look at anything.
        """
        digest, now = tokens.digest(token[:MAX_TEXT]), self.clock()
        known = self._granted(digest, token, now)

        def change(store: Store) -> Begun:
            grant = known or _of_token(store, digest, now)
            if grant is None:
                raise NotAuthenticated("this token is unknown, or was revoked, or has expired")
            if not {Scope.ADMIN, Scope.READ, Scope.PORTAL} & set(grant.scopes):
                raise Forbidden(
                    "this token may not read; pages need one that is for reading or for everything"
                )
            return self._begin(store, grant, now)

        return self._committer.write(change)

    def link(self, grant: Grant = ALL, lifetime: Duration = LINK_LIFETIME) -> Pending[str]:
        """Return the code of a link that begins a session with *grant*: once, within *lifetime*."""
        now = self.clock()
        code, token = new_link(self._key, grant, now, lifetime, self._entropy)

        def change(store: Store) -> str:
            store.forget_tokens(grant.application_id, now)
            store.add_token(token)
            return code

        return self._committer.write(change)

    def redeem(self, code: str) -> Pending[Begun]:
        """Begin the session that a link is for; raises ``NotAuthenticated`` where it was used or is too old."""
        digest, now = _digest(self._key, LINK, code[:MAX_TEXT]), self.clock()

        def change(store: Store) -> Begun:
            found = store.tokens_of([digest])
            if not found or not _is_good(found[0], now):
                raise NotAuthenticated("this link was used before or is too old; ask for a new one")
            (token,) = found
            store.remove_token(token.id)
            grant = Grant(
                scopes=token.scopes,
                origin=token.session or "",
                application_id=token.application_id,
                feature_flags=token.feature_flags,
            )
            return self._begin(store, grant, now)

        return self._committer.write(change)

    def goal(self, code: str) -> Pending[str | None]:
        """Return the application whose portal a link leads into, without using it up; None where it leads nowhere."""
        digest, now = _digest(self._key, LINK, code[:MAX_TEXT]), self.clock()

        def query(store: Store) -> str | None:
            good = (token for token in store.tokens_of([digest]) if _is_good(token, now))
            return next((token.application_id for token in good), None)

        return self._committer.read(query)

    async def find(self, cookie: str | None) -> Session | None:
        """Return the session that a cookie is for; None where it is for none, or for one that has ended."""
        secret, _, signature = (cookie or "").partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature("cookie", secret).encode()):
            return None
        digest, now = _digest(self._key, BROWSER, secret), self.clock()

        def query(store: Store) -> tuple[Token, Caller] | None:
            found = store.tokens_of([digest])
            if not found or not _is_good(found[0], now):
                return None
            return found[0], caller_of(store, unnamed(found[0]))

        known = await self._committer.read(query)
        if known is None or self._is_outdated(known[0]):
            return None
        token, caller = known
        if token.last_used_at is None or now - token.last_used_at >= USE_GRAIN:
            # As with keys, nobody waits.
            self._committer.write(lambda store: store.use_token(token.id, now))
        csrf = self._signature("form", secret)
        return Session(
            id=token.id, digest=digest, caller=caller, csrf=csrf, expires_at=token.expires_at or now
        )

    async def lasts(self, session: Session) -> bool:
        """Tell whether a session has not ended."""
        now = self.clock()
        return await self._committer.read(lambda store: _lasts(store, session.digest, now))

    def end(self, session: Session) -> Pending[None]:
        """End a session, on all nodes; raises ``NotFound`` where it has ended."""
        return self._committer.write(lambda store: store.remove_token(session.id))

    def _granted(self, digest: bytes, token: str, now: Instant) -> Grant | None:
        """Return what a token grants that is not in the store; None for any other."""
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return msgspec.structs.replace(ALL, origin=self._admin_origin)
        if self._signer is None or not is_signed(token):
            return None
        signed = self._signer.read(token, now)
        return None if signed is None else _of_signed(signed)

    def _begin(self, store: Store, grant: Grant, now: Instant) -> Begun:
        store.forget_tokens(grant.application_id, now)
        secret, until = _secret(self._entropy), min(now + LIFETIME, grant.until or now + LIFETIME)
        ending = msgspec.structs.replace(grant, until=until)
        store.add_token(_token(BROWSER, _digest(self._key, BROWSER, secret), ending, now, self._entropy))
        return Begun(f"{secret}.{self._signature('cookie', secret)}", grant)

    def _is_outdated(self, token: Token) -> bool:
        origin = token.session or ""
        return origin.startswith(f"{ADMIN}.") and origin != self._admin_origin

    def _signature(self, purpose: str, text: str) -> str:
        return _written(_digest(self._key, f"signed {purpose}", text))


def new_link(
    key: bytes,
    grant: Grant,
    now: Instant,
    lifetime: Duration = LINK_LIFETIME,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, Token]:
    """Return the code of a new link, and what the store is to keep of it; see ``Sessions.link``."""
    code = _secret(entropy)
    ending = msgspec.structs.replace(grant, until=now + lifetime)
    return code, _token(LINK, _digest(key, LINK, code), ending, now, entropy)


def link_path(code: str) -> str:
    """Return where a link leads, below the first page."""
    return f"login?link={code}"


def _token(kind: str, digest: bytes, grant: Grant, now: Instant, entropy: Callable[[int], bytes]) -> Token:
    return Token(
        id=ids.new_id(ids.TOKEN, now, entropy(ids.ENTROPY_BYTES)),
        name=kind,
        digest=digest,
        created_at=now,
        scopes=grant.scopes,
        application_id=grant.application_id,
        feature_flags=grant.feature_flags,
        session=grant.origin,
        expires_at=grant.until,
    )


def _secret(entropy: Callable[[int], bytes]) -> str:
    return _written(entropy(tokens.ENTROPY_BYTES))


def _digest(key: bytes, purpose: str, text: str) -> bytes:
    message = f"{purpose}\n{text}".encode(errors="surrogatepass")
    return hmac.digest(key, message, hashlib.sha256)


def _of_token(store: Store, digest: bytes, now: Instant) -> Grant | None:
    found = store.tokens_of([digest])
    if not found or not _is_good(found[0], now):
        return None
    (token,) = found
    return Grant(
        scopes=token.scopes,
        origin=token.id if token.session is None else token.session,
        application_id=token.application_id,
        feature_flags=token.feature_flags,
        until=token.expires_at,
    )


def _of_signed(signed: Signed) -> Grant:
    principal = signed.principal
    flags = principal.feature_flags
    return Grant(
        scopes=(Scope.ADMIN,) if principal.application_id is None else (Scope.PORTAL,),
        origin=SIGNED,
        application_id=principal.application_id,
        feature_flags=None if flags is None else tuple(sorted(flags)),
        until=signed.until,
    )


def _lasts(store: Store, digest: bytes, now: Instant) -> bool:
    return any(_is_good(token, now) for token in store.tokens_of([digest]))


def _is_good(token: Token, now: Instant) -> bool:
    return token.expires_at is None or now < token.expires_at


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
