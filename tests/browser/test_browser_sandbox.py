"""The journeys of whoever develops with the sandbox, from the first page to the webhook that arrives."""

import json
import re
from types import SimpleNamespace

import pytest
from hands import PAYERS, Keyboard, by
from playwright.sync_api import expect
from running import receiving
from running_site import folder, shop
from sandbox_process import sandbox

DRAFT = {"external_id": "order-1", "amount": 478_000, "description": "Kitchen things"}
CHARGE = {
    "reference_id": "order-2",
    "currency": "IDR",
    "amount": 129_000,
    "checkout_method": "ONE_TIME_PAYMENT",
    "channel_code": "ID_DANA",
}
SLOT = "/sandbox/webhooks/slots/invoice"


@pytest.fixture(scope="module")
def place():
    """A sandbox, and the shop that it tells of payments."""
    with folder() as data, receiving(shop) as receiver, sandbox(data, "--seed", "3") as box:
        yield SimpleNamespace(box=box, shop=receiver)


@pytest.fixture
def told(place):
    """The shop is told of invoices; return what waits for a webhook about an object, and returns its body."""
    place.box.ok("PUT", SLOT, {"url": f"{place.shop.url}/shop"})

    def about(what, times=1):
        def bodies():
            arrived = [json.loads(one.body) for one in place.shop.ledger if one.status]
            return [body for body in arrived if what in json.dumps(body)]

        place.shop.until(lambda: len(bodies()) >= times)
        return bodies()

    return about


@pytest.fixture
def hand(request, visit, place):
    kind = request.param
    return kind(visit(place.box.url, screen=kind.screen, scripts=kind.scripts))


def invoice(place, **more):
    """Make an invoice; return its id."""
    return place.box.ok("POST", "/v2/invoices", DRAFT | more)["id"]


@by("hand", PAYERS)
def test_a_payer_pays(place, told, hand):
    """From the invoice's page over the choice of a bank to the end; the shop is told."""
    made = invoice(place)
    hand.open(f"/web/{made}")
    hand.press("button", "BCA")
    hand.arrives("Pay with BCA")
    hand.press("button", "Simulate payment")
    hand.arrives(re.compile("You have paid Rp.478,000"))
    assert told(made)[0]["status"] == "PAID"


@by("hand", PAYERS)
def test_a_payment_fails_and_is_tried_again(place, told, hand):
    """What fails says so, and leads back to where it can be tried again."""
    made = invoice(place)
    hand.open(f"/web/{made}")
    hand.press("button", "DANA")
    hand.press("button", "Simulate a failed payment")
    hand.reads("The payment failed.")
    hand.press("link", "Try again")
    hand.press("button", "Simulate payment")
    hand.arrives(re.compile("You have paid"))
    assert [body["status"] for body in told(made)] == ["PAID"]


@by("hand", PAYERS)
def test_a_payer_approves(place, hand):
    """A wallet asks, the payer approves, and is led back to the merchant."""
    back = {"channel_properties": {"success_redirect_url": f"{place.box.url}/dashboard"}}
    charge = place.box.ok("POST", "/ewallets/charges", CHARGE | back)["id"]
    hand.open(f"/web/{charge}")
    hand.press("button", "Approve")
    hand.arrives("Your payment provider, on this machine")
    assert place.box.ok("GET", f"/ewallets/charges/{charge}")["status"] == "SUCCEEDED"


@by("hand", PAYERS)
def test_an_invoice_expires(place, hand, request):
    """Made with the form and expired with the button, it says to its payer that it can no longer be paid."""
    name = f"for {request.node.callspec.id}"
    hand.open("/dashboard/invoices")
    hand.type(re.compile("^External ID"), name)
    hand.type(re.compile("^Amount"), "75000")
    hand.press("button", "Create invoice")
    hand.reads(f"Invoice {name} is made.")
    hand.press("button", f"Expire {name}")
    row = hand.page.get_by_role("row").filter(has_text=name)
    expect(row.get_by_text("EXPIRED")).to_be_visible()
    hand.press("link", name)
    hand.arrives("This invoice has expired")


