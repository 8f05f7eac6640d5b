"""Xendit's invoices, asked for over real sockets: filters, pages, retries, refusals, and the webhook's own key."""

import base64
import contextlib
import importlib.resources
import json
import socket
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from ringback.errors import ConfigurationError, Unavailable
from ringback.providers import provider, recognise
from ringback.providers.xendit import key_fields
from ringback.reconciler import Looked
from ringback.reconcilers import client as module
from ringback.reconcilers.xendit import invoices
from ringback.signing import Request
from ringback.testing import inbox_at, secret_for, signed_request

KEY = "xnd_development_of_a_shop"
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
EVENTS = json.loads(
    importlib.resources.files("ringback.providers").joinpath("data/xendit_events.json").read_bytes()
)
WEBHOOKS = [event["sample"] for event in EVENTS if event["event_type"].startswith("invoice.")]
# What the API returns with every invoice and no webhook has.
ONLY_IN_THE_API = {
    "merchant_profile_picture_url": "https://shop.example/logo.png",
    "expiry_date": "2026-03-03T03:50:00.000Z",
    "invoice_url": "https://checkout-staging.xendit.co/web/66b1d2e3f4a5b6c7d8e9f001",
    "available_banks": [
        {"bank_code": "BCA", "collection_type": "POOL", "account_holder_name": "Toko Contoh"}
    ],
    "available_retail_outlets": [{"retail_outlet_name": "ALFAMART"}],
    "available_ewallets": [{"ewallet_type": "DANA"}],
    "available_qr_codes": [{"qr_code_type": "QRIS"}],
    "available_direct_debits": [],
    "available_paylaters": [],
    "should_send_email": False,
}
# The fields that the API returns with every invoice, and those it may leave out.
ALWAYS = {"external_id", "user_id", "status", "merchant_name", "amount", "created", "updated"} | set(
    ONLY_IN_THE_API
)


def invoice(number, status, **more):
    """Return an invoice as the API has it."""
    return {
        **ONLY_IN_THE_API,
        "id": f"66b1d2e3f4a5b6c7d8e9{number:04x}",
        "external_id": f"order-{number}",
        "user_id": "64f1a2b3c4d5e6f708192a3b",
        "status": status,
        "merchant_name": "Toko Contoh",
        "amount": 250000,
        "created": "2026-03-01T03:50:00.120Z",
        "updated": "2026-03-02T04:05:03.901Z",
        "currency": "IDR",
        **more,
    }


def told(body):
    """Return the webhook of an invoice: what the API has beyond it is left out."""
    return {name: value for name, value in body.items() if name not in ONLY_IN_THE_API}


class Api:
    """Answers as Xendit does, for the invoices it is given; *script* answers come first."""

    def __init__(self, cursor="last_invoice", most=100):
        self.invoices = []
        self.script = []
        self.asked = []
        self.connections = set()
        self.cursor = cursor
        self.most = most

    def answer(self, target, headers, peer):
        """Return status, headers and body."""
        url = urlsplit(target)
        query = parse_qs(url.query)
        self.asked.append((url.path, query, headers))
        self.connections.add(peer)
        if self.script:
            return self.script.pop(0)
        if headers["authorization"] != "Basic " + base64.b64encode(f"{KEY}:".encode()).decode():
            return fault(401, "INVALID_API_KEY")
        if url.path == "/v2/invoices":
            return 200, {}, json.dumps(self._listed(query)).encode()
        named = url.path.removeprefix("/v2/invoices/")
        found = next((one for one in self.invoices if one["id"] == named), None)
        return (200, {}, json.dumps(found).encode()) if found else fault(404, "INVOICE_NOT_FOUND_ERROR")

    def _listed(self, query):
        found = [one for one in self.invoices if one["status"] in query["statuses"]]
        ids = [one["id"] for one in found]
        last = query.get(self.cursor)
        first = ids.index(last[0]) + 1 if last else 0
        return found[first : first + min(int(query["limit"][0]), self.most)]

    def queries(self):
        """Return the queries that were asked, with one value of each name but ``statuses``."""
        return [
            {name: values if name == "statuses" else values[0] for name, values in query.items()}
            for _, query, _ in self.asked
        ]


