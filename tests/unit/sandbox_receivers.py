"""A receiver on loopback beside a played sandbox, and the parts of the sandbox that are about webhooks."""

import contextlib
import json
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from receivers import answering, receiving
from sandboxes import OWNER, playing

from ringback.adapters.wsgi import WSGIAdapter
from ringback.sandbox.xendit.callback_urls import CallbackUrls
from ringback.sandbox.xendit.log_api import LogApi
from ringback.sandbox.xendit.notices import NOTICE, Notice
from ringback.sandbox.xendit.settings_api import SettingsApi
from ringback.testing import inbox_at

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BROKEN = b"HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\nbroken"
PRODUCTS = (SettingsApi, LogApi, CallbackUrls)
HOOKS = "/sandbox/webhooks"


@contextlib.contextmanager
def webhooks(folder, **options):
    """Play the webhook settings and the log in a folder."""
    with playing(folder, products=PRODUCTS, **options) as play:
        yield play


@contextlib.contextmanager
def received(play, script=None):
    """Run a receiver on the play's own loop."""
    opened = receiving(script or answering(OK))
    receiver = play.run(opened.__aenter__())
    try:
        yield receiver
    finally:
        play.run(opened.__aexit__(None, None, None))


def invoice(number=1, **options):
    """Return the notice of a paid invoice."""
    body = {"id": f"inv-{number}", "external_id": f"order-{number}", "status": "PAID", "amount": 1000}
    return Notice(event="invoice.paid", product="Invoice", product_id=f"inv-{number}", body=body, **options)


def tell(play, *notices, owner=OWNER):
    """Commit notices; return the id of the last one in the log."""
    change = play.sandbox.change()
    play.run(play.sandbox.commit(change, *((owner, notice) for notice in notices)))
    ids = [entry.id for entry in change.entries if entry.kind == NOTICE]
    return ids[-1] if ids else None


def set_slot(play, name="invoice", **fields):
    """Change a slot by API."""
    body = play.ok("PUT", f"{HOOKS}/slots/{name}", fields)
    # What the worker holds of an endpoint is renewed by a later one.
    play.advance(1)
    return body


def orders(receiver):
    """Return what has arrived, by the orders' numbers."""
    return [json.loads(request.body)["external_id"] for request in receiver.requests]


def log_rows(play, **query):
    """Return the log's first page."""
    return play.ok("GET", f"{HOOKS}/log", query=query)["data"]


def statuses(play):
    """Return the statuses on the log's first page, newest first."""
    return [row["status"] for row in log_rows(play)]


class Quiet(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_):
        """Say nothing."""


@contextlib.contextmanager
def listening(folder, token):
    """Run an inbox that verifies as an application does, on a port of its own; yield it and its address."""
    folder.mkdir()
    inbox = inbox_at(folder)
    inbox.source("xendit", secrets=[token])
    with make_server("127.0.0.1", 0, WSGIAdapter(inbox), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield inbox, f"http://127.0.0.1:{server.server_port}/xendit"
        finally:
            server.shutdown()
            thread.join()
            inbox.close()
