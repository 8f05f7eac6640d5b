"""Whatever JSON comes to the products that take payments, the answer is one of the provider's."""

import msgspec
import pytest
from full_requests import ACCOUNT_V2, CALLS, UPDATES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandboxes import playing

TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["\x00", "a" * 3_000, "9" * 400, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([10**400, -(10**400), 2**63, 2**64, 1e308, -0.0, 5e-324]),
)
RUBBISH = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    with playing(tmp_path_factory.mktemp("sandbox")) as play:
        yield play


@pytest.fixture(scope="module")
def places(play):
    """What the paths name, made once: whatever comes may pay it or not."""
    made = {
        name: play.ok("POST", path, body, headers=headers)
        for name, (path, body, headers) in {
            "invoice": CALLS["invoice"],
            "qr": CALLS["new QR code"],
            "charge": CALLS["charge"],
            "paid": CALLS["charge"],
            "disbursement": CALLS["disbursement"],
            "payout": CALLS["payout"],
            "account": ("/callback_virtual_accounts", CALLS["account"][1] | {"external_id": "va"}, {}),
            "request": CALLS["reusable code"],
            "held": CALLS["payment request"],
            "token": CALLS["token"],
            "session": CALLS["session"],
            "customer": ("/customers", {"reference_id": "known"}, {}),
            "account_v2": ("/v2/payment_methods", ACCOUNT_V2, {}),
            "debit_v2": CALLS["direct debit v2"],
            "held_v2": CALLS["payment request v2"],
            "recurring": ("/recurring/plans", CALLS["recurring plan"][1] | {"immediate_payment": False}, {}),
        }.items()
    }
    play.ok("POST", f"/sandbox/ewallets/charges/{made['paid']['id']}/simulate")
    made["refund"] = play.ok("POST", f"/ewallets/charges/{made['paid']['id']}/refunds", {"amount": 1})
    named = {
        "request": "payment_request_id",
        "held": "latest_payment_id",
        "token": "payment_token_id",
        "session": "payment_session_id",
    }
    [cycle] = play.ok("GET", f"/recurring/plans/{made['recurring']['id']}/cycles")["data"]
    return {name: body[named.get(name, "id")] for name, body in made.items()} | {"cycle": cycle["id"]}


@st.composite
def spoilt(draw, body):
    """A body of which some fields, at any depth, are rubbish."""
    return {
        name: draw(RUBBISH) if draw(st.integers(0, 3)) == 0 else draw(_inside(value))
        for name, value in body.items()
        if draw(st.integers(0, 19))
    }


def _inside(value):
    if isinstance(value, dict):
        return spoilt(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return st.lists(spoilt(value[0]), max_size=2)
    return st.just(value)


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_surprises_it(play, places, name, data):
    """Rubbish in any field is taken or refused with a code and a message: never a 500."""
    path, body, headers = CALLS[name]
    sent = data.draw(st.one_of(spoilt(body), RUBBISH))
    names = places | {"key": play.sandbox.new_hex()}
    headers = {name: value.format(**names) for name, value in headers.items()}
    answer = play.call("POST", path.format(**names), sent, headers=headers)
    assert answer.status < 500, answer
    assert msgspec.json.decode(msgspec.json.encode(answer.body)) is not None
    if answer.status >= 400:
        assert {"error_code", "message"} <= set(answer.body)


@pytest.mark.parametrize("name", UPDATES)
@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_update_surprises_it(play, places, name, data):
    """The same holds for updates, and time goes on afterwards."""
    path, body = UPDATES[name]
    answer = play.call("PATCH", path.format(**places), data.draw(st.one_of(spoilt(body), RUBBISH)))
    assert answer.status < 500, answer
    play.advance(3_000)


@given(st.dictionaries(st.sampled_from(["limit", "statuses", "paid_after", "last_invoice"]), TEXTS))
@settings(deadline=None, max_examples=60)
def test_no_query_surprises_it(play, query):
    """Nor does any text in a list's filters."""
    assert play.call("GET", "/v2/invoices", query=query).status < 500


MONEY_PARAMETERS = [
    "limit",
    "types",
    "amount",
    "created",
    "created[gte]",
    "updated[lte]",
    "after_id",
    "before_id",
]


@given(
    st.dictionaries(st.sampled_from([*MONEY_PARAMETERS, "currency", "at_timestamp", "reference_id"]), TEXTS)
)
@settings(deadline=None, max_examples=60)
def test_no_query_about_money_surprises_it(play, query):
    """The same holds for the lists of money, and for balances."""
    for path in ("/transactions", "/balance", "/v2/payouts", "/payouts_channels"):
        assert play.call("GET", path, query=query).status < 500