def test_a_page_notices_that_it_is_paid(place, visit):
    """Paid elsewhere, by a phone say, the page that waits shows it by itself."""
    made = invoice(place)
    page = visit(place.box.url).open(f"/web/{made}")
    expect(page.get_by_role("timer")).to_contain_text("hours")
    place.box.ok("POST", f"/sandbox/invoices/{made}/pay")
    expect(page.get_by_role("heading", name=re.compile("You have paid"))).to_be_visible()


@by("hand")
def test_settings_are_tested_and_saved(place, hand):
    """A URL is tested, and the page says what the receiver answered, what is wrong with a URL, and what to do."""
    place.box.ok("PUT", SLOT, {"url": None})
    hand.open("/dashboard")
    hand.press("link", "Set the URL")
    hand.arrives("Webhook settings")
    slot = hand.page.locator("#invoice")
    for path, words in {
        "/shop": "Your receiver answered 200",
        "/broken": "Your receiver answered 500",
    }.items():
        hand.type(re.compile("^Payment links"), place.shop.url + path, within=slot)
        hand.press("button", re.compile("^Test and save"), within=slot)
        hand.reads(words)
        assert place.box.ok("GET", SLOT)["url"] == place.shop.url + path
    hand.type(re.compile("^Payment links"), "ftp://shop.example", within=slot)
    hand.press("button", re.compile("^Save"), within=slot)
    expect(slot.get_by_label(re.compile("^Payment links"))).to_have_attribute("aria-invalid", "true")
    hand.visit.expect_fault("status of 400")
    assert place.box.ok("GET", SLOT)["url"] == f"{place.shop.url}/broken"


@by("hand")
def test_a_webhook_is_sent_again(place, told, hand):
    """From the list to one webhook: what was sent, what was answered; sent again, its history grows by itself."""
    made = invoice(place)
    place.box.ok("POST", f"/sandbox/invoices/{made}/pay")
    told(made)
    hand.open(f"/dashboard/webhooks?text={made}")
    hand.press("link", re.compile(f"invoice.paid of {made}"))
    hand.arrives("invoice.paid")
    expect(hand.page.locator("pre.json")).to_contain_text(made)
    hand.press("button", "Resend")
    hand.reads("Queued to be sent again.")
    expect(hand.page.get_by_role("cell", name="Dashboard")).to_be_visible()
    first, second = told(made, times=2)
    assert first == second


@by("hand")
def test_many_are_sent_again(place, told, hand):
    """By a filter, after a preview of which and how many."""
    made = invoice(place)
    place.box.ok("POST", f"/sandbox/invoices/{made}/pay")
    told(made)
    hand.open("/dashboard/webhooks")
    hand.press("link", "Custom resend")
    hand.arrives("Custom resend")
    hand.type("Text in id or payload", made)
    hand.press("button", "Preview")
    hand.arrives("1 webhook fits")
    hand.press("button", "Resend 1 webhook")
    hand.reads("1 queued to be sent again")
    told(made, times=2)


@by("hand")
def test_an_event_of_the_catalogue(place, told, hand, request):
    """Any event is sent with other values, and the page says what the receiver answered."""
    name = f"order {request.node.callspec.id}"
    hand.open("/dashboard/events")
    hand.press("link", "invoice.paid")
    hand.arrives("invoice.paid")
    hand.type("external_id", name)
    hand.press("button", "Send this event")
    hand.reads("Your receiver answered 200")
    assert told(name)[0]["external_id"] == name


def test_a_comparison(place, visit):
    """Played from its form, it shows how far it is, and then its chart and numbers."""
    hand = Keyboard(visit(place.box.url))
    hand.open("/dashboard")
    hand.press("link", "Compare")
    hand.type(re.compile("^Invoices"), "6")
    hand.press("button", "Play it")
    hand.arrives(re.compile("^It runs"))
    expect(hand.page.get_by_role("heading", name="What came of it")).to_be_visible(timeout=60_000)
    expect(hand.page.locator("figure svg")).to_be_visible()
