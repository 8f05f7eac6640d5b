"""Whatever JSON comes to the products that take payments, the answer is one of the provider's."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandboxes import playing

NEW_QR = {"api-version": "2022-07-31"}
# An idempotency key, with which the answer to the first body would be repeated, is made anew for each call.
ANY_KEY = {"idempotency-key": "{key}"}
ITEM = {"name": "Kettle", "price": 1, "quantity": 1}
CARD = {"card_number": "4000000000001091", "cvn": "123", "expiry_month": "12", "expiry_year": "2040"}
PAYMENT_REQUEST = {
    "reference_id": "a",
    "type": "PAY",
    "country": "ID",
    "currency": "IDR",
    "request_amount": 1,
    "capture_method": "MANUAL",
    "channel_code": "CARDS",
    "channel_properties": {
        "card_details": CARD,
        "skip_three_ds": True,
        "expires_at": "2040-01-01T00:00:00Z",
        "failure_return_url": "https://shop.example",
        "billing_information": {"city": "Jakarta", "lines": {"a": "b"}},
    },
    "customer_id": "cust-a",
    "customer": {
        "reference_id": "a",
        "type": "INDIVIDUAL",
        "individual_detail": {"given_names": "a"},
        "email": "a@b.example",
    },
    "items": [ITEM],
    "shipping_information": {"country": "ID"},
    "description": "a",
    "metadata": {"a": "b"},
}
TOKEN_FIELDS = frozenset(PAYMENT_REQUEST) - {"type", "request_amount", "capture_method", "items"}
SCHEDULE = {
    "interval": "YEAR",
    "interval_count": 1,
    "total_recurrence": 20_000,
    "anchor_date": "2030-02-28T00:00:00Z",
    "retry_interval": "DAY",
    "retry_interval_count": 1,
    "total_retry": 3,
    "failed_attempt_notifications": [1, 3],
}
# Each call that has a body: the path, a body that is taken, and headers.
ACCOUNT_V2 = {
    "type": "VIRTUAL_ACCOUNT",
    "reusability": "MULTIPLE_USE",
    "reference_id": "a",
    "virtual_account": {
        "channel_code": "BCA",
        "channel_properties": {
            "customer_name": "SITI",
            "virtual_account_number": None,
            "expires_at": "2040-01-01T00:00:00Z",
            "suggested_amount": 1,
        },
        "min_amount": 1,
        "max_amount": 1_000,
        "alternative_display_types": ["QR_STRING"],
    },
    "metadata": {"a": 1},
}
CALLS = {
    "invoice": (
        "/v2/invoices",
        {
            "external_id": "a",
            "amount": 10_000,
            "payer_email": "a@b.example",
            "invoice_duration": 604_800,
            "callback_virtual_account_id": None,
            "customer": {"given_names": "Siti", "addresses": [{"city": "Jakarta"}]},
            "customer_notification_preference": {"invoice_paid": ["email"]},
            "success_redirect_url": "https://shop.example",
            "payment_methods": ["BCA"],
            "currency": "IDR",
            "reminder_time": 1,
            "reminder_time_unit": "days",
            "items": [ITEM],
            "fees": [{"type": "a", "value": 1}],
            "channel_properties": {"cards": {"allowed_bins": ["411111"]}},
            "metadata": {"a": "b"},
        },
        {},
    ),
    "invoice paid": ("/sandbox/invoices/{invoice}/pay", {"payment_method": "EWALLET"}, {}),
    "account": (
        "/callback_virtual_accounts",
        {
            "external_id": "a",
            "bank_code": "BCA",
            "name": "SITI",
            "virtual_account_number": "1",
            "expected_amount": 1,
            "is_closed": True,
            "is_single_use": False,
            "expiration_date": "2026-04-01T00:00:00Z",
            "currency": "IDR",
        },
        {},
    ),
    "transfer": ("/callback_virtual_accounts/external_id=va/simulate_payment", {"amount": 1}, {}),
    "pool transfer": (
        "/pool_virtual_accounts/simulate_payment",
        {"transfer_amount": 1, "bank_account_number": "1", "bank_code": "BCA"},
        {},
    ),
    "payment code": (
        "/fixed_payment_code",
        {
            "external_id": "a",
            "retail_outlet_name": "ALFAMART",
            "name": "BUDI",
            "expected_amount": 10_000,
            "payment_code": "A1",
            "expiration_date": "2026-04-01",
            "is_single_use": True,
        },
        {},
    ),
    "cash": (
        "/fixed_payment_code/simulate_payment",
        {"retail_outlet_name": "ALFAMART", "payment_code": "TEST1", "transfer_amount": 1},
        {},
    ),
    "old QR code": (
        "/qr_codes",
        {"external_id": "a", "type": "DYNAMIC", "callback_url": "http://shop.example", "amount": 1},
        {},
    ),
    "new QR code": (
        "/qr_codes",
        {
            "reference_id": "a",
            "type": "DYNAMIC",
            "currency": "IDR",
            "amount": 1,
            "channel_code": "ID_DANA",
            "expires_at": "2026-04-01",
            "basket": [ITEM],
            "metadata": {"a": 1},
        },
        NEW_QR,
    ),
    "scan": ("/qr_codes/{qr}/payments/simulate", {"amount": 1}, {}),
    "charge": (
        "/ewallets/charges",
        {
            "reference_id": "a",
            "currency": "IDR",
            "amount": 100,
            "checkout_method": "ONE_TIME_PAYMENT",
            "channel_code": "ID_DANA",
            "channel_properties": {"success_redirect_url": "https://shop.example"},
            "basket": [ITEM],
            "metadata": {"a": 1},
        },
        {},
    ),
    "charge paid": (
        "/sandbox/ewallets/charges/{charge}/simulate",
        {"status": "FAILED", "failure_code": "a"},
        {},
    ),
    "plan": (
        "/paylater/plans",
        {
            "customer_id": "a",
            "channel_code": "ID_KREDIVO",
            "currency": "IDR",
            "amount": 1_000,
            "order_items": [ITEM],
        },
        {},
    ),
    "paylater charge": (
        "/paylater/charges",
        {"plan_id": "a", "reference_id": "a", "checkout_method": "ONE_TIME_PAYMENT", "metadata": {"a": 1}},
        {},
    ),
    "event": (
        "/sandbox/events/payment.capture",
        {"set": {"data.metadata.a": 1, "data.captures.0": {}}, "fresh": False, "url": "http://127.0.0.1:1"},
        {},
    ),
    "event of one's own": ("/sandbox/events/invoice.paid", {"body": {"a": 1}, "set": {"amount": 1}}, {}),
    "disbursement": (
        "/disbursements",
        {
            "external_id": "a",
            "amount": 10_000,
            "bank_code": "BRI",
            "account_holder_name": "RINA",
            "account_number": "1",
            "description": "a",
            "email_to": ["a@b.example"],
        },
        {},
    ),
    "disbursement ended": (
        "/sandbox/disbursements/{disbursement}/simulate",
        {"status": "FAILED", "failure_code": "TRANSFER_ERROR"},
        {},
    ),
    "batch": (
        "/batch_disbursements",
        {
            "reference": "a",
            "disbursements": [
                {
                    "amount": 10_000,
                    "bank_code": "BRI",
                    "bank_account_name": "RINA",
                    "bank_account_number": "1",
                    "description": "a",
                    "external_id": "a",
                }
            ],
        },
        {},
    ),
    "payout": (
        "/v2/payouts",
        {
            "reference_id": "a",
            "channel_code": "PH_GCASH",
            "channel_properties": {"account_number": "1", "account_holder_name": "RINA"},
            "amount": 1,
            "currency": "PHP",
            "description": "a",
            "receipt_notification": {"email_to": ["a@b.example"]},
            "metadata": {"a": 1},
        },
        ANY_KEY,
    ),
    "payout v3": (
        "/v3/payouts",
        {
            "reference_id": "a",
            "sender": {"type": "BUSINESS", "business_name": "a", "details": {"a": "b"}},
            "recipient": {
                "type": "INDIVIDUAL",
                "given_name": "Rina",
                "surname": "S",
                "relationship": "CUSTOMER",
                "address": {"country": "PH"},
                "account_details": {
                    "currency": "PHP",
                    "account_country": "PH",
                    "account_holder_name": "Rina S",
                    "account_number": "1",
                    "routing_type_1": "WALLET",
                    "routing_value_1": "PH_GCASH",
                },
            },
            "payout_details": {
                "source_currency": "PHP",
                "source_amount": 100,
                "destination_currency": "PHP",
            },
            "source_of_fund": "OTHER",
            "purpose_code": "OTHER",
            "receipt_notification": {"email_to": ["a@b.example"]},
            "underlying_documents": [{"type": "INVOICE"}],
            "metadata": {"a": 1},
        },
        {"api-version": "2025-09-01"},
    ),
    "report": (
        "/reports",
        {
            "type": "BALANCE_HISTORY",
            "filter": {"from": "2020-01-01", "to": "2020-01-02"},
            "format": "CSV",
            "currency": "IDR",
            "report_version": "VERSION_0",
        },
        {},
    ),
    "payout ended": (
        "/sandbox/payouts/{payout}/simulate",
        {"status": "FAILED", "failure_code": "TRANSFER_ERROR"},
        {},
    ),
    "payment request": ("/v3/payment_requests", PAYMENT_REQUEST, {}),
    "reusable code": (
        "/v3/payment_requests",
        PAYMENT_REQUEST
        | {
            "type": "REUSABLE_PAYMENT_CODE",
            "capture_method": "AUTOMATIC",
            "channel_code": "BRI_VIRTUAL_ACCOUNT",
            "channel_properties": {"virtual_account_number": "1"},
        },
        {},
    ),
    "payment simulated": ("/v3/payment_requests/{request}/simulate", {"amount": 1}, {}),
    "payment decided": (
        "/sandbox/v3/payment_requests/{request}/simulate",
        {"status": "FAILED", "failure_code": "a", "amount": 1},
        {},
    ),
    "capture": ("/v3/payments/{held}/capture", {"capture_amount": 1}, {}),
    "token": (
        "/v3/payment_tokens",
        {name: value for name, value in PAYMENT_REQUEST.items() if name in TOKEN_FIELDS},
        {},
    ),
    "session": (
        "/sessions",
        {
            "reference_id": "a",
            "session_type": "PAY",
            "mode": "PAYMENT_LINK",
            "amount": 1,
            "currency": "IDR",
            "country": "ID",
            "customer_id": "cust-a",
            "customer": PAYMENT_REQUEST["customer"],
            "allow_save_payment_method": "OPTIONAL",
            "capture_method": "AUTOMATIC",
            "channel_properties": {"cards": {"allowed_bins": {"a": "411111"}}},
            "allowed_payment_channels": ["DANA"],
            "expires_at": "2040-01-01T00:00:00Z",
            "locale": "en",
            "metadata": {"a": "b"},
            "description": "a",
            "items": [ITEM],
            "success_return_url": "https://shop.example",
            "components_configuration": {"origins": ["https://shop.example"]},
        },
        {},
    ),
    "session decided": (
        "/sandbox/sessions/{session}/simulate",
        {"status": "FAILED", "channel_code": "DANA", "saves": True, "failure_code": "a"},
        {},
    ),
    "refund": (
        "/refunds",
        {
            "payment_request_id": "pr-a",
            "amount": 1,
            "currency": "IDR",
            "reason": "OTHERS",
            "reference_id": "a",
            "metadata": {"a": "b"},
        },
        {},
    ),
    "refund of a charge": ("/ewallets/charges/{paid}/refunds", {"amount": 1, "reason": "OTHERS"}, {}),
    "refund decided": ("/sandbox/refunds/{refund}/simulate", {"status": "FAILED", "failure_code": "a"}, {}),
    "token decided": (
        "/sandbox/v3/payment_tokens/{token}/simulate",
        {"status": "FAILED", "failure_code": "a"},
        {},
    ),
    "recurring plan": (
        "/recurring/plans",
        {
            "reference_id": "a",
            "customer_id": "a",
            "currency": "IDR",
            "amount": 1,
            "payment_tokens": [{"payment_token_id": "a", "rank": 1}],
            "payment_methods": [{"payment_method_id": "a", "rank": 2}],
            "immediate_payment": True,
            "failed_cycle_action": "STOP",
            "notification_channels": ["EMAIL"],
            "locale": "en",
            "items": [ITEM],
            "schedule": SCHEDULE,
        },
        {},
    ),
    "recurring verdict": (
        "/sandbox/recurring/plans/{recurring}/next_charge",
        {"status": "FAILED", "failure_code": "a", "charges": 1},
        {},
    ),
    "customer": (
        "/customers",
        {
            "reference_id": "a",
            "type": "INDIVIDUAL",
            "individual_detail": {"given_names": "Siti", "employment": {"employer_name": "a"}},
            "business_detail": {"business_name": "a"},
            "addresses": [{"country": "ID", "line_1": "a", "is_primary": True}],
            "identity_accounts": [{"type": "EWALLET", "properties": {"account_number": "1"}}],
            "kyc_documents": [{"country": "ID", "document_images": ["a"]}],
            "metadata": {"a": 1},
        },
        {},
    ),
    "virtual account v2": ("/v2/payment_methods", ACCOUNT_V2, {}),
    "card v2": (
        "/v2/payment_methods",
        {
            "type": "CARD",
            "reusability": "MULTIPLE_USE",
            "country": "ID",
            "customer_id": None,
            "card": {
                "currency": "IDR",
                "channel_properties": {"success_return_url": "a://b", "expires_at": "2040-01-01"},
                "card_information": CARD,
            },
            "billing_information": {"country": "ID"},
        },
        {},
    ),
    "direct debit v2": (
        "/v2/payment_methods",
        {
            "type": "DIRECT_DEBIT",
            "reusability": "MULTIPLE_USE",
            "direct_debit": {
                "channel_code": "BRI",
                "channel_properties": {"card_expiry": "12/40", "card_last_four": "1234"},
                "type": "DEBIT_CARD",
            },
        },
        {},
    ),
    "transfer v2": ("/v2/payment_methods/{account_v2}/payments/simulate", {"amount": 1}, {}),
    "code v2": ("/v2/payment_methods/{debit_v2}/auth", {"auth_code": "222001"}, {}),
    "agreement v2": (
        "/sandbox/payment_methods/{debit_v2}/simulate",
        {"status": "FAILED", "failure_code": "a"},
        {},
    ),
    "payment request v2": (
        "/payment_requests",
        {
            "reference_id": "a",
            "currency": "IDR",
            "amount": 1,
            "country": "ID",
            "payment_method": ACCOUNT_V2,
            "capture_method": "AUTOMATIC",
            "channel_properties": {"success_return_url": "a://b", "require_auth": True},
            "shipping_information": {"country": "ID"},
            "items": [ITEM],
            "customer": {"reference_id": "a", "addresses": [{"city": "a"}]},
            "metadata": {"a": 1},
        },
        {},
    ),
    "authorization v2": ("/payment_requests/{held_v2}/auth", {"auth_code": "222001"}, {}),
    "outcome v2": (
        "/sandbox/payment_requests/{held_v2}/simulate",
        {"status": "PENDING", "failure_code": "a"},
        {},
    ),
    "capture v2": (
        "/payment_requests/{held_v2}/captures",
        {"capture_amount": 1, "reference_id": "a"},
        {},
    ),
    "failing capture v2": (
        "/sandbox/payment_requests/{held_v2}/captures/simulate",
        {"failure_code": "a"},
        {},
    ),
}
# Those of updates: the path, and a body that is taken.
UPDATES = {
    "customer": ("/customers/{customer}", CALLS["customer"][1] | {"status": "ACTIVE"}),
    "payment method v2": (
        "/v2/payment_methods/{account_v2}",
        {
            "description": "a",
            "reference_id": "a",
            "reusability": "MULTIPLE_USE",
            "status": "ACTIVE",
            "virtual_account": {"min_amount": 1, "channel_properties": {"expires_at": "2040-01-01"}},
            "over_the_counter": None,
        },
    ),
    "account": (
        "/callback_virtual_accounts/{account}",
        {"name": "a", "expected_amount": 10_000, "expiration_date": "2026-04-01"},
    ),
    "recurring plan": (
        "/recurring/plans/{recurring}",
        {
            "amount": 1,
            "items": [ITEM],
            "payment_tokens": [{"payment_token_id": "a", "rank": 1}],
            "schedule": SCHEDULE,
        },
    ),
    "recurring cycle": (
        "/recurring/plans/{recurring}/cycles/{cycle}",
        {"scheduled_timestamp": "2030-01-01", "currency": "IDR", "amount": 1, "metadata": {"a": "b"}},
    ),
}

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
