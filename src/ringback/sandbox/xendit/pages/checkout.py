"""The page where a payer pays an invoice: ``invoice_url`` leads to it. Other ids lead to the page of approvals."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from ringback.design.writing import web_address
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route
from ringback.sandbox.xendit.invoices import INVOICE, PAID, PENDING, SETTLED, Invoices
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.pages.approvals import Approvals
from ringback.sandbox.xendit.pages.forms import asked, field
from ringback.sandbox.xendit.pages.qr_image import drawn
from ringback.sandbox.xendit.pages.rendering import page, see, told
from ringback.sandbox.xendit.pages.session_checkout import SessionCheckout
from ringback.sandbox.xendit.pages.ways import Way, groups, way
from ringback.sandbox.xendit.sandbox import Sandbox

SUCCESS, FAILURE = "success", "failure"
QR = "QR_CODE"


PAID_FOR = frozenset({PAID, SETTLED})


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer's page shows of an invoice.

    Args:
        path: Where the page is.
        left: How long the invoice can still be paid, in milliseconds; None: for ever, or no longer.
        leads_to: Where the payer is sent by itself; None: nowhere.
    """

    path: str
    left: int | None
    leads_to: str | None


class Checkout:
    """Shows invoices to payers, and lets them pay or fail to.

    After a payment the browser goes to the merchant's page by itself, whatever becomes of the webhook. It is this page
    that leads there, and at once (WCAG 2.2.1), not the answer to the form: browsers stop a form's redirect that leaves
    ``form-action``.

    Args:
        sandbox: Whose invoices.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._approvals = Approvals(sandbox)
        self._sessions = SessionCheckout(sandbox)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("GET", "/web/{id}", told(self.show), open=True),
            Route("GET", "/web/{id}/state", self.state, open=True),
            Route("POST", "/web/{id}/choose", told(self.choose), open=True),
            Route("POST", "/web/{id}/pay", told(self.pay), open=True),
            *self._approvals.routes(),
            *self._sessions.routes(),
        )

    async def show(self, call: Call) -> Answer:
        """Show an invoice as it stands, or else what else there is to pay by this id."""
        entry, session = self._sandbox.ledger.get(INVOICE, call.path["id"]), self._sessions.session(call)
        if session is not None:
            return await self._sessions.show(call, session)
        if entry is None:
            return await self._approvals.show(call)
        status = entry.body["status"]
        failed = status == PENDING and asked(call, "outcome") == FAILURE
        chosen = way(entry.body, asked(call, "way"))
        values = {
            "invoice": entry.body,
            "lines": entry.body.get("items") or [],
            "fees": entry.body.get("fees") or [],
            "status": status,
            "shown": self._shown(call, entry, failed=failed),
            "groups": groups(entry.body),
            "way": chosen if chosen is not None and _is_ready(chosen) else None,
            "choice": chosen.choice if chosen is not None else None,
            "failed": failed,
            "of_live": entry.owner.live,
            "qr": drawn(f"{call.site}{_path(entry)}") if chosen is not None and chosen.method == QR else None,
        }
        return page(call, "checkout.html", values)

    async def state(self, call: Call) -> Answer:
        """Answer with the status alone, for a page that waits for it to change."""
        entry = self._sandbox.ledger.get(INVOICE, call.path["id"]) or self._sessions.session(call)
        return Answer({"state": self._approvals.status(call) if entry is None else entry.body["status"]})

    async def choose(self, call: Call) -> Answer:
        """Choose a way to pay, which may need a number to pay to."""
        entry, chosen = self._invoice(call), field(call, "way")
        found = way(entry.body, chosen)
        if entry.body["status"] == PENDING and found is not None:
            await self._sandbox.product(Invoices).choose(entry, found.channel)
        return see(_path(entry, way=chosen))

    async def pay(self, call: Call) -> Answer:
        """Pay an invoice, or fail to, which changes nothing and is not told."""
        entry, choice = self._invoice(call), field(call, "way")
        if entry.body["status"] != PENDING:
            return see(_path(entry))
        if field(call, "outcome") == FAILURE:
            return see(_path(entry, way=choice, outcome=FAILURE))
        chosen = way(entry.body, choice)
        if chosen is None:
            raise Refused(400, "UNAVAILABLE_PAYMENT_METHOD_ERROR", "this invoice cannot be paid that way")
        await self._sandbox.product(Invoices).pay(entry, chosen.method, chosen.channel)
        return see(_path(entry, outcome=SUCCESS))

    def _invoice(self, call: Call) -> Entry:
        entry = self._sandbox.ledger.get(INVOICE, call.path["id"])
        if entry is None:
            raise Refused(404, "INVOICE_NOT_FOUND_ERROR", f"there is no invoice {call.path['id'][:100]}")
        return entry

    def _shown(self, call: Call, entry: Entry, *, failed: bool) -> Shown:
        status, outcome = entry.body["status"], asked(call, "outcome")
        left = entry.due_at - call.now if status == PENDING and entry.due_at is not None else None
        leads_to = None
        if failed:
            leads_to = web_address(entry.body.get("failure_redirect_url"))
        elif status in PAID_FOR and outcome == SUCCESS:
            leads_to = web_address(entry.body.get("success_redirect_url"))
        return Shown(path=_path(entry), left=left, leads_to=leads_to)


def _is_ready(way: Way) -> bool:
    """Tell whether it has all that is needed to pay: banks and shops need a number that choosing brings."""
    needed = {"BANK_TRANSFER": "bank_account_number", "RETAIL_OUTLET": "payment_code"}.get(way.method)
    return needed is None or needed in way.item


def _path(entry: Entry, **query: str) -> str:
    asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"/web/{quote(entry.id, safe='')}{'?' if asked else ''}{asked}"
