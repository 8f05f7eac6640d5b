"""The journeys of customers in the portal: what failed is understood and sent again; in a frame; without scripts."""

import contextlib
import html
import http.server
import re
import threading
from types import SimpleNamespace
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hands import Keyboard, Mouse, Plain
from playwright.sync_api import expect
from running import ANYWHERE, receiving, running
from running_site import folder, shop
from server_site import SETTINGS, address

PUBLISHED = {"eventType": "invoice.paid", "payload": {"order": 1001, "amount": 75_000}}
SESSION = "__Host-ringback-portal"
# How often somebody without scripts loads a page again before giving up.
MOST_RELOADS = 60


class Host(http.server.BaseHTTPRequestHandler):
    """Somebody's own page that holds another one in a frame: the one that its address asks for."""

    def do_GET(self):
        """Answer with it."""
        held = html.escape(parse_qs(urlsplit(self.path).query).get("held", ["about:blank"])[0])
        frame = f'<iframe title="Webhooks" width="900" height="700" src="{held}"></iframe>'
        page = f"<!doctype html><title>Acme</title>{frame}"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def hosting():
    """Yield the port of a server of such pages."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.fixture(scope="module")
def place():
    """A server whose portal one site may hold in a frame, its API, and the shop that it delivers to."""
    with (
        folder() as data,
        receiving(shop) as receiver,
        hosting() as port,
        running(
            "serve",
            "--listen",
            ANYWHERE,
            folder=data,
            portal_ancestors=f"http://localhost:{port}",
            **SETTINGS,
        ) as node,
        node.api() as api,
    ):
        yield SimpleNamespace(
            api=api,
            shop=receiver,
            url=address(node),
            allowed=f"http://localhost:{port}",
            other=f"http://127.0.0.1:{port}",
        )


@pytest.fixture
def application(place, request):
    """An application of the test's own, by its name."""
    name = re.sub(r"\W+", "-", request.node.name)
    place.api.post("/app", {"uid": name, "name": name})
    return name


@pytest.fixture
def coming(visit, place, application):
    """Return what lets somebody into the application's portal, who gets about in some *way*."""

    def come(way, **access):
        hand = way(visit(place.url, screen=way.screen, scripts=way.scripts))
        hand.open(link(place, application, **access).removeprefix(place.url))
        if not way.scripts:
            hand.press("button", "Go on")
        hand.arrives(re.compile("endpoint", re.IGNORECASE))
        return hand

    return come


def link(place, application, **access):
    """Make a link to an application's portal."""
    return place.api.post(f"/auth/app-portal-access/{application}", access)["url"]


def came(place, path):
    """Return how many deliveries came to a path of the shop."""
    return sum(arrival.path == path for arrival in place.shop.seen())


def refused(place, application, count):
    """Publish messages to an endpoint that refuses them; return their ids when each was refused."""
    place.api.post(f"/app/{application}/endpoint", {"url": f"{place.shop.url}/broken"})
    before = came(place, "/broken")
    messages = [place.api.post(f"/app/{application}/msg", PUBLISHED)["id"] for _ in range(count)]
    place.shop.until(lambda: came(place, "/broken") >= before + count)
    return messages


def reload_until(hand, text):
    """Load the page again, as somebody without scripts does, until it says *text*."""
    found = hand.page.get_by_text(text)
    for _ in range(MOST_RELOADS):
        if found.count():
            return
        hand.page.reload()
    raise AssertionError(f"the page never says {text}")


