"""Passwords in the addresses of endpoints: no page shows one, and no form loses one."""

import pytest
from visitors import enter

PASSWORD = "pw-of-acme"
URL = f"https://hook:{PASSWORD}@acme.example/hooks"


@pytest.fixture
def app(api):
    """An application whose endpoints have a password in their address, of which one takes messages."""
    app = api.application()["id"]
    for uid in ("hook", "other"):
        api.endpoint(app, uid=uid, url=URL)
    api.message(app, eventId="order-1")
    for status in (200, 500):
        api.attempt(status)
    return app


def stored(api, app):
    return api.store.endpoint(app, "hook")


def test_no_page_shows_one(place, operator, api, app):
    """Not in lists, headings, attempts, comparisons or what is copied, for operators and in the portal."""
    endpoint = stored(api, app).id
    customer, _ = enter(place, app)
    for guest, above, messages, more in (
        (operator, f"/applications/{app}", f"/messages/{app}", ("/", "/watch", "/messages")),
        (customer, "/portal", "/portal/messages", ("/portal/messages",)),
    ):
        one = f"{above}/endpoints/{endpoint}"
        message = guest.open(f"{messages}/order-1")
        compared = guest.follow(message, "Compare two")
        tails = ("", "/attempts", "/messages", "/start", "/replay", "/edit", "/secret")
        shown = [
            message,
            compared,
            *(guest.open(path) for path in (above, *(one + tail for tail in tails), *more)),
        ]
        shown += [guest.press(guest.open(one), label) for label in ("Disable", "Delete the endpoint")]
        for page in shown:
            assert PASSWORD not in page.source, page.url
        assert sum("https://hook:********@acme.example" in page.text for page in shown) > 8
    assert "acme.example" in operator.open("/watch").text


def test_a_form_that_is_saved_keeps_it(operator, api, app):
    """As it was where nothing or only what follows the host is changed; for another host it must be typed again."""
    edit = f"/applications/{app}/endpoints/{stored(api, app).id}/edit"
    operator.press(operator.open(edit), "Save", description="Orders")
    assert (stored(api, app).url, stored(api, app).description) == (URL, "Orders")
    operator.press(operator.open(edit), "Save", url="https://hook:********@acme.example/other")
    assert stored(api, app).url == f"https://hook:{PASSWORD}@acme.example/other"
    for other in ("https://hook:********@evil.example/", "https://hook:********@acme.example:444/"):
        again = operator.press(operator.open(edit), "Save", url=other, expect=400)
        assert "type the password again" in again.text
        assert other in again.source
    assert stored(api, app).url == f"https://hook:{PASSWORD}@acme.example/other"
    operator.press(operator.open(edit), "Save", url="https://hook:new@evil.example/")
    assert stored(api, app).url == "https://hook:new@evil.example/"


def test_no_form_takes_the_mask_for_one(operator, api, app):
    """A new endpoint has no password that dots could stand for."""
    form = operator.open(f"/applications/{app}/endpoints/new")
    page = operator.press(form, "Add the endpoint", url="https://hook:********@acme.example/", expect=400)
    assert "type the password again" in page.text
