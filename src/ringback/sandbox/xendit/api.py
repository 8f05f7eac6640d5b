"""Answers requests: who asks, what for, and every fault in the provider's own shape. Knows no server."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ringback.errors import RingbackError
from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.receipts import RECEIPT, Receipt, answered
from ringback.sandbox.xendit.sandbox import Sandbox

MAX_BODY = 1024 * 1024
MAX_FIELDS = 1_000
SAME_SITE = frozenset({"same-origin", "none"})
FORM = "application/x-www-form-urlencoded"
_BUSINESS = re.compile(r"[0-9a-f]{24}")
_KEY_HEADERS = ("idempotency-key", "x-idempotency-key")
MAX_KEY = 255

logger = logging.getLogger("ringback.sandbox")


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came: *path* is decoded, *query* is not, *headers* have names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""


class Api:
    """Answers for a sandbox. For use on one event loop.

    Args:
        sandbox: What the requests are about.
        keys: Whose key is whose.
        site: Returns the sandbox's own address, without a slash at the end.
    """

    def __init__(self, sandbox: Sandbox, *, keys: Mapping[str, Owner], site: Callable[[], str]) -> None:
        self._sandbox = sandbox
        self._keys = keys
        self._site = site
        self._routes = [(route.pattern(), route) for route in sandbox.routes()]
        self._under_way: dict[str, asyncio.Lock] = {}

    async def answer(self, incoming: Incoming) -> Answer:
        """Answer a request, whatever it is."""
        try:
            route, path = self._find(incoming)
            if route.open:
                return await route.action(self._page_call(incoming, path))
            call = self._call(incoming, path)
            key = _idempotency_key(incoming)
            if key is None:
                return await route.action(call)
            return await self._once(route, call, incoming, key)
        except Refused as refused:
            return refused.answer()
        except RingbackError as error:
            return Refused(
                503, "SERVICE_UNAVAILABLE", f"the sandbox cannot do this now: {error.detail}"
            ).answer()
        except Exception:
            logger.exception("%s %s failed", incoming.method, incoming.path)
            return Refused(500, "SERVER_ERROR", "the sandbox failed at this; its log says why").answer()

    def _find(self, incoming: Incoming) -> tuple[Route, dict[str, str]]:
        # Where two templates fit, as `{id}` and `{id:rest}` may, the one that names fewer characters is meant.
        fitting = [
            (route, found.groupdict())
            for pattern, route in self._routes
            if (found := pattern.fullmatch(incoming.path)) is not None
        ]
        if not fitting:
            raise Refused(404, "NOT_FOUND", f"there is nothing at {incoming.path[:200]}")
        fitting.sort(key=lambda one: sum(map(len, one[1].values())))
        method = "GET" if incoming.method == "HEAD" else incoming.method
        for route, path in fitting:
            if route.method == method:
                return route, path
        methods = ", ".join(sorted({route.method for route, _ in fitting}))
        raise Refused(
            405, "METHOD_NOT_ALLOWED", f"{incoming.path[:200]} takes {methods}, not {incoming.method}"
        )

    def _call(self, incoming: Incoming, path: dict[str, str]) -> Call:
        owner = self._owner(incoming.headers)
        return self._made(incoming, path, owner, _json(incoming.body))

    def _page_call(self, incoming: Incoming, path: dict[str, str]) -> Call:
        if incoming.method not in {"GET", "HEAD"}:
            _check_same_site(incoming.headers)
        body = _form(incoming) if incoming.body else None
        return self._made(incoming, path, next(iter(self._keys.values())), body)

    def _made(self, incoming: Incoming, path: dict[str, str], owner: Owner, body: Any) -> Call:
        query: dict[str, tuple[str, ...]] = {}
        for name, value in _pairs(incoming.query):
            query[name] = (*query.get(name, ()), value)
        return Call(
            owner=owner,
            path=path,
            query=query,
            headers=incoming.headers,
            body=body,
            now=self._sandbox.clock(),
            site=self._site(),
            raw=incoming.body,
        )

    def _owner(self, headers: Mapping[str, str]) -> Owner:
        owner = self._keys.get(_basic_user(headers.get("authorization", "")))
        if owner is None:
            raise Refused(
                401,
                "INVALID_API_KEY",
                "the API key is not one of this sandbox; send it as the user of HTTP Basic, with an empty password",
            )
        business = headers.get("for-user-id")
        if business is None:
            return owner
        if _BUSINESS.fullmatch(business) is None:
            raise Refused(400, "API_VALIDATION_ERROR", "for-user-id is 24 hexadecimal digits")
        return Owner(business, owner.live)

    async def _once(self, route: Route, call: Call, incoming: Incoming, key: str) -> Answer:
        """Answer a request that may come again with the same key: the second time, as the first time."""
        # Where the provider takes a path with and without a slash at its end, both are one call.
        place = f"{call.owner}/{route.method} {incoming.path.rstrip('/')}/{key}"
        fingerprint = hashlib.sha256(incoming.body).hexdigest()
        lock = self._under_way.setdefault(place, asyncio.Lock())
        try:
            async with lock:
                earlier = self._sandbox.ledger.get(RECEIPT, place)
                if earlier is None:
                    return await self._done(route, call, Receipt(place, call.owner, fingerprint))
        finally:
            if not lock.locked():
                self._under_way.pop(place, None)
        if earlier.hidden["fingerprint"] != fingerprint:
            raise Refused(
                409,
                route.reused,
                f"the idempotency key {key[:100]} was used for a request with another body; use a new key",
            )
        answer = answered(earlier)
        if answer is None:
            raise Refused(409, route.reused, _interrupted(key, earlier))
        return answer

    async def _done(self, route: Route, call: Call, receipt: Receipt) -> Answer:
        with receipt.wanted():
            answer = await route.action(call)
        change = self._sandbox.change()
        receipt.complete(change, answer)
        await self._sandbox.commit(change)
        return answer


def rendered(answer: Answer) -> bytes:
    """Return an answer's body as it is sent."""
    return answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)


def _interrupted(key: str, receipt: Entry) -> str:
    made = ", ".join(f"{kind.replace('_', ' ')} {entry_id}" for kind, entry_id in receipt.hidden["made"])
    return f"the request with the idempotency key {key[:100]} was done, but not answered; look for {made}"


def _idempotency_key(incoming: Incoming) -> str | None:
    if incoming.method != "POST":
        return None
    key = next((incoming.headers[name] for name in _KEY_HEADERS if name in incoming.headers), None)
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise Refused(400, "API_VALIDATION_ERROR", f"an idempotency key has 1 to {MAX_KEY} characters")
    return key


def _basic_user(authorization: str) -> str:
    kind, _, credentials = authorization.partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return ""


def _json(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "INVALID_JSON_FORMAT", "the body is not JSON; send JSON in UTF-8") from None


def _form(incoming: Incoming) -> Any:
    kind = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        return _json(incoming.body)
    return dict(_pairs(incoming.body.decode("utf-8", "replace")))


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        raise Refused(400, "API_VALIDATION_ERROR", f"there are more than {MAX_FIELDS} parameters") from None


def _check_same_site(headers: Mapping[str, str]) -> None:
    # Another site's page must not press buttons here (Fetch Metadata; Origin for browsers without it).
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    foreign = (
        site not in SAME_SITE if site is not None else origin is not None and not _is_own(origin, headers)
    )
    if foreign:
        raise Refused(
            403, "REQUEST_FORBIDDEN_ERROR", "this form can only be sent from the sandbox's own pages"
        )


def _is_own(origin: str, headers: Mapping[str, str]) -> bool:
    try:
        return urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False
