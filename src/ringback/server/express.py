"""The express lane: publishing or receiving one message without the framework, and the bounds on every connection.

These are the hot paths, so a request for one that needs nothing else of HTTP is answered straight from the parser's
callbacks. Whatever is unusual about a request (chunks, a query, an encoded path, a token that has to be
looked up) leaves it to the ASGI application, which answers in the same words.
"""

from __future__ import annotations

import asyncio
import functools
import http
import re
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ringback.access import Right
from ringback.entrance import Entrance, Reply
from ringback.errors import MalformedRequest, RequestTimeout, RingbackError, Unavailable
from ringback.gateway import Gateway
from ringback.outbox import Outbox
from ringback.server.api.message import REQUEST, Asked, decode_message
from ringback.server.auth import Tokens
from ringback.server.bodies import JSON
from ringback.server.replies import Answer, encode, refusal
from ringback.server.unknown import disclosed, prefers_strict
from ringback.server.wire import message_out
from ringback.signing import Request

MAX_BODY = 60 * 1024
MAX_HEAD = 64 * 1024
MAX_DIGITS = 7
REQUEST_SECONDS = 60.0
MAX_CONNECTIONS = 5_000
VERSIONS = frozenset({"1.0", "1.1"})
BODILESS = frozenset({204, 304})

_PUBLISH = re.compile(rb"/api/v1/app/([0-9A-Za-z._-]{1,256})/msg")
_RECEIVE = re.compile(rb"/in/([0-9A-Za-z_-]{1,256})")
# A request as almost every client writes one (RFC 9112, 2.1). What is written in any other way is for the parser.
_PLAIN = re.compile(
    rb"POST (/[!-~]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [!-~](?:[ -~]*[!-~])?\r\n)+)\r\n"
)
_HEADER = re.compile("([^:]+): ([^\r]+)\r\n")
_JSON_TYPES = frozenset({None, JSON})
# With an origin, pages of others ask for what only the application tells them.
_UNUSUAL = frozenset({"transfer-encoding", "expect", "upgrade", "origin"})
_PUBLISHING = "POST /api/v1/app/{app}/msg"
_RECEIVING = "POST /in/{token}"

# Looked up here once: in an enumeration each look takes as long as the rest of the decision.
_PUBLISHES = Right.PUBLISH
_CREATES = Right.OPERATE

# Called with an answer's head, without what goes into every head, and its body.
Answering = Callable[[bytes, bytes], None]


