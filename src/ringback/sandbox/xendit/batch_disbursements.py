"""Batch disbursements: many at once, under one reference.

Sources: the older SDKs' types; of the webhook less is known than of others. The provider waits until somebody approves
a batch on its dashboard; here that happens by itself a moment later, and each item ends as a disbursement would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from ringback.sandbox.xendit.books import Books
from ringback.sandbox.xendit.calls import Answer, Call, Route, read
from ringback.sandbox.xendit.course import STEP
from ringback.sandbox.xendit.disbursements import REUSED, check_destination, checked_amount, fate_at
from ringback.sandbox.xendit.fields import Draft, Name, Recipients, Text
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import Amount
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.outgoing import BATCH, INSUFFICIENT_BALANCE
from ringback.sandbox.xendit.sandbox import Sandbox

LARGEST = 10_000
NEEDS_APPROVAL, COMPLETED, FAILED = "NEEDS_APPROVAL", "COMPLETED", "FAILED"


class ItemDraft(Draft, frozen=True):
    """One disbursement of a batch."""

    amount: Amount
    bank_code: Name
    bank_account_name: Name
    bank_account_number: Name
    description: Annotated[Text, Meta(min_length=1)]
    external_id: Name | None = None
    email_to: Recipients | None = None
    email_cc: Recipients | None = None
    email_bcc: Recipients | None = None

    def checked(self) -> dict[str, Any]:
        """Return it as a JSON object.

        Raises:
            Refused: 400 with the provider's code: it cannot be sent.
        """
        check_destination(self.bank_code, self.bank_account_number)
        return self.given() | {"amount": checked_amount(self.amount)}


class BatchDraft(Draft, frozen=True):
    """A batch to be made."""

    reference: Name
    disbursements: Annotated[list[ItemDraft], Meta(min_length=1, max_length=LARGEST)]


class BatchDisbursements:
    """Batch disbursements.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(BATCH, self._disburse)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (Route("POST", "/batch_disbursements", self.create, reused=REUSED),)

    async def create(self, call: Call) -> Answer:
        """Hand in a batch; what became of it is told a moment later."""
        draft = read(call, BatchDraft)
        items = [
            {"id": self._sandbox.new_hex()} | item.checked() | {"status": "PENDING"}
            for item in draft.disbursements
        ]
        now = self._sandbox.stamp()
        body: dict[str, Any] = {
            "id": self._sandbox.new_hex(),
            "created": now,
            "updated": now,
            "reference": draft.reference,
            "user_id": call.owner.business_id,
            "total_uploaded_count": len(items),
            "total_uploaded_amount": _total(items),
            "status": NEEDS_APPROVAL,
        }
        change = self._sandbox.change()
        due_at = self._sandbox.after(STEP)
        change.add(BATCH, body["id"], call.owner, body, hidden={"items": items}, due_at=due_at)
        await self._sandbox.commit(change)
        return Answer(body)

    async def _disburse(self, entry: Entry) -> None:
        """Approve a batch and send its money, and tell what became of it."""
        funded = (
            self._sandbox.product(Books).balance(entry.owner, "IDR") >= entry.body["total_uploaded_amount"]
        )
        items = [_ended(item, live=entry.owner.live, funded=funded) for item in entry.hidden["items"]]
        good = [item for item in items if item["status"] == COMPLETED]
        bad = [item for item in items if item["status"] == FAILED]
        now = self._sandbox.stamp()
        body = entry.body | {
            "updated": now,
            "approver_id": self._sandbox.new_hex(),
            "approved_at": now,
            "total_disbursed_count": len(good),
            "total_disbursed_amount": _total(good),
            "total_error_count": len(bad),
            "total_error_amount": _total(bad),
            "status": COMPLETED,
            "disbursements": items,
        }
        change = self._sandbox.change()
        change.replace(entry, body=body, hidden={"ended_at": self._sandbox.clock()}, due_at=None)
        event = "batch_disbursement.completed"
        notice = Notice(event=event, product="Batch disbursement", product_id=entry.id, body=body)
        await self._sandbox.commit(change, (entry.owner, notice))


def _ended(item: dict[str, Any], *, live: bool, funded: bool) -> dict[str, Any]:
    magic = None if live else fate_at(item["bank_code"], item["bank_account_number"]).failure_code
    failure = magic if funded else INSUFFICIENT_BALANCE
    if failure is None:
        return item | {"status": COMPLETED}
    return item | {"status": FAILED, "failure_code": failure}


def _total(items: list[dict[str, Any]]) -> int:
    return sum(item["amount"] for item in items)
