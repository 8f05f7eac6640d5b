"""The pages where payers pay: invoices, and what charges ask to be approved."""

import pytest
from sandboxes import OWNER

from browser import SITE
from ringback.sandbox.xendit.slots import Slot

INVOICE = {
    "external_id": "order-1",
    "amount": 312_500,
    "description": "Two kettles and a teapot",
    "payer_email": "siti@example.com",
    "items": [
        {"name": "Copper kettle", "price": 125_000, "quantity": 2},
        {"name": "Teapot", "price": 50_000, "quantity": 1},
    ],
    "fees": [{"type": "Delivery", "value": 12_500}],
    "success_redirect_url": "https://shop.example/thanks?order=1;a=2",
    "failure_redirect_url": "https://shop.example/sorry",
}
CHARGE = {
    "reference_id": "order-2",
    "currency": "IDR",
    "amount": 45_000.0,
    "checkout_method": "ONE_TIME_PAYMENT",
    "channel_code": "ID_DANA",
    "channel_properties": {
        "success_redirect_url": "https://shop.example/thanks",
        "failure_redirect_url": "https://shop.example/sorry",
        "cancel_redirect_url": "https://shop.example/basket",
    },
}
PLAN = {"customer_id": "cust-1", "channel_code": "ID_KREDIVO", "currency": "IDR", "amount": 600_000.0}
# A way of each method that an invoice in rupiah can be paid by, and what the webhook says of it.
WAYS = {
    "BCA": ("BANK_TRANSFER", "BCA"),
    "DANA": ("EWALLET", "DANA"),
    "Alfamart": ("RETAIL_OUTLET", "ALFAMART"),
    "QRIS": ("QR_CODE", "QRIS"),
    "Kredivo": ("PAYLATER", "KREDIVO"),
    "Card": ("CREDIT_CARD", "CREDIT_CARD"),
}


def made(play, **more):
    """Make an invoice; return it, and the path of its page."""
    invoice = play.ok("POST", "/v2/invoices", INVOICE | more)
    return invoice, invoice["invoice_url"].removeprefix(SITE)


def status(play, invoice):
    return play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"]


# --- Invoices ------------------------------------------------------------------------------------------------


def test_what_a_payer_sees(play, browser):
    """The page says who asks for how much, what for, by when, and how it can be paid."""
    page = browser.open(made(play)[1])
    assert "Toko Ringback" in page.title
    for said in (
        "Rp 312,500",
        "Two kettles and a teapot",
        "Copper kettle \N{MULTIPLICATION SIGN} 2 Rp 250,000",
        "Delivery Rp 12,500",
        "order-1",
        "siti@example.com",
        "Time left 1 day",
        "Bank transfer",
        "E-wallet",
        "At a shop",
        "QR code",
        "Direct debit",
        "Pay later",
        "Card",
    ):
        assert said in page.text
    assert page.data("left") == "86400000"


@pytest.mark.parametrize("label", WAYS)
def test_a_payer_pays(play, browser, label):
    """Chosen, paid, told, and led to the merchant's page at once, with the address whole."""
    invoice, path = made(play)
    chosen = browser.press(browser.open(path), label)
    paid = browser.press(chosen, "Simulate payment")
    assert "You have paid Rp 312,500" in paid.headings
    assert paid.refresh == f"0;url={INVOICE['success_redirect_url']}"
    assert paid.link("Continue to Toko Ringback") == INVOICE["success_redirect_url"]
    assert status(play, invoice) == "PAID"
    ((event, slot, body),) = play.told()
    assert (event, slot, body["status"]) == ("invoice.paid", "invoice", "PAID")
    assert (body["payment_method"], body["payment_channel"]) == WAYS[label]


def test_the_redirect_does_not_wait_for_the_webhook(play, browser):
    """A URL that nobody answers, or none at all, changes nothing for the payer."""
    play.run(play.sandbox.slots.put(OWNER, Slot(name="invoice", url="http://127.0.0.1:1/dead")))
    _, path = made(play)
    paid = browser.press(browser.press(browser.open(path), "BCA"), "Simulate payment")
    assert paid.refresh is not None


@pytest.mark.parametrize(
    ("label", "said"),
    [("BCA", "BCA account number 38165"), ("Alfamart", "Payment code RING")],
)
def test_a_number_to_pay_to(play, browser, label, said):
    """A bank's account and a shop's code are shown once chosen, can be copied, and stay the same."""
    _, path = made(play)
    page = browser.press(browser.open(path), label)
    assert said in page.text
    assert page.data("copy") == "number"
    again = browser.press(browser.open(path), label)
    assert again.text == page.text


