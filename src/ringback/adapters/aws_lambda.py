"""AWS Lambda behind API Gateway (payload 1.0 and 2.0), a function URL or an Application Load Balancer.

``handler = lambda_intake(inbox)`` receives: the last segment of the path names the source. ``handler =
lambda_drain(inbox)``, in a second function on an EventBridge schedule, handles: between two calls nothing runs, so a
worker of its own would stand still. The store has to outlive the instance.

Payload 1.0 brings the query decoded, so its escapes are made anew; and an API must list ``*/*`` among its
``binaryMediaTypes``, or the gateway alters bodies that are not UTF-8.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from http.client import responses
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from ringback.adapters import PATH_SAFE, Door, Drain, counts, joined, source_name, with_query
from ringback.entrance import Reply
from ringback.signing import Request

Event = Mapping[str, Any]
Answer = dict[str, Any]

RESERVE_SECONDS = 2.0


class Context(Protocol):
    """What Lambda tells a function about its invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the time until Lambda ends the invocation."""
        ...


def lambda_intake(inbox: Door) -> Callable[[Event, Any], Answer]:
    """Return the Lambda handler that receives webhooks for *inbox* and answers in the event's own shape."""

    def handler(event: Event, _context: Any) -> Answer:
        request = _request(event)
        if len(request.body) > inbox.max_body:
            return _answer(event, inbox.too_large())
        path = request.url.partition("?")[0]
        return _answer(event, inbox.accept(source_name(path), request).result())

    return handler


def lambda_drain(
    inbox: Drain, seconds: float | None = None, reserve: float = RESERVE_SECONDS
) -> Callable[[Any, Context], dict[str, int | bool]]:
    """Return the Lambda handler that handles what is due and returns the counts.

    Args:
        inbox: Whose handlers run.
        seconds: The most it works in one invocation; None for as long as Lambda allows.
        reserve: The seconds before Lambda's own deadline at which it takes no more. Handlers under way must be
            able to finish within them: what Lambda cuts off is done again when its lease is over.
    """

    def handler(_event: Any, context: Context) -> dict[str, int | bool]:
        left = max(context.get_remaining_time_in_millis() / 1000 - reserve, 0.0)
        return counts(inbox.drain(left if seconds is None else min(seconds, left)))

    return handler


def _request(event: Event) -> Request:
    headers = joined(_pairs(event, "multiValueHeaders", "headers"))
    context = event["requestContext"]
    if event.get("version") == "2.0":
        method, path, query = context["http"]["method"], event["rawPath"], event["rawQueryString"]
    else:
        # A stage is part of the address called, but only the context's path has it.
        method, path, query = event["httpMethod"], context.get("path") or event["path"], _query(event)
    origin = f"{headers.get('x-forwarded-proto', 'https')}://{headers.get('host') or context['domainName']}"
    # Some of these services decode the path and some do not: what is escaped already stays.
    url = origin + with_query(quote(path, safe=PATH_SAFE + "%"), query)
    return Request(method, url, headers, _body(event))


def _body(event: Event) -> bytes:
    body: str = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _query(event: Event) -> str:
    pairs = _pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
    if "elb" in event["requestContext"]:
        return "&".join(f"{name}={value}" for name, value in pairs)
    return urlencode(list(pairs), quote_via=quote, safe="")


def _pairs(event: Event, many: str, single: str) -> Iterable[tuple[str, str]]:
    if event.get(many):
        return [(name, value) for name, values in event[many].items() for value in values]
    return (event.get(single) or {}).items()


def _answer(event: Event, reply: Reply) -> Answer:
    answer: Answer = {"statusCode": reply.status, **_written(reply.body)}
    if event.get("multiValueHeaders"):
        answer["multiValueHeaders"] = {name: [value] for name, value in joined(reply.headers).items()}
    else:
        answer["headers"] = joined(reply.headers)
    if "elb" in event["requestContext"]:
        answer["statusDescription"] = f"{reply.status} {responses.get(reply.status, 'Other')}"
    return answer


def _written(body: bytes) -> Answer:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