def fault(status, code="SERVER_ERROR", **headers):
    """Return an answer that is an error."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, headers, json.dumps({"error_code": code, "message": "no"}).encode()


@contextlib.contextmanager
def serving(api):
    """Serve *api* on a port of its own; return its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20
        disable_nagle_algorithm = True

        def do_GET(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, body = api.answer(self.path, headers, self.client_address)
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def url(api):
    with serving(api) as url:
        yield url


def found(url, **options):
    """Return what a fetch finds, and how long it would have waited."""
    waited = []
    fetch = invoices(options.pop("key", KEY), base_url=url, pause=waited.append, **options)
    return [(one["id"][-4:], one["status"]) for one in fetch(SINCE)], waited


# --- What is asked, and what is found ---------------------------------------------------------------------


def test_what_is_asked(api, url):
    """Paid and expired invoices are looked for by the time they became so, with the key as user name."""
    api.invoices = [invoice(1, "PAID"), invoice(2, "EXPIRED"), invoice(3, "PENDING")]
    assert found(url, for_user_id="sub-1")[0] == [("0001", "PAID"), ("0002", "EXPIRED")]
    since = "2026-03-01T00:00:00.000+00:00"
    first, _, third, _ = api.queries()
    assert first == {"statuses": ["PAID", "SETTLED"], "limit": "50", "paid_after": since}
    assert third == {"statuses": ["EXPIRED"], "limit": "50", "expired_after": since}
    assert {headers["for-user-id"] for _, _, headers in api.asked} == {"sub-1"}


@pytest.mark.parametrize("cursor", ["last_invoice", "last_invoice_id"])
@pytest.mark.parametrize("most", [3, 100])
def test_pages(cursor, most):
    """All pages are read, by whichever cursor the API heeds, also where it returns fewer than asked for."""
    api = Api(cursor, most)
    api.invoices = [invoice(number, "PAID") for number in range(25)]
    with serving(api) as url:
        assert found(url, page=10, statuses=["PAID"])[0] == [
            (f"{number:04x}", "PAID") for number in range(25)
        ]
    assert len(api.connections) == 1


def test_pages_that_do_not_move_on(api, url):
    """An API that heeds no cursor is no endless loop: the look fails after what there was."""
    api.cursor = "none of these"
    api.invoices = [invoice(number, "PAID") for number in range(20)]
    with pytest.raises(Unavailable, match="same page"):
        found(url, page=10)
    assert len(api.asked) == 3


def test_pages_are_read_as_needed(api, url):
    """The second page is asked for when the first has been taken in, so that memory holds one."""
    api.invoices = [invoice(number, "PAID") for number in range(25)]
    fetched = invoices(KEY, base_url=url, page=10)(SINCE)
    next(fetched)
    assert len(api.asked) == 1
    fetched.close()


def test_a_settled_invoice_is_told_as_paid(api, url):
    """Settlement has no webhook, and an invoice that is settled was paid: its key is that of the webhook."""
    api.invoices = [invoice(1, "SETTLED")]
    assert found(url, invoice_ids=lambda: [api.invoices[0]["id"]])[0] == [("0001", "PAID")] * 2


def test_invoices_by_id(api, url):
    """Invoices that the application takes for pending are looked at one by one; an unknown one is passed over."""
    api.invoices = [invoice(1, "PAID"), invoice(2, "PENDING"), invoice(3, "EXPIRED")]
    wanted = [api.invoices[0]["id"], "of/another?account", api.invoices[1]["id"], api.invoices[2]["id"]]
    seen, _ = found(url, statuses=(), invoice_ids=lambda: iter(wanted))
    assert seen == [("0001", "PAID"), ("0002", "PENDING"), ("0003", "EXPIRED")]
    assert api.asked[1][0] == "/v2/invoices/of%2Fanother%3Faccount"


# --- What goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_is_temporary_is_tried_again(api, url, status):
    """A failure of theirs is tried again after growing pauses."""
    api.invoices = [invoice(1, "PAID")]
    api.script = [fault(status), fault(status)]
    seen, waited = found(url)
    assert seen == [("0001", "PAID")]
    assert 0.5 <= waited[0] <= 1 <= waited[1] <= 2


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("7", 7, 7), ("0", 0, 0), ("Wed, 01 Jan 2020 00:00:00 GMT", 0, 0), ("soon", 0.5, 1)],
)
def test_their_retry_after_is_heeded(api, url, asked, least, most):
    """A pause that they ask for, in seconds or until a date, is kept; what is neither is not heeded."""
    api.script = [fault(429, retry_after=asked)]
    _, waited = found(url)
    assert least <= waited[0] <= most


