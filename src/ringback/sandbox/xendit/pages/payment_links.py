"""The dashboard's list of invoices, and a form to make one without a line of code."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Refused
from ringback.sandbox.xendit.invoices import INVOICE, Invoices
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import COUNTRIES
from ringback.sandbox.xendit.pages.forms import asked, fields, number_asked
from ringback.sandbox.xendit.pages.frame import Frame
from ringback.sandbox.xendit.pages.rendering import link_of, see, viewed
from ringback.sandbox.xendit.sandbox import Sandbox

PLACE = "/dashboard/invoices"
ROWS = 25
STATUSES = ("PENDING", "PAID", "SETTLED", "EXPIRED")
MINUTE = 60
TEXTS = ("external_id", "description", "payer_email", "success_redirect_url", "failure_redirect_url")
SEARCHED = ("external_id", "payer_email", "description")
FIELDS = (*TEXTS, "amount", "currency", "minutes")


class PaymentLinks:
    """The list of invoices and its forms.

    Args:
        sandbox: Whose invoices.
        frame: Makes the page.
    """

    def __init__(self, sandbox: Sandbox, frame: Frame) -> None:
        self._sandbox = sandbox
        self._frame = frame

    async def overview(self, call: Call) -> Answer:
        """List the invoices, newest first."""
        typed = dict.fromkeys(FIELDS, "") | {
            "external_id": f"order-{self._count(call) + 1}",
            "amount": "75000",
            "currency": "IDR",
            "minutes": "60",
        }
        return self._page(call, typed)

    async def create(self, call: Call) -> Answer:
        """Make an invoice of a form, by the call that the API has for it."""
        typed = fields(call, *FIELDS)
        try:
            asked_for = msgspec.structs.replace(call, owner=viewed(call), body=_draft(typed))
            answer = await self._sandbox.product(Invoices).create(asked_for)
        except Refused as refused:
            return self._page(call, typed, refused.message)
        return see(link_of(call)(PLACE, made=answer.body["id"]))

    async def expire(self, call: Call) -> Answer:
        """Let an invoice expire now."""
        invoices = self._sandbox.product(Invoices)
        await invoices.expire_by_call(msgspec.structs.replace(call, owner=viewed(call)))
        return see(link_of(call)(PLACE))

    def _count(self, call: Call) -> int:
        return len(self._sandbox.ledger.entries(INVOICE, viewed(call)))

    def _page(self, call: Call, typed: dict[str, str], fault: str | None = None) -> Answer:
        status = asked(call, "status")
        narrowed = {"status": status} if status in STATUSES else {}
        text = asked(call, "text")
        found = [
            entry
            for entry in self._sandbox.ledger.entries(INVOICE, viewed(call), **narrowed)
            if _holds(entry, text.lower())
        ]
        pages = math.ceil(len(found) / ROWS)
        number = min(number_asked(call, "page"), max(0, pages - 1))
        made = self._sandbox.ledger.get(INVOICE, asked(call, "made"), viewed(call))
        values = {
            "place": PLACE,
            "invoices": [entry.body for entry in found[number * ROWS : (number + 1) * ROWS]],
            "count": len(found),
            "page": number,
            "pages": pages,
            "status": narrowed.get("status", ""),
            "statuses": STATUSES,
            "text": text,
            "currencies": tuple(COUNTRIES),
            "typed": typed,
            "fault": fault,
            "made": made.body if made is not None else None,
        }
        return self._frame.page(call, "invoices.html", values, status=400 if fault else 200)


def _holds(entry: Entry, text: str) -> bool:
    places = (entry.id, *(entry.body.get(name) or "" for name in SEARCHED))
    return any(text in place.lower() for place in places)


def _draft(typed: dict[str, str]) -> dict[str, Any]:
    """Return what the API takes for what was typed."""
    draft: dict[str, Any] = {name: typed[name] for name in (*TEXTS, "currency") if typed[name]}
    draft["amount"] = _number(typed["amount"], "the amount")
    if typed["minutes"]:
        draft["invoice_duration"] = _number(typed["minutes"], "the time to pay") * MINUTE
    return draft


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Refused(400, INVALID, f"{name} must be a number, such as 75000")
    return number
