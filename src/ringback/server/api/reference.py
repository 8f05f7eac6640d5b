"""The API described by itself: as an OpenAPI document for programs, and as a page for people."""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
from collections.abc import Callable
from typing import Any

import falcon
import msgspec
from falcon import ETag
from falcon.asgi import Request, Response

from ringback.server.operation import operation
from ringback.server.reference_page import HTML, POLICY, page

# Kept by whoever asks, but asked about every time: the next start may be of another version.
KEPT = "no-cache"


class Described(msgspec.Struct, frozen=True):
    """A description of the API in one form, and the tag that changes when it does; *packed* it is another one."""

    body: bytes
    etag: ETag
    packed: Described | None = None


class Reference:
    """What the API is; needs no token.

    It is made when somebody first asks, in a thread of its own: that takes so long that publishers would notice.

    Args:
        document: Makes the OpenAPI document.
    """

    open = True

    def __init__(self, document: Callable[[], dict[str, Any]]) -> None:
        self._make = document

    @operation("reference.get", {200: dict[str, Any], 304: None}, query=None)
    async def on_get_document(self, req: Request, resp: Response) -> None:
        """Show this document."""
        _answer(req, resp, await asyncio.to_thread(lambda: self._document), falcon.MEDIA_JSON)

    @operation("reference.page", {200: str, 304: None}, query=None, media_type=HTML)
    async def on_get_page(self, req: Request, resp: Response) -> None:
        """Show this document as a page."""
        resp.set_header("content-security-policy", POLICY)
        _answer(req, resp, await asyncio.to_thread(lambda: self._page), HTML)

    @functools.cached_property
    def _document(self) -> Described:
        return _described(msgspec.json.encode(self._make()))

    @functools.cached_property
    def _page(self) -> Described:
        return _described(page(msgspec.json.decode(self._document.body)).encode())


def _described(body: bytes) -> Described:
    # The tag is of what is sent, which is not the same when it is compressed (RFC 9110, 8.8.3.3).
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    packed = Described(gzip.compress(body, mtime=0), ETag(f"{digest}-gzip"))
    return Described(body, ETag(digest), packed)


def _answer(req: Request, resp: Response, described: Described, media_type: str) -> None:
    resp.append_header("vary", "accept-encoding")
    if described.packed is not None and "gzip" in (req.get_header("accept-encoding") or ""):
        described = described.packed
        resp.set_header("content-encoding", "gzip")
    resp.etag = described.etag
    resp.cache_control = [KEPT]
    resp.set_header("x-content-type-options", "nosniff")
    if any(tag in ("*", described.etag) for tag in req.if_none_match or ()):
        resp.status = falcon.HTTP_304
        return
    resp.content_type = media_type
    resp.data = described.body
