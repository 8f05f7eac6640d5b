"""A client of a running server, on the standard library, for the commands that talk to one.

Besides Ringback's own errors it raises ``ConnectionError`` when there is no server and ``TimeoutError`` when
it does not answer in time.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any, TypedDict
from urllib.parse import SplitResult, urlsplit

import msgspec

from ringback import __version__
from ringback.errors import (
    Conflict,
    FieldError,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    RingbackError,
)

TIMEOUT = 30.0
NOT_RINGBACK = "the server's answer is not what Ringback answers. Does --url name a Ringback server?"
SERVER_ADVICE = "Is `ringback serve` running there? Set RINGBACK_URL or give --url for another server"

NO_TOKEN = "Set RINGBACK_TOKEN or give --token; `ringback token create NAME` makes one"  # noqa: S105 - advice


class Client:
    """Calls the management API of one server.

    Args:
        url: The server's address, with the path it is mounted under, if any.
        token: The token to authenticate with.
        timeout: Seconds to wait for a connection, and then for each part of the answer.
    """

    def __init__(self, url: str, token: str | None, timeout: float = TIMEOUT) -> None:
        self._url = url
        self._token = token
        self._timeout = timeout

    def create(self, path: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """Post a JSON *body* to *path* and return what was created; it has an ``id``. Raises what ``call`` does."""
        return _created(self._answer("POST", path, body, headers))

    def call(self, method: str, path: str, shape: Any) -> Any:
        """Ask for something at *path* and return the answer, with all that is in it.

        Args:
            method: Such as ``GET``.
            path: Below the server's address, such as ``/api/v1/app``.
            shape: A type that the answer must fit, such as a ``TypedDict``; None where nothing is answered.

        Raises:
            RingbackError: The server refused; the subclass says why.
            ConnectionError: There is no such server.
            TimeoutError: It did not answer in time.
        """
        return self.send(method, path, None, shape)

    def send(self, method: str, path: str, body: bytes | None, shape: Any) -> Any:
        """Ask for something with a JSON *body*; see ``call``."""
        answer = self._answer(method, path, body, {})
        return None if shape is None else _fitting(answer, shape)

    def _answer(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        if self._token is None:
            raise NotAuthenticated(f"no token is given. {NO_TOKEN}")
        sent = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": f"ringback/{__version__}",
            **headers,
        }
        status, answer = exchange(
            self._url, method, path, body, sent, timeout=self._timeout, advice=SERVER_ADVICE
        )
        if not 200 <= status < 300:  # noqa: PLR2004 - the class of HTTP status
            raise _error_of(status, answer)
        return answer


def exchange(
    url: str,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    *,
    timeout: float,
    advice: str,
) -> tuple[int, bytes]:
    """Send one request and return the status and the body of its answer.

    Args:
        url: The server's address, with the path it is mounted under, if any.
        method: Such as ``GET``.
        path: Below the server's address.
        body: What to send, if anything.
        headers: To send with it.
        timeout: Seconds to wait for a connection, and then for each part of the answer.
        advice: What to do where there is no server: a sentence without its full stop.

    Raises:
        ConnectionError: There is no such server.
        TimeoutError: It did not answer in time.
    """
    parts = urlsplit(url)
    connection = _connection(parts, timeout)
    try:
        connection.request(method, f"{parts.path}{path}", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except TimeoutError:
        raise TimeoutError(f"{url} did not answer within {timeout:g} s. Try again") from None
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"{url} cannot be reached: {_reason(error)}. {advice}") from None
    finally:
        connection.close()


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "there is no host of that name"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"what answers there does not speak HTTP ({type(error).__name__})"


class _Refusal(msgspec.Struct):
    """An answer that says why not; ``detail`` is a sentence, or a list of fields at fault."""

    detail: str | list[dict[str, Any]] = ""


def _error_of(status: int, answer: bytes) -> RingbackError:
    text = _detail(answer)
    match status:
        case 401 | 403:
            return NotAuthenticated(f"the server refused the token: {text}. {NO_TOKEN}")
        case 404:
            return NotFound(f"{text}. Check the id or uid, and that --url names the right server")
        case 409:
            return Conflict(text)
        case 413:
            return PayloadTooLarge(f"{text}. The server's max_payload setting is the limit")
        case 422 if faults := _faults(answer):
            return InvalidInput(*faults)
        case _:
            return RingbackError(f"the server answered {status}: {text}")


class _Faults(msgspec.Struct):
    """What a 422 answers."""

    detail: list[FieldError]


def _faults(answer: bytes) -> list[FieldError]:
    try:
        return msgspec.json.decode(answer, type=_Faults).detail
    except msgspec.MsgspecError:
        return []


def _detail(answer: bytes) -> str:
    try:
        detail = msgspec.json.decode(answer, type=_Refusal).detail
    except msgspec.MsgspecError:
        return answer[:200].decode(errors="replace") or "without a reason"
    if isinstance(detail, str):
        return detail.rstrip(".")
    return "; ".join(
        f"{'.'.join(map(str, field.get('loc', ())))}: {field.get('msg', '')}" for field in detail
    )


def _created(answer: bytes) -> dict[str, Any]:
    created: dict[str, Any] = _fitting(answer, _Created)
    return created


class _Created(TypedDict):
    """Whatever was created."""

    id: str


def _fitting(answer: bytes, shape: Any) -> Any:
    try:
        value = msgspec.json.decode(answer)
        msgspec.convert(value, shape)
    except (msgspec.MsgspecError, RecursionError):
        raise RingbackError(NOT_RINGBACK) from None
    return value
