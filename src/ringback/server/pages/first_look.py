"""Trying a new endpoint out while whoever added it waits: for a moment at most, and only after it is stored."""

from __future__ import annotations

import asyncio

from ringback.access import Right
from ringback.design.writing import sentence, span
from ringback.errors import RingbackError
from ringback.model import Endpoint, Outcome
from ringback.server.pages.advice import advice
from ringback.server.pages.behind import Behind
from ringback.server.pages.page import Said, Visit
from ringback.server.pages.wording import failure

SECONDS = 4
ADDED = "The endpoint is there"


async def first_look(behind: Behind, visit: Visit, endpoint: Endpoint) -> Said:
    """Send one signed request to a new *endpoint*, and return what to say of it.

    Whoever may not send anything is only told that the endpoint is there.
    """
    if not visit.may(Right.REDELIVER):
        return Said(f"{ADDED}.")
    try:
        async with asyncio.timeout(SECONDS):
            probed = await behind.probe(endpoint)
    except TimeoutError:
        return Said(
            f"{ADDED}, but has not answered a first request within {SECONDS} seconds. Check the connection below.",
            "wait",
        )
    except RingbackError as error:
        return Said(f"{ADDED}. It was not tried out: {sentence(error.detail)}", "wait")
    if probed.outcome.ok:
        return Said(f"{ADDED}, and answered a first request well, after {span(probed.duration)}.")
    return Said(f"{ADDED}, but did not take a first request. {_told(probed.outcome)}", "bad")


def _told(outcome: Outcome) -> str:
    return f"{failure(outcome.kind, outcome.status, outcome.detail)}. {advice(outcome)}".strip()
