"""Serves the pages: an ASGI application that knows sessions, forms and cookies, which the API's knows nothing of.

A request that changes something must come from a page of ours: the browser says so itself (Fetch Metadata, or else the
``Origin``), and the form holds what only a page of this session can know.
"""

from __future__ import annotations

import asyncio
import hmac
import http
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from ringback.access import Place, Verdict, decide
from ringback.design.rendering import HEADERS
from ringback.errors import (
    Forbidden,
    MalformedRequest,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    RingbackError,
    UnsupportedMediaType,
)
from ringback.server.pages import cookies
from ringback.server.pages.behind import Behind
from ringback.server.pages.cookies import Cookies
from ringback.server.pages.page import PORTAL, Answer, Fields, Page, Stream, Visit, see, segments
from ringback.server.pages.problems import problem
from ringback.server.pages.routes import Entry, entries

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1_000
SAFE_METHODS = frozenset({"GET", "HEAD"})
BODY_SECONDS = 30.0
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

logger = logging.getLogger("ringback.server")


class _Left(Exception):  # noqa: N818 - named for what happened
    """The browser has left before its form was there."""


class Site:
    """The pages of one node.

    Args:
        behind: The doors behind them.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._entries = entries(behind)

    def answers(self, scope: Scope) -> bool:
        """Tell whether a request is for a page, where its address is not the API's own."""
        parts = _parts(scope)
        wants_page = "text/html" in _headers(scope).get("accept", "")
        # The first address and those where there is nothing answer programs as the API does.
        return wants_page or (parts != [""] and bool(self._matching(parts)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = _headers(scope)
        scheme = "https" if headers.get("x-forwarded-proto") == "https" else scope.get("scheme", "http")
        origin = headers.get("origin") or f"{scheme}://{headers.get('host', '')}"
        kept = cookies.read(headers.get("cookie", ""))
        safe = cookies.is_safe(origin, headers)
        brand = self._behind.brand if _parts(scope)[0] == PORTAL else None
        jar = Cookies(
            kept,
            safe=safe,
            plain=self._behind.plain_http,
            portal=brand is not None,
            embedded=self._behind.brand.is_embedded,
        )
        visit = Visit(
            path="/".join(_parts(scope)),
            root="../" * (_raw_path(scope).count("/") - 1) or "./",
            look=jar.look,
            partial=headers.get("hx-request") == "true",
            origin=origin,
            base=(self._behind.public_url or f"{origin}{_prefix(headers)}").rstrip("/"),
            is_settled=self._behind.public_url is not None,
            safe=safe,
            headers=headers,
            brand=brand,
        )
        try:
            answer = await self._answer(scope, receive, visit, jar)
        except _Left:
            return
        await _send(self._with_cookies(answer, jar), scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, visit: Visit, jar: Cookies) -> Answer:
        try:
            visit = msgspec.structs.replace(visit, query=_fields(scope["query_string"].decode("latin-1")))
            session = await self._behind.sessions.find(jar.session)
            visit = msgspec.structs.replace(visit, session=session, said=jar.said)
            entry, parts = self._entry(scope)
            visit = msgspec.structs.replace(visit, parts=parts)
            if entry.method not in SAFE_METHODS:
                form = await self._form(visit, receive)
                visit = msgspec.structs.replace(visit, form=form)
                self._check_origin(visit)
            if entry.need is not None and session is None:
                return self._sign_in(visit, entry)
            self._check(visit, entry)
            return await entry.action(visit)
        except RingbackError as error:
            _log(error, scope)
            return problem(visit, error)
        except _Left:
            raise
        except Exception as error:  # noqa: BLE001 - a page says that something went wrong, the log says what
            _log(error, scope)
            return problem(visit, error)

    # --- Where ----------------------------------------------------------------------------------------------

    def _matching(self, parts: Sequence[str]) -> list[tuple[Entry, dict[str, str]]]:
        found = ((entry, entry.match(parts)) for entry in self._entries)
        return [(entry, named) for entry, named in found if named is not None]

    def _entry(self, scope: Scope) -> tuple[Entry, dict[str, str]]:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        matching = self._matching(_parts(scope))
        if not matching:
            raise NotFound("there is no page at this address")
        for entry, named in matching:
            if entry.method == method:
                return entry, named
        raise MethodNotAllowed(f"this address does not answer {method}")

    # --- Who ------------------------------------------------------------------------------------------------

    def _sign_in(self, visit: Visit, entry: Entry) -> Page:
        if visit.partial:
            # The script that asks for a part of a page is to load all of it, which leads to where people sign in.
            return Page(status=HTTPStatus.UNAUTHORIZED, headers=(*HEADERS, ("hx-refresh", "true")))
        if entry.method not in SAFE_METHODS:
            raise NotAuthenticated("you are signed out, so nothing was done")
        if visit.brand is not None:
            return see(visit, f"{PORTAL}/enter")
        return see(visit, "login", next=visit.here().removeprefix(visit.root))

    def _check(self, visit: Visit, entry: Entry) -> None:
        """Decide as the API does; raises ``Forbidden`` or ``NotFound``."""
        need, session = entry.need, visit.session
        if need is None:
            return
        assert session is not None  # noqa: S101 - whoever has none was sent to sign in
        # What an application's own people look at has no application in its address: it is always theirs.
        own = session.application_id if need.place is Place.APPLICATION else None
        verdict = decide(session.principal, need, own)
        if verdict is Verdict.FORBIDDEN:
            raise Forbidden(
                "your session does not allow this; sign in with a token that does"
                if visit.brand is None
                else "your link does not allow this"
            )
        if verdict is Verdict.HIDDEN:
            raise NotFound
        if entry.method not in SAFE_METHODS and not hmac.compare_digest(
            visit.form.get("csrf").encode(), session.csrf.encode()
        ):
            raise Forbidden(
                "this form belongs to an earlier session; load the page again and send it once more"
            )

    def _check_origin(self, visit: Visit) -> None:
        # Another site's page must not send forms here, not even the one that signs in.
        site, origin = visit.headers.get("sec-fetch-site"), visit.headers.get("origin")
        foreign = (
            site != "same-origin" if site is not None else origin is not None and not self._is_own(visit)
        )
        if foreign:
            raise Forbidden(
                "this form came from another site, so nothing was done; use the one on our own page"
            )

    def _is_own(self, visit: Visit) -> bool:
        try:
            host = urlsplit(visit.origin).netloc
        except ValueError:
            return False
        public = self._behind.public_url
        return host == visit.headers.get("host") or (public is not None and host == urlsplit(public).netloc)

    # --- What -----------------------------------------------------------------------------------------------

    async def _form(self, visit: Visit, receive: Receive) -> Fields:
        kind = visit.headers.get("content-type", FORM).partition(";")[0].strip().lower()
        if kind != FORM:
            raise UnsupportedMediaType(f"pages take forms of the type {FORM}")
        try:
            body = await asyncio.wait_for(_body(receive, self._behind.max_form), BODY_SECONDS)
        except TimeoutError:
            raise _Left from None
        return _fields(body.decode("utf-8", "replace"))

    def _with_cookies(self, answer: Answer, jar: Cookies) -> Answer:
        if isinstance(answer, Stream):
            return answer
        kept = []
        if answer.session is not None:
            kept.append(
                msgspec.structs.replace(jar, portal=jar.portal or answer.portal).keep_session(answer.session)
            )
        if answer.look is not None:
            kept.append(jar.keep_look(answer.look))
        if answer.said is not None:
            kept.append(jar.keep_said(answer.said))
        elif jar.said is not None and answer.body:
            kept.append(jar.keep_said(None))  # it has been told
        return msgspec.structs.replace(answer, headers=(*answer.headers, *kept))


# --- ASGI ---------------------------------------------------------------------------------------------------


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _prefix(headers: Mapping[str, str]) -> str:
    """Return what a proxy took from the beginning of the address, where it says so."""
    told = headers.get("x-forwarded-prefix", "").rstrip("/")
    return told if _PREFIX.fullmatch(told) else ""


def _raw_path(scope: Scope) -> str:
    raw = scope.get("raw_path")
    return segments(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")


def _parts(scope: Scope) -> list[str]:
    """Return the parts of an address: what is between slashes, each decoded by itself."""
    path = _raw_path(scope).removeprefix("/").removesuffix("/")
    return [unquote(part, errors="replace") for part in path.split("/")]


def _fields(text: str) -> Fields:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError:
        raise MalformedRequest(f"there are more than {MAX_FIELDS} parameters") from None
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return Fields(found)


async def _body(receive: Receive, most: int) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise _Left
        body += event.get("body", b"")
        if len(body) > most:
            raise PayloadTooLarge(f"a form has {most:,} bytes at most")
        if not event.get("more_body", False):
            return bytes(body)


async def _send(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    headers = [("content-type", answer.content_type), *answer.headers]
    if isinstance(answer, Page):
        headers.append(("content-length", str(len(answer.body))))
    await send(
        {
            "type": "http.response.start",
            "status": answer.status if isinstance(answer, Page) else HTTPStatus.OK,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        }
    )
    if isinstance(answer, Page):
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
    elif scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
    else:
        await _stream(answer, receive, send)


async def _stream(answer: Stream, receive: Receive, send: Send) -> None:
    sending = asyncio.ensure_future(_send_parts(answer, send))
    leaving = asyncio.ensure_future(_leave(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_parts(answer: Stream, send: Send) -> None:
    async for part in answer.parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _leave(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _log(error: Exception, scope: Scope) -> None:
    # Neither the address's parts nor what a form held are told: they may be secret.
    if not isinstance(error, RingbackError) or error.status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s of a page failed", scope["method"], exc_info=error)
