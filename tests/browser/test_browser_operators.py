"""The journeys of operators, and of the customers that they let into the portal."""

import json
import re

from hands import Keyboard, Plain, by
from playwright.sync_api import expect
from provider import SOURCES, TOKEN
from running import ADMIN_TOKEN

PUBLISHED = {"eventType": "invoice.paid", "payload": {"order": 1001, "amount": 75_000}}


def endpoint(place, application, path, **more):
    """Add an endpoint to an application; return its id."""
    return place.api.post(f"/app/{application}/endpoint", {"url": place.shop.url + path, **more})["id"]


@by("stranger")
def test_signing_in_and_out(place, stranger):
    """With a token; a wrong one is refused and the page says so; after signing out there is nothing to see."""
    stranger.visit.expect_fault("status of 401")
    stranger.open("/messages")
    stranger.type("API token", "none of ours")
    stranger.press("button", "Sign in")
    expect(stranger.page.get_by_label("API token")).to_have_attribute("aria-invalid", "true")
    stranger.type("API token", ADMIN_TOKEN)
    stranger.press("button", "Sign in")
    stranger.arrives("Messages")
    if stranger.screen.is_phone:
        stranger.open("/")
    stranger.press("button", "Sign out")
    stranger.arrives("Sign in")
    stranger.open("/")
    stranger.arrives("Sign in")


@by("hand")
def test_the_first_delivery(place, hand, request):
    """From nothing to a first 2xx: an application, an endpoint, a test, and a page that turns green by itself."""
    name = f"Shop {request.node.callspec.id}"
    hand.open("/")
    hand.press("link", "Applications")
    hand.press("link", "New application")
    hand.type("Name", name)
    hand.press("button", "Make the application")
    hand.arrives(name)
    hand.press("link", re.compile("^(New|Add an) endpoint$"))
    hand.type("URL", f"{place.shop.url}/first/{request.node.callspec.id}")
    hand.press("button", "Add the endpoint")
    hand.arrives("Make it work")
    hand.reads("Waiting for your first 2xx.")
    hand.press("button", "Send a signed test")
    hand.reads("It works.")


@by("hand")
def test_a_message_is_found_and_sent_again(place, hand, application):
    """Found by its id, it says where it went; sent again, the page shows the second attempt by itself."""
    endpoint(place, application, "/orders")
    message = place.api.post(f"/app/{application}/msg", PUBLISHED)["id"]
    hand.open("/")
    hand.press("link", "Messages")
    hand.type("Search", message)
    hand.press("button", "Find")
    hand.press("link", "invoice.paid")
    hand.arrives("invoice.paid")
    attempts = hand.page.locator(".timeline > li")
    expect(attempts).to_have_count(1)
    hand.press("button", re.compile("^Resend to"))
    expect(attempts).to_have_count(2)
    expect(hand.page.locator("#payload")).to_contain_text("75000")


@by("hand")
def test_an_endpoint_that_fails(place, hand, application):
    """Its page says how it fails; paused it keeps what comes, a canary says how it is now, resumed it gets all."""
    one = endpoint(place, application, "/broken")
    place.api.post(f"/app/{application}/msg", PUBLISHED)
    place.shop.until(lambda: [True for arrival in place.shop.ledger if arrival.path == "/broken"])
    hand.open(f"/applications/{application}")
    hand.press("link", re.compile("broken$"))
    hand.arrives("How it fails")
    expect(hand.page.get_by_role("region", name="How it fails").first).to_contain_text("500")
    hand.unfold("Incident summary as Markdown")
    expect(hand.page.get_by_label("Incident summary")).to_contain_text("/broken")
    hand.press("button", "Pause")
    hand.reads("Paused.")
    assert place.api.get(f"/app/{application}/endpoint/{one}")["state"] == "paused"
    hand.press("button", "Send one as a canary")
    hand.reads(re.compile("The canary failed: Refused by the receiver: 500"))
    hand.press("button", "Resume")
    expect(hand.page.get_by_role("button", name="Pause")).to_be_visible()


@by("hand")
def test_a_secret_is_shown_and_replaced(place, hand, application):
    """It is shown only to whoever asks, and a new one signs while the old one still does."""
    one = endpoint(place, application, "/orders")
    hand.open(f"/applications/{application}/endpoints/{one}")
    hand.press("link", "Secret")
    hand.press("button", "Show it")
    expect(hand.page.locator("#secret")).to_have_text(
        place.api.get(f"/app/{application}/endpoint/{one}/secret")["key"]
    )
    hand.press("button", "Make a new secret")
    hand.arrives("Still signing along")


