"""The dashboard's first page: what this is, how to reach it, and what to do first."""

from __future__ import annotations

from ringback.sandbox.xendit.calls import Answer, Call, Owner
from ringback.sandbox.xendit.invoices import INVOICE, PAID, SETTLED
from ringback.sandbox.xendit.log_rows import Filter, Status
from ringback.sandbox.xendit.pages.frame import Frame
from ringback.sandbox.xendit.pages.rendering import viewed
from ringback.sandbox.xendit.sandbox import DEFAULT_KEY, LIVE_KEY, Sandbox

RECENT = 5


class Home:
    """The first page.

    Args:
        sandbox: What it is about.
        frame: Makes its page.
    """

    def __init__(self, sandbox: Sandbox, frame: Frame) -> None:
        self._sandbox = sandbox
        self._frame = frame

    async def show(self, call: Call) -> Answer:
        """Show the page."""
        owner = viewed(call)
        done = await self._done(owner)
        values = {
            "place": "/dashboard",
            "key": LIVE_KEY if owner.live else DEFAULT_KEY,
            "business_id": owner.business_id,
            "time_scale": self._sandbox.sending.time_scale,
            "done": done,
            "state": _state(done),
            "recent": (await self._sandbox.log.page(owner, Filter(), limit=RECENT)).rows,
        }
        return self._frame.page(call, "home.html", values)

    async def state(self, call: Call) -> Answer:
        """Answer with the steps that have been done, for a page that waits for the next."""
        return Answer({"state": _state(await self._done(viewed(call)))})

    async def _done(self, owner: Owner) -> dict[str, bool]:
        """Return which of the first steps have been done."""
        invoices = self._sandbox.ledger.entries(INVOICE, owner)
        completed = Filter(statuses=(Status.COMPLETED,))
        return {
            "settings": any(slot.url for slot in self._sandbox.slots.all(owner)),
            "invoice": bool(invoices),
            "paid": any(entry.body["status"] in {PAID, SETTLED} for entry in invoices),
            "webhook": bool((await self._sandbox.log.page(owner, completed, limit=1)).rows),
        }


def _state(done: dict[str, bool]) -> str:
    return " ".join(step for step, is_done in done.items() if is_done)
