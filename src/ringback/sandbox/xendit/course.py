"""The course of money that goes out: accepted, sent, arrived or not, and who is told.

Sources: docs.xendit.co on the life of payouts and on test scenarios. Money that the balance cannot pay for is accepted
all the same, and fails with ``INSUFFICIENT_BALANCE``. How long each step takes is not documented; in the provider's
samples it is seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ringback.model import Duration, Instant
from ringback.sandbox.xendit.books import Books
from ringback.sandbox.xendit.calls import Owner, Refused
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.outgoing import INSUFFICIENT_BALANCE, Fate, fate_of
from ringback.sandbox.xendit.sandbox import Sandbox

FAILED, REJECTED, REVERSED, CANCELLED = "FAILED", "REJECTED", "REVERSED", "CANCELLED"
STEP: Duration = 5_000
REVERSED_AFTER: Duration = 120_000  # the documentation says: within 5 minutes
INELIGIBLE = "INELIGIBLE_TRANSACTION_STATUS"
REASON = "INVALID_DESTINATION"


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """The statuses that one kind goes through.

    Args:
        first: When it is accepted.
        under_way: When it is with the bank; None: that is not shown.
        done: When it has arrived.
        held: When it waits for a decision; None: it never does.
        events: Which event tells of each status; of others, nothing is told.
        cancellable: In which it can be cancelled.
    """

    first: str
    under_way: str | None = None
    done: str
    held: str | None = None
    events: dict[str, str]
    cancellable: frozenset[str] = frozenset()

    def leads(self, status: str, to: str) -> bool:
        """Tell whether a *status* may be followed by another."""
        if to == CANCELLED:
            return status in self.cancellable
        if to == REVERSED:
            return status == self.done
        return status != to and status in self.pending

    @property
    def pending(self) -> frozenset[str | None]:
        """The statuses in which it is not decided how it ends."""
        return frozenset({self.first, self.under_way, self.held})


class Course:
    """Brings what goes out of one kind to its end.

    Args:
        sandbox: What it belongs to.
        kind: The ledger's kind.
        product: The product, as the log shows it.
        stages: What it goes through.
        told: Returns the body of the webhook with which an event tells of an entry.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        kind: str,
        product: str,
        stages: Stages,
        told: Callable[[str, Entry], dict[str, Any]],
    ) -> None:
        self._sandbox = sandbox
        self._kind = kind
        self._product = product
        self._stages = stages
        self._told = told
        sandbox.on_due(kind, self._go_on)

    async def accept(
        self,
        owner: Owner,
        entry_id: str,
        body: dict[str, Any],
        fate: Fate,
        *,
        cost: tuple[float, str],
        **hidden: Any,
    ) -> Entry:
        """Let something go out, which takes its cost from the balance at once.

        Args:
            owner: Whose money.
            entry_id: Its id.
            body: What the API shows of it, in its first status.
            fate: What becomes of it if the balance can pay for it.
            cost: How much it takes, and of which currency.
            hidden: What the API does not show.
        """
        amount, currency = cost
        if self._sandbox.product(Books).balance(owner, currency) < amount:
            fate = Fate(failure_code=INSUFFICIENT_BALANCE)
        due_at = None if fate.stays else self._sandbox.after(STEP)
        change = self._sandbox.change()
        entry = change.add(self._kind, entry_id, owner, body, hidden=hidden | fate.hidden(), due_at=due_at)
        await self._sandbox.commit(change)
        return entry

    async def move(self, entry: Entry, to: str, failure_code: str | None = None) -> Entry:
        """Bring an entry to another status, and tell of it.

        Args:
            entry: The entry.
            to: The status.
            failure_code: Why, where it fails.

        Raises:
            Refused: 403 ``INELIGIBLE_TRANSACTION_STATUS``: its present status does not lead there; 400
                ``INSUFFICIENT_BALANCE``: it would arrive, but there is no money for it.
        """
        current = self._sandbox.ledger.get(*entry.place) or entry
        status = current.body["status"]
        if not self._stages.leads(status, to):
            raise Refused(403, INELIGIBLE, f"what is {status} cannot become {to}")
        if fate_of(current).unfunded and to not in {FAILED, REJECTED, CANCELLED}:
            raise Refused(400, INSUFFICIENT_BALANCE, "the balance could not pay for it, so it can only fail")
        change = self._sandbox.change()
        moved = change.replace(
            current,
            body=current.body | {"status": to, "updated": self._sandbox.stamp()} | _failure(to, failure_code),
            hidden=current.hidden | self._moments(status, to),
            due_at=self._due_at(current, to),
        )
        event = self._stages.events.get(to)
        await self._sandbox.commit(change, *([] if event is None else [self._notice(event, moved)]))
        return moved

    async def _go_on(self, entry: Entry) -> None:
        fate, stages, status = fate_of(entry), self._stages, entry.body["status"]
        if status == stages.done:
            await self.move(entry, REVERSED)
        elif status == stages.first and stages.under_way is not None and not fate.unfunded:
            await self.move(entry, stages.under_way)
        elif fate.failure_code is not None:
            await self.move(entry, FAILED, fate.failure_code)
        else:
            await self.move(entry, stages.done)

    def _moments(self, status: str, to: str) -> dict[str, Instant]:
        """Return which moments of its life a change of status sets."""
        if to == REVERSED:
            return {"reversed_at": self._sandbox.clock()}
        ends = status in self._stages.pending and to not in self._stages.pending
        return {"ended_at": self._sandbox.clock()} if ends else {}

    def _due_at(self, entry: Entry, to: str) -> Instant | None:
        if to == self._stages.under_way:
            return self._sandbox.after(STEP)
        reverses = to == self._stages.done and fate_of(entry).reverses
        return self._sandbox.after(REVERSED_AFTER) if reverses else None

    def _notice(self, event: str, entry: Entry) -> tuple[Owner, Notice]:
        body = self._told(event, entry)
        return entry.owner, Notice(event=event, product=self._product, product_id=entry.id, body=body)


def _failure(status: str, code: str | None) -> dict[str, str]:
    if status == FAILED:
        return {"failure_code": code or REASON}
    return {"failure_code": code} if status == REJECTED and code is not None else {}
