"""Links to a portal that an operator makes by hand: what whoever opens one may do there, and how long it is good."""

import pytest
from visitors import visiting

from ringback.outbox import system_clock

MINUTE = 60_000
HOSTILE = "<script>alert(1)</script>"


def made(operator, app, **typed):
    """Make a link with the form as *typed*; return the page that shows it."""
    form = operator.follow(operator.open(f"/applications/{app}"), "Portal link")
    return operator.press(form, "Make the link", **typed)


def opened(visitor, page, *, expect=200):
    """Open the link that a page shows, as somebody else; return them and the first page."""
    guest = visitor()
    return guest, guest.press(guest.follow(page, "Open it yourself"), "Go on", expect=expect)


@pytest.fixture
def app(api):
    """An application with one endpoint; of two event types, one is behind a flag."""
    app = api.application(name="Acme")["id"]
    api.endpoint(app)
    api.event_type("open.one")
    api.event_type("beta.one", featureFlags=["beta"])
    return app


@pytest.mark.parametrize(
    "case",
    [
        ({}, "may do everything there", {"Add an endpoint", "Settings", "Secret", "Replay", "Check now"}),
        ({"capabilities": False}, "may only look", set()),
        ({"capabilities": "CreateAttempts"}, "may do this besides", {"Replay", "Check now"}),
        ({"capabilities": "ViewEndpointSecret"}, "See secrets", {"Secret"}),
        ({"capabilities": "ManageEndpoint"}, "Add, change", {"Add an endpoint", "Settings", "Secret"}),
    ],
)
def test_it_allows_what_was_ticked(place, operator, app, case):
    """Everything as the form stands, only looking with nothing ticked; the page with the link says which."""
    ticked, said, offered = case
    page = made(operator, app, **ticked)
    assert said in page.text
    guest, first = opened(place[1], page)
    endpoint = guest.follow(first, "https://example.com/hook")
    shown = {text for text, _ in [*first.links, *endpoint.links]}
    shown |= {label for form in endpoint.forms for label in form.buttons}
    assert shown & {"Add an endpoint", "Settings", "Secret", "Replay", "Check now"} == offered


def test_event_types_behind_flags_are_for_who_is_given_the_flag(place, operator, app):
    """A link shows none of them but those of the flags that were typed."""
    for flags, listed in (("", False), ("beta other", True)):
        guest, _ = opened(place[1], made(operator, app, featureFlags=flags))
        assert ("beta.one" in guest.open("/portal/event-types").text) is listed
    form = operator.open(f"/applications/{app}/portal")
    wrong = operator.press(form, "Make the link", featureFlags=HOSTILE, capabilities=False, expect=400)
    assert "letters, digits" in wrong.text
    assert HOSTILE not in wrong.source
    # What was chosen is still chosen.
    assert not any(wrong.forms[-1].boxes.values())


@pytest.mark.parametrize(("lifetime", "minutes"), [("900000", 15), ("3600000", 60), ("604800000", 7 * 1440)])
def test_it_is_good_for_as_long_as_was_chosen(tmp_path, lifetime, minutes):
    """Until then somebody may come in by it; afterwards they are told to ask for another."""
    later = 0
    with visiting(tmp_path, now=lambda: system_clock() + later) as (api, visitor):
        operator, app = visitor(), api.application()["id"]
        operator.login()
        links = [made(operator, app, lifetime=lifetime) for _ in range(2)]
        later = (minutes - 1) * MINUTE
        opened(visitor, links[0])
        later = (minutes + 1) * MINUTE
        _, late = opened(visitor, links[1], expect=401)
        assert "Ask for a new link" in late.headings


def test_who_may_only_look_makes_none(place, app):
    """Neither the button nor the form is there for a session that reads."""
    api, visitor = place
    reader = visitor()
    reader.login(api.key("read"))
    assert "Portal link" not in reader.open(f"/applications/{app}").text
    reader.open(f"/applications/{app}/portal", expect=403)
