"""Whatever bytes reach the API's port, the answer is in time, well-formed, and never blames the server."""

import asyncio
import contextlib
import http.client
import json
import logging
import socket
import threading
from urllib.parse import quote

import msgspec
import pytest
import uvloop
from falcon.inspect import inspect_routes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ringback.api_keys import ApiKeys
from ringback.config import Address, load
from ringback.drafts import Draft
from ringback.engine import canary_of
from ringback.gateway import Gateway
from ringback.intake import Intake
from ringback.observe import Observer
from ringback.outbox import Outbox, system_clock
from ringback.server.api.application import CreateQuery
from ringback.server.api.attempt import MessageAttemptQuery
from ringback.server.api.event_type import ListQuery, RemovalQuery
from ringback.server.app import create_app
from ringback.server.auth import Tokens
from ringback.server.express import Express
from ringback.server.metrics import Metrics
from ringback.server.paging import OrderedQuery
from ringback.server.web import Web
from ringback.sessions import Sessions
from ringback.sources import Sources
from ringback.store import open_store
from ringback.store.commit import Committer, NoWorker
from ringback.vault import Vault

TOKEN = "ringback_token_of_the_fuzzer"
MAX_BODY = 4096
PATIENCE = 5
AUTHORIZED = f"authorization: Bearer {TOKEN}\r\n".encode()

quick = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@contextlib.contextmanager
def serving(app, express):
    """Serve *app* and *express* as a node does, on a free port of loopback, on a thread; yield the port."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        web = Web(app, express, Address("127.0.0.1", 0))
        runner.run(web.start())
        loop = runner.get_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield web.address[1]
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            runner.run(web.stop())


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """A server with one application, one endpoint and one message; and its routes."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('fuzz') / 'ringback.db'}", Vault(bytes(32)))
    observer = Observer()
    committer = Committer(store, clock=system_clock, observer=observer, handover=NoWorker(), deadline=1000)
    committer.start()
    outbox = Outbox(committer)
    tokens = Tokens(ApiKeys(committer), TOKEN)
    intake = Intake(committer, observer, clock=system_clock)
    gateway = Gateway(committer, intake, clock=system_clock, max_body=MAX_BODY)
    app = create_app(
        outbox=outbox,
        sources=Sources(committer),
        tokens=tokens,
        sessions=Sessions(committer, bytes(32)),
        metrics=Metrics(observer),
        observer=observer,
        readiness=lambda: None,
        canary=canary_of(load({}, {}, None), committer, system_clock).send,
        max_body=MAX_BODY,
    )
    with serving(app, Express(outbox, tokens, gateway)) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        for path, body in [
            ("app", {"name": "a", "uid": "a"}),
            ("event-type", {"name": "a", "description": ""}),
            ("app/a/endpoint", {"url": "https://example.com", "uid": "a"}),
            ("app/a/msg", {"eventType": "a", "payload": {}, "eventId": "a"}),
        ]:
            client.request("POST", f"/api/v1/{path}", json.dumps(body), {"authorization": f"Bearer {TOKEN}"})
            assert client.getresponse().read()
        client.close()
        yield port, sorted(route.path for route in inspect_routes(app))
        # After all that was sent to it, it works as ever.
        assert talk(port, "POST", b"/api/v1/app", AUTHORIZED, b'{"name":"b"}') == 201
    committer.close()


@pytest.fixture
def quiet(caplog):
    """Fail the test if the server logged an error meanwhile."""
    with caplog.at_level(logging.ERROR):
        yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def answer(port, sent):
    """Send bytes, say that no more follow, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        received = b""
        # What is refused may be refused before all of it was sent.
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                received += chunk
    return received


def talk(port, method, path, headers, body):
    """Send one request, read one answer, and check that it is one an outsider may get."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        head = b"%s %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % (method.encode(), path, len(body))
        client.connect()
        client.sock.sendall(head + headers + b"\r\n" + body)
        response = http.client.HTTPResponse(client.sock, method=method)
        response.begin()
        text = response.read()
    finally:
        client.close()
    assert response.status < 500 or response.status == 503, (method, path, headers, body, text)
    if text and response.headers["content-type"] == "application/json":
        json.loads(text)
    return response.status


