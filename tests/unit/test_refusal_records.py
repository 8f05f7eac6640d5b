"""What is kept of refused requests: why, hints a person can act on, and little of it however many there are."""

import json
import time
from contextlib import closing

import pytest

from ringback import Request
from ringback.refusals import KEPT_PER_SOURCE, NOTED_PER_SECOND
from ringback.store import Page
from ringback.testing import (
    FrozenClock,
    assert_refused,
    inbox_at,
    secret_for,
    signed_request,
    unsigned_request,
)

PATIENCE = 10


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def inbox(tmp_path, clock):
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        for name in ("xendit", "stripe", "github"):
            inbox.source(name, secrets=[secret_for(name)])
        yield inbox


def refuse(inbox, request, source="stripe"):
    assert_refused(inbox.accept(source, request).result())


def refusals(inbox, count, source="stripe"):
    """Return the refusals once there are *count*; they are written after the answer."""
    until = time.monotonic() + PATIENCE
    while True:
        found = inbox.refusals(source, Page(limit=1_000, descending=True)).result()
        if len(found) >= count:
            return found
        assert time.monotonic() < until, f"there are only {len(found)}"


def stripe(clock, **parts):
    return signed_request("stripe", now=clock, **parts)


def reserialised(clock):
    request = stripe(clock)
    return request.with_body(json.dumps(json.loads(request.body), indent=2).encode())


CAUSES = {
    "a missing header": (lambda clock: unsigned_request("stripe"), "header_missing", ""),
    "another sender": (lambda clock: signed_request("github"), "header_missing", "github"),
    "a clock that is off": (lambda clock: stripe(clock() - 400_000), "timestamp_too_old", "400 s"),
    "a body written anew": (reserialised, "signature_mismatch", "raw bytes"),
    "another secret": (lambda clock: stripe(clock, secret="whsec_other"), "signature_mismatch", ""),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_why_it_was_refused(inbox, clock, cause):
    """A refusal has its reason, how the request looked and hints that name the culprit."""
    made, reason, hint = CAUSES[cause]
    request = made(clock)
    refuse(inbox, request)
    (refusal,) = refusals(inbox, 1)
    assert refusal.reason == reason
    assert refusal.detail
    assert hint in " ".join(refusal.hints)
    assert (refusal.at, refusal.method, refusal.size) == (clock(), "POST", len(request.body))
    assert set(refusal.header_names) == set(request.headers)


def test_refusals_are_noted_at_a_rate(inbox, clock):
    """Of many refusals a few per second are kept, and the next that is kept counts those between."""
    for _ in range(100):
        refuse(inbox, unsigned_request("stripe"))
    assert len(refusals(inbox, NOTED_PER_SECOND)) == NOTED_PER_SECOND
    clock.advance(60)
    refuse(inbox, unsigned_request("stripe"))
    newest, *_ = refusals(inbox, NOTED_PER_SECOND + 1)
    assert newest.more == 100 - NOTED_PER_SECOND
    clock.advance(60)
    refuse(inbox, unsigned_request("stripe"))
    assert refusals(inbox, NOTED_PER_SECOND + 2)[0].more == 0


def test_one_source_does_not_use_up_anothers(inbox):
    """Each source has a rate of its own."""
    for _ in range(50):
        refuse(inbox, unsigned_request("stripe"))
    refuse(inbox, unsigned_request("github"), "github")
    assert refusals(inbox, 1, "github")[0].more == 0


def test_refusals_are_bounded(inbox, clock):
    """A source keeps its newest refusals only."""
    for number in range(KEPT_PER_SOURCE + 20):
        clock.advance(1)
        refuse(inbox, unsigned_request("stripe", headers={f"x-number-{number}": "1"}))
        refusals(inbox, min(number + 1, KEPT_PER_SOURCE))
    until = time.monotonic() + PATIENCE
    last = f"x-number-{KEPT_PER_SOURCE + 19}"
    while last not in refusals(inbox, KEPT_PER_SOURCE)[0].header_names:
        assert time.monotonic() < until
    assert len(refusals(inbox, KEPT_PER_SOURCE)) == KEPT_PER_SOURCE


def test_what_cannot_be_written_is_noted_all_the_same(inbox):
    """Names that are no text, endless ones and bodies of any depth leave a bounded record and harm no other request."""
    deep = b"[" * 980 + b"]" * 980
    headers = {f"\ud800{number}" + "x" * 1_000: "y" for number in range(300)}
    headers["content-encoding"] = "\ud800"
    refuse(inbox, Request("\ud800" * 500, "\ud800", headers, deep))
    assert inbox.accept("xendit", signed_request("xendit")).result().status == 200
    (refusal,) = refusals(inbox, 1)
    assert len(refusal.method) <= 20
    assert len(refusal.header_names) <= 100
    assert all(len(name) <= 100 for name in refusal.header_names)


def test_a_body_too_deep_to_be_written_anew(inbox, clock):
    """A signed body that is too deep for the hints is refused and noted, with its reason."""
    request = stripe(clock, body=b'{"a":' * 900 + b"1" + b"}" * 900, secret="whsec_other")
    refuse(inbox, request)
    assert refusals(inbox, 1)[0].reason == "signature_mismatch"
