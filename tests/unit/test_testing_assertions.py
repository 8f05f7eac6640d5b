"""The testing kit's assertions, each of which says what did happen where it fails, and how it lets time pass."""

import contextlib
import datetime as dt

import pytest

from ringback.handlers import Discard, Retry
from ringback.testing import (
    FrozenClock,
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
    drain,
    inbox_at,
    secret_for,
    signed_request,
)

EVENT = "1001"
ALL_OF_THEM = (assert_handled, assert_waiting, assert_dead, assert_discarded)


@contextlib.contextmanager
def failing(*words):
    with pytest.raises(AssertionError) as failed:
        yield
    for word in words:
        assert word in str(failed.value)


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def inbox(tmp_path, clock):
    """Return an inbox whose handlers of a paid invoice end in all the ways there are."""
    inbox = inbox_at(tmp_path, clock=clock)
    inbox.source("xendit", secrets=[secret_for("xendit")])

    @inbox.on("xendit", "invoice.paid")
    def fulfil(message):
        return None

    @inbox.on("xendit", "invoice.paid", retries="1m")
    def mail(message):
        raise ValueError(f"no such buyer at attempt {message.attempt}")

    @inbox.on("xendit", "invoice.paid")
    def report(message):
        return Discard("an old one")

    @inbox.on("xendit", "invoice.expired")
    def release(message):
        return Retry(after=3600) if message.attempt < 4 else None

    @inbox.on("xendit", "fva.*")
    def wait(message):
        return Retry(after=7 * 86_400)

    with contextlib.closing(inbox):
        yield inbox


def receive(inbox, event_type, **parts):
    parts = {"event_id": EVENT, "now": FrozenClock(), **parts}
    return inbox.accept("xendit", signed_request("xendit", event_type, **parts)).result()


def test_an_acknowledgement(inbox):
    """Any 2xx acknowledges, as a reply or as a status; for another, status and body are shown."""
    assert_acknowledged(receive(inbox, "invoice.paid"))
    assert_acknowledged(204)
    with failing("not acknowledged", "401", "the token is none of those configured"):
        assert_acknowledged(receive(inbox, "invoice.paid", secret="another"))
    with failing("302"):
        assert_acknowledged(302)


def test_a_refusal(inbox):
    """Any 4xx refuses; the reason must be on the inbox's record, which is waited for."""
    with failing("xendit has refused nothing"):
        assert_refused(401, "token_mismatch", inbox=inbox, source="xendit", wait=0)
    reply = receive(inbox, "invoice.paid", secret="another")
    assert_refused(reply)
    assert_refused(reply, "token_mismatch", inbox=inbox, source="xendit")
    with failing("no refusal for header_missing", "token_mismatch: the token is none"):
        assert_refused(reply, "header_missing", inbox=inbox, source="xendit", wait=0)
    with pytest.raises(TypeError, match="give inbox and source"):
        assert_refused(reply, "token_mismatch")
    for status in (200, 302, 503):
        with failing("not refused", str(status)):
            assert_refused(status)


def test_what_was_received(inbox):
    """An event is known by its own id and by its message's; of one that did not come, refusals are shown."""
    assert_not_received(inbox, "xendit", EVENT)
    assert_refused(receive(inbox, "invoice.paid", secret="x"), "token_mismatch", inbox=inbox, source="xendit")
    with failing("xendit has not received 1001", "token_mismatch: the token is none"):
        assert_received(inbox, "xendit", EVENT)
    receive(inbox, "invoice.paid")
    message = assert_received(inbox, "xendit", EVENT)
    assert assert_received(inbox, "xendit", message.id) == message
    with failing("has received 1001, at 2026-03-02T12:00:00.000Z: invoice.paid"):
        assert_not_received(inbox, "xendit", EVENT)


