"""The portal: who is let in by what, what they may do there, and that no application's people see another's."""

import contextlib
import http.server
import threading
from urllib.parse import urlsplit

import pytest
from visitors import enter, visiting

from ringback.config import load
from ringback.design.rendering import HTML
from ringback.design.writing import sentence
from ringback.engine import probe_of
from ringback.errors import Conflict, Unavailable
from ringback.model import Outcome, OutcomeKind
from ringback.outbox import system_clock
from ringback.server.pages.advice import advice
from ringback.server.pages.brand import DARK_GROUND, LIGHT_GROUND, Brand, Logo, contrast, readable
from ringback.server.pages.routes import entries

HOSTILE = "<script>alert(1)</script>"
NOBODY = f"ep_{'0' * 27}"
NO_TASK = f"qtask_{'0' * 27}"


@contextlib.contextmanager
def receiving(status):
    """Yield the port of a server that answers every POST with a status."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


async def probing(endpoint):
    """Try an endpoint out, on this machine too, as a node does."""
    probe = probe_of(load({"allow_subnets": "127.0.0.0/8"}, {}, None), system_clock)
    try:
        return await probe.probe(endpoint)
    finally:
        await probe.aclose()


@pytest.fixture
def place(tmp_path):
    with visiting(tmp_path, settings={"probe": probing}) as found:
        yield found


def test_a_link_lets_in_once(place):
    """The first who opens it is in; the next is told to ask for another; the first, opening it again, goes on."""
    api, visitor = place
    app = api.application()["id"]
    url = urlsplit(api.post(f"/auth/app-portal-access/{app}").json["url"])
    guest, other = visitor(), visitor()
    offered = guest.open(f"{url.path}?{url.query}")
    assert "Endpoints" in guest.press(offered, "Go on").headings
    late = other.press(other.open(f"{url.path}?{url.query}"), "Go on", expect=401)
    assert "Ask for a new link" in late.headings
    again = guest.press(guest.open(f"{url.path}?{url.query}"), "Go on")
    assert "Endpoints" in again.headings
    assert "Ask for a new link" in other.open("/portal").headings


def test_a_link_takes_nobody_elsewhere_by_itself(place):
    """Who is signed in for another application is asked, and told for which; for the same one it goes on at once."""
    api, _ = place
    mine, theirs = api.application(name="Mine & Co")["id"], api.application(name="Theirs")["id"]
    guest, _ = enter(place, mine)

    def offered(app):
        url = urlsplit(api.post(f"/auth/app-portal-access/{app}").json["url"])
        page = guest.open(f"{url.path}?{url.query}")
        return page, "data-submit" in page.source

    page, goes_on = offered(theirs)
    assert not goes_on
    assert "You are signed in for Mine & Co." in page.text
    assert guest.follow(page, "Stay there").headings[0] == "Endpoints"
    assert "Theirs" not in page.text
    guest.press(page, "Go on")
    assert offered(theirs)[1]
    assert not offered(mine)[1]
    # What is used up changes nothing, and leads to where one is.
    url = page.url
    assert "data-submit" in guest.open(url).source
    assert "Endpoints" in guest.press(guest.open(url), "Go on").headings


def test_an_operator_opens_a_portal_and_stays_an_operator(place):
    """From the application's page; both sessions live side by side."""
    api, visitor = place
    app = api.application(name="Acme")["id"]
    operator = visitor()
    operator.login()
    made = operator.press(
        operator.follow(operator.open(f"/applications/{app}"), "Portal link"), "Make the link"
    )
    operator.press(operator.follow(made, "Open it yourself"), "Go on")
    assert "Endpoints" in operator.open("/portal").headings
    assert "Applications" in operator.open("/applications").headings
    operator.press(operator.open("/portal"), "Sign out")
    assert "Ask for a new link" in operator.open("/portal").headings
    assert "Applications" in operator.open("/applications").headings


