"""Pages about replays: what is meant is previewed, begun once, watched, paused and ended; in the portal as well."""

import re
from urllib.parse import urljoin, urlsplit

import msgspec
import pytest
from visitors import enter

from ringback.server.pages import replays
from ringback.store import TaskState


@pytest.fixture
def failed(api):
    """An endpoint that took none of three messages; return the address of its page."""
    app = api.application()["id"]
    endpoint = api.endpoint(app, retrySchedule=[])["id"]
    for _ in range(3):
        api.message(app)
        api.attempt(500)
    return f"/applications/{app}/endpoints/{endpoint}"


def previewed(visitor, address, **typed):
    """Ask for what failed there, and return the page that tells what that would be."""
    form = visitor.open(f"{address}/replay")
    return visitor.press(form, "Preview", **{"which": "recover", "window": "1h", **typed})


def test_it_is_previewed_then_begun_then_watched(api, operator, failed):
    """The preview counts, the button says the number, the page after it shows how it goes, and it can be ended."""
    preview = previewed(operator, failed, rate="2")
    assert "3 messages" in preview.text.replace("\N{NO-BREAK SPACE}", " ")
    task = operator.press(preview, "Send 3 messages again")
    assert "Replay" in task.headings
    assert "Running" in task.text
    paused = operator.press(task, "Pause")
    assert "Paused" in paused.text
    assert "Running" in operator.press(paused, "Resume").text
    ended = operator.press(operator.open(task.url), "End it, take back what was not sent")
    assert "Cancelled" in ended.text
    listed = operator.open("/replays")
    assert urlsplit(urljoin(listed.url, listed.link("qtask_"))).path == urlsplit(task.url).path


