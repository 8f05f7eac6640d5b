"""Bodies that are too large, too slow, cut short or of unknown length: what each server leaves to the adapter."""

import asyncio
import contextlib
import io
import json
import socket

import pytest
from adapter_doors import (
    Sent,
    call_asgi,
    call_wsgi,
    django_project,
    environ_of,
    flask_app,
    listening,
)
from django.core.handlers.wsgi import WSGIHandler
from recording_inbox import RecordingInbox

from ringback.adapters.asgi import ASGIAdapter
from ringback.adapters.wsgi import WSGIAdapter

LIMIT = 100


class Unreadable(io.RawIOBase):
    """A body that must not be read."""

    def readable(self):
        """Be a stream to read from."""
        return True

    def readinto(self, _):
        """Fail."""
        raise AssertionError("the body was read")


class Endless(io.RawIOBase):
    """A body without an end; counts what is taken of it."""

    taken = 0

    def readable(self):
        """Be a stream to read from."""
        return True

    def readinto(self, buffer):
        """Fill the buffer."""
        self.taken += len(buffer)
        return len(buffer)


class Broken(io.RawIOBase):
    """A body that the connection does not bring."""

    def __init__(self, error):
        self.error = error

    def readable(self):
        """Be a stream to read from."""
        return True

    def readinto(self, _):
        """Fail as told."""
        raise self.error


# --- ASGI --------------------------------------------------------------------------------------------------


