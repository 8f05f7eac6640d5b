"""What the provider's Webhooks tab shows: statuses, rows, event histories, and how the provider names a failure."""

from __future__ import annotations

import enum

import msgspec

from ringback.model import Attempt, Duration, Instant, Outcome, OutcomeKind

AUTOMATIC = "Automatic"
# As Node.js names them, which the provider's dashboard shows (its help page on common event errors).
_ERRORS = {
    (OutcomeKind.CONNECT, "refused"): "ECONNREFUSED",
    (OutcomeKind.CONNECT, "reset"): "ECONNRESET",
    (OutcomeKind.CONNECT, "unreachable"): "EHOSTUNREACH",
    (OutcomeKind.CONNECT, "timed_out"): "ETIMEDOUT",
    (OutcomeKind.DNS, "not_found"): "ENOTFOUND",
    (OutcomeKind.TLS, "expired"): "CERT_HAS_EXPIRED",
    (OutcomeKind.TLS, "not_yet_valid"): "CERT_NOT_YET_VALID",
    (OutcomeKind.TLS, "self_signed"): "DEPTH_ZERO_SELF_SIGNED_CERT",
    (OutcomeKind.TLS, "unknown_issuer"): "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    (OutcomeKind.TLS, "hostname_mismatch"): "ERR_TLS_CERT_ALTNAME_INVALID",
}
_ERRORS_OF_KINDS = {
    OutcomeKind.BLOCKED_ADDRESS: "EACCES",
    OutcomeKind.DNS: "EAI_AGAIN",
    OutcomeKind.TIMEOUT: "ETIMEDOUT",
    OutcomeKind.RESET: "ECONNRESET",
    OutcomeKind.TLS: "EPROTO",
    OutcomeKind.BAD_RESPONSE: "HPE_INVALID_CONSTANT",
    OutcomeKind.TOO_LARGE: "HPE_HEADER_OVERFLOW",
}
_ANSWERED = frozenset({OutcomeKind.SUCCESS, OutcomeKind.REFUSED})


class Status(enum.StrEnum):
    """Where a webhook stands, in the provider's words."""

    COMPLETED = "Completed"
    PENDING = "Pending"
    FAILED = "Failed"
    TIMEOUT = "Timeout"
    URL_NOT_SET = "URL Not Set"


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which webhooks; each field narrows, None and nothing leave open.

    Args:
        statuses: In one of these.
        product: About this product, such as ``Invoice``; ignores case.
        event: Of this event type, such as ``invoice.paid``.
        since: Made at this instant or later.
        until: Made before this instant.
        text: With this text in the product's id, the event or the payload; ignores case.
    """

    statuses: tuple[Status, ...] = ()
    product: str | None = None
    event: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    text: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as the list shows it.

    Args:
        id: Its id in the log.
        status: Where it stands.
        created_at: When what it tells of happened.
        product_id: The id of the object that it tells of.
        product: The product's name.
        event: The event type, as the catalogue calls it.
        slot: The slot whose URL gets it.
        next_redelivery: When it is tried again by itself; None: it is not.
    """

    id: str
    status: Status
    created_at: Instant
    product_id: str
    product: str
    event: str
    slot: str
    next_redelivery: Instant | None = None


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a webhook's event history.

    Args:
        at: When it was sent.
        source: ``Automatic`` or the name of the user who had it sent again.
        next_redelivery: When the next one followed or follows by itself; None: none.
        url: Where it went.
        status: The HTTP status of the answer, 0 without an answer.
        error: Why there was none, as the provider's client names it, such as ``ECONNREFUSED``; None with an answer.
        detail: The same in Ringback's words, such as ``connect: refused``.
        response_time: How long it took, in milliseconds.
        body: The start of the answer's body.
    """

    at: Instant
    source: str
    next_redelivery: Instant | None
    url: str
    status: int
    error: str | None
    detail: str
    response_time: Duration
    body: str


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook with all that is known of it.

    Args:
        row: As the list shows it.
        payload: The body, as it is sent.
        webhook_id: The ``webhook-id`` that every attempt carries; None: it has not been published.
        mishap: What is done to it on purpose: ``drop``, ``delay``, ``reorder`` or None.
        is_test: Whether "Test and save" made it.
        history: What was tried, newest first.
    """

    row: Row
    payload: str
    webhook_id: str | None
    mishap: str | None
    is_test: bool
    history: tuple[Try, ...]


class Listing(msgspec.Struct, frozen=True):
    """A page of the list, newest first, and what to ask for the next by (None: this is the last)."""

    rows: tuple[Row, ...]
    after: str | None


class Resent(msgspec.Struct, frozen=True):
    """What a custom resend did: how many were sent again, and how many could not be."""

    sent: int
    refused: int


def error_of(outcome: Outcome) -> str | None:
    """Return what the provider calls the failure of an attempt that got no answer; None with an answer."""
    if outcome.kind in _ANSWERED:
        return None
    usual = _ERRORS_OF_KINDS.get(outcome.kind, "ECONNABORTED")
    return _ERRORS.get((outcome.kind, outcome.detail), usual)


def tried(attempt: Attempt, source: str, next_redelivery: Instant | None) -> Try:
    """Return an attempt as the event history shows it."""
    outcome = attempt.outcome
    return Try(
        at=attempt.started_at,
        source=source,
        next_redelivery=next_redelivery,
        url=attempt.url,
        status=outcome.status,
        error=error_of(outcome),
        detail=outcome.kind.value + (f": {outcome.detail}" if outcome.detail else ""),
        response_time=attempt.duration,
        body=outcome.body.decode("utf-8", "replace"),
    )
