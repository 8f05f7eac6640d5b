"""Webhook settings: where each product's webhooks go, with which token, and how often they are tried."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from receivers import answering
from sandbox_receivers import BROKEN, HOOKS, invoice, log_rows, received, set_slot, tell, webhooks
from sandboxes import BUSINESS, OWNER

from ringback.drafts import EndpointDraft
from ringback.policy import XENDIT_SCHEDULE
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.slot_names import SLOTS, slot_of
from ringback.sandbox.xendit.slots import Sending
from ringback.sandbox.xendit.trial_samples import sample_notice
from ringback.store import Page

URL = "http://127.0.0.1:9/hook"
HOUR = 3_600_000


@pytest.fixture
def play(tmp_path):
    with webhooks(tmp_path) as play:
        yield play


@pytest.fixture
def live(tmp_path):
    with webhooks(tmp_path, worker=True) as play:
        yield play


def endpoints(play, owner=OWNER):
    page = Page(limit=100)
    found = play.run(play.sandbox.outbox.read(lambda store: store.endpoints(str(owner), page)))
    return {endpoint.uid: endpoint for endpoint in found}


# --- Slots -------------------------------------------------------------------------------------------------


def test_a_webhook_goes_to_the_url_of_its_slot_alone(live):
    """A webhook arrives at its product's URL, with the token, a UUID and the client's name; other slots get nothing."""
    with received(live) as mine, received(live) as other:
        set_slot(live, "invoice", url=mine.url)
        set_slot(live, "fva_paid", url=other.url)
        tell(live, invoice())
        live.deliver()
        [request] = mine.requests
        assert other.requests == []
    token = live.ok("GET", f"{HOOKS}/token")["current"]
    assert json.loads(request.body)["external_id"] == "order-1"
    assert request.headers["x-callback-token"] == token
    assert request.headers["user-agent"] == "axios/1.7.9"
    assert request.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request.headers["webhook-id"])
    assert "webhook-signature" not in request.headers


def test_modes_and_businesses_have_settings_of_their_own(live):
    """What one business sets up in one mode is nothing to another mode or a sub-account, nor is its token."""
    sub = {"for-user-id": "a" * 24}
    with received(live) as receiver:
        set_slot(live, url=receiver.url)
        tell(live, invoice(1), owner=Owner(BUSINESS, live=True))
        tell(live, invoice(2), owner=Owner("a" * 24))
        live.deliver()
        assert receiver.requests == []
    slots = live.ok("GET", f"{HOOKS}/slots", headers=sub)["slots"]
    assert {slot["url"] for slot in slots} == {None}
    tokens = {live.ok("GET", f"{HOOKS}/token", headers=headers)["current"] for headers in ({}, sub)}
    assert len(tokens) == 2


def test_the_settings_are_listed_and_changed(play):
    """All slots are listed by name and label; a change keeps what it does not name, and null takes a URL away."""
    listed = play.ok("GET", f"{HOOKS}/slots")
    assert listed["mode"] == "TEST"
    assert [slot["name"] for slot in listed["slots"]] == list(SLOTS)
    set_slot(play, url=URL, also_expired=True, mishaps=["delay"], delay=5)
    assert set_slot(play, also_late=True) == play.ok("GET", f"{HOOKS}/slots/invoice")
    assert play.ok("GET", f"{HOOKS}/slots/invoice") == {
        "name": "invoice",
        "label": "Payment links and invoices",
        "url": URL,
        "also_expired": True,
        "also_late": True,
        "mishaps": ["delay"],
        "delay": 5,
    }
    assert set_slot(play, url=None)["url"] is None
    assert "invoice" not in endpoints(play)
    play.ok("PUT", f"{HOOKS}/slots", {"url": URL})
    assert set(endpoints(play)) == set(SLOTS)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "slots/nothing", None),
        ("PUT", "slots/nothing", {"url": URL}),
        ("PUT", "slots/invoice", {"url": "ftp://shop.example"}),
        ("PUT", "slots/invoice", {"url": "http://a b"}),
        ("PUT", "slots/invoice", {"url": "\x00"}),
        ("PUT", "slots/invoice", {"url": 5}),
        ("PUT", "slots/invoice", {"delay": -1}),
        ("PUT", "slots/invoice", {"delay": 10**40}),
        ("PUT", "slots/invoice", {"mishaps": ["fire"]}),
        ("PUT", "slots/invoice", {"mishaps": [[]]}),
        ("PUT", "slots/invoice", {"mishap": "drop"}),
        ("PUT", "slots", []),
        ("PUT", "slots", {"webhook_url": URL}),
        ("POST", "slots/nothing/test", {"url": URL}),
        ("POST", "slots/invoice/test", {}),
        ("POST", "slots/invoice/test", {"url": "x"}),
        ("PUT", "options", {"automatic_retry": "yes"}),
        ("PUT", "options", {"retry": False}),
        ("POST", "token/rotate", {"overlap": -1}),
        ("POST", "token/rotate", {"overlap": 1e300}),
    ],
)
def test_what_cannot_be_had_is_refused(play, method, path, body):
    """Whatever is wrong with a setting is told in the provider's shape, and nothing changes."""
    before = play.ok("GET", f"{HOOKS}/slots")
    status, _ = play.refused(method, f"{HOOKS}/{path}", body)
    assert status in {400, 404}
    assert play.ok("GET", f"{HOOKS}/slots") == before


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/hook",
        "https://shop.example:8443/hook",
        "https://203.0.113.7/hook",
        "https://[2001:db8::1]/hook",
        "https://localhost/hook",
        "https://shop.local/hook",
    ],
)
def test_strict_rules_are_the_providers(play, url):
    """With strict rules only HTTPS to a public name without a port is taken; without them, any URL is."""
    set_slot(play, url=url)
    play.ok("PUT", f"{HOOKS}/options", {"strict_urls": True})
    assert play.refused("PUT", f"{HOOKS}/slots/invoice", {"url": url}) == (400, "INVALID_URL_FORMAT")
    assert set_slot(play, url="https://shop.example/hook")["url"] == "https://shop.example/hook"


