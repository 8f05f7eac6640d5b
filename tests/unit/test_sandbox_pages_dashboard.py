"""The dashboard's home, invoices and frame."""

import pytest
from sandbox_receivers import received
from sandboxes import OWNER, playing

from browser import SITE, Browser
from ringback.sandbox.xendit.slots import Slot

HOME, PLACE = "/dashboard", "/dashboard/invoices"


def made(play, **more):
    return play.ok("POST", "/v2/invoices", {"external_id": "order-1", "amount": 75_000} | more)


# --- Home ----------------------------------------------------------------------------------------------------


def test_the_address_leads_to_the_dashboard(browser):
    """Whoever opens the sandbox's address sees what it is, its key, and what to do first."""
    page = browser.open("/")
    assert page.url == HOME
    for said in (
        SITE,
        "xnd_development_ringback",
        "First steps",
        "With the official Python SDK",
        "With curl",
    ):
        assert said in page.text
    assert [page.link(label) for label in ("Set the URL", "with a form")] == [
        "/dashboard/settings",
        "/dashboard/invoices#create",
    ]


def test_the_first_steps_are_ticked_off(tmp_path):
    """Each step is ticked once it is done, an open page learns of it, and all being done the list goes."""
    with playing(tmp_path, worker=True) as play, received(play) as receiver:
        browser = Browser(play)
        page = browser.open(HOME)

        def done():
            assert play.ok("GET", page.data("watch"), key=None)["state"] != page.data("state")
            return browser.open(HOME)

        for step in (
            lambda: made(play),
            # Without a URL nothing is sent by itself, so this is one step and not two.
            lambda: browser.press(
                browser.press(browser.open(invoice_page(play)), "DANA"), "Simulate payment"
            ),
            lambda: play.run(play.sandbox.slots.put(OWNER, Slot(name="invoice", url=receiver.url))),
        ):
            before = page.text.count("(done)")
            step()
            page = done()
            assert page.text.count("(done)") == before + 1
        play.advance(1)
        browser.press(browser.open(page.link("invoice.paid")), "Resend")
        play.deliver()
        page = done()
        assert "First steps" not in page.text
        assert "invoice.paid Completed" in page.text


def invoice_page(play):
    (invoice,) = play.ok("GET", "/v2/invoices", query={"external_id": "order-1"})
    return invoice["invoice_url"].removeprefix(SITE)


def test_live_mode(browser):
    """Live mode is a link away, has its own key, and its menu stays in it."""
    page = browser.open(browser.open(HOME).link("Live mode"))
    assert "xnd_production_ringback" in page.text
    assert page.link("Webhooks") == "/dashboard/webhooks?mode=live"
    assert page.link("Test mode") == HOME
    assert "First steps" in page.text


def test_every_page_has_its_frame(browser):
    """A language, a title, one main part that a skip link leads to, one first heading, and where one is."""
    for path in (HOME, PLACE, "/dashboard/webhooks", "/dashboard/webhooks/resend", "/dashboard/settings"):
        page = browser.open(path)
        assert 'lang="en"' in page.source
        assert page.title.endswith("Ringback sandbox")
        assert page.link("Skip to the content") == "#main"
        assert [given.get("id") for tag, given in page.elements if tag == "main"] == ["main"]
        assert sum(tag == "h1" for tag, _ in page.elements) == 1
        assert any("aria-current" in given for _, given in page.elements)
        ids = [given["id"] for _, given in page.elements if given.get("id")]
        assert len(ids) == len(set(ids)), sorted(ids)


def test_every_field_has_a_label(browser):
    """Whatever can be filled in is called something."""
    for path in (PLACE, "/dashboard/webhooks/resend", "/dashboard/settings"):
        page = browser.open(path)
        labelled = {given.get("for") for tag, given in page.elements if tag == "label"}
        for tag, given in page.elements:
            if tag in {"input", "select"} and given.get("type") not in {"hidden", "checkbox"}:
                assert given["id"] in labelled, given


def test_addresses_that_are_no_pages(browser):
    """Under the dashboard's address they are a page that leads back."""
    for path in ("/dashboard/nothing", "/dashboard/settings/nothing", "/dashboard/%3Cb%3E"):
        page = browser.open(path, expect=404)
        assert "There is nothing here" in page.headings
        assert page.link("Go to the dashboard") == HOME


def test_files_of_the_pages(play, browser):
    """Style sheet, script and icon come from here, may be kept for ever, and are named after what is in them."""
    page = browser.open(HOME)
    files = [
        given.get("href") or given.get("src", "")
        for tag, given in page.elements
        if tag in {"link", "script", "img"}
    ]
    assert {path.rpartition(".")[2] for path in files} == {"css", "js", "svg"}
    for path in files:
        answer = play.call("GET", path, key=None)
        assert answer.status == 200
        assert dict(answer.headers)["cache-control"] == "public, max-age=31536000, immutable"
    assert play.refused("GET", "/assets/ringback-000000000000.css", key=None) == (404, "NOT_FOUND")


# --- Invoices ------------------------------------------------------------------------------------------------


