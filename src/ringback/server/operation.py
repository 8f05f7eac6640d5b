"""What an operation of the API takes and answers, said beside its responder; the OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from ringback.errors import (
    Forbidden,
    InvalidInput,
    MalformedRequest,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    RingbackError,
    Unavailable,
    UnsupportedMediaType,
)
from ringback.server.needs import need_of
from ringback.server.paging import Query

Responder = TypeVar("Responder", bound=Callable[..., Any])
Error = type[RingbackError]

JSON = "application/json"
METHODS = ("get", "head", "post", "put", "patch", "delete")


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What a responder takes and answers.

    Args:
        name: What it is called: a noun and a verb, ``endpoint.create``.
        answers: The shape of each good answer, by status; None where there is no body.
        query: What may follow the question mark; None where it is not looked at.
        body: What decodes the body, or the name of the resource's attribute that does; None where none is read.
        without_body: Whether the body may be left out.
        keyed: Whether it looks at ``Idempotency-Key``.
        deprecated: Whether there is another for it by now.
        raises: What it may end in, besides the errors of every such request (see ``Route.errors``).
        media_type: What kind of body a good answer has.
    """

    name: str
    answers: Mapping[int, Any]
    query: type[Query] | None = Query
    body: msgspec.json.Decoder[Any] | str | None = None
    without_body: bool = False
    keyed: bool = False
    deprecated: bool = False
    raises: tuple[Error, ...] = ()
    media_type: str = JSON


class Route(msgspec.Struct, frozen=True):
    """One method of one address: the *responder* of the resource *kind* that answers it, and what that does."""

    method: str
    path: str
    kind: type
    responder: Callable[..., Any]
    operation: Operation

    @property
    def is_open(self) -> bool:
        """Whether it needs no token."""
        return bool(getattr(self.kind, "open", False))

    @property
    def body(self) -> Any:
        """The shape of the body, None where none is read."""
        body = self.operation.body
        decoder = getattr(self.kind, body) if isinstance(body, str) else body
        return None if decoder is None else decoder.type

    @property
    def errors(self) -> tuple[Error, ...]:
        """Every error that it answers with: its own, and those of every request of its kind."""
        common: list[Error] = [MalformedRequest]
        if not self.is_open:
            common += [NotAuthenticated, Unavailable]
            if need_of(self.method.upper(), self.path).right is not None:
                common.append(Forbidden)
        if "{" in self.path:
            common.append(NotFound)
        if self.operation.query is not None:
            common.append(InvalidInput)
        if self.operation.body is not None:
            common += [PayloadTooLarge, UnsupportedMediaType]
        return tuple(sorted({*common, *self.operation.raises}, key=lambda error: (error.status, error.code)))


def operation(name: str, answers: Mapping[int, Any], **more: Any) -> Callable[[Responder], Responder]:
    """Say of a responder what it takes and answers; the arguments are those of ``Operation``."""

    def declare(responder: Responder) -> Responder:
        responder.operation = Operation(name=name, answers=answers, **more)  # type: ignore[attr-defined]  # functions have room for it
        return responder

    return declare


def routes_of(path: str, kind: type, suffix: str | None) -> tuple[Route, ...]:
    """Return what the resource *kind* answers at *path*.

    Raises:
        TypeError: A responder does not say what it takes and answers.
    """
    ending = "" if suffix is None else f"_{suffix}"
    responders = ((method, getattr(kind, f"on_{method}{ending}", None)) for method in METHODS)
    return tuple(
        Route(method, path, kind, responder, _declared(responder))
        for method, responder in responders
        if responder is not None
    )


def _declared(responder: Any) -> Operation:
    declared = getattr(responder, "operation", None)
    if not isinstance(declared, Operation):
        raise TypeError(f"{responder.__qualname__} has no @operation that says what it takes and answers")
    return declared