def test_a_form_that_is_sent_twice_begins_one(api, operator, failed):
    """Going back and pressing again, or a second press while the first is under way, changes nothing."""
    preview = previewed(operator, failed)
    first = operator.press(preview, "Send 3 messages again")
    assert operator.press(preview, "Send 3 messages again").url == first.url
    assert len(re.findall(r"qtask_\w{27}<", operator.open("/replays").source)) == 1


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"window": "at"}, "from when on?"),
        ({"window": "at", "since": "yesterday"}, "is a time such as"),
        ({"rate": "fast"}, "is a whole number"),
        ({"rate": "0"}, "is between 1 and"),
        (
            {"window": "at", "since": "2026-03-02T04:05", "until": "2026-03-01T04:05"},
            "since must be before until",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_at_its_field(operator, failed, typed, told):
    """Nothing is begun, and nothing that was typed is lost."""
    form = operator.open(f"{failed}/replay")
    again = operator.press(form, "Preview", **{"which": "recover", "window": "1h", **typed}, expect=400)
    assert told in again.text
    assert "Nothing has been replayed" in operator.open("/replays").headings


@pytest.mark.parametrize(
    ("asked", "shown"), [("<b>", ""), ("2026-03-02T04:05:06%2B01:00", "2026-03-02T03:05:06")]
)
def test_the_fields_for_times_hold_times(operator, failed, asked, shown):
    """What the address says is shown where it is one, as browsers take it; another text they would complain of."""
    form = operator.open(f"{failed}/replay?which=nothing&since={asked}", expect=400)
    assert dict(form.button("Preview")[0].fields)["since"] == shown


def test_what_cannot_begin_keeps_what_was_typed(api, operator, failed):
    """Between the preview and the press the endpoint was disabled: that is said on the form, as it was filled in."""
    preview = previewed(operator, failed, rate="7", type="invoice.paid")
    _, app, _, endpoint = failed.strip("/").split("/")
    api.patch(f"/app/{app}/endpoint/{endpoint}", {"disabled": True})
    again = operator.press(preview, "Send 3 messages again", expect=409)
    assert "is disabled" in again.text
    kept = dict(again.button("Preview")[0].fields)
    assert (kept["rate"], kept["type"]) == ("7", "invoice.paid")
    assert "Nothing has been replayed" in operator.open("/replays").headings


def test_what_arrived_already_and_how_long_it_takes_is_told(api, operator, failed):
    """Of everything that is done some arrived; without a rate, what was answered lately says how long at most."""
    _, app, _, _ = failed.strip("/").split("/")
    api.message(app)
    api.attempt(200)
    told = previewed(operator, failed, which="rest").text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Messages 4 messages" in told
    assert "Arrived already 1 of them" in told
    assert "It takes at most about 48 ms" in told
    assert "Arrived already" not in previewed(operator, failed).text


def test_what_is_much_is_counted_when_that_is_asked_for(operator, failed, monkeypatch):
    """At first only so many messages are looked at that the page is there at once; it says so and leads on."""
    monkeypatch.setattr(replays, "FEW_LOOKS", 2)
    page = previewed(operator, failed)
    assert "more than 2 messages" in page.text
    page.button("Send more than 2 messages again")
    page = operator.follow(page, "Count them all")
    assert "more than" not in page.text
    assert "Running" in operator.press(page, "Send 3 messages again").text


def test_nothing_to_send_says_so(operator, failed):
    """A window in which nothing failed has no button."""
    assert "Nothing." in previewed(operator, failed, type="no.such.type").text


def test_who_may_only_look_begins_nothing(place, failed):
    """A session for reading sees replays, and can neither begin nor turn one."""
    api, visitor = place
    reader = visitor()
    reader.login(api.key("read"))
    reader.open(f"{failed}/replay", expect=403)
    assert "Nothing has been replayed" in reader.open("/replays").headings


def test_a_portal_replays_its_own_and_sees_no_others(place, failed):
    """An application's people replay at their endpoints; another's tasks and messages are not there for them."""
    api, _ = place
    app = failed.split("/")[2]
    (guest, _), (stranger, _) = enter(place, app), enter(place, api.application(name="Other")["id"])
    own = f"/portal/endpoints/{failed.rsplit('/', 1)[1]}"
    task = guest.press(previewed(guest, own), "Send 3 messages again")
    assert task.url.startswith("/portal/replays/qtask_")
    stranger.open(task.url, expect=404)
    message = api.get(f"/app/{app}/msg").json["data"][0]["id"]
    shown = guest.open(f"/portal/messages/{message}")
    assert "Resend" in shown.source
    assert app not in shown.text
    stranger.open(f"/portal/messages/{message}", expect=404)


def test_one_that_failed_says_why(place, operator, failed):
    """It is listed with the others and can be looked at; what went wrong inside is told to operators alone."""
    api, _ = place
    app, endpoint = failed.split("/")[2::2]
    window = {"since": "2026-01-01T00:00:00Z"}
    task = api.post(f"/app/{app}/endpoint/{endpoint}/replay-missing", window).json["id"]
    broken = msgspec.structs.replace(
        api.store.task(task), id=task[:-1] + "x", state=TaskState.FAILED, failure="IndexError: <b>none</b>"
    )
    api.committer.write(lambda store: store.add_task(broken)).result()
    for path in ("/replays", f"/replays/{broken.id}"):
        assert "Failed" in operator.open(path).text
    assert "IndexError: <b>none</b>" in operator.open(f"/replays/{broken.id}").text
    customer, _ = enter(place, app)
    shown = customer.open(f"/portal/replays/{broken.id}").text
    assert "It cannot go on." in shown
    assert "IndexError" not in shown


def test_what_it_has_come_too_far_for_is_a_sentence(operator, failed):
    """A page that is older than what it shows: the step is refused, and the page says how the replay stands."""
    task = operator.press(previewed(operator, failed), "Send 3 messages again")
    operator.press(task, "End it, take back what was not sent")
    assert "The task is cancelled, so it cannot become paused." in operator.press(task, "Pause").text


def test_what_operators_forget_is_no_replay(place, operator, failed):
    """Forgetting all contents is a task, too: customers cannot stop it, and it is in no list of replays."""
    api, _ = place
    app = failed.split("/")[2]
    task = api.post(f"/app/{app}/msg/expunge-all-contents").json["id"]
    customer, first = enter(place, app)
    csrf = first.forms[0].fields[0][1]
    for guest, way, token in (
        (customer, "/portal/replays", csrf),
        (operator, "/replays", operator.open("/").forms[0].fields[0][1]),
    ):
        assert "Nothing has been replayed" in guest.open(way).headings
        guest.open(f"{way}/{task}", expect=404)
        assert guest.send("POST", f"{way}/{task}", {"csrf": token, "step": "cancel"}).status_code == 404
    assert api.get(f"/background-task/{task}").json["data"]["state"] == "running"