def test_the_first_invoice(play, browser):
    """The form has all that an invoice needs filled in; what it makes can be opened and paid."""
    page = browser.open(PLACE)
    assert "Create the first invoice" in page.headings
    done = browser.press(page, "Create invoice")
    assert "Invoice order-1 is made." in done.text
    assert done.rows[1][:3] == ["order-1", "PENDING", "Rp\N{NO-BREAK SPACE}75,000".replace("\xa0", " ")]
    assert "How do you want to pay?" in browser.open(done.link("Open its page and pay it")).headings
    (invoice,) = play.ok("GET", "/v2/invoices")
    assert (invoice["amount"], invoice["currency"]) == (75_000, "IDR")


def test_all_fields_of_the_form(play, browser):
    """What is typed is what the invoice has."""
    typed = {
        "external_id": "kettle & co",
        "amount": "1499.50",
        "currency": "PHP",
        "minutes": "5",
        "description": "Two kettles",
        "payer_email": "siti@example.com",
        "success_redirect_url": "https://shop.example/ok",
        "failure_redirect_url": "https://shop.example/no",
    }
    browser.press(browser.open(PLACE), "Create invoice", **typed)
    (invoice,) = play.ok("GET", "/v2/invoices")
    assert invoice["amount"] == 1499.5
    for name in set(typed) - {"amount", "minutes"}:
        assert invoice[name] == typed[name]
    play.advance(5 * 60_000)
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"external_id": ""}, "external_id"),
        ({"amount": ""}, "the amount must be a number, such as 75000"),
        ({"amount": "nan"}, "the amount must be a number"),
        ({"amount": "1e999"}, "the amount must be a number"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "1"}, "minimum"),
        ({"minutes": "soon"}, "the time to pay must be a number"),
        ({"minutes": "0.000001"}, "invoice_duration"),
        ({"minutes": "1e300"}, "invoice_duration"),
        ({"currency": "EUR"}, "EUR"),
        ({"success_redirect_url": "javascript:alert(1)"}, "success_redirect_url"),
        ({"description": "x" * 5_000}, "description"),
    ],
)
def test_what_cannot_be_an_invoice(play, browser, typed, said):
    """The page says what is wrong, keeps what was typed, and makes nothing."""
    page = browser.press(browser.open(PLACE), "Create invoice", expect=400, **{"description": "Tea"} | typed)
    assert "No invoice was made." in page.text
    assert said in page.text
    kept = dict(page.forms[-1].fields)
    for name, value in typed.items():
        assert kept[name] == value or name == "currency"
    assert play.ok("GET", "/v2/invoices") == []


def test_the_list_of_invoices(play, browser):
    """Newest first, by status and by text, with what can be done with each; a filter that hides all says so."""
    for number in (1, 2):
        made(play, external_id=f"order-{number}")
    browser.press(browser.press(browser.open(invoice_page(play)), "DANA"), "Simulate payment")
    page = browser.open(PLACE)
    assert [row[:2] for row in page.rows[1:]] == [["order-2", "PENDING"], ["order-1", "PAID"]]
    paid = browser.press(page, "Show", status="PAID")
    assert [row[0] for row in paid.rows[1:]] == ["order-1"]
    assert "Webhooks" in browser.open(paid.link("Webhooks about order-1")).headings
    assert [row[0] for row in browser.press(page, "Show", text="ORDER-2").rows[1:]] == ["order-2"]
    none = browser.press(page, "Show", status="SETTLED")
    assert "No invoice fits" in none.headings
    assert len(browser.open(none.link("Show all")).rows) == 3


def test_expiring_from_the_list(play, browser):
    """One press expires an invoice; a second one, from a page that is older, is told why not."""
    invoice = made(play)
    page = browser.open(PLACE)
    assert browser.press(page, "Expire").rows[1][1] == "EXPIRED"
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"
    assert "it is EXPIRED" in browser.press(page, "Expire", expect=404).text


def test_pages_of_invoices(play, browser):
    """Twenty-five are a page; the others are a link away, and no number of a page breaks it."""
    for number in range(30):
        made(play, external_id=f"order-{number}")
    page = browser.open(PLACE)
    assert (len(page.rows), "Page 1 of 2" in page.text) == (26, True)
    older = browser.open(page.link("Older"))
    assert (len(older.rows), older.rows[-1][0]) == (6, "order-0")
    assert browser.open(older.link("Newer")).rows == page.rows
    for number in ("99", "-1", "x", "9" * 30, "\N{SUPERSCRIPT TWO}"):
        assert len(browser.open(f"{PLACE}?page={number}").rows) > 1


def test_live_invoices(play, browser):
    """The form in live mode makes a live invoice, and its page leads to the live log."""
    done = browser.press(browser.open(f"{PLACE}?mode=live"), "Create invoice")
    assert "mode=live" in done.url
    assert "Create the first invoice" in browser.open(PLACE).headings
    page = browser.open(done.link("Open its page and pay it"))
    assert page.link("webhooks about this").endswith("mode=live")
