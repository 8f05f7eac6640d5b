"""The pages where payers of the v3 API pay: sessions, payment requests and payment tokens."""

import pytest

from browser import SITE

URLS = {
    "success_return_url": "https://shop.example/thanks",
    "failure_return_url": "https://shop.example/sorry",
    "cancel_return_url": "https://shop.example/basket",
}
CHANNEL = {
    "reference_id": "order-1",
    "country": "ID",
    "currency": "IDR",
    "channel_code": "DANA",
    "channel_properties": URLS,
}
REQUEST = CHANNEL | {"type": "PAY", "request_amount": 45_000}
SESSION = {
    "reference_id": "order-2",
    "session_type": "PAY",
    "mode": "PAYMENT_LINK",
    "amount": 150_000,
    "currency": "IDR",
    "country": "ID",
    "description": "Two <kettles>",
    "success_return_url": "https://shop.example/thanks",
    "cancel_return_url": "https://shop.example/basket",
}
SAVING = {"session_type": "SAVE", "amount": 0, "customer_id": "cust-1"}
MINUTE = 60_000
# What a button makes of a payment request, and of a token: its status, the page's heading, and where it leads.
PAYMENTS = {
    "Approve": ("SUCCEEDED", "You have paid", "https://shop.example/thanks"),
    "Decline": ("FAILED", "The payment failed", "https://shop.example/sorry"),
}
CONSENTS = {
    "Approve": ("ACTIVE", "You have agreed", "https://shop.example/thanks"),
    "Decline": ("FAILED", "You have not agreed", "https://shop.example/sorry"),
}


def made(play, **more):
    """Make a session; return it, and the path of its page."""
    session = play.ok("POST", "/sessions", SESSION | more)
    return session, session["payment_link_url"].removeprefix(SITE)


def shown(play, session):
    return play.ok("GET", f"/sessions/{session['payment_session_id']}")


def events(play):
    return [event for event, _, _ in play.told()]


@pytest.mark.parametrize("button", PAYMENTS)
def test_a_payment_request_and_its_payer(play, browser, button):
    """The page that its action leads to decides it, is told, and leads to the merchant, once."""
    request = play.ok("POST", "/v3/payment_requests", REQUEST)
    path = request["actions"][0]["value"].removeprefix(SITE)
    status, heading, url = PAYMENTS[button]
    page = browser.open(path)
    assert "to Toko Ringback?" in page.headings[0]
    assert "DANA asks" in page.text
    assert page.link("Go back without deciding") == "https://shop.example/basket"
    done = browser.press(page, button)
    assert done.headings[0].startswith(heading)
    assert done.refresh == f"0;url={url}"
    assert play.ok("GET", f"/v3/payment_requests/{request['payment_request_id']}")["status"] == status
    assert browser.press(page, button).headings == done.headings
    assert len(play.told()) == 1


@pytest.mark.parametrize("button", CONSENTS)
def test_a_token_and_its_payer(play, browser, button):
    """The page of a token asks for an agreement, not for money."""
    token = play.ok("POST", "/v3/payment_tokens", CHANNEL)
    status, heading, url = CONSENTS[button]
    page = browser.open(token["actions"][0]["value"].removeprefix(SITE))
    assert page.headings[0] == "Let Toko Ringback take payments from you?"
    done = browser.press(page, button)
    assert (done.headings[0], done.refresh) == (heading, f"0;url={url}")
    assert play.ok("GET", f"/v3/payment_tokens/{token['payment_token_id']}")["status"] == status


def test_a_session_is_paid(play, browser):
    """A payer chooses a way and pays; the page says so, and leads to the merchant."""
    session, path = made(play, allowed_payment_channels=["QRIS", "BRI_VIRTUAL_ACCOUNT", "DANA"])
    page = browser.open(path)
    assert "150,000" in page.headings[0]
    assert "Two <kettles>" in page.text
    chosen = browser.press(page, "BRI")
    assert "Pay with BRI" in chosen.headings
    done = browser.press(chosen, "Simulate payment")
    assert done.headings[0].startswith("You have paid")
    assert done.refresh == "0;url=https://shop.example/thanks"
    assert shown(play, session)["status"] == "COMPLETED"
    assert events(play) == ["payment.capture", "payment_session.completed"]
    again = browser.press(chosen, "Simulate payment")
    assert again.headings == done.headings
    assert browser.press(chosen, "Simulate a failed payment").headings == done.headings
    assert len(play.told()) == 2
    assert browser.open(path).refresh is None


def test_a_payment_of_a_session_fails(play, browser):
    """A failure is told, and the payer can try again or go back."""
    session, path = made(play)
    page = browser.press(browser.press(browser.open(path), "DANA"), "Simulate a failed payment")
    assert "The payment failed." in page.text
    assert page.link("return to Toko Ringback") == "https://shop.example/basket"
    assert events(play) == ["payment.failure"]
    browser.press(page, "Simulate payment")
    assert shown(play, session)["status"] == "COMPLETED"


@pytest.mark.parametrize("ticked", [True, False])
def test_a_payer_may_save(play, browser, ticked):
    """Where the session leaves it open, a box decides whether the way to pay is saved."""
    session, path = made(play, allow_save_payment_method="OPTIONAL", customer_id="cust-1")
    page = browser.press(browser.open(path), "DANA")
    browser.press(page, "Simulate payment", saves=ticked)
    assert (shown(play, session)["payment_token_id"] is not None) is ticked


def test_a_session_that_only_saves(play, browser):
    """Nothing is paid: the payer agrees or refuses."""
    session, path = made(play, **SAVING)
    page = browser.open(path)
    assert page.headings[0] == "Save a way to pay"
    refused = browser.press(browser.press(page, "OVO"), "Simulate a refusal")
    assert "Nothing was saved." in refused.text
    done = browser.press(refused, "Simulate consent")
    assert done.headings[0] == "You have agreed"
    assert shown(play, session)["payment_token_id"]


def test_a_page_that_waits(play, browser):
    """The page asks how its session stands, and shows the end of one that has expired."""
    session, path = made(play)
    page = browser.open(path)
    assert play.ok("GET", page.data("watch"), key=None) == {"state": page.data("state")}
    play.advance(30 * MINUTE)
    assert play.ok("GET", page.data("watch"), key=None) == {"state": "EXPIRED"}
    over = browser.open(path)
    assert over.headings[0] == "This session is over"
    assert over.link("Return to Toko Ringback") == "https://shop.example/basket"
    assert shown(play, session)["status"] == "EXPIRED"


def test_what_a_page_does_not_offer(play):
    """A way that the session does not offer is refused, and a session that is not there is 404."""
    _, path = made(play, allowed_payment_channels=["DANA"])
    form = {"way": "QRIS", "outcome": "success"}
    assert play.call("POST", f"{path}/complete", form=form, key=None).status == 400
    assert play.call("POST", "/web/ps-x/complete", form=form, key=None).status == 404
    assert play.told() == []
