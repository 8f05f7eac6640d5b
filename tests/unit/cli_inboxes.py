"""An inbox with something of everything in it, for tests of the commands that look at one."""

from ringback import Inbox, Retry
from ringback.signing import Request
from ringback.testing import secret_for, signed_request

STORE = "sqlite:///shop.db"
SECRET = secret_for("xendit")
HOSTILE = b"\x1b]0;owned\x07 \xc2\x9b31m \xe2\x80\xae \xff"
ESCAPED = r"\x1b]0;owned\x07 \x9b31m \u202e \xff"


def shop(store=STORE, **options):
    """Return an inbox with the handlers `fulfil`, which fails for good, and `audit`."""
    inbox = Inbox(store, **options)
    inbox.source("xendit", secrets=[SECRET])

    @inbox.on("xendit", "invoice.*", retries="none")
    def fulfil(message):
        raise ValueError("no stock \x1b[31m")

    @inbox.on("xendit", "invoice.*")
    def audit(message):
        return None

    return inbox


def receive(inbox, event_type="invoice.paid", **changed):
    """Have the inbox receive one webhook; return the status it answers."""
    request = signed_request("xendit", event_type)
    headers = dict(request.headers) | changed.pop("headers", {})
    body = changed.pop("body", request.body)
    return inbox.accept("xendit", Request(request.method, request.url, headers, body)).result().status


def fill(inbox):
    """Receive an invoice that is handled, an unhandled event, one for quarantine, and refuse one."""
    assert receive(inbox) == 200
    inbox.drain()
    assert receive(inbox, "payout.failed") == 200
    assert receive(inbox, body=HOSTILE, headers={"webhook-id": "hostile"}) == 200
    assert receive(inbox, headers={"x-callback-token": "not it"}) == 401
    # Why a request was refused is found out after the answer.
    while not inbox.refusals("xendit").result():
        pass
    inbox.close()


def wait(inbox):
    """Receive an invoice that waits for both handlers."""
    assert receive(inbox) == 200
    inbox.close()


def never(message):
    """Ask to be called again."""
    return Retry("not yet", after=3_600)
