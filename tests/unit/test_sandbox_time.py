"""The passing of time: what fails does not stop it, and what cannot be told now is told later."""

import asyncio

import msgspec
import pytest
from sandboxes import OWNER, playing

from ringback.sandbox.xendit import sandbox
from ringback.sandbox.xendit.api import MAX_BODY
from ringback.sandbox.xendit.calls import Refused

THING = "thing"
HOUR = 3_600_000
DRAFT = {"external_id": "order", "amount": 10_000}


class Things:
    """A product whose things are changed when they are due; one of them cannot be."""

    def __init__(self, sandbox):
        self._sandbox = sandbox
        self.changed = asyncio.Event()
        sandbox.on_due(THING, self._change)

    def routes(self):
        """Return what it answers: nothing."""
        return ()

    async def add(self, *names, due_in=0):
        """Make things that are due now, or in some milliseconds."""
        change = self._sandbox.change()
        for name in names:
            change.add(THING, name, OWNER, {}, due_at=self._sandbox.clock() + due_in)
        await self._sandbox.commit(change)

    async def _change(self, entry):
        if entry.id == "broken":
            raise Refused(400, "BROKEN", "it cannot be changed")
        change = self._sandbox.change()
        change.update(entry, changed=True)
        await self._sandbox.commit(change)
        self.changed.set()


def test_what_fails_does_not_stop_the_rest(tmp_path):
    """Something due that fails is left out, and what is due after it happens."""
    with playing(tmp_path, products=(Things,)) as play:
        things = play.sandbox.product(Things)

        async def pass_time():
            await things.add("broken", "whole")
            passing = asyncio.create_task(play.sandbox.run())
            await asyncio.wait_for(things.changed.wait(), 10)
            passing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await passing

        play.run(pass_time())
        assert play.sandbox.ledger.at(THING, "whole").body == {"changed": True}
        assert play.sandbox.ledger.at(THING, "broken").body == {}
        assert play.sandbox.ledger.next_due() is None


def test_a_clock_that_is_set_is_noticed(tmp_path, monkeypatch):
    """What is due in an hour happens when the clock says so, though no hour has passed since it was looked at."""
    monkeypatch.setattr(sandbox, "LOOK_SECONDS", 0.01)
    with playing(tmp_path, products=(Things,)) as play:
        things = play.sandbox.product(Things)

        async def pass_time():
            await things.add("late", due_in=HOUR)
            passing = asyncio.create_task(play.sandbox.run())
            await asyncio.sleep(0)
            play.clock.advance(HOUR / 1_000)
            await asyncio.wait_for(things.changed.wait(), 10)
            passing.cancel()

        play.run(pass_time())
        assert play.sandbox.ledger.at(THING, "late").body == {"changed": True}


def test_a_webhook_that_cannot_be_published_is_published_at_the_next_start(tmp_path):
    """Where Ringback has lost the application, a payment succeeds all the same, and is told after a restart."""
    with playing(tmp_path) as play:
        early, late = (play.ok("POST", "/v2/invoices", DRAFT)["id"] for _ in range(2))
        play.ok("POST", f"/sandbox/invoices/{early}/pay")
        play.run(play.sandbox.outbox.remove_application(str(OWNER)))
        assert play.ok("POST", f"/sandbox/invoices/{late}/pay")["status"] == "PAID"
        assert [body["id"] for _, _, body in play.told()] == [early]
        assert play.sandbox.ledger.next_due().kind == "invoice"
    with playing(tmp_path) as play:
        assert [body["id"] for _, _, body in play.told()] == [early, late]
        assert play.ok("GET", f"/v2/invoices/{late}")["status"] == "PAID"


def test_what_could_not_be_told_is_refused(tmp_path):
    """A change whose webhook would be larger than what can be sent does not happen, and the rest goes on."""
    draft = {
        "reference_id": "order",
        "currency": "IDR",
        "amount": 1_000,
        "checkout_method": "ONE_TIME_PAYMENT",
        "channel_code": "ID_DANA",
        "channel_properties": {"success_redirect_url": "https://shop.example/"},
        "basket": [{f"line {number}": "x" * 936 for number in range(11)}] * 100,
        "metadata": {},
    }
    while (room := MAX_BODY - len(msgspec.json.encode(draft))) > 50:
        draft["metadata"][str(room)] = "x" * min(room - 20, 450)
    assert room >= 0
    with playing(tmp_path) as play:
        charge = play.ok("POST", "/ewallets/charges", draft)["id"]
        path = f"/sandbox/ewallets/charges/{charge}/simulate"
        assert play.refused("POST", path, {"status": "SUCCEEDED"}) == (413, "REQUEST_TOO_LARGE")
        assert play.ok("GET", f"/ewallets/charges/{charge}")["status"] == "PENDING"
        assert play.told() == []
