"""The customer's side of the demonstration: an HTTP server that verifies what it gets and answers at once."""

from __future__ import annotations

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ringback.errors import SignatureInvalid
from ringback.outbox import system_clock
from ringback.signing import Request, scheme

HEALTHY = "/healthy"
FLAKY = "/flaky"
REFUSALS = 2
MAX_BODY = 16 * 1024 * 1024
IDLE_SECONDS = 60
POLL_SECONDS = 0.05


class Receiver:
    """Listens on a free loopback port. ``/healthy`` answers 204; ``/flaky`` first refuses one message twice.

    A request whose signature does not verify is answered with 401, as a careful customer would.
    """

    def __init__(self) -> None:
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()
        self._refused: str | None = None
        self._refusals_left = REFUSALS
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="demo-receiver", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and give the port back."""
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        """Return the URL of one of the paths."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def trust(self, path: str, secrets: tuple[str, ...]) -> None:
        """Accept at *path* what is signed with one of *secrets*."""
        self._secrets[path] = secrets

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> HTTPStatus:
        """Decide the status of one request; header names in lower case."""
        if path not in self._secrets:
            return HTTPStatus.NOT_FOUND
        try:
            request = Request("POST", self.url(path), headers, body)
            verified = scheme("standard-webhooks").verify(self._secrets[path], request, system_clock())
        except SignatureInvalid:
            return HTTPStatus.UNAUTHORIZED
        if path == FLAKY and self._refuses(verified.event_id or ""):
            return HTTPStatus.INTERNAL_SERVER_ERROR
        return HTTPStatus.NO_CONTENT

    def _refuses(self, message_id: str) -> bool:
        with self._lock:
            self._refused = self._refused or message_id
            if message_id != self._refused or not self._refusals_left:
                return False
            self._refusals_left -= 1
            return True


def _handler_for(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = IDLE_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()) or int(length[:12]) > MAX_BODY:
                self.close_connection = True
                self._reply(HTTPStatus.BAD_REQUEST)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._reply(receiver.answer(self.path, headers, self.rfile.read(int(length))))

        def _reply(self, status: HTTPStatus) -> None:
            self.send_response(status)
            if status is not HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent: the view tells what happens."""

    return Handler
