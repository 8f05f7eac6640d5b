"""Endpoints and leased deliveries made by hand, as the fair queue gets them."""

import itertools

from ringback.model import Endpoint, Outcome, OutcomeKind, Trigger
from ringback.store import Lease, Work

NOW = 1_760_000_000_000
SECOND = 1_000
OK = Outcome(kind=OutcomeKind.SUCCESS, status=200)
ERROR = Outcome(kind=OutcomeKind.REFUSED, status=500)
SILENT = Outcome(kind=OutcomeKind.TIMEOUT)


def endpoint(name, application="app_1", **fields):
    """Return an endpoint of that id."""
    usual = {"url": "https://example.com/", "created_at": NOW, "updated_at": NOW, "secrets": ()}
    return Endpoint(id=name, application_id=application, **usual | fields)


_keys = itertools.count(1)


def work(of, attempts=0):
    """Return a delivery to an endpoint, after so many attempts."""
    key = next(_keys)
    return Work(
        key=(key, 1),
        message_id=f"msg_{key}",
        event_type="invoice.paid",
        payload=b"{}",
        accepted_at=NOW,
        endpoint=of,
        attempts=attempts,
        trigger=Trigger.SCHEDULED,
        lease=Lease(1, NOW + 30 * SECOND),
    )
