"""The cycles of recurring plans: one for each time that a customer is to be charged.

Sources: as ``recurring_course``, which has what becomes of a cycle. A cycle that waits can be moved, called off or
charged ahead of its time; in test mode a charge can be tried out by the sum of the call, which changes nothing of
what the cycle costs.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Refused, Route, read
from ringback.sandbox.xendit.fields import invalid, later
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for, missing
from ringback.sandbox.xendit.money import LARGEST, check_most, money
from ringback.sandbox.xendit.paging import part_of
from ringback.sandbox.xendit.recurring_course import (
    CYCLE,
    FORCED,
    INITIAL,
    PENDING,
    PLAN,
    REASONS,
    RETRY,
    RETRYING,
    SCHEDULED,
    Course,
)
from ringback.sandbox.xendit.recurring_drafts import FARTHEST, CycleUpdate, SimulationDraft
from ringback.sandbox.xendit.recurring_plans import FORBIDDEN, MISSING
from ringback.sandbox.xendit.sandbox import Sandbox

INELIGIBLE = "INELIGIBLE_CYCLE_REQUEST"
MOST_FORCED = 5
MOST_LISTED = 100
_CYCLES = "/recurring/plans/{id}/cycles"
_CYCLE = "/recurring/plans/{id}/cycles/{cycle}"


class RecurringCycles:
    """The cycles of recurring plans.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(CYCLE, self._pass_on)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("GET", _CYCLES, self.list),
            Route("GET", _CYCLE, self.get),
            Route("PATCH", _CYCLE, self.update),
            Route("POST", f"{_CYCLE}/cancel", self.cancel),
            Route("POST", f"{_CYCLE}/force_attempt", self.force),
            Route("POST", f"{_CYCLE}/simulate", self.simulate),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def list(self, call: Call) -> Answer:
        """List a plan's cycles, oldest first; ``after_id`` and ``before_id`` say made after or before which."""
        plan = asked_for(self._sandbox.ledger, call, PLAN, MISSING)
        found = self._sandbox.ledger.entries(CYCLE, call.owner, plan_id=plan.id)
        part = part_of(call, found[::-1], lambda cycle: cycle.id, most=MOST_LISTED)
        return Answer({"data": [cycle.body for cycle in part.items], "has_more": part.has_more})

    async def get(self, call: Call) -> Answer:
        """Show a cycle."""
        return Answer(self._asked_for(call)[1].body)

    async def update(self, call: Call) -> Answer:
        """Change a cycle that waits: what it costs, and when it is charged."""
        draft = read(call, CycleUpdate)
        plan, cycle = self._waiting(call, SCHEDULED)
        if draft.currency not in {None, plan.body["currency"]}:
            raise invalid(f"currency is the plan's: {plan.body['currency']}")
        fields = draft.given()
        if draft.amount is not None:
            check_most(draft.amount, LARGEST, INVALID)
            fields["amount"] = money(draft.amount, plan.body["currency"])
        due_at = cycle.due_at
        if draft.scheduled_timestamp is not None:
            latest = call.now + FARTHEST
            due_at = later(draft.scheduled_timestamp, "scheduled_timestamp", call.now, at_most=latest)
            fields["scheduled_timestamp"] = self._sandbox.stamp(due_at)
        change = self._sandbox.change()
        changed = change.update(cycle, due_at=due_at, **fields, updated=self._sandbox.stamp())
        await self._sandbox.commit(change)
        return Answer(changed.body)

    async def cancel(self, call: Call) -> Answer:
        """Call a cycle off."""
        plan, cycle = self._waiting(call, SCHEDULED)
        course = Course(self._sandbox, plan)
        cancelled = course.cancel(cycle)
        await course.commit()
        return Answer(cancelled.body)

    async def force(self, call: Call) -> Answer:
        """Charge a cycle now; if that fails, it waits for its own time as before."""
        plan, cycle = self._waiting(call, SCHEDULED, RETRYING)
        if cycle.body["forced_attempt_count"] >= MOST_FORCED:
            raise Refused(400, "MAXIMUM_LIMIT_REACHED", f"a cycle is forced {MOST_FORCED} times at most")
        course = Course(self._sandbox, plan)
        charged = course.charge(cycle, FORCED)
        await course.commit()
        return Answer(charged.body)

    async def simulate(self, call: Call) -> Answer:
        """Charge a cycle now, which ends as the sum of the call decides."""
        draft = read(call, SimulationDraft)
        if call.owner.live:
            raise Refused(403, FORBIDDEN, "cycles can be simulated in test mode only")
        plan, cycle = self._waiting(call, SCHEDULED)
        course = Course(self._sandbox, plan)
        charged = course.charge(cycle, INITIAL, REASONS.get(draft.amount), decided=True)
        await course.commit()
        return Answer(charged.body)

    # --- Time ---------------------------------------------------------------------------------------------

    async def _pass_on(self, cycle: Entry) -> None:
        plan = self._sandbox.ledger.get(PLAN, cycle.body["plan_id"])
        if plan is None:
            raise LookupError(f"the cycle {cycle.id} has no plan")
        course = Course(self._sandbox, plan)
        if cycle.body["status"] == PENDING:
            course.finish(cycle)
        else:
            course.charge(cycle, INITIAL if cycle.body["status"] == SCHEDULED else RETRY)
        await course.commit()

    # --- Parts --------------------------------------------------------------------------------------------

    def _asked_for(self, call: Call) -> tuple[Entry, Entry]:
        plan = asked_for(self._sandbox.ledger, call, PLAN, MISSING)
        cycle = asked_for(self._sandbox.ledger, call, CYCLE, MISSING, call.path["cycle"])
        if cycle.body["plan_id"] != plan.id:
            raise missing(CYCLE, MISSING, cycle.id)
        return plan, cycle

    def _waiting(self, call: Call, *statuses: str) -> tuple[Entry, Entry]:
        """Return the plan and the cycle that a call names; refuse it if the cycle is in none of these statuses."""
        plan, cycle = self._asked_for(call)
        if cycle.body["status"] not in statuses:
            allowed = " or ".join(statuses)
            raise Refused(
                403, INELIGIBLE, f"the cycle is {cycle.body['status']}; only one that is {allowed} can be so"
            )
        return plan, cycle