def test_sessions_end_with_those_of_their_name(place):
    """expire-all ends what a link began."""
    api, _ = place
    app = api.application()["id"]
    guest, _ = enter(place, app, sessionId="shift-1")
    assert api.post(f"/auth/app/{app}/expire-all", {"sessionIds": ["shift-1"]}).status_code == 204
    assert "Ask for a new link" in guest.open("/portal").headings


def test_the_first_endpoint_from_nothing_to_its_first_2xx(place):
    """The empty page leads to the form, the form to the steps, and these turn green when something succeeds."""
    api, _ = place
    app = api.application()["id"]
    for name in ("invoice.paid", "invoice.expired"):
        api.event_type(name)
    guest, first = enter(place, app)
    form = guest.follow(first, "Add your first endpoint")
    with receiving(204) as port:
        url = f"http://127.0.0.1:{port}/hooks"
        steps = guest.press(form, "Add the endpoint", url=url, eventTypes="invoice.paid")
    assert "answered a first request well" in steps.text
    assert "Waiting for your first 2xx" in steps.text
    assert api.get(f"/app/{app}/endpoint").json["data"][0]["filterTypes"] == ["invoice.paid"]
    sent = guest.press(steps, "Send a signed test")
    assert "is queued" in sent.text
    assert "Waiting for your first 2xx" in sent.text
    api.attempt(204)
    assert "It works." in guest.open(steps.url).text
    assert '"webhook-signature"' in sent.source.replace("&#34;", '"')


@pytest.mark.parametrize(
    ("status", "told"),
    [(204, "answered well"), (401, "wants credentials"), (308, "sends elsewhere"), (500, "failed while")],
)
def test_a_check_says_what_came_of_it_and_what_to_do(place, status, told):
    """One request is sent at once; nothing of it is kept."""
    api, _ = place
    app = api.application()["id"]
    with receiving(status) as port:
        endpoint = api.endpoint(app, url=f"http://127.0.0.1:{port}/")["id"]
        guest, _ = enter(place, app)
        checked = guest.press(guest.open(f"/portal/endpoints/{endpoint}/start"), "Only check the connection")
    assert told in checked.text
    assert api.get(f"/app/{app}/msg").json["data"] == []
    refused = guest.press(checked, "Check again")
    assert "Nothing listens at that host and port" in refused.text


@pytest.mark.parametrize("error", [Conflict("one is under way"), Unavailable("many are under way")])
def test_a_check_that_cannot_be_made_now_says_when(tmp_path, error):
    """Where one is under way, or too many are, the page says so, and the next press may do it."""

    async def busy(_endpoint):
        raise error

    with visiting(tmp_path, settings={"probe": busy}) as place:
        app = place[0].application()["id"]
        endpoint = place[0].endpoint(app)["id"]
        guest, _ = enter(place, app)
        told = guest.press(guest.open(f"/portal/endpoints/{endpoint}/start"), "Only check the connection")
        assert told.url.endswith("/start")
        assert sentence(error.detail) in told.text


def test_every_failure_has_advice():
    """Whatever can go wrong on the way or at the receiver, the page says what to do about it."""
    own = {OutcomeKind.SUCCESS, OutcomeKind.REFUSED, OutcomeKind.UNKNOWN, OutcomeKind.RAISED}
    own |= {OutcomeKind.AGAIN, OutcomeKind.DISCARDED}
    for kind in set(OutcomeKind) - own:
        assert advice(Outcome(kind=kind)), kind
    for status in (300, 302, 400, 404, 418, 410, 429, 499, 500, 599):
        assert advice(Outcome(kind=OutcomeKind.REFUSED, status=status)), status


