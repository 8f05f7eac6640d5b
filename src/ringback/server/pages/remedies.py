"""What can be done at once about an endpoint that is unwell: one message sent past its pause, and a slower pace."""

from __future__ import annotations

from ringback.design.writing import sentence
from ringback.model import Attempt
from ringback.server.pages.advice import advice
from ringback.server.pages.behind import Behind
from ringback.server.pages.endpoints import pair_of
from ringback.server.pages.forms import REFUSED, faults
from ringback.server.pages.page import Page, Said, Visit, see
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import failure, milliseconds


class Remedies:
    """The quick actions of an endpoint's page.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def send_canary(self, visit: Visit) -> Page:
        """Send the oldest message that waits, and tell what came of it."""
        application, endpoint = await pair_of(self._behind, visit)
        try:
            said = _told(await self._behind.canary(application.id, endpoint.id))
        except REFUSED as error:
            said = Said(sentence(error.detail), "bad")
        return see(visit, Ways(visit).endpoint(endpoint), said)

    async def set_rate(self, visit: Visit) -> Page:
        """Set how many messages a second it gets at most; an empty field is for no limit."""
        application, endpoint = await pair_of(self._behind, visit)
        rate = (visit.form.number("rate") or 0) if visit.form.get("rate") else None
        said = Said("It gets as many as it takes." if rate is None else f"It gets {rate} a second at most.")
        try:
            await self._behind.outbox.change_endpoint(application.id, endpoint.id, {"throttle_rate": rate})
        except REFUSED as error:
            said = Said(f"The rate {'; '.join(faults(error).values())}.", "bad")
        return see(visit, Ways(visit).endpoint(endpoint), said)


def _told(attempt: Attempt) -> Said:
    outcome, took = attempt.outcome, milliseconds(attempt.duration)
    if outcome.ok:
        return Said(
            f"The canary arrived: answered with {outcome.status} after {took}. The others wait until you resume.",
            "good",
        )
    why = failure(outcome.kind, outcome.status, outcome.detail)
    return Said(
        f"The canary failed: {why}, after {took}. The message waits on. {advice(outcome)}".strip(), "bad"
    )
