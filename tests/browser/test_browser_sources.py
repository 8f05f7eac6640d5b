"""The journey of somebody who receives: from a new source to what it refused, what nothing handled and what failed."""

import json
import re
from urllib.parse import urlsplit

from hands import Keyboard, Plain, by
from playwright.sync_api import expect
from running import ANYWHERE, MAIN_KEY, running
from running_site import folder
from server_site import SETTINGS, address, signed_in
from visits import NOWHERE

from ringback.testing import signed_request

TOKEN = "the callback token of a shop"
# A handler that fails until somebody has mended what it needs.
HANDLERS = """
from pathlib import Path
from ringback import Inbox

inbox = Inbox({store!r}, poll_interval="20ms")
inbox.source("xendit", secrets=[{token!r}])


@inbox.on("xendit", "invoice.paid", retries="1h")
def fulfil(message):
    if not Path("mended").exists():
        raise LookupError("no such order")
"""


def knock(api, door, event_id, token=TOKEN):
    """Send a webhook of a paid invoice to a source's address; return the status of the answer."""
    body = signed_request("xendit", "invoice.paid", event_id=event_id).body
    return api.ask("POST", urlsplit(door).path, body, x_callback_token=token)[0]


def make(hand, name, uid=""):
    """Make a source by its form; return its address."""
    hand.press("link", "Sources")
    hand.press("link", re.compile("^(New source|Make the first one)$"))
    hand.type("Name", name)
    hand.type("Secret", TOKEN)
    hand.type("UID", uid)
    hand.press("button", "Make the source")
    hand.arrives(name)
    return hand.page.locator("dd .mono").filter(has_text="/in/").inner_text()


def figure(hand, name):
    """Return the number with that name on a source's page."""
    return hand.page.locator(".figure").filter(has_text=name).locator(".value")


def forward(place, source, path, **more):
    """Have a source forward what it receives."""
    body = json.dumps({"url": place.shop.url + path, **more}).encode()
    assert place.api.ask("POST", f"/ingest/api/v1/source/{source}/endpoint", body)[0] == 201


@by("hand")
def test_a_source_from_nothing(place, hand, name):
    """Its page shows by itself what came and what was refused, and says why; it goes when that is confirmed."""
    hand.open("/")
    door = make(hand, name)
    assert knock(place.api, door, "ev-1", "an older token") in {401, 403}
    expect(figure(hand, "Refused")).to_have_text("1")
    assert knock(place.api, door, "ev-1") == 200
    expect(hand.page.get_by_role("row").filter(has_text="invoice.paid")).to_be_visible()
    hand.press("link", "Refused requests")
    hand.arrives("Token mismatch")
    hand.press("link", name)
    hand.press("button", "Delete the source")
    hand.reads(f"Delete {name}?")
    hand.press("button", "Delete the source")
    hand.reads(f"The source {name} is deleted.")
    assert knock(place.api, door, "ev-2") == 404


@by("hand", {"no scripts": Plain})
def test_a_source_forwards_what_a_receiver_of_its_own_mind_takes(place, hand, name):
    """From the source's page: a URL, a transformation that is tried first, a token; what comes in arrives so."""
    hand.open("/")
    door = make(hand, name)
    path = f"/own?{name}"
    hand.press("link", "Forward to a URL")
    hand.type("URL", place.shop.url + path)
    hand.type("Event types", "invoice.*")
    hand.press("button", "Forward to it")
    hand.reads("The endpoint is there, and answered a first request well")
    hand.press("link", "To the endpoint")
    hand.press("link", "Settings")
    hand.press("link", "Transformation")
    hand.type("Expression", "{kind: eventType}")
    hand.type("Event type", "invoice.paid")
    hand.press("button", "Try it")
    hand.reads("It would be sent,")
    hand.press("checkbox", re.compile("^Use it"))
    hand.press("button", "Save")
    hand.reads("The transformation is in use from now on.")
    hand.press("link", "Credentials")
    hand.page.locator("summary", has_text="Bearer").click()
    hand.type("Token", "the-token-of-a-shop")
    hand.press("button", "Save the token")
    hand.reads("The requests show it from now on.")
    assert knock(place.api, door, "ev-1") == 200
    # The first request was the one that tried it out.
    place.shop.until(lambda: [one.path for one in place.shop.ledger].count(path) == 2)
    _, arrived = (one for one in place.shop.seen() if one.path == path)
    assert json.loads(arrived.body) == {"kind": "invoice.paid"}
    assert arrived.headers["authorization"] == "Bearer the-token-of-a-shop"


