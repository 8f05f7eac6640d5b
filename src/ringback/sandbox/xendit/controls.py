"""What a person does on a page or with a phone, done by a call: for programs that play a payer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read_own
from ringback.sandbox.xendit.invoices import INVOICE, Invoices
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.sandbox import Sandbox


class PaymentDraft(msgspec.Struct):
    """How an invoice is paid; the provider's own names."""

    payment_method: str = "BANK_TRANSFER"
    payment_channel: str = "BCA"


class Controls:
    """Pays invoices. The provider has no such call: there, somebody opens the invoice's page.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (Route("POST", "/sandbox/invoices/{id}/pay", self.pay),)

    async def pay(self, call: Call) -> Answer:
        """Pay an invoice in full; answers with the invoice."""
        draft = read_own(call, PaymentDraft)
        entry = self._sandbox.ledger.get(INVOICE, call.path["id"], call.owner)
        if entry is None:
            raise Refused(404, "INVOICE_NOT_FOUND_ERROR", f"there is no invoice {call.path['id'][:100]}")
        paid: Entry = await self._sandbox.product(Invoices).pay(
            entry, draft.payment_method, draft.payment_channel
        )
        return Answer(paid.body)