def part(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


def through_asgi(inbox, sent, events, **options):
    return asyncio.run(call_asgi(ASGIAdapter(inbox, **options), sent, events=events))


def test_asgi_does_not_receive_what_says_it_is_too_large():
    """A Content-Length above the limit is answered 413 before anything is received, and the connection ends."""
    inbox = RecordingInbox(LIMIT)
    answer = through_asgi(inbox, Sent(body=b"x" * (LIMIT + 1)), iter([]))
    assert answer.status == 413
    assert answer.header("connection") == "close"
    assert inbox.requests == []


def test_asgi_cuts_a_body_that_grows_too_large():
    """A body of unknown length is received up to the limit and no further."""
    inbox, events = RecordingInbox(LIMIT), iter([part(b"x" * 60), part(b"x" * 60), part(b"never taken")])
    answer = through_asgi(inbox, Sent(body=b""), events)
    assert answer.status == 413
    assert next(events)["body"] == b"never taken"
    assert inbox.requests == []


def test_asgi_stores_nothing_of_a_client_that_leaves():
    """A body cut off by a disconnect is not accepted, however whole it looks; nobody is there to be answered."""
    inbox = RecordingInbox()
    events = [part(b'{"id": 1}'), {"type": "http.disconnect"}]
    assert through_asgi(inbox, Sent(body=b""), events) is None
    assert inbox.requests == []


def test_asgi_does_not_wait_for_ever():
    """A body that does not come within the bound is answered 408, and the connection ends."""
    inbox = RecordingInbox()
    answer = through_asgi(inbox, Sent(body=b""), [part(b"{")], body_seconds=0.01)
    assert answer.status == 408
    assert answer.header("connection") == "close"
    assert json.loads(answer.body)["code"] == "request_timeout"
    assert inbox.requests == []


@pytest.mark.parametrize(("length", "status"), [("many", 400), ("-1", 400), ("9" * 5000, 413)])
def test_asgi_answers_any_length(length, status):
    """A Content-Length that is no number is a fault of the request, and no length is too long to be read."""
    app = ASGIAdapter(RecordingInbox())

    async def with_length(scope, receive, send):
        await app({**scope, "headers": [(b"content-length", length.encode())]}, receive, send)

    assert asyncio.run(call_asgi(with_length, Sent())).status == status


def test_asgi_ends_an_endless_request_on_a_socket():
    """A chunked request without an end is answered 413 by a real server, which then hangs up."""
    inbox = RecordingInbox(LIMIT)
    with listening(ASGIAdapter(inbox)) as address, socket.create_connection(address, timeout=30) as client:
        client.sendall(b"POST /xendit HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"80\r\n" + b"x" * 128 + b"\r\n")
        with client.makefile("rb") as stream:
            answer = stream.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert inbox.requests == []


def test_asgi_runs_alone():
    """An adapter that is the whole application answers the server's start and stop, and closes web sockets."""
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    answered = []

    async def receive():
        return next(events)

    async def send(event):
        answered.append(event["type"])

    async def run():
        await ASGIAdapter(RecordingInbox())({"type": "lifespan"}, receive, send)
        await ASGIAdapter(RecordingInbox())({"type": "websocket"}, receive, send)

    asyncio.run(run())
    assert answered == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]


# --- WSGI, and Django on it --------------------------------------------------------------------------------


@contextlib.contextmanager
def plain(inbox):
    yield WSGIAdapter(inbox)


@contextlib.contextmanager
def django_handler(inbox):
    with django_project(inbox):
        yield WSGIHandler()


@contextlib.contextmanager
def flask_handler(inbox):
    yield flask_app(inbox)


ALL = pytest.mark.parametrize("opened", [plain, django_handler, flask_handler])
OWN = pytest.mark.parametrize("opened", [plain, django_handler])


def through_wsgi(opened, inbox, stream, **environ):
    whole = environ_of(Sent(), SCRIPT_NAME="", PATH_INFO="/hooks/xendit", **{"wsgi.input": stream, **environ})
    with opened(inbox) as app:
        return call_wsgi(app, {key: value for key, value in whole.items() if value is not None})


def chunked(**more):
    return {
        "CONTENT_LENGTH": None,
        "HTTP_CONTENT_LENGTH": None,
        "HTTP_TRANSFER_ENCODING": "chunked",
        **more,
    }


@ALL
def test_wsgi_does_not_read_what_says_it_is_too_large(opened):
    """A Content-Length above the limit is answered 413 before the body is read."""
    inbox = RecordingInbox(LIMIT)
    answer = through_wsgi(opened, inbox, Unreadable(), CONTENT_LENGTH=str(LIMIT + 1))
    assert answer.status == 413
    assert inbox.requests == []


@ALL
def test_wsgi_reads_a_chunked_body(opened):
    """Where the server ends the stream by itself, a body without a length is read to its end."""
    inbox = RecordingInbox()
    terminated = chunked(**{"wsgi.input_terminated": True})
    assert through_wsgi(opened, inbox, io.BytesIO(b"\xff" * 90_000), **terminated).status == 200
    assert inbox.requests[0][1].body == b"\xff" * 90_000


@ALL
def test_wsgi_cuts_an_endless_body(opened):
    """A chunked body is read until it passes the limit, and no further."""
    inbox, stream = RecordingInbox(LIMIT), Endless()
    assert through_wsgi(opened, inbox, stream, **chunked(**{"wsgi.input_terminated": True})).status == 413
    assert stream.taken <= 64 * 1024
    assert inbox.requests == []


@OWN
def test_wsgi_says_when_a_server_hides_chunked_bodies(opened):
    """A chunked body that the server does not pass on is refused, not taken for an empty one."""
    inbox = RecordingInbox()
    answer = through_wsgi(opened, inbox, Unreadable(), **chunked())
    assert answer.status == 400
    assert b"Content-Length" in answer.body
    assert inbox.requests == []


@ALL
def test_wsgi_stores_nothing_of_a_client_that_leaves(opened):
    """A body shorter than its length is not accepted."""
    inbox = RecordingInbox()
    assert through_wsgi(opened, inbox, io.BytesIO(b'{"id": 1}'), CONTENT_LENGTH="20").status == 400
    assert inbox.requests == []


@pytest.mark.parametrize(
    ("opened", "error", "status"),
    [
        (plain, ConnectionResetError(), 400),
        (plain, TimeoutError(), 408),
        (django_handler, ConnectionResetError(), 400),
        (django_handler, TimeoutError(), 400),  # Django tells no difference
    ],
)
def test_wsgi_answers_a_broken_connection(opened, error, status):
    """What goes wrong while the body is read is a refusal, not an exception."""
    inbox = RecordingInbox()
    answer = through_wsgi(opened, inbox, Broken(error), CONTENT_LENGTH="20")
    assert answer.status == status
    assert inbox.requests == []


@OWN
@pytest.mark.parametrize("length", ["many", "-1", "1e3", "\u00b2"])
def test_wsgi_refuses_a_length_that_is_no_number(opened, length):
    """A Content-Length that is no number is a fault of the request."""
    inbox = RecordingInbox()
    assert through_wsgi(opened, inbox, Unreadable(), CONTENT_LENGTH=length).status == 400
    assert inbox.requests == []


def test_wsgi_escapes_the_path_again():
    """Where the server tells no raw path, the URL has the usual escapes."""
    inbox = RecordingInbox()
    environ = environ_of(Sent(), RAW_URI=None, PATH_INFO="/a b\u00c3\u00a9/xendit", QUERY_STRING="q=%20")
    call_wsgi(WSGIAdapter(inbox), environ)
    assert inbox.requests[0][1].url == "http://hooks.example.com/hooks/a%20b%C3%A9/xendit?q=%20"


def test_wsgi_answers_head_without_a_body():
    """A HEAD request gets the headers of the answer alone."""
    answer = call_wsgi(WSGIAdapter(RecordingInbox()), environ_of(Sent(method="HEAD", target="/custom")))
    assert (answer.status, answer.body) == (202, b"")
    assert answer.header("content-length") == "12"
