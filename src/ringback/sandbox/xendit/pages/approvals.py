"""The page that the ``actions`` of a payment lead to: the payer approves or declines, and goes back to the merchant."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route
from ringback.sandbox.xendit.invoice_body import MERCHANT_NAME
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.pages.bills import Bill, Biller, PaylaterCharges, Standing, WalletCharges
from ringback.sandbox.xendit.pages.forms import asked
from ringback.sandbox.xendit.pages.payment_bills import PaymentMethodBills, PaymentRequestBills
from ringback.sandbox.xendit.pages.payment_v3_bills import PaymentRequestV3Bills, PaymentTokenBills
from ringback.sandbox.xendit.pages.plan_bills import PlanBills
from ringback.sandbox.xendit.pages.qr_image import drawn
from ringback.sandbox.xendit.pages.rendering import page, see, told
from ringback.sandbox.xendit.sandbox import Sandbox

BILLERS = (
    WalletCharges,
    PaylaterCharges,
    PaymentRequestBills,
    PaymentMethodBills,
    PaymentRequestV3Bills,
    PaymentTokenBills,
    PlanBills,
)


class Asked(msgspec.Struct, frozen=True):
    """A bill, the entry it is about, and who has sent the payer."""

    bill: Bill
    entry: Entry
    biller: Biller


class Approvals:
    """Shows bills to payers, who approve or decline them.

    Args:
        sandbox: Whose bills.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._billers: list[Biller] = [make(sandbox) for make in BILLERS]

    def routes(self) -> Sequence[Route]:
        """Return what it answers; ``show`` and ``status`` are for the page of all that is paid."""
        return (
            Route("POST", "/web/{id}/approve", told(self.approve), open=True),
            Route("POST", "/web/{id}/decline", told(self.decline), open=True),
        )

    async def show(self, call: Call) -> Answer:
        """Show a bill as it stands.

        Raises:
            Refused: 404.
        """
        asked_for = self._asked(call)
        bill = asked_for.bill
        leads_to = bill.returns.get(bill.standing) if asked(call, "done") else None
        values = {
            "bill": bill,
            "standing": bill.standing.value,
            "merchant": MERCHANT_NAME,
            "path": _path(bill),
            "goes_to": bill.returns.get(bill.standing),
            "leads_to": leads_to,
            "qr": drawn(bill.code) if bill.code else None,
            "of_live": asked_for.entry.owner.live,
        }
        return page(call, "approval.html", values)

    def status(self, call: Call) -> str:
        """Return the status of what the bill is about.

        Raises:
            Refused: 404.
        """
        return self._asked(call).bill.status

    async def approve(self, call: Call) -> Answer:
        """Do what follows when the payer approves; what is decided already stays so."""
        asked_for = self._asked(call)
        if asked_for.bill.standing is Standing.WAITING:
            await asked_for.biller.approve(asked_for.entry)
        return see(f"{_path(asked_for.bill)}?done=1")

    async def decline(self, call: Call) -> Answer:
        """Do what follows when the payer declines; what is decided already stays so."""
        asked_for = self._asked(call)
        if asked_for.bill.standing is Standing.WAITING:
            await asked_for.biller.decline(asked_for.entry)
        return see(f"{_path(asked_for.bill)}?done=1")

    def _asked(self, call: Call) -> Asked:
        for biller in self._billers:
            entry = self._sandbox.ledger.get(biller.kind, call.path["id"])
            if entry is not None:
                return Asked(biller.bill(entry), entry, biller)
        raise Refused(404, "DATA_NOT_FOUND", f"there is nothing to pay by the id {call.path['id'][:100]}")


def _path(bill: Bill) -> str:
    return f"/web/{bill.id}"