def test_every_event_has_a_slot_and_every_slot_a_sample():
    """The settings page names every slot that an event goes to, and can test each of them."""
    for name in SLOTS:
        notice = sample_notice(name, URL)
        assert slot_of(notice.event) in SLOTS
        assert notice.product_id


def test_settings_outlive_a_restart_and_follow_its_time_scale(tmp_path):
    """URLs and tokens are there after a restart; how fast time passes is as the new run wants it."""
    with webhooks(tmp_path) as play:
        set_slot(play, url=URL)
        token = play.ok("GET", f"{HOOKS}/token")
        assert endpoints(play)["invoice"].retry_schedule == XENDIT_SCHEDULE.delays
    with webhooks(tmp_path, sending=Sending(time_scale=900, user_agent="node")) as play:
        assert play.ok("GET", f"{HOOKS}/token") == token
        endpoint = endpoints(play)["invoice"]
        assert endpoint.retry_schedule == tuple(delay // 900 for delay in XENDIT_SCHEDULE.delays)
        assert endpoint.manner.user_agent == "node"
        assert endpoint.url == URL


def test_a_start_finishes_what_an_end_cut_off(tmp_path):
    """Where the sandbox ended after a URL was kept or taken away, the next start delivers accordingly."""
    with webhooks(tmp_path) as play:
        set_slot(play, url=URL)
        set_slot(play, "payout", url=URL)
        there, outbox = endpoints(play), play.sandbox.outbox
        set_slot(play, "payout", url=None)
        set_slot(play, url=f"{URL}/new")
        for name in ("invoice", "payout"):
            draft = EndpointDraft(url=there[name].url, uid=name, channels=(name,))
            play.run(outbox.put_endpoint(str(OWNER), name, draft))
    with webhooks(tmp_path) as play:
        play.run(play.sandbox.slots.open(OWNER))
        assert {uid: endpoint.url for uid, endpoint in endpoints(play).items()} == {"invoice": f"{URL}/new"}


def test_the_same_seed_gives_the_same_token(tmp_path):
    """Tokens are 48 letters and digits, made by the sandbox's own chance."""
    tokens = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with webhooks(tmp_path / name, seed=3) as play:
            tokens.append(play.ok("GET", f"{HOOKS}/token")["current"])
    assert tokens[0] == tokens[1]
    assert re.fullmatch("[0-9A-Za-z]{48}", tokens[0])


# --- Retries -----------------------------------------------------------------------------------------------


def test_a_failing_webhook_is_tried_seven_times_at_the_documented_times(live):
    """The retries come 15 m, 45 m, 2 h, 3 h, 6 h and 12 h after one another, with one webhook-id, and then no more."""
    with received(live, answering(BROKEN)) as receiver:
        set_slot(live, url=receiver.url)
        tell(live, invoice())
        live.deliver()
        for number, delay in enumerate(XENDIT_SCHEDULE.delays, 1):
            [row] = log_rows(live)
            assert row["status"] == "Failed"
            assert row["next_redelivery"] is not None
            live.advance(delay - 1)
            live.deliver()
            assert len(receiver.requests) == number
            live.advance(1)
            live.deliver()
            assert len(receiver.requests) == number + 1
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
        assert len({request.body for request in receiver.requests}) == 1
    [row] = log_rows(live)
    assert (row["status"], row["next_redelivery"]) == ("Failed", None)


def test_without_automatic_retry_there_is_one_attempt(live):
    """Switched off, a failed webhook stays failed; switched on again, later ones are retried and that one is not."""
    with received(live, answering(BROKEN)) as receiver:
        set_slot(live, url=receiver.url)
        assert live.ok("PUT", f"{HOOKS}/options", {"automatic_retry": False})["automatic_retry"] is False
        live.advance(1)
        tell(live, invoice(1))
        live.deliver()
        live.ok("PUT", f"{HOOKS}/options", {"automatic_retry": True})
        live.advance(1)
        tell(live, invoice(2))
        live.deliver()
        second, first = log_rows(live)
        assert first["next_redelivery"] is None
        assert second["next_redelivery"] is not None
        assert len(receiver.requests) == 2


# --- Tokens ------------------------------------------------------------------------------------------------


def test_a_new_token_is_shown_before_it_is_carried(live):
    """During the overlap webhooks carry the old token while the new one is shown; then they carry the new one."""
    with received(live) as receiver:
        set_slot(live, url=receiver.url)
        old = live.ok("GET", f"{HOOKS}/token")
        assert old["next"] is None
        shown = live.ok("POST", f"{HOOKS}/token/rotate", {"overlap": HOUR})
        assert shown["current"] == old["current"]
        assert shown["next"] != old["current"]
        assert shown["switches_at"] == live.sandbox.stamp(live.clock() + HOUR)
        tell(live, invoice(1))
        live.deliver()
        live.advance(HOUR)
        live.advance(1)
        tell(live, invoice(2))
        live.deliver()
        carried = [request.headers["x-callback-token"] for request in receiver.requests]
    assert carried == [shown["current"], shown["next"]]
    assert live.ok("GET", f"{HOOKS}/token") == {"current": shown["next"], "next": None, "switches_at": None}


def test_the_overlap_can_be_ended_or_left_out(play):
    """`switch` ends the overlap; an overlap of nothing changes the token at once; without a new one nothing happens."""
    shown = play.ok("POST", f"{HOOKS}/token/rotate", {"overlap": HOUR})
    assert play.ok("POST", f"{HOOKS}/token/switch")["current"] == shown["next"]
    assert play.ok("POST", f"{HOOKS}/token/switch")["current"] == shown["next"]
    at_once = play.ok("POST", f"{HOOKS}/token/rotate", {"overlap": 0})
    assert at_once["current"] != shown["next"]
    assert at_once["next"] is None


# --- Test and save -----------------------------------------------------------------------------------------


def test_a_test_sends_the_known_sample_and_saves(live):
    """The receiver gets the sample that it can know; its answer is shown and the URL is saved."""
    with received(live) as receiver:
        trial = live.ok("POST", f"{HOOKS}/slots/invoice/test", {"url": receiver.url})
        [request] = receiver.requests
    body = json.loads(request.body)
    assert (body["external_id"], body["id"]) == ("invoice_123124123", "579c8d61f23fa4ca35e52da4")
    assert (body["status"], body["amount"], body["payment_channel"]) == ("PAID", 50000, "PERMATA")
    assert request.headers["x-callback-token"] == live.ok("GET", f"{HOOKS}/token")["current"]
    assert trial["ok"]
    assert trial["saved"]
    assert (trial["status"], trial["body"], trial["error"]) == (200, "ok", None)
    assert live.ok("GET", f"{HOOKS}/slots/invoice")["url"] == receiver.url
    assert live.ok("GET", f"{HOOKS}/log/{trial['webhook']}")["is_test"]


@pytest.mark.parametrize(("requires_test", "saved"), [(False, True), (True, False)])
def test_a_failed_test_prevents_saving_only_where_that_is_wanted(live, requires_test, saved):
    """A failed test is told with the answer and never retried; the URL is saved all the same, unless options forbid."""
    live.ok("PUT", f"{HOOKS}/options", {"requires_test": requires_test})
    with received(live, answering(BROKEN)) as receiver:
        trial = live.ok("POST", f"{HOOKS}/slots/invoice/test", {"url": receiver.url})
        live.advance(HOUR)
        live.deliver()
        assert len(receiver.requests) == 1
    assert (trial["ok"], trial["status"], trial["body"], trial["saved"]) == (False, 500, "broken", saved)
    assert (live.ok("GET", f"{HOOKS}/slots/invoice")["url"] is not None) is saved


def test_a_test_names_what_kept_the_answer_away(live):
    """Where nobody listens, the test says so as the provider's client would; it need not save."""
    with received(live) as receiver:
        url = receiver.url
    trial = live.ok("POST", f"{HOOKS}/slots/fva_paid/test", {"url": url, "save": False})
    assert (trial["error"], trial["detail"], trial["saved"]) == ("ECONNREFUSED", "connect: refused", False)
    assert live.ok("GET", f"{HOOKS}/slots/fva_paid")["url"] is None


# --- A URL of its own --------------------------------------------------------------------------------------


def test_a_call_may_name_the_url_for_its_webhooks(live):
    """A webhook whose call named a URL goes there with the token, and not to the slot's; the next goes as usual."""
    with received(live) as own, received(live) as usual:
        set_slot(live, url=usual.url)
        tell(live, invoice(1, url=own.url))
        tell(live, invoice(2))
        tell(live, invoice(3, url=own.url))
        tell(live, invoice(4, url="nonsense"))
        live.deliver()
        assert sorted(json.loads(request.body)["external_id"] for request in own.requests) == [
            "order-1",
            "order-3",
        ]
        assert [json.loads(request.body)["external_id"] for request in usual.requests] == ["order-2"]
        assert own.requests[0].headers["x-callback-token"] == live.ok("GET", f"{HOOKS}/token")["current"]
    assert log_rows(live)[0]["status"] == "URL Not Set"


# --- Anything ----------------------------------------------------------------------------------------------

FIELDS = (
    "url",
    "delay",
    "mishaps",
    "also_expired",
    "overlap",
    "status",
    "since",
    "user",
    "preview",
    "automatic_retry",
)
ROUTES = (
    ("PUT", "slots/invoice"),
    ("PUT", "options"),
    ("POST", "token/rotate"),
    ("POST", "slots/invoice/test"),
    ("POST", "resend"),
    ("POST", "log/some/resend"),
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    with webhooks(tmp_path_factory.mktemp("sandbox")) as play:
        yield play


@settings(max_examples=150, deadline=None)
@given(
    route=st.sampled_from(ROUTES),
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner),
        max_leaves=8,
    ),
)
def test_no_body_is_too_odd(lasting, route, body):
    """Whatever JSON comes to the settings and the log, the answer is a success or an error in the provider's shape."""
    method, path = route
    answer = lasting.call(method, f"{HOOKS}/{path}", body)
    assert answer.status in {200, 400, 404}
    if answer.status != 200:
        assert answer.body["error_code"]
