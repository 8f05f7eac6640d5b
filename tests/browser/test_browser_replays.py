"""The journey of an operator whose customer's endpoint was down: what changed, one attempt, then all that is lost."""

import json
import re

import pytest
from hands import by
from playwright.sync_api import expect

PUBLISHED = {"eventType": "invoice.paid", "payload": {"order": 1001}}
# Fewer than make an endpoint rest, and more than that takes.
FEW, MANY = 5, 15
# At one a second, long enough that somebody can intervene.
LONG = 60


class Customer:
    """An application with an endpoint that can be broken and mended; *path* is where it is well.

    Args:
        place: Where.
        application: Its uid.
    """

    def __init__(self, place, application):
        self._place = place
        self._application = application
        self.path = f"/{application}"
        made = {"url": place.shop.url + self.path, "retrySchedule": []}
        self._endpoint = place.api.post(f"/app/{application}/endpoint", made)["id"]
        self.page = f"/applications/{application}/endpoints/{self._endpoint}"

    def publish(self, count, tried=0):
        """Publish messages; wait until so many attempts at the endpoint are on record."""
        for _ in range(count):
            self._place.api.post(f"/app/{self._application}/msg", PUBLISHED)
        attempts = f"/app/{self._application}/attempt/endpoint/{self._endpoint}?limit=100"
        while len(self._place.api.get(attempts)["data"]) < tried:
            pass

    def break_down(self):
        """Be where nothing is taken."""
        self._move(f"/broken?{self._application}")

    def mend(self):
        """Be where it was."""
        self._move(self.path)

    def fail(self, count):
        """Take one message, then break down and miss others."""
        self.publish(1, 1)
        self.break_down()
        self.publish(count, 1 + FEW)

    def until(self, count):
        """Wait until it has got so many while it was well."""
        ledger = self._place.shop.ledger
        self._place.shop.until(lambda: sum(one.path == self.path for one in ledger) >= count)

    def got(self):
        """Return how many it has got while it was well."""
        return sum(one.path == self.path for one in self._place.shop.seen())

    def _move(self, path):
        body = json.dumps({"url": self._place.shop.url + path}).encode()
        way = f"/api/v1/app/{self._application}/endpoint/{self._endpoint}"
        assert self._place.api.ask("PATCH", way, body)[0] == 200


@pytest.fixture
def customer(place, application):
    return Customer(place, application)


def preview(hand, customer, which, count, rate=""):
    """Come from the endpoint's page to what a replay would be; return that part of the page."""
    hand.open(customer.page)
    hand.press("link", "Replay")
    hand.choose("Which", which)
    hand.choose("Accepted in", "the last hour")
    hand.type("Messages per second", rate)
    hand.press("button", "Preview")
    hand.arrives("What that would be")
    would = hand.page.get_by_role("region", name="What that would be")
    expect(would).to_contain_text(re.compile(rf"{count}\smessages"))
    return would


def begin(hand, count):
    """Begin what was previewed; return where its page says how it goes."""
    hand.press("button", re.compile(rf"^Send {count}\smessages again$"))
    hand.reads("It has begun.")
    return hand.page.locator("#task .status")


@by("hand")
def test_one_attempt_comes_first(hand, customer):
    """Its page says what changed; paused, it is sent one message, and at a pace the others when that has arrived."""
    customer.fail(FEW)
    hand.open(customer.page)
    changed = hand.page.get_by_role("region", name="What changed")
    expect(changed.get_by_role("link", name="The last success")).to_be_visible()
    expect(changed.get_by_role("row").filter(has_text="The first failure")).to_contain_text("500")
    hand.press("button", "Pause")
    hand.reads("Paused.")
    customer.publish(2)
    hand.press("button", "Send one as a canary")
    hand.reads(re.compile("^The canary failed: .*500"))
    customer.mend()
    hand.press("button", "Send one as a canary")
    hand.reads(re.compile("^The canary arrived: answered with 204"))
    assert customer.got() == 2
    hand.type("Messages a second at most; empty for no limit", "5")
    hand.press("button", "Set the pace")
    hand.reads("It gets 5 a second at most.")
    hand.press("button", "Resume")
    customer.until(3)


def test_an_endpoint_rests_until_it_is_well(place, visit, customer):
    """One that keeps failing is left alone, and says so; mended, it gets what has waited, without anybody's doing."""
    customer.fail(MANY)
    page = visit(place.url, cookies=place.cookies).open(customer.page)
    expect(page.get_by_text("Resting.")).to_be_visible()
    customer.mend()
    expect(page.get_by_text("Resting.")).to_have_count(0)
    customer.until(2)


@by("hand")
def test_a_replay_is_paused_and_ended(hand, customer):
    """Previewed and begun at a rate, its page shows how it goes; it waits when told, and ends with the rest unsent."""
    customer.publish(LONG, LONG)
    would = preview(hand, customer, "Everything that is done, also what succeeded", LONG, "1")
    expect(would).to_contain_text("about 1 min")
    state = begin(hand, LONG)
    expect(state).to_have_text("Running")
    customer.until(LONG + 1)
    hand.press("button", "Pause")
    expect(state).to_have_text("Paused")
    hand.press("button", "Resume")
    expect(state).to_have_text("Running")
    hand.press("button", "End it, take back what was not sent")
    expect(state).to_have_text("Cancelled")
    assert customer.got() < 2 * LONG


@by("hand")
def test_a_replay_is_finished(hand, customer):
    """As fast as the endpoint takes it; the page says by itself when all is sent, and the list leads there."""
    customer.fail(FEW)
    customer.mend()
    preview(hand, customer, "What failed", FEW)
    expect(begin(hand, FEW)).to_have_text("Finished")
    expect(hand.page.get_by_role("progressbar")).to_have_attribute("value", "100")
    customer.until(1 + FEW)
    task = hand.page.url.rpartition("/")[2]
    hand.press("link", "Replays")
    hand.press("link", task)
    hand.arrives("Replay")
