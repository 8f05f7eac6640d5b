"""People who look at the server's pages with a browser without scripts."""

from __future__ import annotations

import contextlib
import time
from types import SimpleNamespace
from urllib.parse import urlencode, urljoin, urlsplit

import falcon.testing
from management import TOKEN, gateway_of, made, management, site_of

from browser import Page
from ringback import ids
from ringback.adapters.asgi import ASGIAdapter
from ringback.model import Endpoint
from ringback.server.app import Doors
from ringback.store import Page as Slice
from ringback.testing import signed_request

PATIENCE = 30

SITE = "http://127.0.0.1:8400"
FORM = "application/x-www-form-urlencoded"
CALLBACK = "callback-token-of-the-source"


class Visitor:
    """Somebody with a browser: keeps cookies, follows redirects, and says where forms come from."""

    def __init__(self, doors, site=SITE):
        self.cookies = {}
        self.site = site
        self.doors = doors
        self._client = falcon.testing.TestClient(doors)

    def send(self, method, path, form=None, *, headers=None, query="", raw=None):
        """Send one request, and keep the cookies of the answer; nothing is followed."""
        sent = {"accept": "text/html,*/*"}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = raw
        if form is not None:
            body = urlencode(form).encode()
            sent |= {"content-type": FORM, "origin": self.site, "sec-fetch-site": "same-origin"}
        sent |= headers or {}
        sent = {name: value for name, value in sent.items() if value is not None}
        parts = urlsplit(self.site)
        result = self._client.simulate_request(
            method,
            path,
            body=body,
            headers=sent,
            query_string=query,
            host=parts.hostname,
            port=parts.port,
            protocol=parts.scheme,
        )
        self._keep(result)
        return result

    def _keep(self, result):
        for name, kept in result.cookies.items():
            if kept.max_age == 0:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = kept.value

    def ask(self, method, target, form=None):
        """Send a request and follow where it leads; return the address and the last answer."""
        for _ in range(6):
            parts = urlsplit(target)
            result = self.send(method, parts.path, form, query=parts.query)
            if result.status_code != 303:
                return target, result
            method, form, target = "GET", None, urljoin(f"{self.site}{target}", result.headers["location"])
            target = target.removeprefix(self.site)
        raise AssertionError(f"{target} leads on and on")

    def open(self, target, *, expect=200):
        """Open a page; it must answer with *expect*."""
        return self._read(*self.ask("GET", target), expect)

    def follow(self, page, label):
        """Open what the link leads to whose text begins with *label*."""
        return self.open(urljoin(page.url, page.link(label)))

    def press(self, page, label, *, expect=200, **typed):
        """Press the button on which *label* is written, with fields as *typed*; return the page that comes then."""
        form, button = page.button(label)
        action = button.get("formaction", form.action)
        target = urljoin(f"{self.site}{page.url}", action).removeprefix(self.site)
        sent = form.sent(button, typed)
        if form.method == "GET":
            return self.open(f"{urlsplit(target).path}?{urlencode(sent)}", expect=expect)
        return self._read(*self.ask("POST", target, sent), expect)

    def login(self, token=TOKEN):
        """Sign in with a token."""
        return self.press(self.open("/login"), "Sign in", token=token)

    def _read(self, target, result, expect):
        assert result.status_code == expect, (result.status_code, result.text[:2000])
        headers = {name.lower(): value for name, value in result.headers.items()}
        return Page(target, SimpleNamespace(status=result.status_code, headers=headers, body=result.content))


@contextlib.contextmanager
def visiting(folder, *, settings=None, **more):
    """Yield an API over a store in *folder*, and what makes visitors of its pages; *settings* are of ``Behind``."""
    with management(folder, **more) as api:
        doors = Doors(
            api.app, ASGIAdapter(gateway_of(api.committer, api.observer)), site_of(api, **settings or {})
        )
        yield api, lambda site=SITE: Visitor(doors, site)


def enter(place, app, **access):
    """Come into an application's portal by a link; return the visitor and the first page."""
    api, visitor = place
    link = urlsplit(api.post(f"/auth/app-portal-access/{app}", access).json["url"])
    guest = visitor()
    first = guest.open(f"{link.path}?{link.query}")
    return guest, guest.press(first, "Go on")


def source(api, *handlers, name="Payments"):
    """Make a source of Xendit's with handlers; return it as the store has it."""
    body = {"name": name, "uid": "xendit", "type": "xendit", "config": {"secret": CALLBACK}}
    kept = api.store.source(made(api.send("POST", "/ingest/api/v1/source", body))["id"])
    for number, handler in enumerate(handlers):
        endpoint = Endpoint(
            id=ids.new_id(ids.ENDPOINT, 1_760_000_000_000, bytes([number]) * ids.ENTROPY_BYTES),
            application_id=kept.id,
            uid=handler,
            url=f"handler:xendit/{handler}",
            created_at=0,
            updated_at=0,
            secrets=(),
        )
        api.committer.write(lambda store, endpoint=endpoint: store.add(endpoint)).result()
    return kept


def until_refused(api, source_id):
    """Wait until a refusal of a source's is on record and told of: who is refused does not wait for that."""
    end = time.monotonic() + PATIENCE
    while not api.committer.read(lambda store: store.refusals(source_id, Slice())).result():
        assert time.monotonic() < end, "no refusal is on record"
    # What is told of a commit has been told when the next one answers.
    api.committer.write(lambda store: None).result()


def knock(visitor, kept, event="ev-1", token=CALLBACK):
    """Send a webhook to a source's address; return the status."""
    request = signed_request("xendit", "invoice.paid", event_id=event)
    headers = {name: value for name, value in request.headers.items() if name.lower() != "x-callback-token"}
    sent = {**headers, "x-callback-token": token}
    return visitor.send("POST", f"/in/{kept.token}", headers=sent, raw=request.body).status_code
