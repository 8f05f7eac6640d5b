"""What calls of the Payments API v3 may say, checked.

Source: the API's description at docs.xendit.co. Its error codes are ``API_VALIDATION_ERROR`` for what is not as
described and ``INVALID_VALUE_ERROR`` for what is, but does not go together.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

import msgspec
from msgspec import Meta

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Action, Answer, Call, Refused, fitting
from ringback.sandbox.xendit.card_details import CardDetails
from ringback.sandbox.xendit.customers import CustomerDraft, IndividualDetail
from ringback.sandbox.xendit.fields import (
    DAY,
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
from ringback.sandbox.xendit.payment_channels import CARDS, INVALID_VALUE, PaymentChannel, payment_channel

VERSION = "2024-11-11"
PAY, SAVE, REUSABLE = "PAY", "PAY_AND_SAVE", "REUSABLE_PAYMENT_CODE"
AUTOMATIC, MANUAL = "AUTOMATIC", "MANUAL"
LASTS, LONGEST = DAY, 36_500 * DAY

RequestType = Literal["PAY", "PAY_AND_SAVE", "REUSABLE_PAYMENT_CODE"]
Country = Literal["ID", "PH", "VN", "TH", "SG", "MY", "HK", "MX"]
CustomerId = Annotated[str, Meta(pattern=r"^cust-.{1,36}$")]


def versioned(action: Action) -> Action:
    """Return *action* for calls of the v3 API: one that names a version must name this one."""

    @functools.wraps(action)
    async def answered(call: Call) -> Answer:
        version = call.headers.get("api-version", VERSION)
        if version != VERSION:
            raise invalid(f"api-version is {VERSION}, not {version[:50]}")
        return await action(call)

    return answered


class Person(IndividualDetail, frozen=True, kw_only=True):
    """Who a customer is: what the v3 API cannot do without."""

    given_names: Name


class Customer(CustomerDraft, frozen=True, kw_only=True):
    """Who is to pay, described in a call instead of named by an id."""

    reference_id: Name
    type: Literal["INDIVIDUAL"]
    individual_detail: Person


class KnownProperties(Draft, frozen=True):
    """What the sandbox understands of a channel's properties."""

    success_return_url: Url | None = None
    failure_return_url: Url | None = None
    cancel_return_url: Url | None = None
    expires_at: Name | None = None
    virtual_account_number: Annotated[str, Meta(pattern=r"^[0-9]{1,30}$")] | None = None
    payment_code: Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{1,30}$")] | None = None
    skip_three_ds: bool | None = None
    card_details: CardDetails | None = None

    def shown(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the properties *given*, as they are shown."""
        if self.card_details is None:
            return given
        return given | {"card_details": self.card_details.shown(given["card_details"])}


class ChannelDraft(Draft, frozen=True):
    """What payment requests and payment tokens have in common."""

    reference_id: Name
    country: Country
    currency: Name
    channel_code: Name | None = None
    channel_properties: Properties | None = None
    customer_id: CustomerId | None = None
    customer: Customer | None = None
    description: Text | None = None
    metadata: Metadata | None = None

    @property
    def given_properties(self) -> dict[str, Any]:
        """The properties of the channel as they came."""
        return dict(self.channel_properties or {})

    def channel(self) -> PaymentChannel:
        """Return the channel, which has to be one of the currency and the country.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR`` or ``INVALID_VALUE_ERROR``.
        """
        if self.channel_code is None:
            raise invalid("channel_code is missing")
        check_currency(self.currency)
        channel = payment_channel(self.channel_code, self.currency)
        if channel.code != CARDS and COUNTRIES[self.currency] != self.country:
            at_home = COUNTRIES[self.currency]
            raise Refused(
                400, INVALID_VALUE, f"{channel.code} pays {self.currency} in {at_home}, not in {self.country}"
            )
        return channel


D = TypeVar("D", bound=ChannelDraft)


class Terms(msgspec.Struct, Generic[D], frozen=True):
    """What was asked for, checked.

    Args:
        draft: What the call said.
        channel: Its channel.
        known: What the sandbox understands of the channel's properties.
        customer_id: The id of the customer who is to pay; None: anybody.
    """

    draft: D
    channel: PaymentChannel
    known: KnownProperties
    customer_id: str | None = None

    def by(self, customer_id: str | None) -> Terms[D]:
        """Return the same, asked of a customer."""
        return msgspec.structs.replace(self, customer_id=customer_id)

    @property
    def properties(self) -> dict[str, Any]:
        """The properties of the channel, as they are shown."""
        return self.known.shown(self.draft.given_properties)

    @property
    def needs_payer(self) -> bool:
        """Whether the payer is asked: always, but for a card of which 3-D Secure is skipped."""
        return self.channel.code != CARDS or self.known.skip_three_ds is not True

    @property
    def card_ends_at(self) -> Instant | None:
        """The instant at which the card ends; None without one."""
        card = self.known.card_details
        return None if card is None else card.ends_at


def terms(draft: D, now: Instant, *, has_token: bool = False) -> Terms[D]:
    """Return what a draft asks for.

    Args:
        draft: The draft.
        now: The present instant.
        has_token: Whether it is paid by a payment token, which knows the card or the account.

    Raises:
        Refused: 400; the channel's properties are missing or wrong, or the card has ended.
    """
    channel = draft.channel()
    if draft.channel_properties is None and not has_token:
        raise invalid("channel_properties is missing")
    known = fitting(draft.given_properties, KnownProperties)
    if known.card_details is not None:
        known.card_details.check(now)
    elif channel.code == CARDS and not has_token:
        raise invalid("CARDS needs channel_properties.card_details")
    return Terms(draft, channel, known)


class PaymentRequestDraft(ChannelDraft, frozen=True, kw_only=True):
    """A payment request to be made."""

    type: RequestType
    request_amount: Amount | None = None
    capture_method: Literal["AUTOMATIC", "MANUAL"] | None = None
    payment_token_id: Name | None = None
    items: Basket | None = None
    shipping_information: Properties | None = None

    def by(self, token: dict[str, Any]) -> Self:
        """Return the request with the channel, and if it names none the customer, of a payment *token*."""
        return msgspec.structs.replace(
            self,
            channel_code=token["channel_code"],
            customer_id=self.customer_id or (None if self.customer else token.get("customer_id")),
        )

    def amount(self) -> int | float | None:
        """Return the amount; None for a code that may be paid with any.

        Raises:
            Refused: 400; it is missing, nothing or too much.
        """
        if self.request_amount is None:
            if self.type == REUSABLE:
                return None
            raise invalid("request_amount is missing")
        amount = money(self.request_amount, self.currency)
        if amount <= 0:
            raise Refused(400, INVALID_VALUE, "request_amount must be greater than 0")
        check_most(amount, LARGEST, INVALID_VALUE)
        return amount

    def check_use(self, channel: PaymentChannel) -> None:
        """Check that the channel can be used as the request wants to.

        Raises:
            Refused: 400 ``INVALID_VALUE_ERROR``.
        """
        wrong = None
        if self.type == REUSABLE and not channel.presents:
            wrong = f"{channel.code} has no payment code that can be paid again and again; use the type PAY"
        elif self.type == SAVE and not channel.saves:
            wrong = f"{channel.code} cannot be saved; use the type PAY"
        elif self.capture_method == MANUAL and channel.presents:
            wrong = f"{channel.code} captures payments by itself; use the capture_method AUTOMATIC"
        elif self.type != PAY and self.payment_token_id is not None:
            wrong = "a payment token is used by requests of the type PAY"
        if wrong is not None:
            raise Refused(400, INVALID_VALUE, wrong)

    def expires_at(self, known: KnownProperties, now: Instant, otherwise: Instant) -> Instant | None:
        """Return when the request expires: as it says, *otherwise* after a while; a reusable code lasts.

        Raises:
            Refused: 400; the time that it says is none, or not ahead.
        """
        if known.expires_at is not None:
            name = "channel_properties.expires_at"
            return later(known.expires_at, name, now, at_most=now + LONGEST, code=INVALID_VALUE)
        return None if self.type == REUSABLE else otherwise


class AmountDraft(Draft, frozen=True):
    """How much is paid, in a simulation."""

    amount: Amount | None = None


class CaptureDraft(Draft, frozen=True):
    """How much of an authorized payment is taken."""

    capture_amount: Amount | None = None


class PaymentOutcomeDraft(Draft, frozen=True):
    """What the payer does."""

    status: Literal["SUCCEEDED", "FAILED"] = "SUCCEEDED"
    failure_code: Name | None = None
    amount: Amount | None = None