def test_a_long_pause_is_left_to_the_reconciler(api, url):
    """Where they want to be left alone for long, the look ends and says for how long."""
    api.script = [fault(429, "RATE_LIMIT_EXCEEDED", retry_after="600")]
    with pytest.raises(Unavailable, match="429 RATE_LIMIT_EXCEEDED") as raised:
        found(url)
    assert raised.value.retry_after == 600


def test_it_does_not_try_for_ever(api, url):
    """Four tries, and the look fails."""
    api.script = [fault(503)] * 9
    with pytest.raises(Unavailable, match="answers 503 SERVER_ERROR"):
        found(url)
    assert len(api.asked) == 4


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (fault(401, "INVALID_API_KEY"), ConfigurationError, "refuses the API key: 401 INVALID_API_KEY"),
        (fault(403, "REQUEST_FORBIDDEN_ERROR"), ConfigurationError, "REQUEST_FORBIDDEN_ERROR"),
        (fault(400, "API_VALIDATION_ERROR"), ConfigurationError, "400 API_VALIDATION_ERROR"),
        (fault(302, location="https://evil.example/"), ConfigurationError, "redirect"),
        ((200, {}, b"<html>"), Unavailable, "not JSON"),
        ((200, {}, b"[" * 100_000), Unavailable, "not JSON"),
        ((200, {}, b"{}"), Unavailable, "no list"),
        ((200, {}, b"[1]"), Unavailable, "no list"),
        ((400, {}, b'{"error_code": "A\\nB"}'), ConfigurationError, "400$"),
        ((400, {}, b"\xff"), ConfigurationError, "400$"),
    ],
)
def test_what_is_not_tried_again(api, url, answer, error, words):
    """A refusal, a redirect and an answer that makes no sense end the look at once, in words without the key."""
    api.script = [answer]
    with pytest.raises(error, match=words) as raised:
        found(url)
    assert len(api.asked) == 1
    assert KEY not in str(raised.value)


def test_an_answer_that_breaks_off(api, url):
    """An answer shorter than announced is asked for again, and not taken for the whole."""
    api.invoices = [invoice(1, "PAID")]
    api.script = [(200, {"content-length": "100", "connection": "close"}, b"[]")]
    seen, waited = found(url, statuses=["PAID"])
    assert (seen, len(waited)) == ([("0001", "PAID")], 1)


def test_an_answer_too_large(api, url, monkeypatch):
    """No more than a bound is read, however much they send."""
    monkeypatch.setattr(module, "MAX_BODY", 1_000)
    api.script = [(200, {}, b" " * 200_000)]
    with pytest.raises(Unavailable, match="more than 1000 bytes"):
        found(url)


def test_an_invoice_that_is_none(api, url):
    """An answer for one invoice that is no object ends the look."""
    api.script = [(200, {}, b"[]")]
    with pytest.raises(Unavailable, match="no invoice"):
        found(url, statuses=(), invoice_ids=lambda: ["x"])


