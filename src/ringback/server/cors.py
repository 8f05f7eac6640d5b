"""Cross-origin resource sharing: pages of any origin may use the API with a token that they have.

A browser sends the token only where the page itself has put it, so nothing is gained by asking where the page is from.
Cookies are never taken along: what they let somebody into, the server's own pages, is not shared.
"""

from __future__ import annotations

import re

import falcon
from falcon.asgi import Request, Response

_SHARED = re.compile(r"(/ingest)?/api(/|$)")
_ANYBODY = ("access-control-allow-origin", "*")
_SHOWN = ("access-control-expose-headers", "ringback-ignored, retry-after")
_PREFLIGHT = (
    _ANYBODY,
    ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    # The asterisk does not stand for the first; where browsers do not know it, the others will do.
    (
        "access-control-allow-headers",
        "authorization, content-type, idempotency-key, prefer, svix-req-id, svix-retry-count, *",
    ),
    ("access-control-max-age", "7200"),
)


class Sharing:
    """Falcon middleware: answers preflights, and says in every other answer that any page may have it."""

    async def process_request(self, req: Request, resp: Response) -> None:
        """Answer a preflight, which never has a token."""
        if req.method == "OPTIONS" and _is_shared(req) and req.get_header("access-control-request-method"):
            resp.status = falcon.HTTP_204
            for header in _PREFLIGHT:
                resp.set_header(*header)
            resp.complete = True

    async def process_response(
        self, req: Request, resp: Response, _resource: object, _succeeded: bool
    ) -> None:
        """Share an answer, where a page asked for it."""
        if req.method != "OPTIONS" and _is_shared(req):
            resp.set_header(*_ANYBODY)
            resp.set_header(*_SHOWN)


def _is_shared(req: Request) -> bool:
    return req.get_header("origin") is not None and _SHARED.match(req.path) is not None