def test_capabilities_are_heeded(place):
    """Who may only look sees neither forms nor secrets, and what is sent all the same is refused."""
    api, _ = place
    app = api.application()["id"]
    endpoint = api.endpoint(app, secret="whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")["id"]
    guest, first = enter(place, app, readOnly=True)
    for page in (first, guest.open(f"/portal/endpoints/{endpoint}"), guest.open("/portal/messages")):
        posting = [form.action for form in page.forms if form.method == "POST"]
        assert all(action.endswith(("look", "logout")) for action in posting)
    for path in (f"/portal/endpoints/{endpoint}/secret", "/portal/endpoints/new"):
        guest.open(path, expect=403)
    token = next(value for name, value in first.forms[0].fields if name == "csrf")
    for tail, form in (
        ("state", {"step": "pause"}),
        ("delete", {"sure": "yes"}),
        ("probe", {}),
        ("secret/show", {}),
    ):
        answer = guest.send("POST", f"/portal/endpoints/{endpoint}/{tail}", {"csrf": token, **form})
        assert answer.status_code == 403, tail
    viewer, _ = enter(place, app, capabilities=["ViewBase", "ViewEndpointSecret"])
    page = viewer.open(f"/portal/endpoints/{endpoint}/secret")
    assert "whsec_MfKQ" in viewer.press(page, "Show it").text
    assert "Make a new secret" not in page.text


def test_who_may_not_do_something_is_told_by_whom_to_be_let(place):
    """Customers have links, not tokens: the page speaks of these."""
    api, _ = place
    guest, _ = enter(place, api.application()["id"], readOnly=True)
    told = guest.open("/portal/endpoints/new", expect=403).text
    assert "token" not in told
    assert "Your link does not allow this." in told
    assert "Ask whoever gave you the link for one that does." in told


def test_event_types_of_others_are_not_offered(place):
    """Those behind a feature flag are listed and offered to who has it, and to nobody else."""
    api, _ = place
    app = api.application()["id"]
    api.event_type("open.one")
    api.event_type("beta.one", featureFlags=["beta"])
    guest, _ = enter(place, app, featureFlags=[])
    insider, _ = enter(place, app, featureFlags=["beta"])
    for path in ("/portal/event-types", "/portal/endpoints/new"):
        assert "open.one" in guest.open(path).text
        assert "beta.one" not in guest.open(path).text
        assert "beta.one" in insider.open(path).text
    assert insider.open("/portal/event-types/beta.one").headings[0] == "beta.one"
    for tail in ("", "/schema"):
        guest.open(f"/portal/event-types/beta.one{tail}", expect=404)


def test_event_types_of_others_are_no_different_from_none(place):
    """Neither a sample nor an endpoint tells that there is such an event type, whatever form is sent."""
    api, _ = place
    app = api.application()["id"]
    api.event_type("beta.one", featureFlags=["beta"], schemas={"1": {"type": "object", "example": {"x": 1}}})
    endpoint = api.endpoint(app)["id"]
    guest, first = enter(place, app, featureFlags=[])
    csrf = first.forms[0].fields[0][1]

    def answers(kind):
        forms = {
            f"endpoints/{endpoint}/example": {"type": kind},
            "endpoints/new": {"url": "https://a.example/", "eventTypes": kind},
            f"endpoints/{endpoint}/edit": {"url": "https://a.example/", "eventTypes": kind},
        }
        sent = [guest.send("POST", f"/portal/{tail}", {"csrf": csrf, **form}) for tail, form in forms.items()]
        return [(one.status_code, one.text.replace(kind, "KIND")) for one in sent]

    hidden = answers("beta.one")
    assert [status for status, _ in hidden] == [404, 400, 400]
    assert hidden == answers("none.one")
    assert api.get(f"/app/{app}/msg").json["data"] == []
    insider, _ = enter(place, app, featureFlags=["beta"])
    page = insider.open(f"/portal/endpoints/{endpoint}")
    assert "is queued" in insider.press(page, "Send it", type="beta.one").text


