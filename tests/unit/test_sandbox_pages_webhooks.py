"""The dashboard's Webhooks tab: the list, its filters and pages, the details, and sending again."""

import re
from datetime import UTC, datetime

import msgspec
import pytest
from receivers import answering
from sandbox_receivers import BROKEN, OK, invoice, orders, received, tell
from sandboxes import OWNER, playing

from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.slots import Slot

PLACE = "/dashboard/webhooks"
DAY = 86_400_000
COLUMNS = ["Status", "Date created", "Product ID", "Product type", "Event", "Next redelivery"]
HISTORY = [
    "Timestamp",
    "Source",
    "HTTP status",
    "Error code",
    "Response time",
    "Next redelivery",
    "Response body",
]


@pytest.fixture
def play(tmp_path):
    with playing(tmp_path, worker=True) as play:
        yield play


def point(play, url, name="invoice", owner=OWNER):
    play.run(play.sandbox.slots.put(owner, Slot(name=name, url=url)))
    # What the worker holds of an endpoint is renewed by a later one.
    play.advance(1)


def listed(page):
    """Return status and product id of each row of the list."""
    return [(row[0].split(" invoice.")[0].split(" ewallet.")[0], row[2]) for row in page.rows[1:]]


def wallet(number=1):
    body = {"event": "ewallet.capture", "data": {"id": f"ewc_{number}"}}
    return Notice(event="ewallet.capture", product="E-wallet", product_id=f"ewc_{number}", body=body)


def test_nothing_yet(browser):
    """An empty log says how to fill it, and shows no empty table and no filter."""
    page = browser.open(PLACE)
    assert "No webhook yet" in page.headings
    assert (page.rows, page.forms) == ([], [])
    assert page.link("Go to invoices") == "/dashboard/invoices"


def test_the_list(play, browser):
    """Rows have the provider's columns and statuses, newest first, and lead to the details."""
    with received(play, answering(OK, BROKEN)) as receiver:
        point(play, receiver.url)
        for number in (1, 2):
            tell(play, invoice(number))
            play.deliver()
        tell(play, wallet())
        page = browser.open(PLACE)
    assert page.rows[0] == COLUMNS
    assert listed(page) == [("URL Not Set", "ewc_1"), ("Failed", "inv-2"), ("Completed", "inv-1")]
    assert re.fullmatch(r"\d\d \w{3} \d{4}, \d\d:\d\d:\d\d UTC", page.rows[2][5])
    assert page.rows[1][5] == page.rows[3][5] == "\N{EN DASH}"
    assert "invoice.paid" in browser.open(page.link("Failed")).headings


def test_filters_live_in_the_address(play, browser):
    """Status, product, event, date and text narrow the list; the page that comes shows what it is narrowed by."""
    tell(play, invoice(1))
    play.advance(2 * DAY)
    tell(play, wallet(), invoice(2))
    page = browser.open(PLACE)
    today = page.rows[1][1]
    for typed, found in (
        ({"product": "E-wallet"}, ["ewc_1"]),
        ({"event": "invoice.paid"}, ["inv-2", "inv-1"]),
        ({"text": "ORDER-1"}, ["inv-1"]),
        ({"status": "URL Not Set", "product": "Invoice"}, ["inv-2", "inv-1"]),
        ({"since": day_of(today)}, ["inv-2", "ewc_1"]),
        ({"until": day_of(today)}, ["inv-2", "ewc_1", "inv-1"]),
        ({"until": day_of(page.rows[3][1])}, ["inv-1"]),
    ):
        narrowed = browser.press(page, "Filter", **typed)
        assert [row[1] for row in listed(narrowed)] == found, typed
        again = browser.press(narrowed, "Filter")
        assert again.url == narrowed.url
        assert listed(browser.open(narrowed.link("Clear filters"))) == listed(page)


def day_of(written):
    """Return the day of a time as pages write it, as an address names it."""
    return datetime.strptime(written, "%d %b %Y, %H:%M:%S %Z").replace(tzinfo=UTC).date().isoformat()


def test_a_filter_that_hides_everything(play, browser):
    """It says so, and offers to be taken away."""
    tell(play, invoice())
    page = browser.open(f"{PLACE}?text=nothing-such&status=Completed")
    assert "No webhook fits" in page.headings
    assert len(browser.open(page.link("Clear filters")).rows) == 2


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=2026-02-30", "since=9999-12-31&until=9999-12-31"]
)
def test_days_that_are_none(play, browser, query):
    """A day that is none is a page that says what a day is."""
    assert "such as 2026-03-02" in browser.open(f"{PLACE}?{query}", expect=400).text
    assert "such as 2026-03-02" in browser.open(f"{PLACE}/resend?{query}", expect=400).text