def test_keys(place, visit):
    """Letters walk a list, search and help, until somebody turns them off."""
    place.api.post("/app", {"uid": "keys", "name": "Keys"})
    for _ in range(3):
        place.api.post("/app/keys/msg", PUBLISHED)
    hand = Keyboard(visit(place.url, cookies=place.cookies))
    hand.open("/messages?application=keys")
    rows = hand.page.get_by_role("row").get_by_role("link", name="invoice.paid")
    for key, row in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        hand.page.keyboard.press(key)
        expect(rows.nth(row)).to_be_focused()
    hand.page.keyboard.press("/")
    expect(hand.page.get_by_label("Search")).to_be_focused()
    hand.page.keyboard.type("j?/")
    expect(hand.page.get_by_label("Search")).to_have_value("j?/")
    hand.open("/messages")
    hand.page.keyboard.press("?")
    expect(hand.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    hand.press("link", "Turn them off")
    hand.press("button", "Turn them off")
    expect(hand.page.get_by_role("button", name="Turn them on")).to_be_visible()
    hand.open("/messages?application=keys")
    hand.page.keyboard.press("j")
    expect(rows.nth(0)).not_to_be_focused()


def test_colours(place, visit):
    """Dark or light, whatever the system says, as the visitor has chosen."""
    hand = Keyboard(visit(place.url, cookies=place.cookies))
    hand.open("/look")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = hand.page.evaluate(ground)
    hand.press("button", "Dark")
    expect(hand.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert hand.page.evaluate(ground) != light


def test_the_first_page_lives(place, visit):
    """What is accepted meanwhile is counted without a reload, and the focus stays where it is."""
    place.api.post("/app", {"uid": "lives", "name": "Lives"})
    page = visit(place.url, cookies=place.cookies).open("/messages?application=lives")
    expect(page.get_by_text("No message fits")).to_be_visible()
    page.get_by_label("Search").focus()
    place.api.post("/app/lives/msg", PUBLISHED)
    expect(page.get_by_role("row").get_by_role("link", name="invoice.paid")).to_be_visible()
    expect(page.get_by_label("Search")).to_be_focused()


def test_what_comes_in_shows_by_itself_and_is_sent_again_with_a_key(place, visit, application):
    """The live view shows a message, and what failed of it, without a reload; `r` sends the row in focus again."""
    endpoint(place, application, "/broken")
    hand = Keyboard(visit(place.url, cookies=place.cookies))
    hand.open("/watch")
    named = [f"{application}.first", f"{application}.second"]
    for name in named:
        place.api.post(f"/app/{application}/msg", {**PUBLISHED, "eventType": name})
    rows = [
        hand.page.get_by_role("row").filter(has=hand.page.get_by_role("link", name=name)) for name in named
    ]
    expect(rows[0]).to_contain_text("Retrying")
    # Of what came today, only the time is told.
    expect(rows[0].locator("time")).not_to_contain_text("GMT")
    expect(hand.page.get_by_text("Refused by the receiver: 500").first).to_be_visible()
    before = [arrival.path for arrival in place.shop.ledger].count("/broken")
    for key in "jj":
        hand.page.keyboard.press(key)
    expect(rows[0].get_by_role("link", name=named[0])).to_be_focused()
    hand.page.keyboard.press("r")
    hand.reads(f"{named[0]} is queued again, for one place")
    expect(rows[0].get_by_role("link", name=named[0])).to_be_focused()
    place.shop.until(lambda: [one.path for one in place.shop.ledger].count("/broken") > before)


@by("hand", {"no scripts": Plain})
def test_a_failure_is_dealt_with_without_scripts(place, hand, application):
    """A message that failed is found, understood and sent again; its endpoint is paused, resumed and disabled."""
    one = endpoint(place, application, "/broken")
    message = place.api.post(f"/app/{application}/msg", PUBLISHED)["id"]
    place.shop.until(lambda: [True for arrival in place.shop.seen() if arrival.id == message])
    hand.open("/messages")
    hand.type("Search", message)
    hand.press("button", "Find")
    hand.page.get_by_role("row").get_by_role("link", name="invoice.paid").click()
    hand.reads("The receiver failed while it worked on it.")
    hand.press("button", re.compile("^Resend"))
    hand.reads("Queued to be sent again")
    place.shop.until(lambda: [arrival.id for arrival in place.shop.seen()].count(message) == 2)
    hand.press("link", re.compile("broken$"))
    hand.press("button", "Pause")
    hand.reads("Paused.")
    hand.press("button", "Resume")
    hand.reads("Resumed.")
    hand.press("button", "Disable")
    hand.press("button", "Disable the endpoint")
    hand.reads("Disabled.")
    assert place.api.get(f"/app/{application}/endpoint/{one}")["state"] == "disabled"


def test_a_page_that_is_paused_stays_as_it_is(place, visit, application):
    """What comes meanwhile shows on others and not there, until it goes on; times are those of whoever looks."""
    path = f"/messages?application={application}"
    place.api.post(f"/app/{application}/msg", PUBLISHED)
    paused = visit(place.url, cookies=place.cookies).open(path)
    other = visit(place.url, cookies=place.cookies).open(path)
    came = paused.get_by_role("row").get_by_role("time").first
    expect(came).to_have_text(re.compile(r"GMT\+7$"))
    expect(came).to_have_attribute("title", re.compile(r"Z \(UTC\)$"))
    paused.get_by_role("button", name="Pause").click()
    place.api.post(f"/app/{application}/msg", PUBLISHED)
    rows = {page: page.get_by_role("row").filter(has_text="msg_") for page in (paused, other)}
    expect(rows[other]).to_have_count(2)
    expect(rows[paused]).to_have_count(1)
    paused.get_by_role("button", name="Pause").click()
    expect(rows[paused]).to_have_count(2)


def test_without_a_stream_a_page_asks_by_itself(place, visit, application):
    """Where the server has no stream to spare, what comes shows all the same, within seconds."""
    guest = visit(place.url, cookies=place.cookies)
    guest.expect_fault("status of 503")
    guest.page.route("**/live", lambda route: route.fulfill(status=503))
    guest.page.clock.install()
    with guest.page.expect_response("**/live"):
        page = guest.open(f"/messages?application={application}")
    place.api.post(f"/app/{application}/msg", PUBLISHED)
    page.clock.fast_forward(5_000)
    expect(page.get_by_role("row").filter(has_text="msg_")).to_have_count(1)


def test_what_can_be_copied_stays_so_when_the_page_is_renewed(place, visit, application):
    """A part that is renewed keeps its buttons, also those that only a script makes of use."""
    to = endpoint(place, application, "/shop")
    message = place.api.post(f"/app/{application}/msg", PUBLISHED)["id"]
    page = visit(place.url, cookies=place.cookies).open(f"/messages/{application}/{message}")
    copy = page.locator("[data-live] [data-text]").first
    expect(copy).to_be_visible()
    place.api.post(f"/app/{application}/msg/{message}/endpoint/{to}/resend", {})
    expect(page.get_by_text("by hand")).to_be_visible()
    expect(copy).to_be_visible()


@by("hand")
def test_a_customer_comes_to_the_portal(place, visit, hand, application):
    """By a link for one use: an endpoint, a signed test, code with its headers - and nobody else's data."""
    hand.open(f"/applications/{application}")
    hand.press("link", "Portal link")
    hand.press("button", "Make the link")
    link = hand.page.locator("#link").inner_text().removeprefix(place.url)
    customer = type(hand)(visit(place.url, screen=hand.screen))
    customer.open(link)
    customer.arrives("No endpoint yet")
    customer.press("link", "Add your first endpoint")
    customer.type("URL", f"{place.shop.url}/customer/{application}")
    customer.press("button", "Add the endpoint")
    customer.arrives("Make it work")
    customer.press("button", "Only check the connection")
    customer.arrives("The endpoint answered well")
    customer.press("link", "Make it work")
    customer.reads("Waiting for your first 2xx.")
    customer.press("button", "Send a signed test")
    customer.reads("It works.")
    expect(customer.page.locator("#code-python")).to_contain_text("webhook-signature")
    customer.visit.expect_fault("status of 40[34]")
    outside = tuple(f"{place.url}/{page}" for page in ("login", "portal"))
    for path in ("/", "/messages", "/applications", f"/applications/{application}"):
        answer = customer.page.goto(place.url + path)
        assert answer.status in {403, 404} or customer.page.url.startswith(outside), customer.page.url
    late = type(hand)(visit(place.url, screen=hand.screen))
    late.visit.expect_fault("status of 401")
    late.open(link)
    late.arrives("Ask for a new link")


def test_what_is_copied_has_the_prefix_that_only_the_browser_knows(place, visit, application):
    """Behind a proxy that takes off how addresses begin and tells nobody, links and addresses still lead there."""
    guest = visit(place.url, cookies=place.cookies)
    guest.page.route(
        "**/hooks/**", lambda route: route.continue_(url=route.request.url.replace("/hooks/", "/", 1))
    )
    guest.open(f"/hooks/applications/{application}/portal")
    guest.page.get_by_role("button", name="Make the link").click()
    expect(guest.page.locator("#link")).to_have_text(re.compile(f"^{place.url}/hooks/portal/enter"))
    way = guest.page.get_by_role("link", name="Open it yourself")
    assert re.match(f"{place.url}/hooks/portal/enter", way.evaluate("link => link.href"))
    draft = {"uid": application, "name": application, "type": "xendit", "config": {"secret": TOKEN}}
    assert place.api.ask("POST", SOURCES, json.dumps(draft).encode())[0] == 201
    guest.open(f"/hooks/sources/{application}")
    expect(guest.page.locator("#address")).to_have_text(re.compile(f"^{place.url}/hooks/in/"))
    assert "/hooks/hooks" not in guest.page.content()