def test_a_code_to_scan(play, browser):
    """QRIS shows a code that is drawn on the server, on a light ground, and has a name."""
    page = browser.press(browser.open(made(play)[1]), "QRIS")
    assert any(
        given.get("aria-label") == "QR code with the address of this page" for _, given in page.elements
    )
    assert any(tag == "svg" for tag, _ in page.elements)
    paths = [given for tag, given in page.elements if tag == "path"]
    assert {"#fff", "#000"} <= {given.get("fill") for given in paths} | {
        given.get("stroke") for given in paths
    }


def test_a_payment_that_fails(play, browser):
    """It changes nothing and is not told; the payer goes to the merchant's page for that, or tries again."""
    invoice, path = made(play)
    failed = browser.press(browser.press(browser.open(path), "DANA"), "Simulate a failed payment")
    assert "The payment failed" in failed.text
    assert failed.refresh == f"0;url={INVOICE['failure_redirect_url']}"
    assert (status(play, invoice), play.told()) == ("PENDING", [])
    again = browser.open(failed.link("Try again"))
    assert again.refresh is None
    browser.press(again, "Simulate payment")
    assert status(play, invoice) == "PAID"


def test_without_pages_of_the_merchant(play, browser):
    """An invoice without redirect URLs keeps its payer, whatever comes of it."""
    _, path = made(play, success_redirect_url=None, failure_redirect_url=None)
    chosen = browser.press(browser.open(path), "DANA")
    failed = browser.press(chosen, "Simulate a failed payment")
    assert (failed.refresh, "The payment failed" in failed.text) == (None, True)
    paid = browser.press(failed, "Simulate payment")
    assert (paid.refresh, "You have paid Rp 312,500" in paid.headings) == (None, True)


def test_two_tabs(play, browser):
    """The second of two tabs that pay finds the invoice paid, and pays nothing."""
    _, path = made(play)
    one = browser.press(browser.open(path), "DANA")
    other = browser.press(browser.open(path), "BCA")
    browser.press(one, "Simulate payment")
    late = browser.press(other, "Simulate payment")
    assert "You have paid Rp 312,500" in late.headings
    assert "with DANA" in late.text
    assert len(play.told()) == 1
    failed = browser.press(other, "Simulate a failed payment")
    assert "You have paid Rp 312,500" in failed.headings


def test_a_tab_that_waits(play, browser):
    """An open page can ask how the invoice stands, and where it goes then shows it."""
    _, path = made(play)
    page = browser.open(path)
    watched, state = page.data("watch"), page.data("state")
    assert play.ok("GET", watched, key=None) == {"state": state}
    browser.press(browser.press(page, "DANA"), "Simulate payment")
    assert play.ok("GET", watched, key=None) == {"state": "PAID"}
    assert "You have paid Rp 312,500" in browser.open(page.data("then")).headings


def test_an_invoice_that_expires_while_it_is_open(play, browser):
    """Choosing and paying too late show that it has expired; nobody is led to the page of those who paid."""
    invoice, path = made(play, invoice_duration=60)
    page = browser.open(path)
    chosen = browser.press(page, "DANA")
    assert "Time left 1 minute" in page.text
    play.advance(60_000)
    for late in (
        browser.press(page, "BCA"),
        browser.press(chosen, "Simulate payment"),
        browser.press(chosen, "Simulate a failed payment"),
        browser.open(page.data("then")),
        browser.open(path),
    ):
        assert "This invoice has expired" in late.headings
        assert late.refresh is None
        assert late.forms == []
        assert late.link("Return to Toko Ringback") == INVOICE["failure_redirect_url"]
    assert (status(play, invoice), play.told()) == ("EXPIRED", [])


def test_a_settled_invoice(play, browser):
    """Once settled, the page still says that it is paid."""
    invoice, path = made(play)
    browser.press(browser.press(browser.open(path), "DANA"), "Simulate payment")
    play.advance(2 * 86_400_000)
    assert status(play, invoice) == "SETTLED"
    assert "You have paid Rp 312,500" in browser.open(path).headings


@pytest.mark.parametrize(
    "way", ["BANK_TRANSFER/NOPE", "NOPE", "", "EWALLET/GCASH", "CREDIT_CARD/CREDIT_CARD"]
)
def test_ways_that_an_invoice_does_not_offer(play, browser, way):
    """A form or an address that names another way pays nothing, and says so."""
    invoice, path = made(play, payment_methods=["BCA", "DANA"])
    refused = play.call("POST", f"{path}/pay", form={"way": way, "outcome": "success"}, key=None)
    assert refused.status == 400
    assert "cannot be paid that way" in refused.body.decode()
    assert "How do you want to pay?" in browser.open(f"{path}?way={way}").headings
    assert status(play, invoice) == "PENDING"


