"""What a call to make an invoice may say, checked.

Sources: the fields are those of xendit-python 7's ``CreateInvoiceRequest``, and the error codes those of its error
models. The limits of texts and lists are as wide as the provider's or wider. How long an invoice lasts that does not
say so is a setting of an account there; here it is a day.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.channels import channels_of
from ringback.sandbox.xendit.fields import DAY, Draft, Metadata, Name, Text, Url
from ringback.sandbox.xendit.money import (
    LARGEST,
    Amount,
    Price,
    check_currency,
    check_least,
    check_most,
    money,
    whole,
)

SECOND = 1_000
HOUR = 3_600 * SECOND
DEFAULT_DURATION = DAY
LONGEST = 365 * 86_400
MINIMA = {"IDR": 10_000}
_EMAIL = re.compile(r"[^\s@]+@[^\s@.]+(\.[^\s@.]+)+")

Channel = Literal["email", "sms", "whatsapp", "viber"]


class Address(Draft, frozen=True):
    """Where a customer lives."""

    country: Name | None = None
    street_line1: Text | None = None
    street_line2: Text | None = None
    city: Name | None = None
    province: Name | None = None
    state: Name | None = None
    postal_code: Name | None = None


class Customer(Draft, frozen=True):
    """Who is to pay."""

    id: Name | None = None
    phone_number: Name | None = None
    given_names: Name | None = None
    surname: Name | None = None
    email: Name | None = None
    mobile_number: Name | None = None
    customer_id: Name | None = None
    addresses: Annotated[list[Address], Meta(max_length=10)] | None = None


class Preference(Draft, frozen=True):
    """How the customer is told of what."""

    invoice_created: Annotated[list[Channel], Meta(max_length=10)] | None = None
    invoice_reminder: Annotated[list[Channel], Meta(max_length=10)] | None = None
    invoice_paid: Annotated[list[Channel], Meta(max_length=10)] | None = None


class Item(Draft, frozen=True):
    """What is bought."""

    name: Name
    price: Price
    quantity: Annotated[float, Meta(gt=0, le=LARGEST)]
    reference_id: Name | None = None
    url: Url | None = None
    category: Name | None = None


class Fee(Draft, frozen=True):
    """What is asked for beside the items; less than nothing is a discount."""

    type: Name
    value: Price


class Installment(Draft, frozen=True):
    """The terms of one card issuer."""

    issuer: Name | None = None
    terms: Annotated[list[Annotated[float, Meta(ge=0, le=120)]], Meta(max_length=20)] | None = None


class Installments(Draft, frozen=True):
    """How a card may be charged in parts."""

    allow_full_payment: bool | None = None
    allowed_terms: Annotated[list[Installment], Meta(max_length=20)] | None = None


class Cards(Draft, frozen=True):
    """Which cards are taken."""

    allowed_bins: (
        Annotated[list[Annotated[str, Meta(pattern=r"^(\d{6}|\d{8})$")]], Meta(max_length=500)] | None
    ) = None
    installment_configuration: Installments | None = None


class ChannelProperties(Draft, frozen=True):
    """What is particular to one way of payment."""

    cards: Cards | None = None


class InvoiceDraft(Draft, frozen=True):
    """An invoice to be made."""

    external_id: Name
    amount: Amount
    payer_email: Text | None = None
    description: Text | None = None
    invoice_duration: Annotated[float, Meta(ge=1, le=LONGEST)] | None = None
    callback_virtual_account_id: Name | None = None
    should_send_email: bool | None = None
    customer: Customer | None = None
    customer_notification_preference: Preference | None = None
    success_redirect_url: Url | None = None
    failure_redirect_url: Url | None = None
    payment_methods: Annotated[list[Name], Meta(max_length=100)] | None = None
    mid_label: Name | None = None
    should_authenticate_credit_card: bool | None = None
    currency: Name | None = None
    reminder_time: Annotated[float, Meta(ge=-LARGEST, le=LARGEST)] | None = None
    reminder_time_unit: Literal["days", "hours"] | None = None
    locale: Name | None = None
    items: Annotated[list[Item], Meta(max_length=75)] | None = None
    fees: Annotated[list[Fee], Meta(max_length=10)] | None = None
    channel_properties: ChannelProperties | None = None
    metadata: Metadata | None = None

    @property
    def unit(self) -> str:
        """The currency, which is rupiah where none is given."""
        return self.currency or "IDR"

    @property
    def sum(self) -> int | float:
        """What is to be paid."""
        return money(self.amount, self.unit)

    @property
    def duration(self) -> int:
        """For how long it can be paid, in milliseconds."""
        return DEFAULT_DURATION if self.invoice_duration is None else round(self.invoice_duration * SECOND)

    @property
    def reminder(self) -> int | None:
        """How long before it expires the payer is reminded, in milliseconds."""
        if self.reminder_time is None:
            return None
        return round(self.reminder_time * (HOUR if self.reminder_time_unit == "hours" else DAY))

    def check(self) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 with the provider's code.
        """
        check_currency(self.unit, code="UNSUPPORTED_CURRENCY")
        check_least(self.sum, MINIMA.get(self.unit, 1), "MINIMAL_TRANSFER_AMOUNT_ERROR")
        check_most(self.sum, LARGEST, "MAXIMUM_TRANSFER_AMOUNT_ERROR")
        if self.payer_email is not None and _EMAIL.fullmatch(self.payer_email) is None:
            raise Refused(400, "EMAIL_FORMAT_ERROR", "payer_email is not an e-mail address")
        if self.reminder is not None and not 0 < self.reminder < self.duration:
            raise Refused(400, "INVALID_REMINDER_TIME", "the reminder must come before the invoice expires")
        self._check_methods()

    def offers(self, channel: str) -> bool:
        """Tell whether it may be paid by a channel that the currency has; without a choice, by any."""
        return not self.payment_methods or channel in self.payment_methods

    def echoed(self) -> dict[str, Any]:
        """Return what the invoice repeats of the request."""
        given = self.given()
        if self.items:
            given["items"] = [
                item.given() | {"price": whole(item.price), "quantity": whole(item.quantity)}
                for item in self.items
            ]
        if self.fees:
            given["fees"] = [fee.given() | {"value": whole(fee.value)} for fee in self.fees]
        return given

    def _check_methods(self) -> None:
        known = channels_of(self.unit)
        strange = [method for method in self.payment_methods or () if method not in known]
        if strange:
            raise Refused(
                400,
                "UNAVAILABLE_PAYMENT_METHOD_ERROR",
                f"{self.unit} cannot be paid by {strange[0][:100]}; there are {', '.join(sorted(known))}",
            )
