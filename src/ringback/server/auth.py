"""Who may use the API, and for what: bearer tokens, known by their digests or their signatures only."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from typing import Any

import msgspec
from falcon.asgi import Request, Response

from ringback import tokens
from ringback.access import ADMINISTRATOR, Verdict, decide
from ringback.api_keys import ApiKeys, Caller, caller_of
from ringback.errors import Forbidden, NotAuthenticated, NotFound
from ringback.server.needs import need_of
from ringback.sessions import ADMIN, SIGNED
from ringback.signed_tokens import Signer, is_signed

SCHEME = "bearer "
# A revoked token works no longer than this, plus the time one read takes: less than five seconds in all.
TRUST_SECONDS = 4.0
MAX_REMEMBERED = 10_000

APPLICATION = "app"


class _Remembered(msgspec.Struct, frozen=True):
    caller: Caller
    until: float


class Tokens:
    """The tokens that may use the API: the administrator's, API keys in the store, and those that are signed.

    Args:
        keys: Finds API keys.
        admin: The administrator's token; None when there is none.
        signer: Reads signed tokens; None when there are none.
        monotonic: Returns seconds on a clock that never goes back.
    """

    def __init__(
        self,
        keys: ApiKeys,
        admin: str | None,
        signer: Signer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keys = keys
        self._admin = None if admin is None else tokens.digest(admin)
        self._signer = signer
        self._monotonic = monotonic
        self._known: dict[bytes, _Remembered] = {}
        self._asked: dict[bytes, asyncio.Future[Caller | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def verify(self, authorization: str | None) -> Caller:
        """Return whose the value of an ``Authorization`` header is.

        Raises:
            NotAuthenticated: There is none, it is not a bearer token, or the token is unknown, revoked or expired.
            Unavailable: The store cannot be asked.
        """
        if authorization is None or authorization[: len(SCHEME)].lower() != SCHEME:
            raise NotAuthenticated("send the header Authorization: Bearer TOKEN")
        text = authorization[len(SCHEME) :].strip()
        digest = tokens.digest(text)
        began = self._monotonic()
        caller = self._caller(digest) or await self._find(digest, text)
        if caller is None:
            raise NotAuthenticated(self._hint(text))
        self._remember(digest, caller, began)
        return caller

    def known(self, authorization: str) -> Caller | None:
        """Return whose the value of an ``Authorization`` header is, as far as can be told at once."""
        if authorization[: len(SCHEME)].lower() != SCHEME:
            return None
        return self._caller(tokens.digest(authorization[len(SCHEME) :].strip()))

    async def fresh(self, caller: Caller) -> Caller:
        """Return *caller*, if it is bound to an application with the names that this goes by at this instant."""
        if caller.principal.application_id is None:
            return caller
        return await self.keys.read(lambda store: caller_of(store, caller))

    def forget(self, token_id: str) -> None:
        """Remember no more whose a token of a portal is."""
        self._known = {
            digest: known for digest, known in self._known.items() if known.caller.visit != token_id
        }

    def _caller(self, digest: bytes) -> Caller | None:
        # Only digests are compared: what the time taken betrays of a digest tells nothing of its token.
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return _ADMINISTRATOR
        known = self._known.get(digest)
        return known.caller if known is not None and self._monotonic() < known.until else None

    async def _find(self, digest: bytes, text: str) -> Caller | None:
        if self._signer is None or not is_signed(text):
            return await self._ask(digest)
        signed = self._signer.read(text, self.keys.clock())
        if signed is None:
            return None
        return await self.fresh(Caller(signed.principal, expires_at=signed.until, who=SIGNED))

    def _remember(self, digest: bytes, caller: Caller, began: float) -> None:
        known = self._known.get(digest)
        if caller is _ADMINISTRATOR or (known is not None and known.caller is caller):
            return
        left = TRUST_SECONDS
        if caller.expires_at is not None:
            left = min(left, (caller.expires_at - self.keys.clock()) / 1000)
        self._known.pop(digest, None)
        self._known[digest] = _Remembered(caller, began + left)
        if len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]  # the one remembered for longest

    async def _ask(self, digest: bytes) -> Caller | None:
        # What is asked while the store is being read shares the next reading: a flood of unknown tokens costs little.
        answer = self._asked.get(digest)
        if answer is None:
            loop = asyncio.get_running_loop()
            answer = self._asked[digest] = loop.create_future()
            if self._reading is None or self._reading.done():
                self._reading = loop.create_task(self._read())
        # Shielded: one caller who goes away must not fail the others who wait for the same answer.
        return await asyncio.shield(answer)

    async def _read(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                found = await self.keys.callers(asked.keys())
            except Exception as error:  # noqa: BLE001 - whatever happened, those who wait must hear of it
                for answer in asked.values():
                    answer.set_exception(error)
            else:
                for digest, answer in asked.items():
                    answer.set_result(found.get(digest))

    def _hint(self, text: str) -> str:
        sent = tokens.digest(text)
        if self._signer and any(
            hmac.compare_digest(sent, tokens.digest(secret)) for secret in self._signer.secrets
        ):
            return "this is the secret that signs tokens, not a token; make one with: ringback token jwt"
        return ""


_ADMINISTRATOR = Caller(ADMINISTRATOR, who=ADMIN)


class Guard:
    """Falcon middleware: lets nobody past who may not, except to resources that say they are ``open``.

    Responders find the ``Caller`` and its ``Principal`` in the request's context, and as ``app`` the id of an
    application that the caller is bound to, whether the address has that or the uid.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def process_resource(
        self, req: Request, _resp: Response, resource: object, params: dict[str, Any]
    ) -> None:
        """Decide before a responder runs."""
        if getattr(resource, "open", False):
            return
        caller = await self._tokens.verify(req.get_header("Authorization"))
        req.context.caller = caller
        req.context.principal = caller.principal
        ref = params.get(APPLICATION)
        application = None if ref is None else await self._application(caller, ref)
        verdict = decide(caller.principal, need_of(req.method, req.uri_template), application)
        if verdict is Verdict.FORBIDDEN:
            raise Forbidden
        if verdict is Verdict.HIDDEN:
            raise NotFound(f"there is no application {ref}")
        if application is not None:
            params[APPLICATION] = application

    async def _application(self, caller: Caller, ref: str) -> str | None:
        # Only the caller's own application is looked at, so that nothing tells whether another one is there.
        application = caller.application(ref)
        if application is None:
            application = (await self._tokens.fresh(caller)).application(ref)
        return application
