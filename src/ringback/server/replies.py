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
# Not to be kept by anyone on the way, and not to be taken for anything but JSON.
_UNKEPT = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
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


class Answer(msgspec.Struct, frozen=True):
    """A complete answer: its status, JSON body, and headers besides those that say what the body is."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def refusal(error: BaseException, doing: str) -> Answer:
    """Return the answer to a request that ended in *error*; log what is a fault of ours.

    Args:
        error: Anything that was raised.
        doing: What was asked for, without ids, for the log.
    """
    headers = [*_UNKEPT]
    if isinstance(error, InvalidInput):
        return Answer(error.status, encode(Faults(error.fields)), tuple(headers))
    if isinstance(error, Unavailable):
        headers.append(("retry-after", str(error.retry_after)))
    elif not isinstance(error, RingbackError) or error.status >= 500:  # noqa: PLR2004 - those are our fault
        logger.error("%s failed", doing, exc_info=error)
        detail = "something went wrong in Ringback; its log says what"
        return Answer(500, encode(Refusal(INTERNAL, detail)), tuple(headers))
    if isinstance(error, NotAuthenticated):
        headers.append(("www-authenticate", "Bearer"))
    return Answer(error.status, encode(Refusal(error.code, error.detail)), tuple(headers))


def reply(resp: Response, value: object, status: str = falcon.HTTP_200) -> None:
    """Answer with *value* as JSON, not to be kept by anyone on the way."""
    resp.status = status
    resp.data = encode(value)
    for header in _UNKEPT:
        resp.set_header(*header)


def created(*, new: bool) -> str:
    """Return the status for something that is *new* or was there before."""
    return falcon.HTTP_201 if new else falcon.HTTP_200


def handle_errors(app: App[Any, Any]) -> None:
    """Have *app* answer every exception with JSON."""
    app.add_error_handler(Exception, _on_error)
    app.add_error_handler(falcon.HTTPError, _on_http_error)


async def _on_error(req: Request, resp: Response, error: Exception, _params: dict[str, Any]) -> None:
    # The path template holds no ids, and neither headers nor bodies are told: they carry secrets.
    answer = refusal(error, f"{req.method} {req.uri_template}")
    for name, value in answer.headers:
        resp.set_header(name, value)
    resp.status = falcon.code_to_http_status(answer.status)
    resp.data = answer.body


async def _on_http_error(
    req: Request, resp: Response, error: falcon.HTTPError, _params: dict[str, Any]
) -> None:
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    refusal = Refusal(_CODES.get(error.status_code, "malformed_request"), _explanation(req, error))
    reply(resp, refusal, falcon.code_to_http_status(error.status_code))


def _explanation(req: Request, error: falcon.HTTPError) -> str:
    if isinstance(error, falcon.HTTPRouteNotFound):
        return "there is nothing at this address; the API begins at /api/v1"
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        return f"this address does not answer {req.method}"
    return error.description or error.title or "the request is not well-formed"