def test_other_rubbish_in_the_address(play, browser):
    """Statuses and products that there are not find nothing, and break nothing."""
    tell(play, invoice())
    assert len(browser.open(f"{PLACE}?status=Nope").rows) == 2
    page = browser.open(f"{PLACE}?product=Nope&event=nope&resent=-1&refused=x&mode=nope")
    assert "No webhook fits" in page.headings
    assert browser.press(page, "Filter").url == f"{PLACE}?product=Nope&event=nope&since=&until=&text="


def test_pages(play, browser):
    """Twenty-five rows are a page; the next begins where this one ends, even when webhooks come in between."""
    tell(play, *(invoice(number) for number in range(60)))
    seen, page = [], browser.open(f"{PLACE}?product=Invoice")
    for size in (25, 25, 10):
        rows = listed(page)
        assert len(rows) == size
        seen += [product_id for _, product_id in rows]
        tell(play, invoice(1_000 + size))
        older = [href for label, href in page.links if label == "Older"]
        page = browser.open(older[0]) if older else None
    assert page is None
    assert seen == [f"inv-{number}" for number in reversed(range(60))]
    assert "there is no webhook nothing" in browser.open(f"{PLACE}?after=nothing", expect=404).text.lower()


def test_details(play, browser):
    """The three parts: the transaction, the payload as it was sent, and what each attempt met with."""
    with received(play, answering(BROKEN)) as receiver:
        point(play, receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        page = browser.open(f"{PLACE}/{notice}")
    assert page.headings == ["invoice.paid", "Transaction information", "Request payload", "Event history"]
    for said in (
        "Status Failed",
        "Product ID inv-1",
        "Product type Invoice",
        "Setting invoice",
        "webhook-id ",
    ):
        assert said in page.text
    assert '{"id":"inv-1","external_id":"order-1","status":"PAID","amount":1000}' in page.text
    head, row, more = page.rows
    assert head == HISTORY
    assert [row[1], row[2], row[3], row[6]] == ["Automatic", "500", "none", "broken"]
    assert re.fullmatch(r"\d+ ms", row[4])
    assert row[5].endswith("UTC")
    assert more == [f"Sent to {receiver.url}. The receiver failed at it. Its log says why."]
    assert page.data("watch") is None


def test_details_of_what_is_long(play, browser):
    """Of a long payload and a long answer the beginning is shown, so that the page stays light; and that is said."""
    answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 60000\r\n\r\n" + b"'" * 60_000
    long = msgspec.structs.replace(invoice(), body={"id": "inv-1", "description": "'" * 20_000})
    with received(play, answering(answer)) as receiver:
        point(play, receiver.url)
        notice = tell(play, long)
        play.deliver()
        page = browser.open(f"{PLACE}/{notice}")
    assert len(page.source.encode()) < 60_000
    assert "Only the beginning is shown, of 20." in page.text
    assert page.text.count("Only the beginning is shown.") == 1


def test_an_answer_that_never_came(play, browser):
    """The history names the error as the provider does, and says what to do."""
    point(play, "http://127.0.0.1:1/hook")
    notice = tell(play, invoice())
    play.deliver()
    page = browser.open(f"{PLACE}/{notice}")
    assert page.rows[1][2:4] == ["none", "ECONNREFUSED"]
    assert "Nothing listens there. Start the receiver, or correct the URL." in page.rows[2][0]


def test_a_webhook_without_a_url(play, browser):
    """It says why nothing was sent and leads to the setting; to resend it is refused until there is a URL."""
    notice = tell(play, invoice())
    page = browser.open(f"{PLACE}/{notice}")
    assert "Nothing has been sent yet." in page.text
    assert page.link("Set the URL") == "/dashboard/settings#invoice"
    assert "set a URL for invoice" in browser.press(page, "Resend", expect=400).text
    with received(play) as receiver:
        point(play, receiver.url)
        sent = browser.press(page, "Resend")
        play.deliver()
        assert orders(receiver) == ["order-1"]
    assert sent.url == f"{PLACE}/{notice}?resent=1"


def test_resending_one(play, browser):
    """One press sends it again with the same webhook-id; the page says queued, watches, and then shows by whom."""
    with received(play) as receiver:
        point(play, receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        play.advance(1_000)
        queued = browser.press(browser.open(f"{PLACE}/{notice}"), "Resend")
        assert "Queued to be sent again." in queued.text
        before = queued.data("state")
        play.deliver()
        assert play.ok("GET", queued.data("watch"), key=None) == {"state": "Completed 2"} != {"state": before}
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
        page = browser.open(queued.data("then"))
    assert [row[1] for row in page.rows[1::2]] == ["Dashboard", "Automatic"]


def test_a_custom_resend(play, browser):
    """What fits is counted and shown before anything is sent; then all of it goes out, and nothing else."""
    with received(play, answering(BROKEN, BROKEN, OK)) as receiver:
        point(play, receiver.url)
        for number in (1, 2, 3):
            tell(play, invoice(number))
            play.deliver()
        start = browser.open(browser.open(f"{PLACE}?status=Failed").link("Custom resend"))
        assert "2 webhooks fit" in start.headings
        narrowed = browser.press(start, "Preview", text="order-2")
        assert "1 webhook fits" in narrowed.headings
        assert "inv-2" in narrowed.text
        assert len(receiver.requests) == 3
        done = browser.press(start, "Resend 2 webhooks")
        assert "2 queued to be sent again" in done.text
        play.deliver()
        assert sorted(orders(receiver)[3:]) == ["order-1", "order-2"]
        assert "There is nothing to resend." in browser.press(start, "Preview", text="nothing").text


def test_a_custom_resend_of_what_has_no_url(play, browser):
    """What could not be sent again is counted, too."""
    tell(play, invoice(1), invoice(2))
    done = browser.press(browser.open(f"{PLACE}/resend"), "Resend 2 webhooks")
    assert "0 queued to be sent again; 2 could not be" in done.text


def test_more_than_can_be_resent(play, browser):
    """Above 500 there is a count but no button, and pressing one from before is refused."""
    tell(play, *(invoice(number) for number in range(500)))
    page = browser.open(f"{PLACE}/resend")
    assert "500 webhooks fit" in page.headings
    tell(play, invoice(501))
    full = browser.open(f"{PLACE}/resend")
    assert "These are more than 500." in full.text
    assert [list(form.buttons) for form in full.forms] == [["Preview"]]
    assert "at most 500 can be resent" in browser.press(page, "Resend 500 webhooks", expect=400).text


def test_webhooks_of_the_other_mode(play, browser):
    """Live webhooks are seen in live mode only, and every link and form stays in it."""
    live = Owner(OWNER.business_id, live=True)
    notice = tell(play, invoice(), owner=live)
    assert "No webhook yet" in browser.open(PLACE).headings
    browser.open(f"{PLACE}/{notice}", expect=404)
    page = browser.open(f"{PLACE}?mode=live")
    assert listed(page) == [("URL Not Set", "inv-1")]
    assert listed(browser.press(page, "Filter", text="order")) == listed(page)
    detail = browser.open(page.link("URL Not Set"))
    assert "mode=live" in detail.url
    assert all("mode=live" in form.action for form in detail.forms)
    resend = browser.open(page.link("Custom resend"))
    assert "1 webhook fits" in resend.headings
    assert "0 queued" in browser.press(resend, "Resend 1 webhook").text


def test_webhooks_that_are_not_there(play, browser):
    """Unknown ids are pages that say so, to read and to press on."""
    for path in (f"{PLACE}/nothing", f"{PLACE}/%00"):
        assert "There is nothing here" in browser.open(path, expect=404).headings
    assert play.call("POST", f"{PLACE}/nothing/resend", form={}, key=None).status == 404
    assert play.refused("GET", f"{PLACE}/nothing/state", key=None) == (404, "WEBHOOK_NOT_FOUND_ERROR")


def test_what_went_wrong_on_purpose(play, browser):
    """The details of a webhook that was dropped say that the settings asked for it."""
    play.ok("PUT", "/sandbox/webhooks/slots/invoice", {"url": "http://127.0.0.1:1/", "mishaps": ["drop"]})
    notice = tell(play, invoice())
    page = browser.open(f"{PLACE}/{notice}")
    assert "let something go wrong with this webhook on purpose: drop" in page.text