anything = st.text(max_size=12) | st.sampled_from(["a", "a", "a", "..", "\0", "\ud7ff", "-", "null", "batch"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=6,
)
FIELDS = {field.encode_name for draft in Draft.__subclasses__() for field in msgspec.structs.fields(draft)}
names = st.sampled_from(sorted(FIELDS | {"messages", "since", "until", "deleteHeaders"}))
bodies = st.dictionaries(names, values, max_size=5).map(lambda body: json.dumps(body).encode()) | st.binary(
    max_size=80
)
QUERIES = (RemovalQuery, ListQuery, CreateQuery, OrderedQuery, MessageAttemptQuery)
query_names = st.sampled_from(
    sorted({field.name for query in QUERIES for field in msgspec.structs.fields(query)} | {"event_types[]"})
)
query_values = anything | st.sampled_from(
    ["1", "true", "-1", "9" * 40, "2026-01-01T00:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"]
)
queries = st.lists(st.tuples(query_names | anything, query_values), max_size=3)
methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])


@quick
@given(
    name=st.sampled_from([b"authorization", b"content-type", b"idempotency-key"]),
    value=st.binary(max_size=30),
)
@example(name=b"authorization", value=b"Bearer \xff\xfe")
def test_any_header(api, quiet, name, value):
    """Any value of the headers that the API reads: never a 5xx, never silence."""
    port, _ = api
    line = name + b": " + value.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"") + b"\r\n"
    headers = line if name == b"authorization" else AUTHORIZED + line
    talk(port, "POST", b"/api/v1/app/a/msg", headers, b'{"eventType":"a","payload":{}}')


@quick
@given(body=st.binary(max_size=60), chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=4))
def test_any_body(api, quiet, body, chunks):
    """Any bytes as the body of a message, whole or in chunks: an answer, and never a 5xx."""
    port, _ = api
    assert talk(port, "POST", b"/api/v1/app/a/msg", AUTHORIZED, body) < 500
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    head = b"POST /api/v1/app/a/msg HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    received = answer(port, head + AUTHORIZED + b"connection: close\r\n\r\n" + chunked)
    assert received.startswith(b"HTTP/1.1 4"), received


@quick
@given(sent=st.binary(max_size=200))
@example(sent=b"GET /api/v1/app?\xff HTTP/1.1\r\nhost: x\r\n" + AUTHORIZED + b"\r\n")
@example(sent=b"GET /api/v1/app/\xff HTTP/1.1\r\nhost: x\r\n" + AUTHORIZED + b"\r\n")
@example(sent=b"GET /api/v1/app/%ff%00 HTTP/1.1\r\nhost: x\r\n" + AUTHORIZED + b"\r\n")
@example(sent=b"POST /api/v1/app HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n" + AUTHORIZED + b"\r\n{}")
@example(
    sent=b"POST /api/v1/app HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n" + AUTHORIZED + b"\r\n{}"
)
def test_any_bytes(api, quiet, sent):
    """Any bytes on the port: what comes back, if anything, is HTTP and not a 5xx, and the line is closed."""
    port, _ = api
    received = answer(port, sent)
    assert not received or received.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), received


def test_bodies_larger_than_allowed(api, quiet):
    """A body above the limit is a 413, declared or in chunks, however it is sent."""
    port, _ = api
    too_much = b"x" * (MAX_BODY + 1)
    assert talk(port, "POST", b"/api/v1/app", AUTHORIZED, too_much) == 413
    head = b"POST /api/v1/app HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(too_much), too_much) for _ in range(20)) + b"0\r\n\r\n"
    assert answer(port, head + AUTHORIZED + b"\r\n" + chunks).startswith(b"HTTP/1.1 413")


@quick
@given(data=st.data())
def test_any_request(api, quiet, data):
    """Any request to any address, of any method, with any ids, query and body: never a 5xx, never silence."""
    port, routes = api
    template = data.draw(st.sampled_from(routes))
    parts = [
        quote(data.draw(anything), safe="") if part.startswith("{") else part for part in template.split("/")
    ]
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in data.draw(queries))
    path = "/".join(parts).encode() + (b"?" + query.encode() if query else b"")
    talk(port, data.draw(methods), path, AUTHORIZED, data.draw(bodies))
