"""The sandbox that Ringback ships for tests: real HTTP, the official SDK, and time by hand."""

import json
from datetime import timedelta

import pytest
import xendit
from running import Answer, receiving
from xendit.apis import InvoiceApi

from ringback.testing import FrozenClock
from ringback.testing.sandboxes import XenditSandbox

DRAFT = {"external_id": "order-1", "amount": 75_000}
MINUTE, HOUR = 60, 3_600
DOCUMENTED = [15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR]


def invoices(sandbox):
    return InvoiceApi(xendit.ApiClient(xendit.Configuration(host=sandbox.url, api_key=sandbox.key)))


def times(arrivals, clock_of, start):
    return [round((clock_of[id(arrival)] - start) / 1_000) for arrival in arrivals]


def test_a_day_of_retries_in_no_time(tmp_path):
    """A receiver that fails gets the webhook at the documented times, with one webhook-id, and then no more."""
    clock, at = FrozenClock(), {}

    def fail(arrival):
        at[id(arrival)] = clock()
        return Answer(500)

    with (
        receiving(fail) as receiver,
        XenditSandbox(tmp_path, clock=clock, webhook_url=receiver.url) as sandbox,
    ):
        invoice = invoices(sandbox).create_invoice(DRAFT)
        sandbox.pay(invoice.id)
        sandbox.deliver()
        start = clock()
        sandbox.advance(7 * 24 * HOUR)
        arrivals = receiver.seen()
        assert times(arrivals, at, start) == [0, *DOCUMENTED]
        assert len({arrival.headers["webhook-id"] for arrival in arrivals}) == 1
        assert {arrival.headers["x-callback-token"] for arrival in arrivals} == {sandbox.token}
        assert clock.now - FrozenClock().now == timedelta(days=7)
        [row] = sandbox.ask("GET", "/sandbox/webhooks/log")["data"]
        assert (row["status"], row["next_redelivery"]) == ("Failed", None)


@pytest.mark.parametrize(("retried", "arrivals"), [(False, 1), (True, 3)])
def test_silence(tmp_path, retried, arrivals):
    """A receiver that does not answer in time is not tried again, unless that is asked for."""
    options = {"timeout": "1s", "retry_timeouts": retried}
    with (
        receiving(lambda _: Answer(0)) as receiver,
        XenditSandbox(tmp_path, webhook_url=receiver.url, **options) as sandbox,
    ):
        sandbox.pay(invoices(sandbox).create_invoice(DRAFT).id)
        sandbox.advance(2 * HOUR)
        assert len(receiver.seen()) == arrivals
        assert sandbox.ask("GET", "/sandbox/webhooks/log")["data"][0]["status"] == "Timeout"


def test_expiry_goes_by_the_clock(tmp_path):
    """An invoice expires when its time has come, not before; another run in the folder goes on from there."""
    with XenditSandbox(tmp_path) as sandbox:
        invoice = invoices(sandbox).create_invoice(DRAFT | {"invoice_duration": 600})
        sandbox.advance(599)
        assert invoices(sandbox).get_invoice_by_id(invoice.id).status.value == "PENDING"
        clock = sandbox.clock
    with XenditSandbox(tmp_path, clock=clock) as sandbox:
        sandbox.advance(1)
        assert invoices(sandbox).get_invoice_by_id(invoice.id).status.value == "EXPIRED"


def test_the_same_seed_the_same_ids(tmp_path):
    """With one seed two sandboxes make the same; with another they differ."""

    def made(name, seed):
        (tmp_path / name).mkdir()
        with XenditSandbox(tmp_path / name, seed=seed) as sandbox:
            body = sandbox.ask("POST", "/v2/invoices", DRAFT)
            return json.dumps(body | {"invoice_url": None})

    assert made("a", 1) == made("b", 1) != made("c", 2)


def test_what_is_refused_is_said(tmp_path):
    """A call that the sandbox refuses fails the test with the provider's own words; advancing back is an error."""
    with XenditSandbox(tmp_path) as sandbox:
        with pytest.raises(AssertionError, match="404 INVOICE_NOT_FOUND_ERROR"):
            sandbox.pay("579c8d61f23fa4ca35e52da4")
        with pytest.raises(ValueError, match="does not run back"):
            sandbox.advance(-1)
