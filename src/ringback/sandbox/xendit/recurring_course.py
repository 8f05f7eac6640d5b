"""The course of a recurring plan: which cycles it has, how each is charged, and when it ends.

Sources: docs.xendit.co on subscriptions: the lives of plans and cycles, what each webhook tells, retries, forced
attempts, and the sums that try a charge out. A plan that is ``ACTIVE`` has one cycle that waits, ``SCHEDULED``; when
its charge begins it is ``PENDING``, and the next one is made. ``recurring.cycle.created`` is sent at both times, as
documented. A charge that fails is tried again as the schedule says, ``RETRYING``; a plan is ``INACTIVE``, for ever,
when it has had all its cycles, was deactivated, or could not be charged and was to stop then.

The documentation does not say, and here it is so: a charge takes two seconds; each attempt that fails has tried all
the plan's tokens; sums that are not among those documented succeed; a plan of such a sum is charged accordingly;
an end of the plan also cancels a cycle that is to be tried again. Payments are not told of by ``payment.*`` webhooks,
payment links after a failure are not made.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import DAY, date_and_time
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.recurrence import Recurrence
from ringback.sandbox.xendit.sandbox import Sandbox

PLAN, CYCLE = "recurring_plan", "recurring_cycle"
VERSION = "2026-01-01"
REQUIRES_ACTION, PENDING, ACTIVE, INACTIVE = "REQUIRES_ACTION", "PENDING", "ACTIVE", "INACTIVE"
SCHEDULED, RETRYING, SUCCEEDED, FAILED, CANCELLED = (
    "SCHEDULED",
    "RETRYING",
    "SUCCEEDED",
    "FAILED",
    "CANCELLED",
)
OVER = frozenset({SUCCEEDED, FAILED, CANCELLED})
# The two types of cycles, of which SCHEDULED is the other, and those of attempts.
IMMEDIATE = "IMMEDIATE"
INITIAL, RETRY, FORCED = "INITIAL", "RETRY", "FORCED"
CHARGED_AFTER = 2_000
REASON = "INSUFFICIENT_BALANCE"
# The sums by which the provider's test mode lets a charge fail; 13579 and others succeed.
REASONS: dict[float, str] = {
    21_103: "ACCOUNT_ACCESS_BLOCKED",
    21_106: "INVALID_ACCOUNT_DETAILS",
    21_107: "MAXIMUM_LIMIT_REACHED",
    21_110: REASON,
}


class Course:
    """One change in the course of a plan, with all that follows from it.

    Args:
        sandbox: Where it happens.
        plan: The plan.
        change: The change that the plan was added to, if it is a new one.
    """

    def __init__(self, sandbox: Sandbox, plan: Entry, change: Change | None = None) -> None:
        self.plan = plan
        self._sandbox = sandbox
        self._change = change or sandbox.change()
        self._told: list[tuple[Owner, Notice]] = []
        self._cycles = {
            cycle_id: cycle
            for cycle_id in plan.hidden["open"]
            if (cycle := sandbox.ledger.get(CYCLE, cycle_id)) is not None
        }

    async def commit(self) -> None:
        """Make it true, and tell of it.

        Raises:
            RingbackError: Nothing has changed.
        """
        open_cycles = [cycle.id for cycle in self._open()]
        self._change.replace(self.plan, hidden=self.plan.hidden | {"open": open_cycles})
        await self._sandbox.commit(self._change, *self._told)

    # --- Of a plan ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let a plan that can be charged begin: with its first charge if that is due at once, else as active."""
        if not self.plan.body["immediate_payment"]:
            self._activate(self._sandbox.clock())
            return
        self._set_plan(status=PENDING)
        cycle = self._new_cycle(IMMEDIATE, self._sandbox.clock())
        self._tell_cycle("created", self._charged(cycle, INITIAL))

    def update(self, schedule: dict[str, Any] | None, fields: dict[str, Any]) -> None:
        """Change a plan. The cycle that waits stays as it is; those that are yet to be made follow the new ones."""
        if schedule is not None:
            upcoming = next((cycle for cycle in self._open() if _is_upcoming(cycle)), None)
            now = self._sandbox.clock()
            ahead = 0 if upcoming is None or upcoming.due_at is None else upcoming.due_at - now
            fields = fields | {"schedule": schedule}
            self._set_plan(**fields)
            self._count_from(now + round(max(0, ahead) * self._sandbox.sending.time_scale) + 1)
        else:
            self._set_plan(**fields)
        if self.plan.body["status"] == ACTIVE:
            self._go_on()

    def deactivate(self, failure_code: str | None = None) -> None:
        """End a plan, with the cycles that wait."""
        for cycle in self._open():
            if cycle.body["status"] != PENDING:
                self._set(cycle, status=CANCELLED)
        self._set_plan(status=INACTIVE, failure_code=failure_code)
        self._tell_plan("inactivated")

    # --- Of a cycle ---------------------------------------------------------------------------------------

    def charge(
        self, cycle: Entry, kind: str, failure_code: str | None = None, *, decided: bool = False
    ) -> Entry:
        """Begin to charge a cycle; return it.

        Args:
            cycle: One that waits.
            kind: Of the attempt.
            failure_code: Why it is to fail, if that is *decided*; None: it is to succeed.
            decided: Whether it is known how this charge ends.
        """
        verdict = {"verdict": [failure_code]} if decided else {}
        resumes = {"resumes": [cycle.body["status"], cycle.due_at]} if kind == FORCED else {}
        charged = self._charged(cycle, kind, **verdict, **resumes)
        if cycle.body["status"] == SCHEDULED:
            self._tell_cycle("created", charged)
        self._go_on()
        return charged

    def finish(self, cycle: Entry) -> None:
        """Let the charge of a cycle end as was decided, or as its sum does."""
        failure_code = self._verdict(cycle)
        kind = cycle.body["attempt_details"][-1]["type"]
        if failure_code is None:
            self._tell_cycle(
                "succeeded", self._set(cycle, status=SUCCEEDED, attempt_details=_succeeded(cycle))
            )
            if self.plan.body["status"] == PENDING:
                self._activate(self._sandbox.clock() + 1)
        elif kind == FORCED:
            self._resume(cycle, failure_code)
        else:
            self._fail(cycle, failure_code)
        self._go_on()

    def cancel(self, cycle: Entry) -> Entry:
        """Call a cycle off; return it."""
        cancelled = self._set(cycle, status=CANCELLED)
        self._go_on()
        return cancelled

    # --- How charges end ----------------------------------------------------------------------------------

    def _charged(self, cycle: Entry, kind: str, **hidden: Any) -> Entry:
        body = cycle.body
        number = body["attempt_count"] + 1
        action = self._action(number, 1, kind, self.plan.body["payment_tokens"][0])
        return self._set(
            cycle,
            due_at=self._sandbox.after(CHARGED_AFTER),
            hidden=hidden,
            status=PENDING,
            attempt_count=number,
            forced_attempt_count=body["forced_attempt_count"] + (kind == FORCED),
            attempt_details=[*body["attempt_details"], action],
        )

    def _verdict(self, cycle: Entry) -> str | None:
        """Return why a charge fails; None if it succeeds."""
        decided: list[str | None] = cycle.hidden.get("verdict", [])
        if decided:
            return decided[0]
        verdicts: list[str | None] = self.plan.hidden["verdicts"]
        if verdicts:
            hidden = self.plan.hidden | {"verdicts": verdicts[1:]}
            self.plan = msgspec.structs.replace(self.plan, hidden=hidden)
            return verdicts[0]
        return REASONS.get(cycle.body["amount"])

    def _fail(self, cycle: Entry, failure_code: str) -> None:
        retried_at = self._retried_at(cycle)
        attempts = self._failed(cycle, failure_code, retried_at)
        if retried_at is not None:
            when = self._sandbox.stamp(retried_at)
            retrying = self._set(
                cycle, due_at=retried_at, status=RETRYING, attempt_details=attempts, scheduled_timestamp=when
            )
            self._tell_cycle("retrying", retrying)
            return
        self._tell_cycle("failed", self._set(cycle, status=FAILED, attempt_details=attempts))
        stops = cycle.body["type"] == IMMEDIATE or self.plan.body["failed_cycle_action"] == "STOP"
        if stops and self.plan.body["status"] != INACTIVE:
            self.deactivate(failure_code)

    def _resume(self, cycle: Entry, failure_code: str) -> None:
        """Let a cycle whose forced attempt failed wait for its own time again."""
        status, due_at = cycle.hidden["resumes"]
        if self.plan.body["status"] == INACTIVE:
            status, due_at = CANCELLED, None
        attempts = self._failed(cycle, failure_code, None)
        resumed = self._set(cycle, due_at=due_at, status=status, attempt_details=attempts)
        self._tell_cycle("force_attempt_failed", resumed)

    def _retried_at(self, cycle: Entry) -> Instant | None:
        schedule = self.plan.body["schedule"]
        attempts = cycle.body["attempt_details"]
        retries = {attempt["attempt_number"] for attempt in attempts if attempt["type"] == RETRY}
        if cycle.body["type"] == IMMEDIATE or self.plan.body["status"] == INACTIVE:
            return None
        if len(retries) >= (schedule["total_retry"] or 0):
            return None
        return self._sandbox.after(schedule["retry_interval_count"] * DAY)

    def _failed(self, cycle: Entry, failure_code: str, retried_at: Instant | None) -> list[dict[str, Any]]:
        """Return a cycle's attempts when the last one has failed with each of the plan's tokens."""
        *earlier, last = cycle.body["attempt_details"]
        others = [
            self._action(last["attempt_number"], number, last["type"], token)
            for number, token in enumerate(self.plan.body["payment_tokens"][1:], 2)
        ]
        failed = [action | {"status": FAILED, "failure_code": failure_code} for action in (last, *others)]
        if retried_at is not None:
            failed[-1]["next_retry_timestamp"] = self._sandbox.stamp(retried_at)
        return [*earlier, *failed]

    def _action(self, attempt: int, number: int, kind: str, token: dict[str, Any]) -> dict[str, Any]:
        return {
            "attempt_number": attempt,
            "action_number": number,
            "type": kind,
            "created": self._sandbox.stamp(),
            "payment_id": f"py-{self._sandbox.new_uuid()}",
            "payment_token_id": token["payment_token_id"],
            "status": PENDING,
            "failure_code": None,
            "next_retry_timestamp": None,
        }

    # --- How a plan goes on -------------------------------------------------------------------------------

    def _activate(self, since: Instant) -> None:
        self._set_plan(status=ACTIVE)
        self._count_from(since)
        cycle = self._next_cycle()
        self._tell_plan("activated")
        if cycle is not None:
            self._tell_cycle("created", cycle)

    def _go_on(self) -> None:
        """Make the next cycle if none waits; when there is to be none and all are over, the plan ends."""
        if self.plan.body["status"] != ACTIVE:
            return
        if not any(_is_upcoming(cycle) for cycle in self._open()):
            cycle = self._next_cycle()
            if cycle is not None:
                self._tell_cycle("created", cycle)
        if not self._open():
            self.deactivate()

    def _next_cycle(self) -> Entry | None:
        """Make the cycle of the plan's next date; None: it has had all its cycles."""
        total = self.plan.body["schedule"]["total_recurrence"]
        if total is not None and self.plan.body["recurring_cycle_count"] >= total:
            return None
        hidden = self.plan.hidden
        due_at = self._here(self._recurrence().date(hidden["index"]))
        self.plan = msgspec.structs.replace(self.plan, hidden=hidden | {"index": hidden["index"] + 1})
        return self._new_cycle(SCHEDULED, due_at)

    def _new_cycle(self, kind: str, due_at: Instant) -> Entry:
        plan, now = self.plan.body, self._sandbox.stamp()
        self._set_plan(recurring_cycle_count=plan["recurring_cycle_count"] + 1)
        body = {
            "id": f"recy_{self._sandbox.new_uuid()}",
            "type": kind,
            "reference_id": plan["reference_id"],
            "plan_id": plan["id"],
            "customer_id": plan["customer_id"],
            "cycle_number": plan["recurring_cycle_count"] + 1,
            "status": SCHEDULED,
            "attempt_details": [],
            "attempt_count": 0,
            "forced_attempt_count": 0,
            "scheduled_timestamp": self._sandbox.stamp(due_at),
            "currency": plan["currency"],
            "amount": plan["amount"],
            "metadata": plan["metadata"],
            "created": now,
            "updated": now,
        }
        cycle = self._change.add(CYCLE, body["id"], self.plan.owner, body, due_at=due_at)
        self._cycles[cycle.id] = cycle
        return cycle

    def _count_from(self, since: Instant) -> None:
        """Let the plan's next date be the first of its schedule from an instant on, time going by from now."""
        began, index = self._sandbox.clock(), self._recurrence().first_from(since)
        hidden = self.plan.hidden | {"began": began, "index": index}
        self.plan = msgspec.structs.replace(self.plan, hidden=hidden)

    def _recurrence(self) -> Recurrence:
        schedule = self.plan.body["schedule"]
        anchor = date_and_time(schedule["anchor_date"], "anchor_date")
        return Recurrence(schedule["interval"], schedule["interval_count"], anchor)

    def _here(self, instant: Instant) -> Instant:
        """Return when an instant of the provider's time comes here, where time may go by faster."""
        began: Instant = self.plan.hidden["began"]
        return began + self._sandbox.sending.shortened(instant - began) if instant > began else instant

    # --- What is kept and told ----------------------------------------------------------------------------

    def _open(self) -> list[Entry]:
        return [cycle for cycle in self._cycles.values() if cycle.body["status"] not in OVER]

    def _set(
        self,
        cycle: Entry,
        *,
        due_at: Instant | None = None,
        hidden: dict[str, Any] | None = None,
        **body: Any,
    ) -> Entry:
        body = cycle.body | body | {"updated": self._sandbox.stamp()}
        new = self._change.replace(cycle, body=body, hidden=hidden or {}, due_at=due_at)
        self._cycles[new.id] = new
        return new

    def _set_plan(self, **body: Any) -> None:
        body = self.plan.body | body | {"updated": self._sandbox.stamp()}
        self.plan = msgspec.structs.replace(self.plan, body=body)

    def _tell_plan(self, what: str) -> None:
        self._tell(f"recurring.plan.{what}", self.plan)

    def _tell_cycle(self, what: str, cycle: Entry) -> None:
        self._tell(f"recurring.cycle.{what}", cycle)

    def _tell(self, event: str, entry: Entry) -> None:
        body = envelope(event, entry.owner, self._sandbox.stamp(), entry.body, api_version=VERSION)
        notice = Notice(event=event, product="Recurring", product_id=entry.id, body=body)
        self._told.append((entry.owner, notice))


def _is_upcoming(cycle: Entry) -> bool:
    """Tell whether the first charge of a cycle by itself is yet to come."""
    return SCHEDULED in {cycle.body["status"], *cycle.hidden.get("resumes", [])}


def _succeeded(cycle: Entry) -> list[dict[str, Any]]:
    """Return a cycle's attempts when the last one has succeeded."""
    *earlier, last = cycle.body["attempt_details"]
    return [*earlier, last | {"status": SUCCEEDED}]
