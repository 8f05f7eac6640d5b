"""What the doctor finds about endpoints of applications: which fail, which were disabled, which nobody serves."""

import base64
import json

from line import MINUTE, OK, START, Line, played, refused

from ringback.cli import run
from ringback.model import iso
from ringback.policy import DAY, RetrySchedule, lease_until
from ringback.recipients import SHOWN, examine_recipients, look_up
from ringback.worker import WorkerSettings

ONE_MORE = RetrySchedule((MINUTE,), jitter=0.0)
A_DAY_LATER = RetrySchedule((DAY,), jitter=0.0)
LEASE = lease_until(0, WorkerSettings().deadline)
KEY = base64.b64encode(bytes(range(32))).decode()  # that the line's stores are sealed with


async def findings(line):
    """Return what is found about a line's endpoints, by what it is about."""

    def look(store):
        return examine_recipients(look_up(store, store.due(line.clock(), 1_000)))

    await line.written()
    return {one.about: one for one in await line.outbox.read(look)}


@played
async def test_an_endpoint_that_fails_is_told_of_until_it_works(store_url):
    """It is told with its URL, since when it fails, and how it failed last; one that has got nothing is not told of."""
    async with Line(store_url, schedule=ONE_MORE) as line:
        application = await line.application(uid="acme")
        await line.endpoint(application, uid="main")
        await line.endpoint(application, "idle", channels=["another"])
        line.receivers.answers("hook", refused(503), OK)
        await line.publish(application)
        await line.finished(1)
        ((about, found),) = (await findings(line)).items()
        assert about == "endpoint acme/main"
        assert found.what == f"no success since {iso(START)}: https://hook.example/; last: refused 503"
        assert "POST /api/v1/app/acme/endpoint/main/recover" in found.advice
        line.clock.advance(MINUTE)
        await line.finished(2)
        assert await findings(line) == {}


@played
async def test_an_endpoint_that_was_disabled_for_failing_is_told_of(store_url):
    """One that a person disabled, or that said 410, is as it should be, and is not told of."""
    async with Line(store_url, schedule=A_DAY_LATER, disable_after=DAY) as line:
        application = await line.application(uid="acme")
        await line.endpoint(application, "tired", uid="tired")
        await line.endpoint(application, "gone", uid="gone")
        await line.endpoint(application, "off", disabled=True)
        line.receivers.answers("tired", refused(500))
        line.receivers.answers("gone", refused(410))
        await line.publish(application)
        await line.finished(2)
        line.clock.advance(DAY)
        await line.finished(3)
        ((about, found),) = (await findings(line)).items()
        assert about == "endpoint acme/tired"
        assert found.what.startswith(
            f"disabled, without a success since {iso(START)}: https://tired.example/"
        )
        assert "PATCH /api/v1/app/acme/endpoint/tired" in found.advice


@played
async def test_deliveries_that_nobody_makes_are_told_of(store_url):
    """Where no worker runs, an endpoint is told of with when its oldest delivery was due; a paused one is not."""
    async with Line(store_url, vanished=True) as line:
        application, endpoint = await line.stage()
        await line.publish(application)
        line.clock.advance(LEASE)
        found = (await findings(line))[f"endpoint {application}/{endpoint.id}"]
        assert found.what == f"what it is to get is due since {iso(START + LEASE)}: https://hook.example/"
        assert "ringback serve" in found.advice
        await line.outbox.pause_endpoint(application, endpoint.id)
        assert await findings(line) == {}


@played
async def test_many_endpoints_in_trouble_are_counted(store_url):
    """Ten are told of one by one, the others by their number, whoever's they are."""
    async with Line(store_url, vanished=True) as line:
        for _ in range(SHOWN // 2 + 1):
            application = await line.application()
            await line.endpoint(application)
            await line.endpoint(application)
            await line.publish(application)
        line.clock.advance(LEASE)
        found = await findings(line)
        assert len(found) == SHOWN + 1
        assert found["endpoints"].what == "2 others with deliveries that are due"


def test_the_doctor_tells_of_endpoints(tmp_path, monkeypatch, capsys):
    """`ringback doctor` warns of an endpoint that fails, and leaves with 0: nothing of Ringback's is broken."""
    store = f"sqlite:///{tmp_path / 'ringback.db'}"

    @played
    async def fail():
        async with Line(store, schedule=ONE_MORE) as line:
            application = await line.application(uid="acme")
            await line.endpoint(application, uid="main")
            line.receivers.answers("hook", refused(500))
            await line.publish(application)
            await line.finished(1)

    fail()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGBACK_MAIN_KEY", KEY)
    assert run(["doctor", "--json", "--store", store]) == 0
    (found,) = [one for one in json.loads(capsys.readouterr().out) if one["about"] == "endpoint acme/main"]
    assert found["verdict"] == "warning"
    assert "last: refused 500" in found["what"]