@by("hand")
def test_what_is_left_over_is_replayed(place, hand, name):
    """What nothing handles is kept, and sent when something does; so is what was given up."""
    hand.open("/")
    door = make(hand, name)
    source = urlsplit(hand.page.url).path.rpartition("/")[2]
    assert knock(place.api, door, "ev-1") == 200
    expect(figure(hand, "Nothing handles")).to_have_text("1")
    hand.press("link", "Handled by nothing")
    hand.press("button", re.compile("^Replay"))
    hand.reads("Still nothing wants it")
    path = f"/broken?{name}"
    forward(place, source, path, retrySchedule=[])
    hand.press("button", re.compile("^Replay"))
    hand.reads("Queued again, for 1 of its endpoints.")
    place.shop.until(lambda: [True for one in place.shop.ledger if one.path == path])
    hand.press("link", name)
    expect(figure(hand, "Dead letters")).to_have_text("1")
    expect(hand.page.get_by_role("rowheader").filter(has_text="/broken")).to_be_visible()
    hand.press("link", "Dead letters")
    hand.press("button", re.compile("^Handle again"))
    hand.reads("It is queued again.")
    place.shop.until(lambda: [one.path for one in place.shop.ledger].count(path) == 2)
    hand.open(f"/sources/{source}/dead")
    hand.press("button", "Handle all again")
    hand.reads(re.compile(r"1\sdead letter"))
    hand.press("button", "Handle them again")
    hand.reads("It has begun.")
    place.shop.until(lambda: [one.path for one in place.shop.ledger].count(path) == 3)


def test_a_handler_is_mended(visit):
    """The live view leads from nothing to a handler that works: its traceback is there, and `r` runs it once more."""
    with folder() as data:
        store = f"sqlite:///{data}/ringback.db"
        (data / "webhooks.py").write_text(HANDLERS.format(store=store, token=TOKEN))
        settings = {"store": store, "main_key": MAIN_KEY}
        with running("serve", "--listen", ANYWHERE, folder=data, **(SETTINGS | settings)) as node:
            hand = Keyboard(visit(address(node), cookies=signed_in(node.port)))
            hand.open("/watch")
            hand.reads("First steps: 0 of 4 of receiving")
            door = make(hand, "Payments", "xendit")
            hand.press("link", "Live")
            hand.reads("First steps: 1 of 4 of receiving")
            with running("worker", "--inbox", "webhooks:inbox", folder=data, **settings), node.api() as api:
                walk_to_a_handler_that_works(hand, api, door, data)
            # Before the server goes, or the page would say that it is gone.
            hand.page.goto(NOWHERE)


def walk_to_a_handler_that_works(hand, api, door, data):
    """Receive what is refused, what fails, and what then is handled."""
    assert knock(api, door, "ev-1", "an older token") in {401, 403}
    hand.reads("The last one was refused:")
    assert knock(api, door, "ev-1") == 200
    expect(hand.page.get_by_label("Traceback")).to_contain_text("LookupError: no such order")
    hand.reads("First steps: 3 of 4 of receiving")
    (data / "mended").touch()
    row = hand.page.get_by_role("row").filter(has=hand.page.get_by_role("link", name="invoice.paid"))
    expect(row).to_contain_text("Retrying")
    hand.page.keyboard.press("j")
    expect(row.get_by_role("link", name="invoice.paid")).to_be_focused()
    hand.page.keyboard.press("r")
    hand.reads("invoice.paid is queued again, for one place")
    expect(row).to_contain_text("Delivered")
    expect(hand.page.get_by_text("First steps: 4 of 4 of receiving")).to_be_visible()
