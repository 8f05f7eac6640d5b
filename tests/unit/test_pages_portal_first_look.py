"""A new endpoint is tried out at once: its people are told what came of it, and it is kept whatever that was."""

import asyncio

import pytest
from visitors import enter, visiting

from ringback.errors import LimitReached
from ringback.model import Outcome, OutcomeKind
from ringback.probing import Probed

URL = "https://acme.example/hooks"


class Probes:
    """Tries endpoints out as a test says, and keeps which."""

    def __init__(self, come):
        self.tried = []
        self._come = come

    async def __call__(self, endpoint):
        """Try one out."""
        self.tried.append(endpoint.url)
        return await self._come()


def answers(**outcome):
    """Return what comes of a probe that ends so."""

    async def come():
        return Probed(Outcome(**outcome), 35)

    return come


async def limited():
    """Refuse to try anything out."""
    raise LimitReached("this application tried out 30 endpoints within a minute")


async def never():
    """Wait for an answer that does not come."""
    await asyncio.Event().wait()


COMES = {
    "well": (answers(kind=OutcomeKind.SUCCESS, status=204), "answered a first request well, after 35 ms."),
    "refused": (
        answers(kind=OutcomeKind.REFUSED, status=401),
        "did not take a first request. Refused by the receiver: 401. The receiver wants credentials.",
    ),
    "dns": (answers(kind=OutcomeKind.DNS, detail="not_found"), "Check how it is spelt."),
    "limited": (limited, "It was not tried out: This application tried out 30 endpoints within a minute."),
}


def added(folder, come, **access):
    """Add an endpoint in a portal; return the page after that, what is stored, and what was tried out."""
    probes = Probes(come)
    with visiting(folder, settings={"probe": probes}) as place:
        app = place[0].application()["id"]
        guest, first = enter(place, app, **access)
        page = guest.press(guest.follow(first, "Add your first endpoint"), "Add the endpoint", url=URL)
        return page, [one["url"] for one in place[0].get(f"/app/{app}/endpoint").json["data"]], probes.tried


@pytest.mark.parametrize(("come", "told"), COMES.values(), ids=COMES)
def test_a_new_endpoint_is_tried_out_at_once(tmp_path, come, told):
    """The page after the form says how it went, in words; the endpoint is there all the same."""
    page, stored, tried = added(tmp_path, come)
    assert told in page.text
    assert "Waiting for your first 2xx" in page.text
    assert stored == tried == [URL]


def test_one_that_does_not_answer_keeps_nobody_waiting(tmp_path, monkeypatch):
    """After a moment the page is there, and says so."""
    monkeypatch.setattr("ringback.server.pages.first_look.SECONDS", 0)
    page, stored, _ = added(tmp_path, never)
    assert "has not answered a first request within 0 seconds" in page.text
    assert stored == [URL]


def test_who_may_send_nothing_sends_nothing_so(tmp_path):
    """Without the capability to make attempts, an endpoint is added and not tried out."""
    page, stored, tried = added(
        tmp_path, answers(kind=OutcomeKind.SUCCESS, status=200), capabilities=["ViewBase", "ManageEndpoint"]
    )
    assert "The endpoint is there." in page.text
    assert (stored, tried) == ([URL], [])
