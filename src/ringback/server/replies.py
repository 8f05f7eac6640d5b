"""Answers: JSON bodies, and every error as JSON with a stable code."""

from __future__ import annotations

import logging
from typing import Any

import falcon
import msgspec
from falcon.asgi import App, Request, Response

from ringback.errors import (
    FieldError,
    InvalidInput,
    MethodNotAllowed,
    NotAuthenticated,
    RingbackError,
    Unavailable,
)

logger = logging.getLogger("ringback.server")

encode = msgspec.json.Encoder().encode

INTERNAL = "internal_error"
_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: MethodNotAllowed.code,
    413: "payload_too_large",
    415: "unsupported_media_type",
}


class Refusal(msgspec.Struct, frozen=True):
    """The body of every error but a 422."""

    code: str
    detail: str


class Faults(msgspec.Struct, frozen=True):
    """The body of a 422: the fields at fault."""

    detail: tuple[FieldError, ...]


def reply(resp: Response, value: object, status: str = falcon.HTTP_200) -> None:
    """Answer with *value* as JSON, not to be kept by anyone on the way."""
    resp.status = status
    resp.data = encode(value)
    resp.set_header("cache-control", "no-store")
    resp.set_header("x-content-type-options", "nosniff")


def created(*, new: bool) -> str:
    """Return the status for something that is *new* or was there before."""
    return falcon.HTTP_201 if new else falcon.HTTP_200


def handle_errors(app: App[Any, Any]) -> None:
    """Have *app* answer every exception with JSON."""
    app.add_error_handler(Exception, _on_unexpected)
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    app.add_error_handler(RingbackError, _on_refusal)


async def _on_refusal(req: Request, resp: Response, error: RingbackError, params: dict[str, Any]) -> None:
    if isinstance(error, InvalidInput):
        reply(resp, Faults(error.fields), falcon.HTTP_422)
        return
    if isinstance(error, Unavailable):
        resp.set_header("retry-after", str(error.retry_after))
    elif error.status >= 500:  # noqa: PLR2004 - the class of statuses that are our fault
        await _on_unexpected(req, resp, error, params)
        return
    if isinstance(error, NotAuthenticated):
        resp.set_header("www-authenticate", "Bearer")
    reply(resp, Refusal(error.code, error.detail), falcon.code_to_http_status(error.status))


async def _on_http_error(
    req: Request, resp: Response, error: falcon.HTTPError, _params: dict[str, Any]
) -> None:
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    refusal = Refusal(_CODES.get(error.status_code, "malformed_request"), _explanation(req, error))
    reply(resp, refusal, falcon.code_to_http_status(error.status_code))


async def _on_unexpected(req: Request, resp: Response, error: Exception, _params: dict[str, Any]) -> None:
    # The path template holds no ids, and neither headers nor bodies are told: they carry secrets.
    logger.error("%s %s failed", req.method, req.uri_template, exc_info=error)
    detail = "something went wrong in Ringback; its log says what"
    reply(resp, Refusal(INTERNAL, detail), falcon.HTTP_500)


def _explanation(req: Request, error: falcon.HTTPError) -> str:
    if isinstance(error, falcon.HTTPRouteNotFound):
        return "there is nothing at this address; the API begins at /api/v1"
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        return f"this address does not answer {req.method}"
    return error.description or error.title or "the request is not well-formed"
