"""What the customers of recurring plans are sent to approve: that an account of theirs is charged by the plan."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.sandbox.xendit import recurring_course
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.pages.bills import Bill, Standing
from ringback.sandbox.xendit.recurring_plans import RecurringPlans
from ringback.sandbox.xendit.sandbox import Sandbox

CHANNEL = "BANK_OR_WALLET"  # which one it is, the customer says; here nobody asks


class PlanBills:
    """Asks customers to link an account to a plan.

    Args:
        sandbox: Whose.
    """

    kind = recurring_course.PLAN
    standings: Mapping[str, Standing] = {
        recurring_course.REQUIRES_ACTION: Standing.WAITING,
        recurring_course.PENDING: Standing.APPROVED,
        recurring_course.ACTIVE: Standing.APPROVED,
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked: nothing is paid yet."""
        body = entry.body
        return Bill(
            id=entry.id,
            amount=None,
            currency=body["currency"],
            channel=CHANNEL,
            reference=body["reference_id"],
            status=body["status"],
            standing=self.standings.get(body["status"], Standing.OVER),
            updated=body["updated"],
            returns={},
            can_be_declined=False,
        )

    async def approve(self, entry: Entry) -> None:
        """Let an account be linked."""
        await self._sandbox.product(RecurringPlans).linked(entry)

    async def decline(self, entry: Entry) -> None:
        """Do nothing: the plan goes on waiting."""