def test_ids_that_are_not_there(play, browser):
    """Unknown ids are a page that says so, and leads on."""
    for path in ("/web/nothing", "/web/ewc_nothing", "/web/%F0%9F%92%B8"):
        page = browser.open(path, expect=404)
        assert "there is nothing to pay" in page.text.lower()
        assert page.link("Go to the dashboard") == "/dashboard"
    for action in ("choose", "pay", "approve", "decline"):
        assert play.call("POST", f"/web/nothing/{action}", form={"way": "x"}, key=None).status == 404
    assert play.refused("GET", "/web/nothing/state", key=None) == (404, "DATA_NOT_FOUND")


# --- Charges -------------------------------------------------------------------------------------------------


def charge(play, kind):
    """Make a charge; return the path of the page that its actions lead to, and the event that tells of it."""
    if kind == "e-wallet":
        made = play.ok("POST", "/ewallets/charges", CHARGE)
        event = "ewallet.capture"
    else:
        plan = play.ok("POST", "/paylater/plans", PLAN)
        urls = {
            name: CHARGE["channel_properties"][name]
            for name in ("success_redirect_url", "failure_redirect_url")
        }
        draft = {"plan_id": plan["id"], "reference_id": "pl-1", "checkout_method": "ONE_TIME_PAYMENT", **urls}
        made = play.ok("POST", "/paylater/charges", draft)
        event = "paylater.payment"
    return made["actions"]["mobile_web_checkout_url"].removeprefix(SITE), event


# What a button makes of a charge: its status, the page's heading, and where the payer is led.
ANSWERS = {
    "Approve": ("SUCCEEDED", "You have paid", "https://shop.example/thanks"),
    "Decline": ("FAILED", "The payment failed", "https://shop.example/sorry"),
}


@pytest.mark.parametrize("kind", ["e-wallet", "pay-later"])
@pytest.mark.parametrize("button", ANSWERS)
def test_a_charge_and_its_payer(play, browser, kind, button):
    """The page that a charge's actions lead to: an answer ends the charge, is told, and leads to the merchant."""
    path, event = charge(play, kind)
    status, heading, url = ANSWERS[button]
    page = browser.open(path)
    assert "to Toko Ringback?" in page.headings[0]
    done = browser.press(page, button)
    assert done.headings[0].startswith(heading)
    assert done.refresh == f"0;url={url}"
    ((told, _, body),) = play.told()
    assert (told, body["data"]["status"]) == (event, status)
    assert browser.open(path).refresh is None


def test_a_charge_that_is_answered_twice(play, browser):
    """The first answer counts; the second tab shows it."""
    path, _ = charge(play, "e-wallet")
    one, other = browser.open(path), browser.open(path)
    assert play.ok("GET", one.data("watch"), key=None) == {"state": one.data("state")}
    browser.press(one, "Approve")
    assert play.ok("GET", one.data("watch"), key=None) == {"state": "SUCCEEDED"}
    late = browser.press(other, "Decline")
    assert late.headings[0].startswith("You have paid")
    assert len(play.told()) == 1


def test_a_payer_who_decides_nothing(play, browser):
    """Who goes back leaves the charge as it is."""
    path, _ = charge(play, "e-wallet")
    assert browser.open(path).link("Go back without deciding") == "https://shop.example/basket"
    assert play.told() == []


def test_a_charge_that_was_taken_back(play, browser):
    """A void charge asks for nothing, and sends nobody anywhere."""
    path, _ = charge(play, "e-wallet")
    browser.press(browser.open(path), "Approve")
    play.ok("POST", path.replace("/web/", "/ewallets/charges/") + "/void")
    play.advance(60_000)
    page = browser.open(f"{path}?done=1")
    assert (page.headings[0], page.refresh, page.forms) == ("There is nothing left to pay", None, [])
    assert "voided" in page.text


# --- Payments v2 ---------------------------------------------------------------------------------------------

WALLET = {
    "type": "EWALLET",
    "reusability": "ONE_TIME_USE",
    "ewallet": {
        "channel_code": "DANA",
        "channel_properties": {
            "success_return_url": "https://shop.example/thanks",
            "failure_return_url": "https://shop.example/sorry",
            "cancel_return_url": "https://shop.example/basket",
        },
    },
}


