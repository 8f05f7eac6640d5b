"""Pages about sources: what came, what was refused and why, and what is left over."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest

from ringback.entrance import Entrance
from ringback.intake import Intake
from ringback.observe import Observer
from ringback.outbox import system_clock
from ringback.reconciler import Reconciler
from ringback.testing.samples import sample_of

TOKEN = "the-callback-token-of-a-shop"
PAID = {
    "id": "inv_1",
    "external_id": "order-1",
    "status": "PAID",
    "amount": 75000,
    "payment_method": "EWALLET",
}


@pytest.fixture
def source(operator):
    """A source, made by its form; return its page."""
    form = operator.open("/sources/new")
    return operator.press(form, "Make the source", name="Shop", provider="xendit", secret=TOKEN)


def knock(visitor, source, body, token=TOKEN):
    """Send a webhook to the source's address."""
    address = next(text for text in source.text.split() if "/in/" in text)
    headers = {"x-callback-token": token, "content-type": "application/json"}
    return visitor.send("POST", urlsplit(address).path, headers=headers, raw=json.dumps(body).encode())


def ask(api, source, fetch):
    """Ask the provider for its events, as the program of a shop does."""
    name = source.url.rsplit("/", 1)[1]
    record = api.committer.read(lambda store: store.source(name)).result()
    reconciler = Reconciler(
        "shop",
        fetch,
        every=300,
        patience=60,
        observer=Observer(),
        clock=system_clock,
        chance=lambda: 0.5,
    )
    intake = Intake(api.committer, Observer(), clock=system_clock)
    return asyncio.run(reconciler.look(intake, Entrance(record)))


def test_an_empty_list_leads_to_the_form(operator):
    """Where there is no source, the page says what one is."""
    page = operator.open("/sources")
    assert "No sources yet" in page.headings
    assert "New source" in operator.follow(page, "Make the first one").headings
    again = operator.press(operator.open("/sources/new"), "Make the source", name="", uid="a b", expect=400)
    assert "characters" in again.text


def test_what_came_is_shown_and_what_nothing_handles_can_be_replayed(operator, source):
    """A webhook that verified and is not understood is listed; that is said, and replaying says what came of it."""
    assert knock(operator, source, PAID).status_code == 200
    page = operator.open(source.url)
    assert page.rows[1][1] == "unrecognised"
    left = operator.follow(page, "Not understood")
    assert "Replay them when it is" in left.text
    assert "Still nothing wants it" in operator.press(left, "Replay").text
    assert "None" in operator.follow(page, "Dead letters").headings


def test_what_was_refused_is_told_with_the_reason_and_what_to_do(operator, source):
    """A wrong token is a refusal on the page, without the token."""
    assert knock(operator, source, PAID, "wrong-token-of-somebody").status_code in {401, 403}
    page = operator.follow(operator.open(source.url), "Refused requests")
    assert "1" in operator.open(source.url).text
    assert "token" in page.text.lower()
    assert "wrong-token-of-somebody" not in page.source


def test_who_may_only_look_sees_no_address(place, operator, source):
    """Whoever knows it may knock, so it is shown to those alone who could change it."""
    api, visitor = place
    assert "/in/" in source.text
    reader = visitor()
    reader.login(api.key("read"))
    page = reader.open(source.url)
    assert "/in/" not in page.source
    assert "Delete the source" not in page.text
    reader.open("/sources/new", expect=403)


def test_a_source_is_deleted_only_when_that_is_confirmed(operator, source):
    """The first press asks."""
    asked = operator.press(source, "Delete the source")
    assert "answers no more" in asked.text
    assert "No sources yet" in operator.press(asked, "Delete the source").headings


def test_lists_that_there_are_not(operator, source):
    """An unknown list, and an unknown source, are not found."""
    operator.open(f"{source.url}/everything", expect=404)
    operator.open("/sources/nobody", expect=404)


def test_what_asking_found_is_listed_with_how_the_last_look_went(api, operator, source):
    """Until somebody asks, the page says how; then when that was, what it found, and the messages by themselves."""
    assert "inbox.reconcile()" in source.text
    assert "found nothing that had not come" in operator.follow(source, "Found by asking").text
    ask(api, source, lambda _: [bytes(sample_of("xendit", "invoice.paid").body)])
    page = operator.open(source.url)
    assert "1 event whose webhook had not come, 0 that were known" in page.text.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    found = operator.follow(page, "Found by asking")
    assert found.rows[1][1] == "invoice.paid"
    assert "/polled/replay" not in found.source


def test_a_look_that_failed_says_with_which_error(api, operator, source):
    """The error's name and not what it holds; what the last success found stays."""

    def fetch(since):
        raise OSError("<script>hidden</script>")

    ask(api, source, lambda _: [])
    for _ in range(2):
        with pytest.raises(OSError, match="hidden"):
            ask(api, source, fetch)
    page = operator.open(source.url)
    assert "The last look failed with OSError" in page.text
    assert "2 looks in a row" in page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "<script>hidden" not in page.source
    assert "0 events whose webhook" in page.text.replace("\N{NO-BREAK SPACE}", " ")
