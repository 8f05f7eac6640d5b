"""Pages about sources: what came, what was refused and why, and what is left over."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from management import gateway_of
from visitors import until_refused

from ringback.entrance import Entrance
from ringback.ids import OPERATOR
from ringback.intake import Intake
from ringback.observe import Observer
from ringback.outbox import system_clock
from ringback.reconciler import Reconciler
from ringback.server.pages import sources as pages
from ringback.signing import Request
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
    return operator.press(form, "Make the source", name="Shop", provider="xendit", secrets=TOKEN)


def knock(visitor, source, body, token=TOKEN):
    """Send a webhook to the source's address."""
    address = next(text for text in source.text.split() if "/in/" in text)
    headers = {"x-callback-token": token, "content-type": "application/json"}
    return visitor.send("POST", urlsplit(address).path, headers=headers, raw=json.dumps(body).encode())


def receive(api, source, token=TOKEN):
    """Have a webhook come to the source's address at another node, which has not seen it before; return the status."""
    address = next(text for text in source.text.split() if "/in/" in text)
    headers = {"x-callback-token": token, "content-type": "application/json"}
    request = Request("POST", address, headers, json.dumps(PAID).encode())
    return gateway_of(api.committer).accept(address.rsplit("/", 1)[1], request).result().status


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


def test_what_is_counted_so_far_only_says_so(operator, source, monkeypatch):
    """Counting stops where it would take long; what is told then is no exact number."""
    monkeypatch.setattr(pages, "CEILING", 1)
    assert "Received 0 in 28 days" in operator.open(source.url).text
    knock(operator, source, PAID)
    assert "Received 1 or more in 28 days" in operator.open(source.url).text


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


def test_what_was_refused_is_told_with_the_reason_and_what_to_do(api, operator, source):
    """A wrong token is a refusal on the page, without the token."""
    assert knock(operator, source, PAID, "wrong-token-of-somebody").status_code in {401, 403}
    until_refused(api, source.url.rsplit("/", 1)[1])
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


def test_a_source_is_changed_and_keeps_its_secret_unless_another_is_typed(api, operator, source):
    """What it verifies with is never on the page; both of two secrets are good, so that the provider can change."""
    form = operator.follow(source, "Change")
    assert TOKEN not in form.source
    assert "it keeps the one that it has" in form.text
    changed = operator.press(form, "Save", name="Till", uid="till", metadata="team: pay")
    assert "Till" in changed.headings
    assert knock(operator, changed, PAID).status_code == 200
    another = "the-next-callback-token-of-a-shop"
    changed = operator.press(operator.follow(changed, "Change"), "Save", secrets=f"{another}\n{TOKEN}\n")
    for token in (another, TOKEN):
        assert receive(api, changed, token) == 200
    assert "2 secrets" in operator.open(changed.url).text.replace("\N{NO-BREAK SPACE}", " ")


def test_what_is_wrong_with_a_change_stands_at_its_field(operator, source):
    """Nothing that was typed is lost but what is secret, and nothing is changed."""
    form = operator.follow(source, "Change")
    wrong = {
        "name": "x" * 300,
        "uid": "a b",
        "url": "nowhere",
        "metadata": "team",
        "secrets": "hidden-secret",
    }
    again = operator.press(form, "Save", **wrong, expect=400)
    assert "write NAME: VALUE on each line" in again.text
    assert "hidden-secret" not in again.source
    again = operator.press(again, "Save", metadata="", expect=400)
    assert "a b" in again.source
    assert "nowhere" in again.source
    assert "Shop" in operator.open(source.url).headings


def test_another_address_takes_the_place_of_the_one_before(api, operator, source):
    """Both are good while they overlap; without an overlap all that were before end. One form makes one address."""
    asked = operator.follow(source, "Another address")
    second = operator.press(asked, "Give it another address", grace="48")
    assert "The one before is good for a while." in second.text
    assert receive(api, source) == receive(api, second) == 200
    address = next(text for text in second.text.split() if "/in/" in text)
    assert address in operator.press(asked, "Give it another address", grace="48").text
    third = operator.press(operator.follow(second, "Another address"), "Give it another address", grace="0")
    assert "The one before is good no more." in third.text
    assert [receive(api, one) for one in (source, second, third)] == [404, 404, 200]


def test_what_address_there_may_not_be_is_said(operator, source):
    """More than three that are still good, and an overlap that is too long, are refused on the form."""
    too_long = operator.press(
        operator.open(f"{source.url}/address"), "Give it another address", grace="9999", expect=400
    )
    assert "is between 0 and" in too_long.text.lower()
    for _ in range(3):
        operator.press(operator.open(f"{source.url}/address"), "Give it another address")
    full = operator.press(operator.open(f"{source.url}/address"), "Give it another address", expect=400)
    assert "still good" in full.text


def test_who_may_only_look_changes_no_source(place, operator, source):
    """Neither form is offered or answered."""
    api, visitor = place
    reader = visitor()
    reader.login(api.key("read"))
    page = reader.open(source.url)
    for tail in ("edit", "address"):
        assert f"/{tail}" not in page.source
        reader.open(f"{source.url}/{tail}", expect=403)
        assert reader.send("POST", f"{source.url}/{tail}", {"csrf": page.csrf}).status_code == 403


def test_a_source_is_no_application(api, operator, source):
    """Its id opens no application's page, makes no way into a portal, and is not found among applications."""
    ref, csrf = source.url.rpartition("/")[2], source.csrf
    for owner in (ref, OPERATOR):
        one = f"/applications/{owner}"
        for tail in ("", "/edit", "/endpoints/new"):
            operator.open(one + tail, expect=404)
        for tail in ("/portal", "/delete", "/edit", "/endpoints/new"):
            form = {"csrf": csrf, "url": "https://a.example/", "name": "x"}
            assert operator.send("POST", one + tail, form).status_code == 404, tail
        assert "There is no application" in operator.open(f"/applications?find={owner}").text


def test_a_replay_of_a_source_leads_to_it(api, operator, source):
    """Tasks of sources are listed with the others; from their pages the way leads to the source."""
    ref = source.url.rpartition("/")[2]
    hook = {"url": "https://a.example/", "eventTypes": ["*"]}
    endpoint = api.send("POST", f"/ingest/api/v1/source/{ref}/endpoint", hook).json["id"]
    path = f"/ingest/api/v1/source/{ref}/endpoint/{endpoint}/replay-missing"
    task = api.send("POST", path, {"since": "2026-01-01T00:00:00Z"}).json["id"]
    page = operator.open(f"/replays/{task}")
    assert "https://a.example/" in page.text
    assert operator.follow(page, "Shop").headings[0] == "Shop"
    assert operator.follow(page, "https://a.example/").status == 200
