"""What a call to make a payment session may say, checked.

Source: docs.xendit.co on sessions, whose error codes these are. Where a call may send payers back to is an HTTPS URL
there; here it may be one of HTTP, too, as shops on a laptop have. Sessions for subscriptions and authorizations are
refused as ones that are not switched on.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.fields import (
    Basket,
    Draft,
    Metadata,
    Name,
    Properties,
    Text,
    Url,
    invalid,
    later,
)
from ringback.sandbox.xendit.money import COUNTRIES, LARGEST, Amount, check_currency, check_most, money
from ringback.sandbox.xendit.payment_channels import CARDS, PaymentChannel, payment_channel, payment_channels
from ringback.sandbox.xendit.payment_drafts import LONGEST, MANUAL, Customer

MINUTE = 60_000
LASTS, SHORTEST = 30 * MINUTE, 10 * MINUTE
PAY, SAVE = "PAY", "SAVE"
PAYMENT_LINK, COMPONENTS, CARDS_JS = "PAYMENT_LINK", "COMPONENTS", "CARDS_SESSION_JS"
FORCED, OPTIONAL = "FORCED", "OPTIONAL"


class SessionDraft(Draft, frozen=True, kw_only=True):
    """A session to be made."""

    reference_id: Annotated[str, Meta(min_length=1, max_length=64)]
    session_type: Name
    mode: Name
    amount: Amount
    currency: Name
    country: Name
    customer_id: Name | None = None
    customer: Customer | None = None
    allow_save_payment_method: Literal["DISABLED", "OPTIONAL", "FORCED"] | None = None
    capture_method: Literal["AUTOMATIC", "MANUAL"] | None = None
    channel_properties: Properties | None = None
    allowed_payment_channels: Annotated[list[Name], Meta(max_length=100)] | None = None
    expires_at: Name | None = None
    locale: Annotated[str, Meta(pattern="^[a-z]{2}$")] = "en"
    metadata: Metadata | None = None
    description: Text | None = None
    items: Basket | None = None
    success_return_url: Name | None = None
    cancel_return_url: Name | None = None
    components_configuration: Properties | None = None

    def check(self) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 with the provider's code for what is wrong.
        """
        self._check_kind()
        cards = (self.channel_properties or {}).get("cards")
        if isinstance(cards, dict) and "card_details" in cards:
            raise invalid("channel_properties.cards has no card_details: the payer gives them")
        check_currency(self.currency, COUNTRIES, "INVALID_CURRENCY")
        if self.country not in COUNTRIES.values():
            raise Refused(400, "INVALID_COUNTRY", f"country {self.country[:20]} is not supported")
        self._check_amount()
        self._check_customer()
        for name in ("success_return_url", "cancel_return_url"):
            _check_url(name, getattr(self, name))
        if not self.channels():
            wrong = "no channel is left that can be paid so; allow others"
            raise Refused(400, "INVALID_PAYMENT_CHANNEL", wrong)

    def channels(self) -> list[PaymentChannel]:
        """Return the channels that the payer may choose from.

        Raises:
            Refused: 400 ``INVALID_PAYMENT_CHANNEL``: one that is allowed does not exist.
        """
        code = "INVALID_PAYMENT_CHANNEL"
        allowed = [payment_channel(name, self.currency, code) for name in self.allowed_payment_channels or ()]
        return [
            channel for channel in allowed or payment_channels(self.currency).values() if self._suits(channel)
        ]

    def sum(self) -> int | float:
        """Return the amount."""
        return money(self.amount, self.currency)

    def ends_at(self, now: Instant, otherwise: Instant, soonest: Instant) -> Instant:
        """Return when the session expires: as it says, *otherwise* after a while.

        Raises:
            Refused: 400 ``INVALID_EXPIRY_DATE``: before the *soonest* or after the latest time allowed.
        """
        if self.expires_at is None:
            return otherwise
        code = "INVALID_EXPIRY_DATE"
        ends_at = later(self.expires_at, "expires_at", now, at_most=now + LONGEST, code=code)
        if ends_at < soonest:
            raise Refused(400, code, "expires_at must be at least 10 minutes ahead")
        return ends_at

    def _check_kind(self) -> None:
        if self.session_type not in {PAY, SAVE}:
            wrong = f"session_type {self.session_type[:50]} is not supported; use {PAY} or {SAVE}"
            raise Refused(400, "SESSION_TYPE_NOT_SUPPORTED", wrong)
        if self.mode not in {PAYMENT_LINK, COMPONENTS, CARDS_JS}:
            modes = f"{PAYMENT_LINK}, {COMPONENTS} or {CARDS_JS}"
            raise Refused(400, "MODE_NOT_SUPPORTED", f"mode {self.mode[:50]} is not supported; use {modes}")
        if self.session_type == SAVE and self.capture_method is not None:
            raise Refused(400, "DISALLOWED_CAPTURE_METHOD", "a session that only saves captures nothing")
        if self.session_type == SAVE and self.items:
            raise Refused(400, "ITEMS_NOT_SUPPORTED", "items are for sessions of the type PAY")

    def _check_amount(self) -> None:
        code, amount = "INVALID_AMOUNT", self.sum()
        if amount != self.amount:
            raise Refused(400, code, f"amount has more decimals than {self.currency} has")
        if self.session_type == SAVE and amount != 0:
            raise Refused(400, code, "amount must be 0 for a session that only saves")
        if self.session_type == PAY and amount <= 0:
            raise Refused(400, code, "amount must be greater than 0")
        check_most(amount, LARGEST, code)

    def _check_customer(self) -> None:
        if self.customer_id is not None and not self.customer_id.startswith("cust-"):
            raise Refused(400, "INVALID_CUSTOMER_ID", "customer_id begins with cust-")
        saves = self.session_type == SAVE or self.allow_save_payment_method in {FORCED, OPTIONAL}
        if self.customer_id or self.customer or not (saves or self.mode == CARDS_JS):
            return
        raise Refused(400, "MISSING_CUSTOMER", "this session needs a customer or a customer_id")

    def _suits(self, channel: PaymentChannel) -> bool:
        saves = self.session_type == SAVE or self.allow_save_payment_method == FORCED
        return (
            (channel.saves or not saves)
            and (not channel.presents or self.capture_method != MANUAL)
            and (channel.code == CARDS or self.mode != CARDS_JS)
            and (channel.code == CARDS or COUNTRIES[self.currency] == self.country)
        )


class SessionOutcomeDraft(Draft, frozen=True):
    """What the payer does on the session's page."""

    status: Literal["COMPLETED", "FAILED"] = "COMPLETED"
    channel_code: Name | None = None
    saves: bool = False
    failure_code: Name | None = None


def _check_url(name: str, url: str | None) -> None:
    try:
        msgspec.convert(url, Url | None)
    except msgspec.ValidationError:
        raise Refused(400, "INVALID_URL", f"{name} must be a URL that begins with https://") from None
