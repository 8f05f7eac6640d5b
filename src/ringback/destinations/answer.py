"""Reading one answer after another off a connection, with a bound on everything."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Callable
from typing import Final

import httptools

from ringback.destinations.failures import DeliveryFailed
from ringback.model import Duration, OutcomeKind

MAX_BODY = 64 * 1024
MAX_HEAD = 64 * 1024
MAX_FIELDS = 200
MAX_INTERIM = 10
# Framing costs bytes too: a chunk of one byte takes six. This bounds all that is read for one answer.
MAX_WIRE = 1024 * 1024

_SWITCHING_PROTOCOLS = 101
_FIRST_STATUS = 100
_FIRST_FINAL = 200
_END_OF_SUCCESS = 300
_KEPT = {len(name) for name in (b"date", b"retry-after", b"content-length", b"transfer-encoding")}


class Answer:
    """The answer being read off one connection; begun anew for each request.

    ``verdict`` is None until the answer has ended, well or badly; then the others say how.
    """

    __slots__ = (
        "_body",
        "_date",
        "_delimited",
        "_fields",
        "_head_size",
        "_interim",
        "_now",
        "_parser",
        "_received",
        "_retry_after",
        "_size",
        "detail",
        "reusable",
        "status",
        "verdict",
    )

    def __init__(self, now: Callable[[], float]) -> None:
        """Take *now*, the wall clock in seconds, for a ``Retry-After`` date without a ``Date`` beside it."""
        self._now: Final = now
        self._parser: httptools.HttpResponseParser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Expect the answer to a new request."""
        self.verdict: OutcomeKind | None = None
        self.detail = ""
        self.status = 0
        self.reusable = False
        self._body: list[bytes] = []
        self._size = 0
        self._received = 0
        self._fields = 0
        self._head_size = 0
        self._interim = 0
        self._delimited = False
        self._date: bytes | None = None
        self._retry_after: bytes | None = None

    @property
    def body(self) -> bytes:
        """The start of the answer's body."""
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        return body if len(body) <= MAX_BODY else body[:MAX_BODY]

    @property
    def retry_after(self) -> Duration | None:
        """How long the receiver asked us to wait, in milliseconds."""
        if self._retry_after is None:
            return None
        return parse_retry_after(self._retry_after, self._date, self._now())

    def feed(self, data: bytes) -> bool:
        """Read *data* off the connection; return whether the answer has ended."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(OutcomeKind.BAD_RESPONSE, "upgrade")
        except httptools.HttpParserError:
            self._fail(OutcomeKind.BAD_RESPONSE, "malformed")
        if self.verdict is None:
            self._received += len(data)
            self._check_received()
        return self.verdict is not None

    def end(self) -> None:
        """Take note that the receiver closed the connection."""
        if self.verdict is not None:
            return
        if self.status and not self._delimited:
            self._succeed()  # RFC 9112, 6.3, rule 8: closing is what ends this body
        else:
            self._fail(OutcomeKind.RESET, "in_response" if self._received else "before_response")

    def give_up(self, phase: str) -> None:
        """Take note that the deadline passed in *phase*."""
        self._fail(OutcomeKind.TIMEOUT, phase)

    def refuse(self, failure: DeliveryFailed) -> None:
        """Take note of what ended the connection, where nothing of an answer had come."""
        if not self._received:
            self._fail(failure.kind, failure.detail)

    def _check_received(self) -> None:
        if not self.status and self._received > MAX_HEAD:
            self._fail(OutcomeKind.TOO_LARGE, "headers")
        elif self._received > MAX_WIRE:
            self._succeed("truncated")

    def _succeed(self, detail: str = "") -> None:
        self.verdict = OutcomeKind.SUCCESS if self.status < _END_OF_SUCCESS else OutcomeKind.REFUSED
        self.detail = detail

    def _fail(self, kind: OutcomeKind, detail: str) -> None:
        if self.verdict is None:
            self.verdict, self.detail = kind, detail
        self.reusable = False

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        """Refuse to go on when there is more after the answer: it would be taken for the next one."""
        if self.verdict is not None:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the field, and keep the few that matter."""
        self._fields += 1
        self._head_size += len(name) + len(value)
        if self._fields > MAX_FIELDS or self._head_size > MAX_HEAD:
            self._fail(OutcomeKind.TOO_LARGE, "headers")
        if len(name) in _KEPT and not self.status:  # with a status already, this is a trailer
            self._keep(name.lower(), value)

    def _keep(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._delimited = True
        elif name == b"transfer-encoding":
            self._delimited = value.lower().endswith(b"chunked")
        elif name == b"retry-after":
            self._retry_after = value
        elif name == b"date":
            self._date = value

    def on_headers_complete(self) -> None:
        """Take the status of a final answer; an interim one (1xx) only says that there is more to come."""
        if self.verdict is not None:
            return
        status = self._parser.get_status_code()
        if status >= _FIRST_FINAL:
            self.status = status
        elif status == _SWITCHING_PROTOCOLS:
            self._fail(OutcomeKind.BAD_RESPONSE, "upgrade")
        else:
            self._pass_over(status)

    def _pass_over(self, status: int) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM or status < _FIRST_STATUS:
            self._fail(OutcomeKind.BAD_RESPONSE, "interim")
        self._delimited = False
        self._date = self._retry_after = None

    def on_body(self, data: bytes) -> None:
        """Keep the start of the body."""
        if self.verdict is None:
            self._body.append(data)
            self._size += len(data)
            if self._size > MAX_BODY:
                self._succeed("truncated")

    def on_message_complete(self) -> None:
        """End the answer, unless it was an interim one."""
        if self.status and self.verdict is None:
            self._succeed()
            self.reusable = self._parser.should_keep_alive()


# --- Retry-After -------------------------------------------------------------------------------------------

MAX_RETRY_AFTER = 30 * 24 * 60 * 60 * 1000
_SECONDS = re.compile(rb"\d{1,12}(?:\.\d{1,6})?")


def parse_retry_after(value: bytes, date: bytes | None, now: float) -> Duration | None:
    """Read a ``Retry-After`` header (RFC 9110, 10.2.3).

    Args:
        value: Seconds, also with a fraction, or a date.
        date: The answer's own ``Date``, which a date counts from: the receiver's clock may be wrong.
        now: The time to count from otherwise, in seconds since the Unix epoch.

    Returns:
        Milliseconds from 0 to 30 days, or None when the header says nothing that makes sense.
    """
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(round(float(value) * 1000), MAX_RETRY_AFTER)
    then = _instant(value)
    if then is None:
        return None
    since = _instant(date) if date is not None else None
    wait = then - (since if since is not None else now)
    return min(max(round(wait * 1000), 0), MAX_RETRY_AFTER)


def _instant(text: bytes) -> float | None:
    """Read an HTTP date (RFC 9110, 5.6.7) as seconds since the Unix epoch."""
    try:
        moment = email.utils.parsedate_to_datetime(text.decode("ascii"))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    # A date without a zone is in UTC as well: the oldest of the three forms never names one.
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