def test_no_application_sees_another(place):
    """Every address of the portal with another application's ids answers as if there were nothing."""
    api, _ = place
    mine, theirs = api.application(name="Mine")["id"], api.application(name="Theirs")["id"]
    api.event_type("invoice.paid")
    api.event_type("beta.one", featureFlags=["beta"])
    endpoint = api.endpoint(theirs, url="https://theirs.example/hook")["id"]
    message = api.message(theirs)["id"]
    attempt = api.attempt(500).id
    guest, first = enter(place, mine, featureFlags=[])
    token = next(value for name, value in first.forms[0].fields if name == "csrf")
    tried = 0
    ids = {"ep": endpoint, "msg": message, "att": attempt, "task": NO_TASK, "name": "beta.one"}
    for entry in entries(_Nothing()):
        if not entry.template.startswith("portal/") or "{" not in entry.template:
            continue
        answers = []
        for known in (
            ids,
            {
                "ep": NOBODY,
                "msg": f"msg_{'0' * 27}",
                "att": f"atmpt_{'0' * 27}",
                "task": NO_TASK,
                "name": "beta.two",
            },
        ):
            path = "/" + entry.template.format(**known)
            form = {"csrf": token, "step": "pause"} if entry.method == "POST" else None
            answer = guest.send(entry.method, path, form)
            assert answer.status_code == 404, (entry.method, path)
            told = answer.text
            for one in known.values():
                told = told.replace(one, "ID")
            answers.append(told)
        assert answers[0] == answers[1]
        tried += 1
    assert tried > 10
    for path in ("/portal", "/portal/messages"):
        assert "theirs" not in guest.open(path).text.lower()


class _Nothing:
    """Stands for doors that nobody opens."""

    def __getattr__(self, name):
        return self


def test_an_operators_session_is_no_customers(place):
    """Who has no application of his own has no portal either, whatever the cookie is called."""
    _, visitor = place
    operator = visitor()
    operator.login()
    operator.cookies["__Host-ringback-portal"] = operator.cookies["__Host-ringback"]
    assert operator.open("/portal", expect=404).status == 404


def test_it_looks_as_its_owner_wants(tmp_path):
    """Name, logo and colour; a frame on the pages of its owner, with cookies that go along there."""
    brand = Brand(
        name=f"Acme {HOSTILE}",
        logo=Logo(b"<svg/>", "image/svg+xml"),
        colour=(255, 230, 0),
        ancestors=("https://app.acme.example",),
    )
    with visiting(tmp_path, settings={"brand": brand}) as place:
        api, visitor = place
        app = api.application()["id"]
        url = urlsplit(api.post(f"/auth/app-portal-access/{app}").json["url"])
        guest = visitor()
        page = guest.open(f"{url.path}?{url.query}")
        assert page.text.startswith("Skip to the content Acme <script>")
        assert HOSTILE not in page.source
        answer = guest.send("POST", "/portal/enter", dict(page.forms[0].fields))
        assert "SameSite=None; Partitioned; Secure" in answer.headers["set-cookie"]
        inside = guest.open("/portal")
        assert "frame-ancestors https://app.acme.example" in inside.headers["content-security-policy"]
        assert inside.headers["content-type"] == HTML
        assert "frame-ancestors 'none'" in visitor().open("/login").headers["content-security-policy"]
        style = guest.send("GET", "/portal/style")
        assert "--accent: light-dark(" in style.text
        logo = guest.send("GET", "/portal/logo")
        assert (logo.content, "sandbox" in logo.headers["content-security-policy"]) == (b"<svg/>", True)


@pytest.mark.parametrize("colour", [(255, 230, 0), (0, 0, 0), (255, 255, 255), (43, 63, 208), (12, 200, 90)])
def test_any_colour_can_be_read(colour):
    """On light and on dark ground, text in the portal's colour has the contrast that WCAG asks for."""
    for ground in (LIGHT_GROUND, DARK_GROUND):
        assert contrast(readable(colour, ground), ground) >= 4.5
