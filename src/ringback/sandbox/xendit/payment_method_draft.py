"""What a call says of a payment method that is to be made or changed, and what of that cannot be.

Source: the fields are those of xendit-python 7. What a channel needs to know is documented for e-wallets; of the other
types nothing is asked beyond what the SDK calls mandatory.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.fields import Draft, Metadata, Name, Text, invalid
from ringback.sandbox.xendit.money import COUNTRIES, LARGEST, Amount, check_currency, check_least, check_most
from ringback.sandbox.xendit.payment_v2_channels import (
    CARD,
    CHANNELS,
    EWALLET,
    QR_CODE,
    currency_of,
)

ONE_TIME, MULTIPLE = "ONE_TIME_USE", "MULTIPLE_USE"
COUNTRY_CURRENCIES = {country: currency for currency, country in COUNTRIES.items()}

Link = Annotated[str, Meta(max_length=1_300, pattern=r"^\S{1,255}://\S{0,1000}$")]
Phone = Annotated[str, Meta(pattern=r"^\+[0-9]{6,20}$")]
Digits = Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")]
Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,30}$")]
Kind = Literal["CARD", "DIRECT_DEBIT", "EWALLET", "OVER_THE_COUNTER", "QR_CODE", "VIRTUAL_ACCOUNT"]
Reusability = Literal["ONE_TIME_USE", "MULTIPLE_USE"]


class AccountProperties(Draft, frozen=True):
    """Of a virtual account."""

    customer_name: Name
    virtual_account_number: Digits | None = None
    expires_at: Name | None = None
    suggested_amount: Amount | None = None


class AccountPart(Draft, frozen=True):
    """A virtual account."""

    channel_code: Name
    channel_properties: AccountProperties
    amount: Amount | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None
    currency: Name | None = None
    alternative_display_types: list[Literal["QR_STRING"]] | None = None


class CounterProperties(Draft, frozen=True):
    """Of a payment over the counter."""

    customer_name: Name
    payment_code: Code | None = None
    expires_at: Name | None = None


class CounterPart(Draft, frozen=True):
    """A code to be said at a till."""

    channel_code: Name
    channel_properties: CounterProperties
    amount: Amount | None = None
    currency: Name | None = None


class CodeProperties(Draft, frozen=True):
    """Of a QR code."""

    qr_string: Text | None = None
    expires_at: Name | None = None


class CodePart(Draft, frozen=True):
    """A QR code."""

    channel_code: Name | None = None
    channel_properties: CodeProperties | None = None
    amount: Amount | None = None
    currency: Name | None = None


class WalletProperties(Draft, frozen=True):
    """Of an e-wallet."""

    success_return_url: Link | None = None
    failure_return_url: Link | None = None
    pending_return_url: Link | None = None
    cancel_return_url: Link | None = None
    mobile_number: Phone | None = None
    redeem_points: Name | None = None
    cashtag: Name | None = None
    promotion_label: Name | None = None


class WalletPart(Draft, frozen=True):
    """An e-wallet."""

    channel_code: Name
    channel_properties: WalletProperties | None = None


class DebitProperties(Draft, frozen=True):
    """Of a direct debit."""

    success_return_url: Link | None = None
    failure_return_url: Link | None = None
    mobile_number: Phone | None = None
    card_last_four: Annotated[str, Meta(pattern=r"^[0-9]{4}$")] | None = None
    card_expiry: Annotated[str, Meta(pattern=r"^(0[1-9]|1[0-2])/[0-9]{2}$")] | None = None
    email: Name | None = None
    identity_document_number: Name | None = None
    require_auth: bool | None = None
    account_number: Name | None = None
    destination_account_id: Name | None = None


class DebitPart(Draft, frozen=True):
    """A bank account or a debit card that is debited."""

    channel_code: Name
    channel_properties: DebitProperties
    type: Literal["DEBIT_CARD", "BANK_ACCOUNT", "BANK_REDIRECT"] | None = None


class CardProperties(Draft, frozen=True):
    """Of a card."""

    skip_three_d_secure: bool | None = None
    success_return_url: Link | None = None
    failure_return_url: Link | None = None
    cardonfile_type: Literal["MERCHANT_UNSCHEDULED", "CUSTOMER_UNSCHEDULED", "RECURRING"] | None = None
    merchant_id_tag: Name | None = None
    expires_at: Name | None = None


class CardInformation(Draft, frozen=True):
    """A card: its number and code are read here, and kept nowhere."""

    card_number: Annotated[str, Meta(pattern=r"^[0-9]{12,19}$")] | None = None
    expiry_month: Annotated[str, Meta(pattern=r"^(0?[1-9]|1[0-2])$")] | None = None
    expiry_year: Annotated[str, Meta(pattern=r"^([0-9]{2}|2[0-9]{3})$")] | None = None
    cardholder_name: Name | None = None
    token_id: Name | None = None


class CardPart(Draft, frozen=True):
    """A card."""

    currency: Name | None = None
    channel_properties: CardProperties | None = None
    card_information: CardInformation | None = None


Part = AccountPart | CounterPart | CodePart | WalletPart | DebitPart | CardPart


class MethodDraft(Draft, frozen=True):
    """A payment method to be made."""

    type: Kind
    reusability: Reusability
    country: Literal["ID", "PH", "TH", "VN", "MY", "US"] | None = None
    customer_id: Name | None = None
    reference_id: Name | None = None
    description: Text | None = None
    card: CardPart | None = None
    direct_debit: DebitPart | None = None
    ewallet: WalletPart | None = None
    over_the_counter: CounterPart | None = None
    virtual_account: AccountPart | None = None
    qr_code: CodePart | None = None
    metadata: Metadata | None = None
    billing_information: Metadata | None = None

    def part(self) -> Part:
        """Return what is said of its type.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``: nothing is.
        """
        name = self.type.lower()
        part: Part | None = getattr(self, name)
        if part is None and self.type == QR_CODE:
            return CodePart()
        if part is None:
            raise invalid(f"a payment method of the type {self.type} needs {name}")
        return part

    def currency(self, asked: str | None = None) -> str:
        """Return the currency it takes, which has to be the one *asked* for, if any.

        Raises:
            Refused: 400 with the provider's code: its channel does not take that currency.
        """
        part = self.part()
        stated = getattr(part, "currency", None)
        wanted = asked or stated or COUNTRY_CURRENCIES.get(self.country or "")
        if stated not in {None, wanted}:
            raise Refused(
                400, "CURRENCY_MISMATCHED", f"{self.type.lower()}.currency is not {wanted}, as the request's"
            )
        if isinstance(part, CardPart):
            return check_currency(wanted or "IDR", CHANNELS[CARD])
        if part.channel_code is None:
            known = CHANNELS[QR_CODE]
            return check_currency(wanted or "IDR", known)
        return currency_of(self.type, part.channel_code, wanted)

    def check(self) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``.
        """
        part = self.part()
        if isinstance(part, WalletPart):
            _check_wallet(part, self.reusability)
        if isinstance(part, (AccountPart, CounterPart, CodePart)):
            check_amounts(part.given())
        if isinstance(part, CardPart):
            _check_card(part)