def test_nobody_answers():
    """A port that refuses, and one that never answers, are tried and given up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unavailable, match=r"cannot be reached \(TimeoutError\)"):
            found(f"http://127.0.0.1:{port}", timeout=0.02)
    with pytest.raises(Unavailable, match=r"cannot be reached \(ConnectionRefusedError\)"):
        found(f"http://127.0.0.1:{port}")


def test_an_answer_that_trickles(api, url):
    """An answer that never ends is given up, although a byte comes now and then."""
    monotonic = iter([0.0, 31.0] * 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.time, "monotonic", lambda: next(monotonic))
        with pytest.raises(Unavailable, match="TimeoutError"):
            found(url)


@pytest.mark.parametrize(
    ("key", "options", "words"),
    [
        ("", {}, "missing"),
        ("ключ", {}, "no key"),
        (KEY, {"statuses": ["PENDING"]}, "PENDING"),
        (KEY, {"page": 0}, "1 to 100"),
        (KEY, {"base_url": "http://api.xendit.co"}, "https"),
        (KEY, {"base_url": "ftp://127.0.0.1"}, "https"),
        (KEY, {"base_url": "api.xendit.co"}, "https"),
        (KEY, {"base_url": "https://api.xendit.co:no-port"}, "https"),
        (KEY, {"base_url": "https://[api.xendit.co"}, "https"),
    ],
)
def test_what_cannot_be_asked(key, options, words):
    """A missing key, a status no webhook has and an address that would show the key are refused when declared."""
    with pytest.raises(ConfigurationError, match=words):
        invoices(key, **options)


# --- The same event ---------------------------------------------------------------------------------------


def business_key(body):
    request = Request("POST", "", {"content-type": "application/json"}, json.dumps(body).encode())
    return recognise(provider("xendit"), request).business_key


@pytest.mark.parametrize("webhook", WEBHOOKS, ids=lambda body: body["id"][-4:] + body["status"])
def test_the_api_has_the_key_of_the_webhook(webhook):
    """Every field that tells invoice webhooks apart is in the API's invoice with the same value, for each sample."""
    fields = key_fields("invoice.paid")
    assert fields == key_fields("invoice.expired") == ("id", "status")
    assert set(fields) - {"id"} < ALWAYS
    of_the_api = {**ONLY_IN_THE_API, **{name: webhook[name] for name in ALWAYS - set(ONLY_IN_THE_API)}}
    of_the_api["id"] = webhook["id"]
    assert business_key(of_the_api) == business_key(webhook) is not None


@pytest.fixture
def shop(tmp_path, url):
    inbox = inbox_at(tmp_path)
    inbox.source("xendit", secrets=[secret_for("xendit")])
    inbox.reconcile("xendit", invoices(KEY, base_url=url))
    inbox.acted = []

    @inbox.on("xendit", "invoice.*")
    def fulfil(message):
        inbox.acted.append((message.data["external_id"], message.event_type))

    yield inbox
    inbox.close()


def receive(inbox, body):
    assert inbox.accept("xendit", signed_request("xendit", body=told(body))).result().status == 200


def test_poll_and_webhook_act_once(api, shop):
    """Whichever comes first acts, the other does not, and each state of an invoice is an event of its own."""
    api.invoices = [invoice(1, "PAID"), invoice(2, "SETTLED"), invoice(3, "EXPIRED")]
    receive(shop, api.invoices[0])
    assert shop.reconcile_once("xendit") == Looked(news=2, known=1)
    receive(shop, {**api.invoices[1], "status": "PAID"})
    receive(shop, api.invoices[2])
    api.invoices[2] = invoice(3, "PAID")
    assert shop.reconcile_once("xendit") == Looked(news=1, known=2)
    shop.drain()
    assert sorted(shop.acted) == [
        ("order-1", "invoice.paid"),
        ("order-2", "invoice.paid"),
        ("order-3", "invoice.expired"),
        ("order-3", "invoice.paid"),
    ]
