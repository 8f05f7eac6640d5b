"""Whatever comes to any route of the sandbox, the answer is one of the provider's or a page: never a 500."""

import re

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandboxes import playing
from test_sandbox_hostile import RUBBISH

from xendit_requests import OTHERS

NAMES = [
    "x",
    "0" * 24,
    "..",
    "%00",
    "\u202e",
    "a b",
    "é",
    "x" * 5_000,
    "<script>",
    "-1",
    "null",
    "\x00",
    "{id}",
]
HEADERS = [
    {},
    {"for-user-id": "nobody"},
    OTHERS,
    {"idempotency-key": ""},
    {"idempotency-key": "k"},
    {"api-version": "\x00"},
    {"content-type": "application/x-www-form-urlencoded"},
    {"authorization": "Basic \x00"},
    {"authorization": "Bearer x"},
]
BODIES = [
    b"",
    b"{",
    b"\xff\xfe",
    b"[]",
    b"null",
    b'"x"',
    b"[" * 100_000,
    b'{"a":' * 10_000,
    b"a=%ff&b",
    b"{}",
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    with playing(tmp_path_factory.mktemp("sandbox")) as play:
        yield play


def routes():
    """Return what the sandbox answers, without making one."""
    import tempfile  # noqa: PLC0415 - only here, to have names for the tests
    from pathlib import Path  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as folder, playing(Path(folder)) as play:
        return {f"{route.method} {route.template}": route for route in play.sandbox.routes()}


ROUTES = routes()


def path_of(route, name):
    return re.sub(r"\{\w+(:rest)?\}", lambda _: name, route.template)


def check(route, answer):
    """Check the shape of an answer: JSON by the API, anything that a browser can show by pages."""
    assert answer.status < 500, answer
    if isinstance(answer.body, bytes):
        assert route.open or answer.status < 400
        return
    body = msgspec.json.decode(msgspec.json.encode(answer.body))
    if answer.status >= 400:
        assert {"error_code", "message"} <= set(body), answer
        assert body["error_code"].isupper()
        assert body["message"]


@pytest.mark.parametrize("name", ROUTES)
def test_rubbish(play, name):
    """Names that are none, bodies that are no JSON, and headers that say nothing are all answered."""
    route = ROUTES[name]
    for hostile in NAMES:
        check(route, play.call(route.method, path_of(route, hostile)))
    for body in BODIES:
        check(route, play.call(route.method, path_of(route, "x"), body))
    for headers in HEADERS:
        check(route, play.call(route.method, path_of(route, "x"), b"{}", headers=headers))


@pytest.mark.parametrize("name", ROUTES)
@given(data=st.data())
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything(play, name, data):
    """Any JSON, any form and any parameters are answered."""
    route = ROUTES[name]
    query = data.draw(st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2), max_size=3))
    path = path_of(route, data.draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)))
    if route.method == "GET":
        check(route, play.call("GET", path, query=query))
    elif route.open and data.draw(st.booleans()):
        check(
            route, play.call(route.method, path, form=data.draw(st.dictionaries(TEXTS, TEXTS)), query=query)
        )
    else:
        check(route, play.call(route.method, path, data.draw(RUBBISH), query=query))


@pytest.mark.parametrize("name", [name for name, route in ROUTES.items() if not route.open])
def test_a_key_is_needed(play, name):
    """The API answers nobody without a key, and says what is missing."""
    route = ROUTES[name]
    answer = play.call(route.method, path_of(route, "x"), key=None)
    assert (answer.status, answer.body["error_code"]) == (401, "INVALID_API_KEY")


@pytest.mark.parametrize("name", ROUTES)
def test_what_a_route_does_is_said(name):
    """Each route says in a sentence what it does: the reference is made of those."""
    assert (ROUTES[name].action.__doc__ or "").strip()


@pytest.mark.parametrize(
    "path",
    [
        "disbursements/x/simulate",
        "ewallets/charges/x/simulate",
        "invoices/x/pay",
        "paylater/charges/x/simulate",
        "payment_methods/x/simulate",
        "payment_requests/x/captures/simulate",
        "payment_requests/x/simulate",
        "payouts/x/simulate",
        "recurring/plans/x/next_charge",
        "refunds/x/simulate",
        "reports/x/simulate",
        "sessions/x/simulate",
        "v3/payment_requests/x/simulate",
        "v3/payment_tokens/x/simulate",
        "v3/payouts/x/simulate",
        "webhooks/log/x/resend",
        "webhooks/resend",
        "webhooks/slots/invoice/test",
    ],
)
def test_a_slip_in_a_call_of_the_sandbox_alone_is_told(play, path):
    """A field that such a call does not know is refused with those it knows; nothing happens that was not meant."""
    answer = play.call("POST", f"/sandbox/{path}", {"stauts": "FAILED"})
    assert (answer.status, answer.body["error_code"]) == (400, "API_VALIDATION_ERROR")
    assert "stauts" in answer.body["message"]
