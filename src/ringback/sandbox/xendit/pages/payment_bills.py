"""What payers of payments v2 are sent to approve: single payments, and agreements to later ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.design.writing import web_address
from ringback.sandbox.xendit import payment_methods
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.pages.bills import Bill, Standing, returns
from ringback.sandbox.xendit.payment_methods import PAYMENT_METHOD, PaymentMethods
from ringback.sandbox.xendit.payment_requests import REASON, PaymentRequests
from ringback.sandbox.xendit.payment_v2_bodies import (
    AWAITING_CAPTURE,
    FAILED,
    PAYMENT_REQUEST,
    PENDING,
    REQUIRES_ACTION,
    SUCCEEDED,
    channel_of,
)
from ringback.sandbox.xendit.sandbox import Sandbox

# Who asks a card's owner.
CARD_ISSUER = "ISSUING_BANK"


class PaymentRequestBills:
    """Asks for the payments of payment requests.

    Args:
        sandbox: Whose.
    """

    kind = PAYMENT_REQUEST
    standings: Mapping[str, Standing] = {
        REQUIRES_ACTION: Standing.WAITING,
        PENDING: Standing.WAITING,
        AWAITING_CAPTURE: Standing.APPROVED,
        SUCCEEDED: Standing.APPROVED,
        FAILED: Standing.DECLINED,
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked."""
        body = entry.body
        method = self._sandbox.product(PaymentRequests).method_of(entry).body
        given = _properties(method) | (body["channel_properties"] or {})
        return Bill(
            id=entry.id,
            amount=body["amount"],
            currency=body["currency"],
            channel=channel_of(method) or CARD_ISSUER,
            reference=body["reference_id"],
            status=body["status"],
            standing=self.standings.get(body["status"], Standing.OVER),
            updated=body["updated"],
            returns=returns(given),
            leaves_to=web_address(given.get("cancel_return_url") or given.get("pending_return_url")),
            code=given.get("qr_string"),
        )

    async def approve(self, entry: Entry) -> None:
        """Let the request be paid."""
        await self._sandbox.product(PaymentRequests).decide(entry, SUCCEEDED)

    async def decline(self, entry: Entry) -> None:
        """Let the payment fail."""
        await self._sandbox.product(PaymentRequests).decide(entry, FAILED, REASON)


class PaymentMethodBills:
    """Asks payers to agree to payments with a method of theirs.

    Args:
        sandbox: Whose.
    """

    kind = PAYMENT_METHOD
    standings: Mapping[str, Standing] = {
        payment_methods.REQUIRES_ACTION: Standing.WAITING,
        payment_methods.ACTIVE: Standing.APPROVED,
        payment_methods.FAILED: Standing.DECLINED,
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked: nothing is paid yet."""
        body, given = entry.body, _properties(entry.body)
        return Bill(
            id=entry.id,
            amount=None,
            currency=entry.hidden["currency"],
            channel=channel_of(body) or CARD_ISSUER,
            reference=body["reference_id"],
            status=body["status"],
            standing=self.standings.get(body["status"], Standing.OVER),
            updated=body["updated"],
            returns=returns(given),
            leaves_to=web_address(given.get("cancel_return_url")),
        )

    async def approve(self, entry: Entry) -> None:
        """Let the payer agree."""
        await self._sandbox.product(PaymentMethods).answer(entry, payment_methods.ACTIVE)

    async def decline(self, entry: Entry) -> None:
        """Let the payer not agree."""
        await self._sandbox.product(PaymentMethods).answer(entry, payment_methods.FAILED)


def _properties(method: Mapping[str, Any]) -> dict[str, Any]:
    return method[method["type"].lower()]["channel_properties"] or {}
