"""What can be refunded: payment requests of both versions, invoices and e-wallet charges, seen alike.

Sources: xendit-python 7's refund models, whose error codes hold for what they know, and docs.xendit.co for payment
requests of the v3 API, which have other ones. Cards, wallets and direct debits can be refunded; transfers, cash, QR
codes and pay-later cannot: a refund's ``payment_method_type`` has no other values.
"""

from __future__ import annotations

import msgspec

from ringback.sandbox.xendit import payment_v2_bodies as v2
from ringback.sandbox.xendit import payments_v3 as v3
from ringback.sandbox.xendit.calls import Owner, Refused
from ringback.sandbox.xendit.channels import CARD
from ringback.sandbox.xendit.invoices import INVOICE, PAID, SETTLED
from ringback.sandbox.xendit.ledger import Entry, Ledger
from ringback.sandbox.xendit.lookup import missing
from ringback.sandbox.xendit.money import COUNTRIES, plus
from ringback.sandbox.xendit.payment_channels import CARDS, payment_channel

NOT_FOUND = "DATA_NOT_FOUND"
SUCCEEDED = "SUCCEEDED"
# How a refund calls each method that can be refunded.
_TYPES = {CARD: "CARD", "CARD": "CARD", "EWALLET": "EWALLET", "DIRECT_DEBIT": "DIRECT_DEBIT"}


class Codes(msgspec.Struct, frozen=True):
    """How refusals are called: of what goes too far, and of what cannot be refunded now, or ever with a status."""

    exceeded: str
    ineligible: str
    unsupported_status: int


OLD = Codes("MAXIMUM_REFUND_AMOUNT_REACHED", "INELIGIBLE_TRANSACTION", 400)
NEW = Codes("REFUND_AMOUNT_EXCEEDED", "INELIGIBLE_TRANSACTION_STATUS", 403)


class Refundable(msgspec.Struct, frozen=True, kw_only=True):
    """What may be refunded.

    Args:
        entry: The payment request, the invoice or the charge.
        codes: How refusals are called.
        payment_id: The payment's id.
        method: Such as ``EWALLET``, in the words of its product.
        channel: The channel's code.
        country: The country of the payment.
        amount: How much was paid.
        is_request: Whether it is a payment request.
    """

    entry: Entry
    codes: Codes
    payment_id: str
    method: str
    channel: str
    country: str
    amount: int | float
    is_request: bool = False

    @property
    def currency(self) -> str:
        """The currency that it was paid in."""
        currency: str = self.entry.body["currency"]
        return currency

    @property
    def payment_method_type(self) -> str:
        """How a refund calls the method.

        Raises:
            Refused: ``REFUND_NOT_SUPPORTED``: what is paid so cannot be refunded.
        """
        found = _TYPES.get(self.method)
        if found is None:
            wrong = f"payments by {self.channel} cannot be refunded; pay the customer out instead"
            raise Refused(self.codes.unsupported_status, "REFUND_NOT_SUPPORTED", wrong)
        return found


def refundable_request(ledger: Ledger, owner: Owner, request_id: str) -> Refundable:
    """Return a payment request, of either version, as what may be refunded.

    Raises:
        Refused: 404 ``DATA_NOT_FOUND``, or 400: nothing was paid.
    """
    newer = ledger.get(v3.REQUEST, request_id, owner)
    if newer is not None:
        return _of_v3(ledger, newer)
    older = ledger.get(v2.PAYMENT_REQUEST, request_id, owner)
    if older is not None:
        return _of_v2(ledger, older)
    raise missing(v2.PAYMENT_REQUEST, NOT_FOUND, request_id)


def refundable_invoice(ledger: Ledger, owner: Owner, invoice_id: str) -> Refundable:
    """Return an invoice as what may be refunded; as ``refundable_request``."""
    entry = ledger.get(INVOICE, invoice_id, owner)
    if entry is None:
        raise missing(INVOICE, NOT_FOUND, invoice_id)
    _check_paid(entry, OLD, PAID, SETTLED)
    body = entry.body
    channel = CARDS if body["payment_method"] == CARD else body["payment_channel"]
    return Refundable(
        entry=entry,
        codes=OLD,
        payment_id=body["payment_id"],
        method=body["payment_method"],
        channel=channel,
        country=COUNTRIES[body["currency"]],
        amount=body["paid_amount"],
    )


def refundable_charge(entry: Entry) -> Refundable:
    """Return an e-wallet charge as what may be refunded.

    Raises:
        Refused: 400 ``INELIGIBLE_TRANSACTION``: it was not paid, or is taken back.
    """
    body = entry.body
    if body["void_status"] is not None:
        raise Refused(400, OLD.ineligible, "the charge is voided, so there is nothing to be refunded")
    _check_paid(entry, OLD, SUCCEEDED)
    return Refundable(
        entry=entry,
        codes=OLD,
        payment_id=entry.id,
        method="EWALLET",
        channel=body["channel_code"],
        country=COUNTRIES[body["currency"]],
        amount=body["capture_amount"],
    )


def _of_v3(ledger: Ledger, entry: Entry) -> Refundable:
    body = entry.body
    channel = payment_channel(body["channel_code"], body["currency"])
    if not channel.presents:  # of a code that is paid again and again, no payment stands for the whole
        _check_paid(entry, NEW, SUCCEEDED)
    payment = ledger.get(v3.PAYMENT, body.get("latest_payment_id", ""))
    captures = [] if payment is None else payment.body["captures"]
    return Refundable(
        entry=entry,
        codes=NEW,
        payment_id="" if payment is None else payment.id,
        method=channel.method,
        channel=channel.code,
        country=body["country"],
        amount=plus(*(capture["capture_amount"] for capture in captures)),
        is_request=True,
    )


def _of_v2(ledger: Ledger, entry: Entry) -> Refundable:
    _check_paid(entry, OLD, SUCCEEDED)
    payment = ledger.at(v2.PAYMENT, entry.hidden["payment_id"])
    method = payment.body["payment_method"]
    return Refundable(
        entry=entry,
        codes=OLD,
        payment_id=payment.id,
        method=method["type"],
        channel=v2.channel_of(method) or CARDS,
        country=entry.body["country"],
        amount=payment.body["amount"],
        is_request=True,
    )


def _check_paid(entry: Entry, codes: Codes, *statuses: str) -> None:
    status = entry.body["status"]
    if status not in statuses:
        kind = entry.kind.removesuffix("_v3").replace("_", " ")
        raise Refused(400, codes.ineligible, f"the {kind} is {status}; only what was paid can be refunded")
