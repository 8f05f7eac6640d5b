"""The Webhooks tab: what was sent, what came of it, and sending it again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ringback.design.contents import fitted
from ringback.model import Instant
from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Owner, Refused
from ringback.sandbox.xendit.log import MAX_RESENT
from ringback.sandbox.xendit.log_rows import Filter, Status
from ringback.sandbox.xendit.pages.forms import asked, number_asked
from ringback.sandbox.xendit.pages.frame import Frame
from ringback.sandbox.xendit.pages.rendering import link_of, see, viewed
from ringback.sandbox.xendit.sandbox import Sandbox

PLACE = "/dashboard/webhooks"
ROWS = 25
SHOWN = 5
# Of a webhook's history, the newest; and what its payload and the answers may weigh there, in bytes.
TRIES = 20
ROOM = 34_000
MAX_TEXT = 255
# In whose name the pages send webhooks again: there is nobody to sign in.
USER = "Dashboard"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of a list says: as typed, to be shown and passed on. ``until`` is a day that is included."""

    status: tuple[str, ...] = ()
    product: str = ""
    event: str = ""
    since: str = ""
    until: str = ""
    text: str = ""

    @property
    def filter(self) -> Filter:
        """What it means.

        Raises:
            Refused: 400: a date is none.
        """
        return Filter(
            statuses=tuple(status for status in Status if status.value in self.status),
            product=self.product or None,
            event=self.event or None,
            since=_midnight(self.since, "From") if self.since else None,
            until=_midnight(self.until, "To", days_later=1) if self.until else None,
            text=self.text[:MAX_TEXT] or None,
        )

    @property
    def query(self) -> dict[str, Any]:
        """The parameters of an address that asks for the same."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}


class Webhooks:
    """The list, the details, and the forms that send again.

    Args:
        sandbox: Whose webhooks.
        frame: Makes the pages.
    """

    def __init__(self, sandbox: Sandbox, frame: Frame) -> None:
        self._log = sandbox.log
        self._frame = frame

    async def overview(self, call: Call) -> Answer:
        """List the webhooks that the address asks for."""
        owner, what = viewed(call), _asked(call)
        listing = await self._log.page(owner, what.filter, limit=ROWS, after=asked(call, "after") or None)
        values = {
            "place": PLACE,
            "asked": what,
            "rows": listing.rows,
            "after": listing.after,
            "is_first": not asked(call, "after"),
            **self._choices(owner),
            "resent": number_asked(call, "resent"),
            "refused": number_asked(call, "refused"),
        }
        return self._frame.page(call, "webhooks.html", values)

    async def detail(self, call: Call) -> Answer:
        """Show one webhook."""
        detail = await self._log.detail(viewed(call), call.path["id"])
        tries = detail.history[:TRIES]
        contents = fitted([text.encode() for text in (detail.payload, *(one.body for one in tries))], ROOM)
        values = {
            "place": PLACE,
            "detail": detail,
            "payload": contents[0],
            "tries": list(zip(tries, contents[1:], strict=True)),
            "queued": asked(call, "resent") != "",
        }
        return self._frame.page(call, "webhook.html", values)

    async def state(self, call: Call) -> Answer:
        """Answer with what would make the page of a webhook look otherwise, for a page that waits for it."""
        detail = await self._log.detail(viewed(call), call.path["id"])
        return Answer({"state": f"{detail.row.status.value} {len(detail.history)}"})

    async def resend(self, call: Call) -> Answer:
        """Send one again."""
        await self._log.resend(viewed(call), call.path["id"], USER)
        return see(link_of(call)(f"{PLACE}/{call.path['id']}", resent=1))

    async def preview(self, call: Call) -> Answer:
        """Say how many webhooks a custom resend would send."""
        what = _asked(call)
        owner = viewed(call)
        count = await self._log.count(owner, what.filter)
        listing = await self._log.page(owner, what.filter, limit=SHOWN)
        values = {
            "place": PLACE,
            "asked": what,
            "count": count,
            "most": MAX_RESENT,
            "rows": listing.rows,
            **self._choices(owner),
        }
        return self._frame.page(call, "resend.html", values)

    async def resend_all(self, call: Call) -> Answer:
        """Send all again that the address asks for."""
        what = _asked(call)
        resent = await self._log.resend_all(viewed(call), what.filter, USER)
        return see(link_of(call)(PLACE, **what.query, resent=resent.sent, refused=resent.refused))

    def _choices(self, owner: Owner) -> dict[str, list[str]]:
        """Return what a filter can be set to."""
        return {
            "statuses": [status.value for status in Status],
            "products": self._log.products(owner),
            "events": self._log.events(owner),
        }


def _asked(call: Call) -> Asked:
    one = {name: asked(call, name) for name in Asked.__struct_fields__ if name != "status"}
    return Asked(status=call.query.get("status", ()), **one)


def _midnight(day: str, name: str, *, days_later: int = 0) -> Instant:
    try:
        moment = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=days_later)
    except (ValueError, OverflowError):
        raise Refused(400, INVALID, f"{name} is a day such as 2026-03-02, not {day[:50]}") from None
    return round(moment.timestamp() * 1_000)