def test_what_became_of_an_event(inbox, clock):
    """Each assertion holds for handlers that ended so, and for no others."""
    receive(inbox, "invoice.paid")
    for handler in ("fulfil", "mail", "report"):
        assert_waiting(inbox, "xendit", EVENT, handler)
    drain(inbox)
    assert_waiting(inbox, "xendit", EVENT, "mail")
    drain(inbox, clock)
    ended = {"fulfil": assert_handled, "mail": assert_dead, "report": assert_discarded}
    for handler, holds in ended.items():
        holds(inbox, "xendit", EVENT, handler)
        for other in ALL_OF_THEM:
            if other is not holds:
                with failing(f"{handler} is ", "with 1001 after "):
                    other(inbox, "xendit", EVENT, handler)


def test_a_failure_shows_the_last_traceback(inbox, clock):
    """Of a handler that raised, the traceback of its last attempt is shown."""
    receive(inbox, "invoice.paid")
    drain(inbox, clock)
    with failing("mail is failed", "after 2 attempts", "Traceback", "no such buyer at attempt 2"):
        assert_handled(inbox, "xendit", EVENT, "mail")
    with failing("report is cancelled", "an old one"):
        assert_handled(inbox, "xendit", EVENT, "report")


def test_one_handler_or_all_of_them(inbox, clock):
    """With a name, only that handler counts; without, all do, and there must be one."""
    receive(inbox, "invoice.paid")
    drain(inbox, clock)
    assert_handled(inbox, "xendit", EVENT, "fulfil")
    with failing("not handled"):
        assert_handled(inbox, "xendit", EVENT)
    with failing("is not for fulfill: it is for fulfil, mail, report"):
        assert_handled(inbox, "xendit", EVENT, "fulfill")
    with failing("has not received 1002"):
        assert_handled(inbox, "xendit", "1002")


def test_the_number_of_attempts(inbox, clock):
    """How many attempts it took is only asserted when asked for."""
    receive(inbox, "invoice.paid")
    drain(inbox, clock)
    assert_handled(inbox, "xendit", EVENT, "fulfil", attempts=1)
    with failing("fulfil took 1 attempt, not 3"):
        assert_handled(inbox, "xendit", EVENT, "fulfil", attempts=3)


def test_what_nothing_handles(inbox):
    """Unhandled is what no handler is for, quarantined what is not understood; one is not the other."""
    receive(inbox, "payout.succeeded")
    receive(inbox, None, body={"what": "is this"}, event_id="1002")
    receive(inbox, "invoice.paid", event_id="1003")
    assert_unhandled(inbox, "xendit", EVENT)
    assert_quarantined(inbox, "xendit", "1002")
    with failing("is quarantined, not unhandled"):
        assert_unhandled(inbox, "xendit", "1002")
    with failing("is not quarantined: it is for fulfil, mail, report"):
        assert_quarantined(inbox, "xendit", "1003")
    with failing("is for no handler: it is unhandled"):
        assert_handled(inbox, "xendit", EVENT)


def test_draining_handles_what_is_due(inbox, clock):
    """Without a clock, what is due later is left waiting, and no time passes."""
    receive(inbox, "invoice.expired")
    assert drain(inbox).succeeded == 0
    assert_waiting(inbox, "xendit", EVENT, "release")
    assert clock() == FrozenClock()()


def test_draining_with_a_clock_goes_through_every_retry(inbox, clock):
    """With the clock, time passes from retry to retry until nothing waits, no more than it must."""
    receive(inbox, "invoice.expired")
    drained = drain(inbox, clock)
    assert (drained.succeeded, drained.failed) == (1, 3)
    assert_handled(inbox, "xendit", EVENT, "release", attempts=4)
    assert clock.now - FrozenClock().now == dt.timedelta(hours=3)


def test_what_never_ends_is_said(inbox, clock):
    """A handler that asks to be called again for more than a month fails the test."""
    receive(inbox, "fva.paid")
    with failing("still waits after thirty days"):
        drain(inbox, clock)
