"""The dashboard's pages of the catalogue, as a browser without scripts sees them."""

import html
import json
import re

import pytest
from receivers import OK, answering
from sandbox_receivers import received
from sandboxes import OWNER, playing

from ringback.design.highlighting import highlighted
from ringback.design.writing import breakable
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.catalog import PRODUCTS, entries, sample_of
from ringback.sandbox.xendit.exact_json import decoded
from ringback.sandbox.xendit.notices import NOTICE

EVENTS = "/dashboard/events"
SLOW = b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n"
HOSTILE = "<script>alert(1)</script>&\u202e"


@pytest.fixture
def play(tmp_path):
    with playing(tmp_path, worker=True) as play:
        yield play


def page(play, path, status=200, **options):
    answer = play.call("GET", path, key=None, **options)
    assert answer.status == status, answer
    return answer.body.decode()


def press(play, name, **form):
    """Send the form of an event; return the answer and where it leads."""
    answer = play.call("POST", f"{EVENTS}/{name}", key=None, form=form)
    return answer, dict(answer.headers).get("location")


def text_of(markup):
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def payloads(play, owner=OWNER):
    return [entry.hidden["payload"] for entry in play.sandbox.ledger.entries(NOTICE, owner)]


def test_the_list_leads_to_every_event(play):
    """All 81 are listed with their certainty, product by product, and the menu has the page."""
    content = page(play, EVENTS)
    links = re.findall(rf'href="({EVENTS}/[^"]+)"', content)
    assert {link.removeprefix(f"{EVENTS}/") for link in links} == set(entries())
    assert re.findall(r"<h2[^>]*>([^<]+)</h2>", content) == list(PRODUCTS.values())
    assert content.count(" certainty</span>") == 81 + 3
    assert f'<a href="{EVENTS}" aria-current="page">Events</a>' in content


@pytest.mark.parametrize("name", sorted(entries()))
def test_a_page_shows_its_sample_and_fields(play_once, name):
    """The sample is there as it is sent, and a field that can be set for each line of the table."""
    content, entry = page(play_once, f"{EVENTS}/{name}"), entries()[name]
    sample = re.search(r'<pre id="sample"[^>]*>(.*?)</pre>', content, re.DOTALL)[1]
    assert json.loads(text_of(sample)) == json.loads(bytes(entry.sample))
    fields = re.findall(r'form="trigger" name="set:([^"]+)"', content)
    assert fields == list(entry.fields)
    assert html.escape(entry.source, quote=False) in content.replace("&#39;", "'").replace("&#34;", '"')


@pytest.fixture(scope="module")
def play_once(tmp_path_factory):
    with playing(tmp_path_factory.mktemp("pages")) as play:
        yield play


def test_sending_what_was_typed(play):
    """The form sends the event with the changes, and the page that follows says what the receiver answered."""
    with received(play, answering(SLOW)) as receiver:
        typed = {"set:data.request_amount": "75000.50", "more": "data.metadata.shop=Menteng\n\ndata.type=PAY"}
        answer, place = press(play, "payment.capture", url=receiver.url, **typed)
        (request,) = receiver.requests
    assert answer.status == 303
    assert b'"request_amount":75000.50,' in request.body
    assert json.loads(request.body)["data"]["metadata"] == {"shop": "Menteng"}
    path, webhook = place.split("?sent=")
    content = page(play, path, query={"sent": webhook})
    assert "Your receiver answered 202 in " in content
    assert f'href="/dashboard/webhooks/{webhook}"' in content
    assert "payment.capture" in page(play, f"/dashboard/webhooks/{webhook}")


def test_where_an_event_goes(play):
    """The page names the setting and its URL; without one the event is kept, and the page says so."""
    assert "no URL is set" in page(play, f"{EVENTS}/report.failed")
    _, place = press(play, "report.failed")
    path, webhook = place.split("?sent=")
    assert "It is kept, and has not been sent" in page(play, path, query={"sent": webhook})
    with received(play, answering(OK)) as receiver:
        play.ok("PUT", "/sandbox/webhooks/slots/report", {"url": receiver.url})
        assert receiver.url in page(play, f"{EVENTS}/report.failed")
        press(play, "report.failed")
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"set:amount": "much"}, "amount must be a number"),
        ({"more": f"{HOSTILE}=1"}, "has no field"),
        ({"more": HOSTILE}, "PATH=VALUE"),
        ({"url": HOSTILE}, "the URL cannot be used"),
        ({"set:items": "[" * 19_000}, "items must be an array or null"),
    ],
)
def test_what_cannot_be_sent(play, form, words):
    """The page says why, keeps what was typed, shows it as text, and nothing is sent."""
    answer, _ = press(play, "invoice.paid", **form)
    content = answer.body.decode()
    assert answer.status == 400
    assert words in content
    assert "<script>alert" not in content
    assert (
        html.escape(next(iter(form.values()))).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
        in content
    )
    assert payloads(play) == []


def test_live_mode_is_apart(play):
    """Sent from live mode, it is in the live log, and links stay there."""
    answer = play.call("POST", f"{EVENTS}/fva.paid", key=None, form={}, query={"mode": "live"})
    assert "mode=live" in dict(answer.headers)["location"]
    assert (len(payloads(play)), len(payloads(play, Owner(OWNER.business_id, live=True)))) == (0, 1)
    assert f'href="{EVENTS}/fva.paid?mode=live"' in page(play, EVENTS, query={"mode": "live"})


def test_other_sites_press_nothing(play):
    """A form on another site sends nothing."""
    headers = {"sec-fetch-site": "cross-site"}
    assert play.call("POST", f"{EVENTS}/fva.paid", key=None, form={}, headers=headers).status == 403
    assert payloads(play) == []


@pytest.mark.parametrize("name", ["invoice.payed", HOSTILE.replace("/", ""), "a" * 5_000, "\x00"])
def test_an_event_that_is_not_there(play, name):
    """An address that names none is a page that says so, with names that are near."""
    assert "there is no event" in page(play, f"{EVENTS}/{name}", 404).lower()
    assert play.call("POST", f"{EVENTS}/{name}", key=None, form={}).status == 404


def test_a_webhook_that_is_not_there(play):
    """An address that names a webhook nobody sent shows the page without one."""
    assert "Your receiver" not in page(play, f"{EVENTS}/fva.paid", query={"sent": HOSTILE})


def test_json_is_shown_as_text():
    """Whatever is in a body, what is shown is its JSON, with its numbers, and no element but the highlighting's."""
    value = {"a<b": [1, -2.50e3, True, None], "c": HOSTILE, '"': 'x": 1'}
    markup = highlighted({**value, "n": decoded("75000.00")})
    assert set(re.findall(r"</?\w+", markup)) == {"<span", "</span"}
    assert json.loads(text_of(markup)) == {**value, "n": 75000.0}
    assert '<span class="figure">75000.00</span>' in markup
    assert breakable("a_b.c:<i>") == "a_<wbr>b.<wbr>c:<wbr>&lt;i&gt;"


def test_samples_are_numbers_as_written():
    """What the page of a dispute shows has the number's own form."""
    assert '<span class="figure">120.5</span>' in highlighted(sample_of(entries()["dispute.won"]))
