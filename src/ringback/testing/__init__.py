"""What tests of a program that receives webhooks need: signed requests, a clock that stands still, assertions.

    inbox = inbox_at(tmp_path, clock=clock)
    reply = inbox.accept("xendit", signed_request("xendit", "invoice.paid", event_id="1001", now=clock)).result()
    assert_acknowledged(reply)
    drain(inbox, clock)
    assert_handled(inbox, "xendit", "1001", "fulfil")

``ringback.pytest_plugin`` has clock, requests and inbox as fixtures, which pytest finds by itself.
"""

from ringback.testing.assertions import (
    assert_acknowledged,
    assert_dead,
    assert_discarded,
    assert_handled,
    assert_not_received,
    assert_quarantined,
    assert_received,
    assert_refused,
    assert_unhandled,
    assert_waiting,
)
from ringback.testing.clock import FrozenClock
from ringback.testing.inboxes import drain, inbox_at
from ringback.testing.keys import Keys, keys_for, secret_for
from ringback.testing.requests import new_event_id, signed_request, unsigned_request
from ringback.testing.samples import xendit_event_types

__all__ = [
    "FrozenClock",
    "Keys",
    "assert_acknowledged",
    "assert_dead",
    "assert_discarded",
    "assert_handled",
    "assert_not_received",
    "assert_quarantined",
    "assert_received",
    "assert_refused",
    "assert_unhandled",
    "assert_waiting",
    "drain",
    "inbox_at",
    "keys_for",
    "new_event_id",
    "secret_for",
    "signed_request",
    "unsigned_request",
    "xendit_event_types",
]
