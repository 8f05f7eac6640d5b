"""What calls about recurring plans send.

Sources: docs.xendit.co on recurring plans of the version 2026-01-01, and the older ways to say the same, which are
taken, too: ``immediate_action_type``, ``payment_methods``, and a schedule without an anchor, which then is the
present, or the 1st of the next month where the present is on the 29th or later.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.model import Instant
from ringback.sandbox.xendit.calls import INVALID
from ringback.sandbox.xendit.fields import DAY, Basket, Draft, Metadata, Name, Text, date_and_time, invalid
from ringback.sandbox.xendit.money import COUNTRIES, LARGEST, Amount, check_currency, check_most
from ringback.sandbox.xendit.recurrence import LAST_DAY, Interval, instant_of

FARTHEST = 10 * 365 * DAY
Count = Annotated[int, Meta(ge=1, le=365)]
Retry = Annotated[int, Meta(ge=1, le=10)]
Channel = Literal["WHATSAPP", "EMAIL"]
FailedCycleAction = Literal["RESUME", "STOP"]
Rank = Annotated[int, Meta(ge=1, le=5)]


class ScheduleDraft(Draft, frozen=True):
    """When cycles are charged, and how often again when that fails."""

    interval: Interval
    interval_count: Count
    total_recurrence: Annotated[int, Meta(ge=1, le=32_000)] | None = None
    anchor_date: Name | None = None
    retry_interval: Literal["DAY"] | None = None
    retry_interval_count: Count | None = None
    total_retry: Retry | None = None
    failed_attempt_notifications: Annotated[list[Retry], Meta(max_length=10)] | None = None

    def check(self, now: Instant) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``.
        """
        if self.anchor_date is not None:
            _check_anchor(date_and_time(self.anchor_date, "schedule.anchor_date"), now)
        if self.total_retry is not None and (
            self.retry_interval is None or self.retry_interval_count is None
        ):
            raise invalid("schedule.total_retry needs retry_interval and retry_interval_count")
        told = self.failed_attempt_notifications or []
        if len(set(told)) < len(told) or max(told, default=0) > (self.total_retry or 0):
            raise invalid("schedule.failed_attempt_notifications are different numbers up to total_retry")

    def shown(self, created: str, updated: str, anchor_date: str) -> dict[str, Any]:
        """Return the schedule as the API shows it."""
        return {
            "interval": self.interval,
            "interval_count": self.interval_count,
            "total_recurrence": self.total_recurrence,
            "anchor_date": self.anchor_date or anchor_date,
            "retry_interval": self.retry_interval,
            "retry_interval_count": self.retry_interval_count,
            "total_retry": self.total_retry,
            "failed_attempt_notifications": self.failed_attempt_notifications or [],
            "created": created,
            "updated": updated,
        }


class TokenDraft(Draft, frozen=True):
    """What a plan is charged to, and as which of several."""

    payment_token_id: Name
    rank: Rank


class MethodDraft(Draft, frozen=True):
    """The same by its older name."""

    payment_method_id: Name
    rank: Rank


class PlanDraft(Draft, frozen=True):
    """A plan to be made."""

    reference_id: Name
    customer_id: Name
    currency: Name
    amount: Amount
    schedule: ScheduleDraft
    payment_tokens: Annotated[list[TokenDraft], Meta(max_length=5)] | None = None
    payment_methods: Annotated[list[MethodDraft], Meta(max_length=5)] | None = None
    immediate_payment: bool | None = None
    immediate_action_type: Literal["FULL_AMOUNT"] | None = None
    failed_cycle_action: FailedCycleAction | None = None
    notification_channels: Annotated[list[Channel], Meta(max_length=10)] | None = None
    locale: Name | None = None
    payment_link_for_failed_attempt: bool | None = None
    metadata: Metadata | None = None
    description: Text | None = None
    items: Basket | None = None

    def check(self, now: Instant) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``.
        """
        check_currency(self.currency, COUNTRIES)
        check_most(self.amount, LARGEST, INVALID)
        self.schedule.check(now)

    @property
    def tokens(self) -> list[dict[str, Any]]:
        """What it is charged to, the first first."""
        methods = self.payment_methods or []
        tokens = [
            *(self.payment_tokens or []),
            *(TokenDraft(payment_token_id=one.payment_method_id, rank=one.rank) for one in methods),
        ]
        return ranked(tokens)

    @property
    def is_immediate(self) -> bool:
        """Whether the first cycle is charged when the plan is made."""
        return bool(self.immediate_payment) or self.immediate_action_type is not None


class PlanUpdate(Draft, frozen=True):
    """What is to change of a plan."""

    amount: Amount | None = None
    locale: Name | None = None
    notification_channels: Annotated[list[Channel], Meta(max_length=10)] | None = None
    description: Text | None = None
    items: Basket | None = None
    payment_link_for_failed_attempt: bool | None = None
    metadata: Metadata | None = None
    payment_tokens: Annotated[list[TokenDraft], Meta(min_length=1, max_length=5)] | None = None
    schedule: ScheduleDraft | None = None


class CycleUpdate(Draft, frozen=True):
    """What is to change of a cycle that waits to be charged."""

    scheduled_timestamp: Name | None = None
    currency: Name | None = None
    amount: Amount | None = None
    metadata: Metadata | None = None


class SimulationDraft(Draft, frozen=True):
    """By which sum a charge is tried out."""

    amount: Amount


class VerdictDraft(Draft, frozen=True):
    """How the next charges of a plan end."""

    status: Literal["SUCCEEDED", "FAILED"] = "SUCCEEDED"
    failure_code: Name | None = None
    charges: Annotated[int, Meta(ge=1, le=100)] = 1


def ranked(tokens: list[TokenDraft]) -> list[dict[str, Any]]:
    """Return what a plan is charged to as the API shows it, the first first."""
    return [token.given() for token in sorted(tokens, key=lambda token: token.rank)]


def default_anchor(now: Instant) -> Instant:
    """Return the anchor of a schedule that names none."""
    present = datetime.fromtimestamp(now / 1_000, UTC)
    if present.day <= LAST_DAY:
        return now
    following = present.replace(day=LAST_DAY) + timedelta(days=4)
    return instant_of(following.replace(day=1))


def _check_anchor(anchor: datetime, now: Instant) -> None:
    if anchor.day > LAST_DAY:
        raise invalid(f"schedule.anchor_date lies on the 1st to the {LAST_DAY}th of a month")
    if instant_of(anchor) > now + FARTHEST:
        raise invalid("schedule.anchor_date is too far ahead: at most ten years")
