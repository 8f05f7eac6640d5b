"""Reads JSON from a provider's API: every wait and every size is bounded, and no redirect is followed."""

from __future__ import annotations

import base64
import http.client
import json
import math
import random
import ssl
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlencode, urlsplit

from ringback.errors import ConfigurationError, NotFound, Unavailable

TRIES = 4
FIRST_PAUSE = 1.0
# A longer wait that the provider asks for is left to whoever called.
LONGEST_PAUSE = 30.0
RETRIED = frozenset({429, 500, 502, 503, 504})
MAX_BODY = 8 * 1024 * 1024
# An answer that trickles in is given up after so many timeouts.
ANSWER_TIMEOUTS = 3
CHUNK = 64 * 1024
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Client:
    """Sends GET requests to one API, over one connection. To be used as a context manager.

    Args:
        base_url: Where the API is; ``https`` unless it is on this machine.
        user: The user name of HTTP Basic authentication, without a password.
        headers: Further headers.
        timeout: Seconds to wait for the connection, and for each part of an answer.
        pause: Waits that many seconds.

    Raises:
        ConfigurationError: The address or the user name cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        user: str,
        headers: dict[str, str],
        timeout: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = _base(base_url)
        secure = self._url.scheme == "https"
        credentials = base64.b64encode(f"{user}:".encode()).decode()
        self._headers = {"accept": "application/json", "authorization": f"Basic {credentials}", **headers}
        self._timeout = timeout
        self._pause = pause
        self._tls = ssl.create_default_context() if secure else None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """Return what the API answers, decoded; what is temporary is tried up to four times.

        Args:
            path: Below the base address, percent-encoded.
            query: Names and values.

        Raises:
            NotFound: It answers 404.
            Unavailable: It cannot be reached, fails, answers too much or no JSON, or wants to be asked later.
            ConfigurationError: It refuses the request for good, or answers with a redirect.
        """
        target = self._url.path + path + (f"?{urlencode(query)}" if query else "")
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            wait = FIRST_PAUSE * 2**attempt * (0.5 + random.random() / 2)  # noqa: S311 - spreads requests, guards nothing
            try:
                status, asked_for, body = self._exchange(target)
            except (OSError, http.client.HTTPException) as error:
                self._hang_up()
                if last:
                    raise Unavailable(
                        f"{self._url.hostname} cannot be reached ({type(error).__name__})"
                    ) from None
            else:
                if status not in RETRIED:
                    return self._understood(status, body)
                wait = wait if asked_for is None else asked_for
                if last or wait > LONGEST_PAUSE:
                    told = f"{self._url.hostname} answers {status}{_code(body)}"
                    raise Unavailable(told, retry_after=math.ceil(wait))
            self._pause(wait)
        raise AssertionError("unreachable: the last try returns or raises")

    def _exchange(self, target: str) -> tuple[int, float | None, bytes]:
        connection = self._connected()
        connection.request("GET", target, headers=self._headers)
        response = connection.getresponse()
        body = self._body(response)
        if response.will_close:
            self._hang_up()
        return response.status, _seconds(response.getheader("retry-after")), body

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        until = time.monotonic() + ANSWER_TIMEOUTS * self._timeout
        parts: list[bytes] = []
        size = 0
        while part := response.read1(CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                self._hang_up()
                raise Unavailable(
                    f"{self._url.hostname} answers more than {MAX_BODY} bytes; ask for less at once"
                )
            if time.monotonic() > until:
                raise TimeoutError
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()  # the connection stays for the next request
        return b"".join(parts)

    def _understood(self, status: int, body: bytes) -> Any:
        host = self._url.hostname
        if status == HTTPStatus.NOT_FOUND:
            raise NotFound(f"{host} answers 404{_code(body)}")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise ConfigurationError(
                f"{host} answers {status}, a redirect; these are not followed with a key: give the final base_url"
            )
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise ConfigurationError(f"{host} refuses the API key: {status}{_code(body)}; may it read this?")
        if status != HTTPStatus.OK:
            raise ConfigurationError(f"{host} refuses the request: {status}{_code(body)}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Unavailable(f"{host} answers something that is not JSON") from None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host = self._url.hostname or ""
            if self._tls is not None:
                self._connection = http.client.HTTPSConnection(
                    host, self._url.port, timeout=self._timeout, context=self._tls
                )
            else:
                self._connection = http.client.HTTPConnection(host, self._url.port, timeout=self._timeout)
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _base(url: str) -> SplitResult:
    try:
        base = urlsplit(url.rstrip("/"))
        usable = base.port != 0 and (
            base.scheme == "https" or (base.scheme == "http" and base.hostname in LOCAL)
        )
    except ValueError:  # such as a port that is no number
        usable = False
    if not usable or not base.hostname:
        raise ConfigurationError("base_url is an https address, or http on this machine")
    return base


def _seconds(retry_after: str | None) -> float | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds or a date. None where it is neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _code(body: bytes) -> str:
    """Return the error code that an answer names, to be put behind the status; nothing where it names none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = answer.get("error_code") if isinstance(answer, dict) else None
    return f" {code[:60]}" if isinstance(code, str) and code.isprintable() else ""
