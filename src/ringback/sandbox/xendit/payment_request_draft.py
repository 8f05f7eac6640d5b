"""What a call says of a payment request that is to be made, and how that request begins.

Source: the fields are those of xendit-python 7. How each type of payment begins is documented for e-wallets
(``REQUIRES_ACTION``, with the page of the wallet); the others follow from what their payers have to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.customers import CustomerDraft
from ringback.sandbox.xendit.fields import Basket, Draft, Metadata, Name, Text, invalid
from ringback.sandbox.xendit.money import Amount, check_currency
from ringback.sandbox.xendit.payment_method_body import BANK_REDIRECT
from ringback.sandbox.xendit.payment_method_draft import MULTIPLE, ONE_TIME, Link, MethodDraft
from ringback.sandbox.xendit.payment_v2_bodies import PENDING, REQUIRES_ACTION
from ringback.sandbox.xendit.payment_v2_channels import CARD, DIRECT_DEBIT, EWALLET, SHOWN


class RequestProperties(Draft, frozen=True):
    """What a channel needs to know of one payment."""

    success_return_url: Link | None = None
    failure_return_url: Link | None = None
    cancel_return_url: Link | None = None
    pending_return_url: Link | None = None
    redeem_points: Name | None = None
    require_auth: bool | None = None
    merchant_id_tag: Name | None = None
    cardonfile_type: Name | None = None


class ShippingInformation(Draft, frozen=True):
    """Where the goods go."""

    country: Name
    street_line1: Name | None = None
    street_line2: Name | None = None
    city: Name | None = None
    province_state: Name | None = None
    postal_code: Name | None = None


class RequestDraft(Draft, frozen=True):
    """A payment request to be made."""

    currency: Name
    amount: Amount | None = None
    reference_id: Name | None = None
    country: Literal["ID", "PH", "TH", "VN", "MY"] | None = None
    payment_method: MethodDraft | None = None
    payment_method_id: Name | None = None
    description: Text | None = None
    capture_method: Literal["AUTOMATIC", "MANUAL"] | None = None
    initiator: Literal["CUSTOMER", "MERCHANT"] | None = None
    channel_properties: RequestProperties | None = None
    shipping_information: ShippingInformation | None = None
    items: Basket | None = None
    customer_id: Name | None = None
    customer: CustomerDraft | None = None
    metadata: Metadata | None = None

    def check(self) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``.
        """
        check_currency(self.currency)
        if (self.payment_method is None) == (self.payment_method_id is None):
            raise invalid("a payment request needs payment_method or payment_method_id, and one of them only")

    def check_type(self, kind: str) -> None:
        """Check what depends on the type of the payment method.

        Raises:
            Refused: 400 with the provider's code.
        """
        if self.capture_method == "MANUAL" and kind != CARD:
            raise Refused(
                400, "MANUAL_CAPTURE_NOT_SUPPORTED", f"a payment of the type {kind} is captured by itself"
            )
        if self.amount is None and kind not in SHOWN:
            raise invalid(f"a payment of the type {kind} needs an amount")


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """How a payment request begins.

    Args:
        status: Its first status.
        page: Whether the payer is sent to a page.
        code: Whether the payer is sent a code.
        charges: Whether it is paid without the payer.
    """

    status: str
    page: bool = False
    code: bool = False
    charges: bool = False


SENT = Opening(status=REQUIRES_ACTION, page=True)
CODE_SENT = Opening(status=REQUIRES_ACTION, code=True)
CHARGED = Opening(status=PENDING, charges=True)
AWAITED = Opening(status=PENDING)


def opening(method: Mapping[str, Any], *, agreed: bool, asks: bool) -> Opening:
    """Return how a payment begins.

    Args:
        method: The body of the payment method.
        agreed: Whether its payer has agreed to payments before.
        asks: Whether the caller wants the payer asked all the same.
    """
    kind = method["type"]
    if kind in SHOWN:
        return AWAITED
    agreed = agreed and method["reusability"] == MULTIPLE
    part = method[kind.lower()]
    if kind == CARD:
        agreed = agreed or part["channel_properties"]["skip_three_d_secure"] is True
    if agreed and not asks:
        return CHARGED
    if kind == DIRECT_DEBIT:
        return SENT if part["type"] == BANK_REDIRECT else CODE_SENT
    # This wallet asks on the payer's phone.
    asked_on_phone = kind == EWALLET and part["channel_code"] == "OVO" and method["reusability"] == ONE_TIME
    return AWAITED if asked_on_phone else SENT
