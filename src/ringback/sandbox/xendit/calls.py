"""A request to the provider's API and its answer, and how requests are refused."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ringback.model import Instant

T = TypeVar("T")
D = TypeVar("D", bound=msgspec.Struct)

INVALID = "API_VALIDATION_ERROR"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came with a key.

    ``owner`` is whose objects it sees: a business and a mode. ``path`` holds what the route's template names,
    ``headers`` have names in lower case, ``body`` is the decoded JSON, None where there is none, ``raw`` its bytes.
    ``site`` is the sandbox's own address, without a slash at the end.
    """

    owner: Owner
    path: dict[str, str]
    query: dict[str, tuple[str, ...]]
    headers: dict[str, str]
    body: Any
    now: Instant
    site: str
    raw: bytes = b""

    def one(self, name: str) -> str | None:
        """Return a parameter of the query that may be given once; None without it.

        Raises:
            Refused: It was given more than once.
        """
        values = self.query.get(name, ())
        if len(values) > 1:
            raise Refused(400, INVALID, f"{name} was given {len(values)} times", [f"{name} is given once"])
        return values[0] if values else None


class Owner(msgspec.Struct, frozen=True):
    """Whose objects: a business (24 hexadecimal digits) in one of its modes."""

    business_id: str
    live: bool = False

    @property
    def mode(self) -> str:
        """How the provider writes the mode."""
        return "LIVE" if self.live else "TEST"

    def __str__(self) -> str:
        return f"{self.business_id}-{self.mode.lower()}"


class Answer(msgspec.Struct, frozen=True):
    """What to answer: *body* becomes JSON, unless it is bytes of the *content_type* given."""

    body: Any = None
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):  # noqa: N818 - it is an answer
    """A call is answered with an error in the provider's shape.

    Args:
        status: The HTTP status.
        code: The provider's ``error_code``.
        message: What is wrong and what to do.
        errors: One entry for each part at fault, where there are several.
    """

    def __init__(self, status: int, code: str, message: str, errors: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = tuple(errors)

    def answer(self) -> Answer:
        """Return it as an answer."""
        body: dict[str, Any] = {"error_code": self.code, "message": self.message}
        if self.errors:
            body["errors"] = list(self.errors)
        return Answer(body, self.status)


Action = Callable[[Call], Awaitable[Answer]]


class Route(msgspec.Struct, frozen=True):
    """What answers calls of one *method* whose path fits the *template*.

    In a template ``{name}`` is one segment and ``{name:rest}`` any text, slashes included. Calls come with a key,
    but for those that are *open*: pages for people. An idempotency key that comes again with another body is refused
    with the code *reused*.
    """

    method: str
    template: str
    action: Action
    open: bool = False
    reused: str = "IDEMPOTENCY_ERROR"

    def pattern(self) -> re.Pattern[str]:
        """Return what the path has to match."""
        parts = re.split(r"\{(\w+)(:rest)?\}", self.template)
        literals, names, rests = parts[::3], parts[1::3], parts[2::3]
        pattern = re.escape(literals[0])
        for name, rest, literal in zip(names, rests, literals[1:], strict=True):
            pattern += f"(?P<{name}>{'.+' if rest else '[^/]+'}){re.escape(literal)}"
        return re.compile(pattern, re.DOTALL)


def read(call: Call, kind: type[T]) -> T:
    """Return the body of *call* as a *kind* of ``msgspec.Struct``; fields that it does not have are passed over.

    Raises:
        Refused: The body does not fit: 400 ``API_VALIDATION_ERROR`` with what is wrong.
    """
    body = {} if call.body is None else call.body
    if not isinstance(body, Mapping):
        raise Refused(400, INVALID, "the body must be a JSON object")
    return fitting(body, kind)


def read_own(call: Call, kind: type[D]) -> D:
    """As ``read``, for a call that only the sandbox has: a field that it does not know is a slip, and not passed over.

    Raises:
        Refused: As ``read``, and with the fields that there are.
    """
    draft = read(call, kind)
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for name in call.body or ():
        if name not in known:
            raise _misfit(f"there is no field {name}; there are: {', '.join(known)}")
    return draft


def fitting(value: Any, kind: type[T]) -> T:
    """Return a part of a body as a *kind*; as ``read``."""
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _unfit(error) from None


def read_exactly(call: Call, kind: type[T]) -> T:
    """As ``read``, but fields that are ``msgspec.Raw`` have the very characters that came.

    Raises:
        Refused: As ``read``.
    """
    try:
        return msgspec.json.decode(call.raw.strip() or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _unfit(error) from None


def _unfit(error: msgspec.ValidationError) -> Refused:
    return _misfit(
        str(error).replace("Object missing required field", "missing required field").replace("`", "")
    )


def _misfit(text: str) -> Refused:
    return Refused(400, INVALID, f"There is an error with the format submitted: {text}", [text])