class AccountChange(Draft, frozen=True):
    """What is to change of a virtual account."""

    class Properties(Draft, frozen=True):
        """Of its channel's properties."""

        expires_at: Name | None = None
        suggested_amount: Amount | None = None

    amount: Amount | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None
    channel_properties: Properties | None = None
    alternative_display_types: list[Literal["QR_STRING"]] | None = None


class CounterChange(Draft, frozen=True):
    """What is to change of a payment over the counter."""

    class Properties(Draft, frozen=True):
        """Of its channel's properties."""

        customer_name: Name | None = None
        expires_at: Name | None = None

    amount: Amount | None = None
    channel_properties: Properties | None = None


class MethodChange(Draft, frozen=True):
    """What is to change of a payment method."""

    description: Text | None = None
    reference_id: Name | None = None
    reusability: Reusability | None = None
    status: Literal["ACTIVE", "INACTIVE"] | None = None
    over_the_counter: CounterChange | None = None
    virtual_account: AccountChange | None = None


def check_amounts(part: dict[str, Any]) -> None:
    """Check the amounts of a *part* that is shown to a payer.

    Raises:
        Refused: 400 ``API_VALIDATION_ERROR``.
    """
    for name in ("amount", "min_amount", "max_amount"):
        amount = part.get(name)
        if amount is not None:
            check_least(amount, 1, "API_VALIDATION_ERROR")
            check_most(amount, LARGEST, "MAX_AMOUNT_LIMIT_ERROR")
    least, most = part.get("min_amount"), part.get("max_amount")
    if part.get("amount") is not None and (least is not None or most is not None):
        raise invalid("an account has an amount, or min_amount and max_amount, not both")
    if least is not None and most is not None and least > most:
        raise invalid("min_amount is above max_amount")


def _check_wallet(part: WalletPart, reusability: str) -> None:
    properties = part.channel_properties or WalletProperties()
    by_phone = part.channel_code == "OVO" and reusability == ONE_TIME
    needed = "mobile_number" if by_phone else "success_return_url"
    if getattr(properties, needed) is None:
        raise invalid(f"{part.channel_code[:50]} needs {EWALLET.lower()}.channel_properties.{needed}")


def _check_card(part: CardPart) -> None:
    information = part.card_information
    if information is None:
        return
    if information.card_number is not None and None in {information.expiry_month, information.expiry_year}:
        raise invalid("card.card_information needs expiry_month and expiry_year beside the card_number")