class Lane:
    """Nothing but the bounds on every connection: all requests are for the application.

    Args:
        request_seconds: How long any request may take to arrive.
        max_connections: How many connections there may be at once.
    """

    def __init__(
        self, *, request_seconds: float = REQUEST_SECONDS, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self.request_seconds = request_seconds
        self.max_connections = max_connections

    def ticket(self, url: bytes, headers: dict[str, str]) -> Ticket | None:  # noqa: ARG002 - none is for a lane without any
        """Return what is needed to act when the body is there; None when the request is not for this lane.

        Args:
            url: The request's target, as sent.
            headers: Its headers, each of them sent once, names in lower case.
        """
        return None


class Express(Lane):
    """Publishes and receives for requests on the express lane.

    Args:
        outbox: Publishes.
        tokens: Who may.
        gateway: Receives.
        strict: Refuse unknown fields; otherwise they are left out and named in the answer.
        request_seconds: How long any request, on the lane or not, may take to arrive.
        max_connections: How many connections there may be at once.
    """

    def __init__(
        self,
        outbox: Outbox,
        tokens: Tokens,
        gateway: Gateway,
        *,
        strict: bool = False,
        request_seconds: float = REQUEST_SECONDS,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(request_seconds=request_seconds, max_connections=max_connections)
        self._outbox = outbox
        self._tokens = tokens
        self._gateway = gateway
        self._strict = strict

    def ticket(self, url: bytes, headers: dict[str, str]) -> Ticket | None:
        """Return what a request to publish or to receive needs; see ``Lane``."""
        receive = _RECEIVE.fullmatch(url)
        publish = None if receive else _PUBLISH.fullmatch(url)
        if receive is None and publish is None:
            return None
        length = headers.get("content-length")
        if length is None or int(length) > MAX_BODY:
            return None
        if not _UNUSUAL.isdisjoint(headers):
            return None
        if receive is not None:
            return self._ticket_to_receive(receive[1].decode(), url, headers)
        assert publish is not None  # noqa: S101 - one of the two it is
        return self._ticket_to_publish(publish[1].decode(), headers)

    def _ticket_to_receive(self, token: str, url: bytes, headers: dict[str, str]) -> Receiving | None:
        entrance = self._gateway.known(token)
        host = headers.get("host")
        if entrance is None or host is None:
            return None
        return Receiving(self._gateway, entrance, f"http://{host}{url.decode()}", headers)

    def _ticket_to_publish(self, application: str, headers: dict[str, str]) -> Publishing | None:
        if headers.get("content-type") not in _JSON_TYPES:
            return None
        caller = self._tokens.known(headers.get("authorization", ""))
        if caller is None or _PUBLISHES not in caller.principal.rights:
            return None
        known = caller.application(application)
        if known is None:
            return None
        return Publishing(
            self._outbox,
            known,
            headers.get("idempotency-key"),
            strict=lambda: self._strict or prefers_strict(headers.get("prefer")),
            creates=_CREATES in caller.principal.rights,
        )


class Ticket:
    """One request on the express lane; to uvicorn's protocol, the request being answered.

    ``body``, ``more_body``, ``message_event``, ``keep_alive``, ``disconnected`` and ``response_complete`` are what
    that protocol reads and writes of a request.
    """

    response_started = False
    more_body = True
    keep_alive = True
    disconnected = False
    response_complete = False
    # What is asked for, without ids, for the log.
    doing = ""

    def __init__(self) -> None:
        self.body = bytearray()
        self.message_event = _NOBODY_WAITS

    def act(self, answer: Answering) -> None:
        """Do what is asked for with the body that has arrived, and *answer* with its head and body in the end."""


class Publishing(Ticket):
    """A request to publish, by one who *creates* applications on the way, or does not."""

    doing = _PUBLISHING

    def __init__(
        self,
        outbox: Outbox,
        application: str,
        idempotency_key: str | None,
        *,
        strict: Callable[[], bool],
        creates: bool,
    ) -> None:
        super().__init__()
        self._strict = strict
        self._creates = creates
        self._ignored: tuple[str, ...] = ()
        self._outbox = outbox
        self._application = application
        self._idempotency_key = idempotency_key

    def act(self, answer: Answering) -> None:
        """Publish."""
        asked = decode_message(bytes(self.body), REQUEST, strict=self._strict)
        self._ignored = asked.ignored
        if asked.application is None or not self._creates:
            self._publish(asked, answer)
            return
        ensured: Any = self._outbox.ensure_application(self._application, asked.application)
        ensured.add_done_callback(lambda ensured: self._follow(ensured, asked, answer))

    def _publish(self, asked: Asked, answer: Answering) -> None:
        stored: Any = self._outbox.publish_draft(self._application, asked.draft, self._idempotency_key)
        stored.add_done_callback(lambda stored: answer(*_rendered(self._answer(stored))))

    def _follow(self, ensured: Any, asked: Asked, answer: Answering) -> None:
        """Publish after the application has been seen to."""
        try:
            ensured.result()
            self._publish(asked, answer)
        except Exception as refused:  # noqa: BLE001 - as in ``_act``
            answer(*_rendered(refusal(refused, self.doing)))

    def _answer(self, stored: Any) -> Answer:
        error = stored.exception()
        if error is not None:
            return refusal(error, self.doing)
        told = (disclosed(self._ignored),) if self._ignored else ()
        return Answer(202, encode(message_out(stored.result().message)), told)


class Receiving(Ticket):
    """A webhook that comes in."""

    doing = _RECEIVING

    def __init__(self, gateway: Gateway, entrance: Entrance, url: str, headers: dict[str, str]) -> None:
        self.body = bytearray()
        self.message_event = _NOBODY_WAITS
        self._gateway = gateway
        self._entrance = entrance
        self._url = url
        self._headers = headers

    def act(self, answer: Answering) -> None:
        """Verify and store."""
        request = Request("POST", self._url, self._headers, bytes(self.body))
        self._gateway.receive(self._entrance, request).tell(
            lambda reply: answer(_reply_head(reply), reply.body)
        )


class _Nobody:
    def set(self) -> None:
        """Wake nobody: a ticket is handled by callbacks."""


_NOBODY_WAITS = _Nobody()


class ExpressProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with an express lane, and with bounds on what a client may keep it waiting for.

    Args:
        express: Publishes.
        options: uvicorn's.
    """

    def __init__(self, express: Lane, **options: Any) -> None:
        super().__init__(**options)
        self._express = express
        self._receiving = True
        self._between = True
        self._in_head = True
        self._head_size = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None

    # --- Bounds -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request within the time that any request may take to arrive."""
        super().connection_made(transport)
        if len(self.connections) > self._express.max_connections:
            self._refuse(Unavailable("this node has too many connections; try again shortly"))
        else:
            self._await_rest()

    def data_received(self, data: bytes) -> None:
        """Read on, within bounds."""
        if self._between and data.startswith(b"POST ") and self._take_whole(data):
            return
        super().data_received(data)
        if self._receiving:
            self._await_rest()
            self._bound_head(len(data))
        elif self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - said in the API's own words
        """Answer bytes that are not HTTP as every other fault is answered: in JSON."""
        self._refuse(MalformedRequest("this is not an HTTP/1.1 request"))

    def _unsupported_upgrade_warning(self) -> None:
        """Pass over an ``Upgrade`` in silence: nobody has to heed one (RFC 9110, 7.8)."""

    def _unset_keepalive_if_required(self) -> None:
        """Be idle no more. The timer is left to run, for a new one with every request would cost more."""
        self._idle_since = None

    def on_response_complete(self) -> None:
        """Be idle from now on, unless another request is waiting."""
        timer, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        idle_since = None if self.pipeline else self.loop.time()
        # The base class sets a timer for each time that a connection is idle; one that looks again does for all.
        if self.pipeline or self.transport.is_closing() or timer is None:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        if timer is not None:
            self.timeout_keep_alive_task = timer
        self._idle_since = idle_since

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for long enough; look again at one that has not."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)

    def _await_rest(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._express.request_seconds, self._too_late)

    def _too_late(self) -> None:
        seconds = f"{self._express.request_seconds:g} seconds"
        self._refuse(RequestTimeout(f"the request took more than {seconds} to arrive"))

    def _bound_head(self, size: int) -> None:
        self._head_size += size
        if self._in_head and self._head_size > MAX_HEAD:
            self._refuse(MalformedRequest(f"the request line and headers have more than {MAX_HEAD} bytes"))

    def _refuse(self, error: RingbackError) -> None:
        if self.transport.is_closing():
            return
        # While an earlier request is being answered, this answer would be taken for that one's.
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
            self.transport.write(self._whole(*_rendered(refusal(error, _PUBLISHING)), keep_alive=False))
        self.transport.close()

    # --- The lane -----------------------------------------------------------------------------------------

    def _take_whole(self, data: bytes) -> bool:
        """Act at once on a request that is whole and plain; False leaves it to the parser, untouched."""
        found = _PLAIN.match(data)
        if found is None or self.transport.is_closing():
            return False
        pairs = _HEADER.findall(found[2].decode())
        headers = {name.lower(): value for name, value in pairs}
        length = headers.get("content-length", "")
        if not length.isdigit() or len(length) > MAX_DIGITS or int(length) != len(data) - found.end():
            return False
        if "connection" in headers or found.end() > MAX_HEAD or self._is_busy():
            return False
        ticket = self._express.ticket(found[1], headers) if len(headers) == len(pairs) else None
        if ticket is None:
            return False
        self._unset_keepalive_if_required()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        ticket.body += data[found.end() :]
        ticket.more_body = False
        self.cycle = ticket  # type: ignore[assignment]
        self._act(ticket)
        return True

    def _is_busy(self) -> bool:
        return self.flow.write_paused or (self.cycle is not None and not self.cycle.response_complete)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._between = False
        self._receiving = self._in_head = True
        self._head_size = 0
        # What else the base class prepares here, only the application needs.
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Let the request take the express lane, or leave it to the application."""
        if self.parser.get_http_version() not in VERSIONS:
            # The parser gives up, and ``send_400_response`` follows.
            raise MalformedRequest("neither HTTP/1.1 nor HTTP/1.0")
        self._in_head = False
        ticket = self._ticket()
        if ticket is None:
            self._prepare_scope()
            super().on_headers_complete()
        else:
            ticket.keep_alive = self.parser.should_keep_alive()
            self.cycle = ticket  # type: ignore[assignment]

    def _prepare_scope(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.headers.extend(headers)
        self.url, self.expect_100_continue = url, expects

    def on_message_complete(self) -> None:
        """Publish or receive, when that is what the request is for."""
        self._receiving = False
        self._between = True
        super().on_message_complete()
        ticket: object = self.cycle
        if isinstance(ticket, Ticket) and not ticket.more_body and not ticket.response_complete:
            self._act(ticket)

    def _ticket(self) -> Ticket | None:
        if self._is_busy() or self.parser.get_method() != b"POST":
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers}
        return self._express.ticket(self.url, headers) if len(headers) == len(self.headers) else None

    def _act(self, ticket: Ticket) -> None:
        try:
            ticket.act(functools.partial(self._answer, ticket))
        except Exception as error:  # noqa: BLE001 - whatever happened, the caller is told
            self._answer(ticket, *_rendered(refusal(error, ticket.doing)))

    def _answer(self, ticket: Ticket, head: bytes, body: bytes) -> None:
        ticket.response_complete = True
        if ticket.disconnected:
            return
        self.transport.write(self._whole(head, body, keep_alive=ticket.keep_alive))
        if not ticket.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _whole(self, head: bytes, body: bytes, *, keep_alive: bool) -> bytes:
        dated = [b"%b: %b\r\n" % pair for pair in self.server_state.default_headers]
        ending = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        return b"".join([head, *dated, ending, body])


def _rendered(answer: Answer) -> tuple[bytes, bytes]:
    named = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    length = f"{len(answer.body)}\r\n"
    return _opening(answer.status) + (length + named).encode("latin-1"), answer.body


@functools.lru_cache(maxsize=256)
def _reply_head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    if reply.status not in BODILESS:
        lines.append(f"content-length: {len(reply.body)}")
    return "\r\n".join([*lines, ""]).encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:  # one that is registered nowhere, such as the 2xx of a source's own acknowledgement
        return "OK"


@functools.cache
def _opening(status: int) -> bytes:
    return (
        f"HTTP/1.1 {status} {_phrase(status)}\r\ncontent-type: application/json\r\ncontent-length: ".encode()
    )
