"""What an endpoint's page does at once about an endpoint that is unwell: a canary, and a slower pace."""

import pytest
from visitors import enter, visiting

from ringback.errors import Conflict
from ringback.model import Attempt, Outcome, OutcomeKind, Trigger

REFUSED = Outcome(kind=OutcomeKind.REFUSED, status=503, body=b"later")
ARRIVED = Outcome(kind=OutcomeKind.SUCCESS, status=204)


class Canaries:
    """Plays what sends canaries: the attempts come to *outcome*, and are kept."""

    def __init__(self):
        self.outcome = ARRIVED
        self.sent = []

    async def send(self, application, endpoint):
        """See ``Canary``."""
        if self.outcome is None:
            raise Conflict("no message waits for the endpoint that could go ahead")
        self.sent.append((application, endpoint))
        return Attempt(
            id="atmpt_1",
            message_id="msg_1",
            endpoint_id=endpoint,
            number=1,
            trigger=Trigger.MANUAL,
            url="https://example.com/hook",
            started_at=0,
            duration=12,
            outcome=self.outcome,
        )


@pytest.fixture
def canaries():
    return Canaries()


@pytest.fixture
def place(tmp_path, canaries):
    with visiting(tmp_path, settings={"canary": canaries.send}) as place:
        yield place


@pytest.fixture
def ids(api):
    """The ids of an application and of its paused endpoint."""
    app = api.application()["id"]
    endpoint = api.endpoint(app)["id"]
    api.post(f"/app/{app}/endpoint/{endpoint}/pause")
    return app, endpoint


@pytest.fixture
def address(ids):
    """The address of the endpoint's page."""
    return "/applications/{}/endpoints/{}".format(*ids)


def test_a_canary_is_sent_before_all_flows_again(operator, canaries, ids, address):
    """Pause, canary, resume: the page offers each in turn, and says how the canary went."""
    told = operator.press(operator.open(address), "Send one as a canary")
    assert "The canary arrived: answered with 204 after 12 ms" in told.text.replace("\N{NO-BREAK SPACE}", " ")
    assert canaries.sent == [ids]
    flows = operator.press(told, "Resume")
    assert "Enabled" in flows.text
    assert "canary" not in flows.text


def test_a_canary_that_fails_says_why_and_what_to_do(operator, canaries, address):
    """The pause goes on, and so does the message's wait."""
    canaries.outcome = REFUSED
    told = operator.press(operator.open(address), "Send one as a canary")
    assert "The canary failed: Refused by the receiver: 503" in told.text
    assert "The message waits on." in told.text
    assert "Its log says why." in told.text
    assert "Paused." in told.text


def test_where_nothing_waits_that_is_said(operator, canaries, address):
    """A press that can send nothing is no error page."""
    canaries.outcome = None
    told = operator.press(operator.open(address), "Send one as a canary")
    assert "No message waits for the endpoint that could go ahead." in told.text


def test_a_customer_sends_a_canary_to_what_is_theirs(place, canaries, ids):
    """In the portal the page is the same; another application's endpoint is not there."""
    (guest, _), (stranger, first) = (
        enter(place, ids[0]),
        enter(place, place[0].application(name="Other")["id"]),
    )
    page = guest.open(f"/portal/endpoints/{ids[1]}")
    assert "The canary arrived" in guest.press(page, "Send one as a canary").text
    answer = stranger.send("POST", f"/portal/endpoints/{ids[1]}/canary", {"csrf": first.csrf})
    assert answer.status_code == 404
    assert canaries.sent == [ids]


def test_the_pace_is_set_in_one_step(api, operator, ids, address):
    """The field shows what holds; empty, there is no limit; what is no rate changes nothing and is said."""
    slower = operator.press(operator.open(address), "Set the pace", rate="5")
    assert "It gets 5 a second at most." in slower.text
    assert api.get("/app/{}/endpoint/{}".format(*ids)).json["throttleRate"] == 5
    refused = operator.press(slower, "Set the pace", rate="many")
    assert "The rate " in refused.text
    assert api.get("/app/{}/endpoint/{}".format(*ids)).json["throttleRate"] == 5
    operator.press(refused, "Set the pace", rate="")
    assert api.get("/app/{}/endpoint/{}".format(*ids)).json["throttleRate"] is None


def test_who_may_only_look_does_neither(place, address):
    """Neither form is there, and sending one all the same is forbidden."""
    api, visitor = place
    reader = visitor()
    reader.login(api.key("read"))
    page = reader.open(address)
    assert "canary" not in page.source
    assert "Set the pace" not in page.source
    for tail in ("canary", "rate"):
        answer = reader.send("POST", f"{address}/{tail}", {"csrf": page.csrf})
        assert answer.status_code == 403
