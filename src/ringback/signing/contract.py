"""What every signature scheme takes and gives: a request in, what it proves out, or one kind of refusal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.model import Duration, Instant

MAX_HEADER = 4_096
MAX_SIGNATURES = 16
FIVE_MINUTES: Duration = 300_000
END_OF_TIME: Instant = 253_402_300_800_000  # the year 10000, past which no calendar here goes


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request that came in. ``headers`` has names in lower case; a header sent twice is joined by commas.

    ``url`` is the whole address as the sender wrote it, ``body`` the bytes as they came, before any decoding.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def with_headers(self, added: Mapping[str, str]) -> Request:
        """Return the same request with more headers."""
        return msgspec.structs.replace(self, headers={**self.headers, **added})

    def with_body(self, body: bytes) -> Request:
        """Return the same request with another body."""
        return msgspec.structs.replace(self, body=body)


class Verified(msgspec.Struct, frozen=True, gc=False):
    """What a signature that holds tells by itself.

    ``event_id``, ``event_type`` and ``sent_at`` are None where the scheme does not carry them; ``key`` is the
    index of the secret that fits, so that a rotation can be seen to be over.
    """

    event_id: str | None
    event_type: str | None
    sent_at: Instant | None
    key: int


class Scheme(Protocol):
    """How one family of senders signs."""

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check *request* against every one of *secrets*.

        Raises:
            SignatureInvalid: Whatever is wrong, with the secrets as much as with the request. Nothing else is
                ever raised, whatever the bytes.
        """
        ...

    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:
        """Return *request* with all that its sender would add: headers, or fields of the body or URL.

        Raises:
            InvalidInput: The first secret cannot sign, or the request lacks what the scheme signs.
        """
        ...


class TimeUnit(StrEnum):
    """How a sender writes an instant."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    ISO = "iso"


@contextlib.contextmanager
def asked_to_sign() -> Iterator[None]:
    """Decorate ``sign``: a request that could not be verified either way is invalid input of whoever asks."""
    try:
        yield
    except SignatureInvalid as error:
        raise InvalidInput.at("request", msg=error.detail) from None


def header(request: Request, name: str) -> str:
    """Return a header that must be there and not be overlong."""
    value = request.headers.get(name)
    if not value:
        raise SignatureInvalid("header_missing", f"missing header: {name}")
    if len(value) > MAX_HEADER:
        raise SignatureInvalid("header_too_long", f"the header {name} is longer than {MAX_HEADER} characters")
    return value


def read_instant(text: str, unit: TimeUnit) -> Instant:
    """Read a timestamp strictly: plain ASCII digits, or RFC 3339 for ``ISO``."""
    if unit is TimeUnit.ISO:
        return on_calendar(_read_iso(text))
    if not (text.isascii() and text.isdigit() and len(text) <= 15):  # noqa: PLR2004 - longer is beyond any calendar
        raise SignatureInvalid("timestamp_malformed", f"the timestamp is not a whole number of {unit.value}")
    return on_calendar(int(text) * 1000 if unit is TimeUnit.SECONDS else int(text))


def read_joined_instant(text: str) -> Instant:
    """Read seconds that nothing separates from what is signed after them: exactly ten digits.

    So they are from 2001 to 2286. With any other number of digits, one could pass from the timestamp to what
    follows, or back, under the same signature.
    """
    if len(text) != 10:  # noqa: PLR2004 - as above
        raise SignatureInvalid("timestamp_malformed", "the timestamp is not ten digits of seconds")
    return read_instant(text, TimeUnit.SECONDS)


def on_calendar(instant: Instant) -> Instant:
    """Return *instant* if it lies between 1970 and the end of the year 9999."""
    if not 0 <= instant < END_OF_TIME:
        raise SignatureInvalid("timestamp_malformed", "the timestamp is beyond any calendar")
    return instant


def write_instant(instant: Instant, unit: TimeUnit) -> str:
    """Write *instant* the way ``read_instant`` reads it; all but milliseconds lose the part of a second."""
    if unit is TimeUnit.MILLISECONDS:
        return str(instant)
    if unit is TimeUnit.SECONDS:
        return str(instant // 1000)
    return datetime.fromtimestamp(instant // 1000, UTC).isoformat().replace("+00:00", "Z")


def check_fresh(sent_at: Instant, now: Instant, tolerance: Duration | None) -> None:
    """Refuse what was sent more than *tolerance* before or after *now*; None lets every age pass."""
    if tolerance is None:
        return
    if sent_at < now - tolerance:
        raise SignatureInvalid("timestamp_too_old", f"the timestamp is {(now - sent_at) // 1000} s old")
    if sent_at > now + tolerance:
        raise SignatureInvalid("timestamp_too_new", f"the timestamp is {(sent_at - now) // 1000} s ahead")


def to_bytes(text: str) -> bytes:
    """Encode text from outside; a lone surrogate, which no honest sender makes, does not raise."""
    return text.encode("utf-8", "surrogatepass")


def mismatch() -> SignatureInvalid:
    """Build the refusal of a well-formed signature that no secret makes."""
    return SignatureInvalid(
        "signature_mismatch",
        "none of the secrets made this signature: another secret, or the request was changed after signing",
    )


def _read_iso(text: str) -> Instant:
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise SignatureInvalid("timestamp_malformed", "the timestamp is not an RFC 3339 time") from None
