"""The page where a payer completes a payment session: ``payment_link_url`` leads to it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from ringback.design.writing import web_address
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route
from ringback.sandbox.xendit.invoice_body import MERCHANT_NAME
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import missing
from ringback.sandbox.xendit.pages.forms import asked, field, is_ticked
from ringback.sandbox.xendit.pages.rendering import page, see, told
from ringback.sandbox.xendit.pages.ways import TITLES
from ringback.sandbox.xendit.payment_channels import PaymentChannel, payment_channels
from ringback.sandbox.xendit.payment_sessions import (
    ACTIVE,
    COMPLETED,
    INVALID_STATUS,
    SESSION,
    PaymentSessions,
)
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.session_draft import OPTIONAL, SAVE

SUCCESS, FAILURE = "success", "failure"


class SessionCheckout:
    """Shows sessions to payers, who choose a channel, and pay or fail to.

    Args:
        sandbox: Whose sessions.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers; ``show`` and ``status`` are for the page of all that is paid."""
        return (Route("POST", "/web/{id}/complete", told(self.complete), open=True),)

    def session(self, call: Call) -> Entry | None:
        """Return the session that a call's path names; None where it names none."""
        return self._sandbox.ledger.get(SESSION, call.path["id"])

    async def show(self, call: Call, session: Entry) -> Answer:
        """Show a session as it stands."""
        body, outcome = session.body, asked(call, "outcome")
        active = body["status"] == ACTIVE
        channels = self._channels(session)
        chosen = next((one for one in channels if one.code == asked(call, "way")), None)
        left = session.due_at - call.now if active and session.due_at is not None else None
        home = web_address(body["success_return_url"])
        values = {
            "session": body,
            "merchant": MERCHANT_NAME,
            "saves_only": body["session_type"] == SAVE,
            "path": _path(session),
            "left": left,
            "groups": _groups(channels),
            "way": chosen if active else None,
            "may_save": body["allow_save_payment_method"] == OPTIONAL and chosen is not None and chosen.saves,
            "failed": active and outcome == FAILURE,
            "home": home,
            "away": web_address(body["cancel_return_url"]),
            "leads_to": home if body["status"] == COMPLETED and outcome == SUCCESS else None,
            "of_live": session.owner.live,
        }
        return page(call, "session.html", values)

    async def complete(self, call: Call) -> Answer:
        """Complete a session by the channel chosen, or fail to; what has ended already stays so."""
        session = self.session(call)
        if session is None:
            raise missing(SESSION, "NOT_FOUND", call.path["id"])
        sessions, channel = self._sandbox.product(PaymentSessions), field(call, "way")
        if field(call, "outcome") == FAILURE:
            return await self._failed(session, channel)
        try:
            await sessions.pay(session, channel, saves=is_ticked(call, "saves"))
        except Refused as refused:
            if refused.code != INVALID_STATUS:
                raise
        return see(_path(session, outcome=SUCCESS))

    async def _failed(self, session: Entry, channel: str) -> Answer:
        if session.body["status"] != ACTIVE:
            return see(_path(session))
        await self._sandbox.product(PaymentSessions).fail(session, channel)
        return see(_path(session, way=channel, outcome=FAILURE))

    def _channels(self, session: Entry) -> list[PaymentChannel]:
        known = payment_channels(session.body["currency"])
        return [known[code] for code in self._sandbox.product(PaymentSessions).channels(session)]


def _groups(channels: Sequence[PaymentChannel]) -> list[tuple[str, list[PaymentChannel]]]:
    """Return channels by the titles of their methods, the most used first."""
    groups = {
        title: [channel for channel in channels if channel.method == method]
        for method, title in TITLES.items()
    }
    return [(title, found) for title, found in groups.items() if found]


def _path(session: Entry, **query: str) -> str:
    return f"/web/{session.id}{'?' if query else ''}{urlencode(query)}"
