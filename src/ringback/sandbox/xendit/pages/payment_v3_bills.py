"""What payers of the v3 API are sent to approve: single payments, and tokens for later ones."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.design.writing import web_address
from ringback.sandbox.xendit import payment_tokens, payments_v3
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.pages.bills import Bill, Standing, returns
from ringback.sandbox.xendit.pages.payment_bills import CARD_ISSUER
from ringback.sandbox.xendit.payment_channels import CARDS, payment_channel
from ringback.sandbox.xendit.payment_tokens import PaymentTokens
from ringback.sandbox.xendit.payments_v3 import PaymentsV3
from ringback.sandbox.xendit.sandbox import Sandbox


class PaymentRequestV3Bills:
    """Asks for the payments of payment requests.

    Args:
        sandbox: Whose.
    """

    kind = payments_v3.REQUEST
    standings: Mapping[str, Standing] = {
        payments_v3.WAITING: Standing.WAITING,
        payments_v3.AUTHORIZED: Standing.APPROVED,
        payments_v3.SUCCEEDED: Standing.APPROVED,
        payments_v3.FAILED: Standing.DECLINED,
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked."""
        return _bill(entry, self.standings, entry.body.get("request_amount"))

    async def approve(self, entry: Entry) -> None:
        """Let the request be paid."""
        await self._sandbox.product(PaymentsV3).pay(entry)

    async def decline(self, entry: Entry) -> None:
        """Let the payment fail."""
        await self._sandbox.product(PaymentsV3).fail(entry)


class PaymentTokenBills:
    """Asks payers to agree to payments with a token.

    Args:
        sandbox: Whose.
    """

    kind = payment_tokens.TOKEN
    standings: Mapping[str, Standing] = {
        payment_tokens.WAITING: Standing.WAITING,
        payment_tokens.ACTIVE: Standing.APPROVED,
        payment_tokens.FAILED: Standing.DECLINED,
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked: nothing is paid yet."""
        return _bill(entry, self.standings, None)

    async def approve(self, entry: Entry) -> None:
        """Let the payer agree."""
        await self._sandbox.product(PaymentTokens).activate(entry)

    async def decline(self, entry: Entry) -> None:
        """Let the payer not agree."""
        await self._sandbox.product(PaymentTokens).fail(entry)


def _bill(entry: Entry, standings: Mapping[str, Standing], amount: float | None) -> Bill:
    body, given = entry.body, entry.body["channel_properties"]
    channel = payment_channel(body["channel_code"], body["currency"])
    codes = (action["value"] for action in body["actions"] if action["descriptor"] == "QR_STRING")
    return Bill(
        id=entry.id,
        amount=amount,
        currency=body["currency"],
        channel=CARD_ISSUER if channel.code == CARDS else channel.name,
        reference=body["reference_id"],
        status=body["status"],
        standing=standings.get(body["status"], Standing.OVER),
        updated=body["updated"],
        returns=returns(given),
        leaves_to=web_address(given.get("cancel_return_url") or given.get("pending_return_url")),
        code=next(codes, None),
    )