@pytest.mark.parametrize("button", ANSWERS)
def test_a_payment_request_and_its_payer(play, browser, button):
    """The page that its action leads to decides it, is told, and leads to the merchant, once."""
    draft = {"reference_id": "order-3", "currency": "IDR", "amount": 45_000.0, "payment_method": WALLET}
    request = play.ok("POST", "/payment_requests", draft)
    path = request["actions"][0]["url"].removeprefix(SITE)
    status, heading, url = ANSWERS[button]
    page = browser.open(path)
    assert "to Toko Ringback?" in page.headings[0]
    assert page.link("Go back without deciding") == "https://shop.example/basket"
    done = browser.press(page, button)
    assert done.headings[0].startswith(heading)
    assert done.refresh == f"0;url={url}"
    assert play.ok("GET", f"/payment_requests/{request['id']}")["status"] == status
    assert f"payment.{status.lower()}" in [event for event, *_ in play.told()]
    assert browser.press(page, button).headings == done.headings


# What a button makes of an agreement: its status, the page's heading, and where the payer is led.
AGREEMENTS = {
    "Approve": ("ACTIVE", "You have agreed", "https://shop.example/thanks"),
    "Decline": ("FAILED", "You have not agreed", "https://shop.example/sorry"),
}


@pytest.mark.parametrize("button", AGREEMENTS)
def test_an_agreement_and_its_payer(play, browser, button):
    """A method for several uses asks for an agreement, not for money."""
    method = play.ok("POST", "/v2/payment_methods", WALLET | {"reusability": "MULTIPLE_USE"})
    status, heading, url = AGREEMENTS[button]
    page = browser.open(method["actions"][0]["url"].removeprefix(SITE))
    assert page.headings[0] == "Let Toko Ringback take payments from you?"
    done = browser.press(page, button)
    assert (done.headings[0], done.refresh) == (heading, f"0;url={url}")
    assert play.ok("GET", f"/v2/payment_methods/{method['id']}")["status"] == status


def test_the_bank_of_a_card_asks(play, browser):
    """A card's owner is asked by its bank; whoever comes back after the end finds nothing to pay."""
    card = {"type": "CARD", "reusability": "ONE_TIME_USE", "card": {"currency": "IDR"}}
    draft = {"reference_id": "order-4", "currency": "IDR", "amount": 45_000.0, "payment_method": card}
    request = play.ok("POST", "/payment_requests", draft)
    path = request["actions"][0]["url"].removeprefix(SITE)
    assert "Issuing bank asks" in browser.open(path).text
    play.ok("POST", f"/sandbox/payment_requests/{request['id']}/simulate", {"status": "CANCELED"})
    assert browser.open(path).headings[0] == "There is nothing left to pay"


@pytest.mark.parametrize("version", [2, 3])
def test_a_code_of_the_api(play, browser, version):
    """A request that presents a QR code has a page that draws it, and is paid there."""
    if version == 2:
        code = {"type": "QR_CODE", "reusability": "ONE_TIME_USE", "qr_code": {"channel_code": "QRIS"}}
        draft = {"currency": "IDR", "amount": 45_000, "payment_method": code}
        path = f"/web/{play.ok('POST', '/payment_requests', draft)['id']}"
    else:
        draft = {
            "reference_id": "a",
            "type": "PAY",
            "country": "ID",
            "currency": "IDR",
            "channel_code": "QRIS",
        }
        draft |= {"request_amount": 45_000, "channel_properties": {}}
        made = play.ok("POST", "/v3/payment_requests", draft, headers={"api-version": "2024-11-11"})
        path = f"/web/{made['payment_request_id']}"
    page = browser.open(path)
    assert any(given.get("aria-label") == "QR code of this payment" for _, given in page.elements)
    assert browser.press(page, "Approve").headings[0] == "You have paid Rp 45,000"


def test_a_plan_that_waits_for_an_account(play, browser):
    """The customer of a plan links an account, or the plan goes on waiting: there is no other answer."""
    schedule = {"interval": "DAY", "interval_count": 1, "anchor_date": "2026-03-03T12:00:00Z"}
    draft = {"reference_id": "plan-1", "customer_id": "cust-1", "currency": "IDR", "amount": 99_000}
    plan = play.ok("POST", "/recurring/plans", draft | {"schedule": schedule})
    path = plan["actions"][0]["url"].removeprefix(SITE)
    page = browser.open(path)
    assert [list(form.buttons) for form in page.forms] == [["Approve"]]
    assert play.call("POST", f"{path}/decline", key=None).status == 303
    assert play.told() == []
    assert browser.press(page, "Approve").headings == ["You have agreed"]
    assert play.ok("GET", f"/recurring/plans/{plan['id']}")["status"] == "ACTIVE"
    assert "recurring.plan.activated" in [event for event, *_ in play.told()]
