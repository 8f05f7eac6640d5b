"""What an endpoint's people are told when an attempt fails: what happened, what to do, and where to look."""

from urllib.parse import urlsplit

import pytest
from visitors import enter

from ringback.model import OutcomeKind

FAILURES = [
    ({"status": 500}, "Refused by the receiver: 500", "The receiver failed while it worked on it."),
    ({"status": 401}, "Refused by the receiver: 401", "The receiver wants credentials."),
    ({"kind": OutcomeKind.TLS, "detail": "expired"}, "TLS failed: expired", "Renew it."),
    (
        {"kind": OutcomeKind.DNS, "detail": "not_found"},
        "The host name has no usable address: not found",
        "Check how it is spelt.",
    ),
]


@pytest.fixture
def customer(place):
    """Somebody in the portal of an application with one endpoint, and the page on which that is made to work."""
    api, _ = place
    app = api.application()["id"]
    endpoint = api.endpoint(app)["id"]
    guest, _ = enter(place, app)
    return guest, f"/portal/endpoints/{endpoint}"


@pytest.mark.parametrize(("went", "what", "advice"), FAILURES)
def test_a_signed_test_that_fails_says_why(api, customer, went, what, advice):
    """On the page that waits for a first success, on the endpoint's and on the message's, with a way there."""
    guest, way = customer
    guest.press(guest.open(f"{way}/start"), "Send a signed test")
    attempt = api.attempt(body=b"no", **{"status": 0, **went})
    for page in (guest.open(f"{way}/start"), guest.open(way)):
        assert f"The last attempt failed: {what}" in page.text
        assert advice in page.text
        there = page.link("What was sent and answered")
        assert urlsplit(there).fragment == attempt.id
        message = guest.follow(page, "What was sent and answered")
        assert attempt.id in [given.get("id") for _, given in message.elements]
        assert advice in message.text


def test_what_fails_later_is_not_said_to_work(api, customer):
    """A first success is still told of, but as of the past, and what fails after it counts until the next success."""
    guest, way = customer
    start = f"{way}/start"
    for status, fails in ((204, False), (503, True), (500, True), (200, False)):
        guest.press(guest.open(start), "Send a signed test")
        api.attempt(status)
        page = guest.open(start)
        assert ("It works." in page.text) is not fails
        assert ("Nothing is left to do" in page.text) is not fails
        assert ("It worked, and fails now." in page.text) is fails
        assert ("Answer with 2xx (done)" in page.text) is not fails
        assert "Waiting for your first 2xx" not in page.text
        assert ("The last attempt failed" in page.text) is fails
        assert ("The last attempt failed" in guest.open(way).text) is fails


def test_who_may_only_look_is_told_too(place):
    """Operators and customers without any right but to look read the same."""
    api, visitor = place
    app = api.application()["id"]
    endpoint = api.endpoint(app)["id"]
    message = api.message(app)["id"]
    api.attempt(403)
    customer, _ = enter(place, app, readOnly=True)
    reader = visitor()
    reader.login(api.key("read"))
    for guest, above, messages in (
        (customer, "/portal", "/portal/messages"),
        (reader, f"/applications/{app}", f"/messages/{app}"),
    ):
        for path in (
            f"{above}/endpoints/{endpoint}",
            f"{above}/endpoints/{endpoint}/start",
            f"{messages}/{message}",
        ):
            assert "exempt this address" in guest.open(path).text