def test_what_failed_is_understood_and_recovered(place, coming, application):
    """By keyboard: why it failed, what was answered, a new address, and all of it again, which is then found."""
    messages = refused(place, application, 2)
    hand = coming(Keyboard)
    hand.press("link", re.compile("broken$"))
    hand.reads("The last attempt failed: Refused by the receiver: 500.")
    hand.press("link", "What was sent and answered")
    hand.reads(re.compile("row 4711 is locked"))
    hand.press("link", re.compile("broken$"))
    hand.press("link", "Settings")
    hand.type("URL", f"{place.shop.url}/mended/{application}")
    hand.press("button", "Save")
    hand.arrives(re.compile("mended"))
    hand.press("link", "Replay")
    hand.page.get_by_label("Which", exact=True).select_option("recover")
    hand.press("button", "Preview")
    hand.press("button", "Send 2 messages again")
    expect(hand.page.get_by_text("Finished")).to_be_visible()
    place.shop.until(lambda: came(place, f"/mended/{application}") == 2)
    hand.press("link", "Messages")
    expect(hand.page.get_by_role("row").filter(has_text="Delivered")).to_have_count(2)
    hand.type("Search", messages[0])
    hand.press("button", "Find")
    expect(hand.page.get_by_role("row").filter(has_text="Delivered")).to_have_count(1)
    hand.press("link", "Replays")
    expect(hand.page.get_by_role("row").filter(has_text="Finished")).to_have_count(1)


def test_the_first_2xx_without_scripts(place, coming, application):
    """An endpoint, tried out at once, a signed test, its message, and that message again: all by forms and links."""
    path = f"/customer/{application}"
    hand = coming(Plain)
    hand.press("link", "Add your first endpoint")
    hand.type("URL", f"{place.shop.url}{path}")
    hand.press("button", "Add the endpoint")
    hand.reads("answered a first request well")
    hand.press("button", "Send a signed test")
    reload_until(hand, "It works.")
    hand.press("link", "Messages")
    hand.page.get_by_role("row").get_by_role("link").first.click()
    hand.arrives("Where it goes")
    before = came(place, path)
    hand.press("button", re.compile("^Resend"))
    hand.reads("Queued to be sent again")
    place.shop.until(lambda: came(place, path) > before)
    reload_until(hand, "by hand, took")


def test_who_may_only_look(place, coming, application):
    """Every page is there and says why something failed; none has anything to press but what is theirs."""
    refused(place, application, 1)
    hand = coming(Mouse, readOnly=True)
    pressing = hand.page.locator("main form[method=post], main .main-action")
    expect(pressing).to_have_count(0)
    hand.press("link", re.compile("broken$"))
    hand.reads("The last attempt failed: Refused by the receiver: 500.")
    expect(pressing).to_have_count(0)
    hand.press("link", "What was sent and answered")
    hand.reads("The receiver failed while it worked on it. Its log says why.")
    expect(pressing).to_have_count(0)


def test_its_owner_holds_it_in_a_frame(place, visit, application):
    """From another site, too: the session is one of that frame there, and nobody else's page holds it."""
    guest = visit(place.allowed)
    guest.may_leave_for(place.url)
    # When a frame gets its size is up to the browser: shifts are looked for where pages are by themselves.
    guest.expect_fault("the layout shifted")
    page = guest.open(f"/?{urlencode({'held': link(place, application)})}")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Add your first endpoint").click()
    frame.get_by_label("URL", exact=True).fill(f"{place.shop.url}/framed/{application}")
    frame.get_by_role("button", name="Add the endpoint").click()
    expect(frame.get_by_role("heading", name="Make it work")).to_be_visible()
    (session,) = [one for one in page.context.cookies(place.url) if one["name"] == SESSION]
    assert session["partitionKey"] == "http://localhost"
    page.goto(f"{place.url}/portal")
    expect(page.get_by_role("heading", name="Ask for a new link")).to_be_visible()


def test_nobody_else_holds_it_in_a_frame(place, visit, application):
    """The browser shows nothing of it there, and the link has not been used up by that."""
    url = link(place, application)
    guest = visit(place.other)
    guest.may_leave_for(place.url)
    guest.expect_fault("frame-ancestors")
    with guest.page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        guest.page.goto(f"{place.other}/?{urlencode({'held': url})}")
    assert all(not frame.url.startswith(place.url) for frame in guest.page.frames)
    guest.page.goto(url)
    expect(guest.page.get_by_role("heading", name="No endpoint yet")).to_be_visible()
