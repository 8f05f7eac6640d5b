"""Recurring plans: what a customer is charged, and when.

Sources: as ``recurring_course``, which has what becomes of a plan. Any customer's and any token's id is taken, but
for those of payment tokens that this sandbox knows and that cannot be charged. A plan without a token is
``REQUIRES_ACTION`` until its customer has linked an account, which a call of our own does here,
``/sandbox/recurring/plans/{id}/link``; another, ``/sandbox/recurring/plans/{id}/next_charge``, decides how the next
charges end. Where time goes by faster, so do the schedule's intervals, counted from the activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Owner, Refused, Route, read, read_own
from ringback.sandbox.xendit.fields import invalid
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import COUNTRIES, LARGEST, check_most, money
from ringback.sandbox.xendit.payment_tokens import TOKEN
from ringback.sandbox.xendit.recurring_course import (
    ACTIVE,
    INACTIVE,
    PLAN,
    REASON,
    REQUIRES_ACTION,
    Course,
)
from ringback.sandbox.xendit.recurring_drafts import (
    PlanDraft,
    PlanUpdate,
    ScheduleDraft,
    VerdictDraft,
    default_anchor,
    ranked,
)
from ringback.sandbox.xendit.sandbox import Sandbox

MISSING = "DATA_NOT_FOUND"
FORBIDDEN = "REQUEST_FORBIDDEN_ERROR"


class RecurringPlans:
    """Recurring plans.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/recurring/plans", self.create),
            Route("GET", "/recurring/plans/{id}", self.get),
            Route("PATCH", "/recurring/plans/{id}", self.update),
            Route("POST", "/recurring/plans/{id}/deactivate", self.deactivate),
            Route("POST", "/sandbox/recurring/plans/{id}/link", self.link),
            Route("POST", "/sandbox/recurring/plans/{id}/next_charge", self.decide),
        )

    async def create(self, call: Call) -> Answer:
        """Make a plan, which begins at once if there is something to charge."""
        draft = read(call, PlanDraft)
        draft.check(call.now)
        self._check_tokens(call.owner, draft.currency, draft.tokens)
        body = self._new(call, draft)
        change = self._sandbox.change()
        plan = change.add(PLAN, body["id"], call.owner, body, hidden={"open": [], "verdicts": []})
        course = Course(self._sandbox, plan, change)
        if body["payment_tokens"]:
            course.begin()
        await course.commit()
        return Answer(course.plan.body, 202)

    async def get(self, call: Call) -> Answer:
        """Show a plan."""
        return Answer(self._asked_for(call).body)

    async def update(self, call: Call) -> Answer:
        """Change what is yet to come of a plan."""
        draft = read(call, PlanUpdate)
        plan = self._asked_for(call)
        if plan.body["status"] == INACTIVE:
            raise Refused(422, "UNPROCESSABLE_ENTITY_ERROR", "the plan is INACTIVE, and stays so")
        fields = draft.given()
        if draft.amount is not None:
            check_most(draft.amount, LARGEST, INVALID)
            fields["amount"] = money(draft.amount, plan.body["currency"])
        if draft.payment_tokens is not None:
            fields["payment_tokens"] = ranked(draft.payment_tokens)
            self._check_tokens(call.owner, plan.body["currency"], fields["payment_tokens"])
        fields.pop("schedule", None)
        course = Course(self._sandbox, plan)
        course.update(self._new_schedule(draft.schedule, call, plan.body), fields)
        await course.commit()
        return Answer(course.plan.body)

    async def deactivate(self, call: Call) -> Answer:
        """End a plan."""
        plan = self._asked_for(call)
        if plan.body["status"] == INACTIVE:
            raise Refused(403, FORBIDDEN, "the plan is INACTIVE already")
        course = Course(self._sandbox, plan)
        course.deactivate()
        await course.commit()
        return Answer(course.plan.body)

    async def link(self, call: Call) -> Answer:
        """Do what the customer would: link an account, so that the plan begins."""
        return Answer((await self.linked(self._asked_for(call))).body)

    async def linked(self, entry: Entry) -> Entry:
        """Let the customer of a waiting plan link an account, so that the plan begins; return the plan.

        Raises:
            Refused: The plan does not wait for that.
        """
        plan = self._sandbox.ledger.get(*entry.place) or entry
        if plan.body["status"] != REQUIRES_ACTION:
            raise Refused(403, FORBIDDEN, f"only a plan that {REQUIRES_ACTION} can be linked")
        token = {"payment_token_id": f"pt-{self._sandbox.new_uuid()}", "rank": 1}
        course = Course(self._sandbox, plan)
        course.update(None, {"payment_tokens": [token], "actions": []})
        course.begin()
        await course.commit()
        return course.plan

    async def decide(self, call: Call) -> Answer:
        """Decide how the next charges of a plan end, in place of what was decided before."""
        draft = read_own(call, VerdictDraft)
        plan = self._asked_for(call)
        failure_code = None if draft.status == "SUCCEEDED" else draft.failure_code or REASON
        change = self._sandbox.change()
        verdicts = [failure_code] * draft.charges
        change.replace(plan, hidden=plan.hidden | {"verdicts": verdicts})
        await self._sandbox.commit(change)
        return Answer({"status": draft.status, "failure_code": failure_code, "charges": draft.charges})

    # --- Parts --------------------------------------------------------------------------------------------

    def _asked_for(self, call: Call) -> Entry:
        return asked_for(self._sandbox.ledger, call, PLAN, MISSING)

    def _check_tokens(self, owner: Owner, currency: str, tokens: list[dict[str, Any]]) -> None:
        for token_id in (token["payment_token_id"] for token in tokens):
            token = self._sandbox.ledger.get(TOKEN, token_id, owner)
            if token is not None and (token.body["status"], token.body["currency"]) != (ACTIVE, currency):
                state = f"{token.body['status']} and for {token.body['currency']}"
                message = (
                    f"the payment token {token_id} is {state}; use one that is {ACTIVE} and for {currency}"
                )
                raise Refused(400, "INVALID_PAYMENT_TOKEN_ID", message)

    def _new(self, call: Call, draft: PlanDraft) -> dict[str, Any]:
        now, plan_id = self._sandbox.stamp(), f"repl_{self._sandbox.new_uuid()}"
        anchor = self._sandbox.stamp(default_anchor(call.now))
        return {
            "id": plan_id,
            "reference_id": draft.reference_id,
            "customer_id": draft.customer_id,
            "failed_cycle_action": draft.failed_cycle_action or "RESUME",
            "recurring_cycle_count": 0,
            "country": COUNTRIES[draft.currency],
            "currency": draft.currency,
            "amount": money(draft.amount, draft.currency),
            "status": REQUIRES_ACTION,
            "created": now,
            "updated": now,
            "payment_tokens": draft.tokens,
            "schedule": draft.schedule.shown(now, now, anchor),
            "immediate_payment": draft.is_immediate,
            "locale": draft.locale or "en",
            "notification_channels": draft.notification_channels or [],
            "metadata": draft.metadata,
            "description": draft.description,
            "items": draft.items,
            "payment_link_for_failed_attempt": bool(draft.payment_link_for_failed_attempt),
            "payment_session_id": None,
            "actions": [] if draft.tokens else [_link(call.site, plan_id)],
            "failure_code": None,
        }

    def _new_schedule(
        self, draft: ScheduleDraft | None, call: Call, plan: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return the schedule that is to be in place of a plan's own; None: it keeps that."""
        if draft is None:
            return None
        draft.check(call.now)
        count = plan["recurring_cycle_count"]
        if draft.total_recurrence is not None and draft.total_recurrence < count:
            raise invalid(f"schedule.total_recurrence is {count} at least: the plan has had so many cycles")
        old = plan["schedule"]
        return draft.shown(old["created"], self._sandbox.stamp(), old["anchor_date"])


def _link(site: str, plan_id: str) -> dict[str, str]:
    """Return where the customer of a plan goes to link an account."""
    return {"action": "AUTH", "url": f"{site}/web/{plan_id}", "url_type": "WEB", "method": "GET"}
