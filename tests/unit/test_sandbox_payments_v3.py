"""Payment requests and payments of the v3 API in the sandbox."""

import pytest
from sandboxes import OWNER, playing
from xendit_tables import faults

from ringback.sandbox.xendit.ledger import COLLECTION
from xendit_requests import OTHERS

DAY = 86_400_000
REQUESTS = "/v3/payment_requests"
VERSION = {"api-version": "2024-11-11"}
WALLET = {
    "reference_id": "order-1",
    "type": "PAY",
    "country": "ID",
    "currency": "IDR",
    "request_amount": 150_000,
    "channel_code": "DANA",
    "channel_properties": {"success_return_url": "https://shop.example/ok"},
    "description": "Order 1",
    "metadata": {"branch": "menteng"},
}
NUMBER, CODE = "4000000000001091", "987"
CARD = {
    "card_number": NUMBER,
    "cvn": CODE,
    "expiry_month": "12",
    "expiry_year": "2029",
    "cardholder_first_name": "TEST",
}
CARDS = {
    "channel_code": "CARDS",
    "channel_properties": {"card_details": CARD, "skip_three_ds": True, "mid_label": "MAIN"},
}
OPEN_CODE = {
    "type": "REUSABLE_PAYMENT_CODE",
    "request_amount": None,
    "channel_code": "BRI_VIRTUAL_ACCOUNT",
    "channel_properties": {"display_name": "TOKO CONTOH"},
}
ACCOUNT = {"channel_code": "BRI_VIRTUAL_ACCOUNT", "channel_properties": {}}
MISSING = (404, "DATA_NOT_FOUND")
INACTIVE = (400, "INACTIVE_PAYMENT_REQUEST")
INELIGIBLE = (400, "INELIGIBLE_TRANSACTION_STATUS")
WRONG_VALUE = (400, "INVALID_VALUE_ERROR")


def made(play, **more):
    return play.ok("POST", REQUESTS, WALLET | more, headers=VERSION)


def path_of(request, verb):
    return f"{REQUESTS}/{request['payment_request_id']}/{verb}"


def decide(play, request, **outcome):
    return play.ok("POST", f"/sandbox{path_of(request, 'simulate')}", outcome)


def shown(play, request):
    return play.ok("GET", f"{REQUESTS}/{request['payment_request_id']}")


def authorized(play, reference_id="hold-1", **more):
    request = made(play, reference_id=reference_id, capture_method="MANUAL", **CARDS, **more)
    return request, play.ok("GET", f"/v3/payments/{request['latest_payment_id']}")


def told_well(play, event, slot="payments_v3"):
    """Return the data of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, slot]
    assert faults(event, "event", body) == []
    assert body["api_version"] == "v3"
    assert list(body["data"]) == sorted(body["data"], key=lambda key: (len(key), key))
    return body["data"]


# --- Payment requests ----------------------------------------------------------------------------------------


def test_a_request_waits_for_its_payer(play):
    """A new request is 201, says where the payer goes, and is found again as it was answered."""
    answer = play.call("POST", REQUESTS, WALLET, headers=VERSION)
    request = answer.body
    assert (answer.status, request["status"], request["capture_method"]) == (
        201,
        "REQUIRES_ACTION",
        "AUTOMATIC",
    )
    (action,) = request["actions"]
    assert (action["type"], action["descriptor"]) == ("REDIRECT_CUSTOMER", "WEB_URL")
    assert action["value"].endswith(request["payment_request_id"])
    assert len(request["payment_request_id"]) == 39
    assert shown(play, request) == request
    assert play.told() == []


@pytest.mark.parametrize(
    ("channel", "descriptor"),
    [
        ("BRI_VIRTUAL_ACCOUNT", "VIRTUAL_ACCOUNT_NUMBER"),
        ("ALFAMART", "PAYMENT_CODE"),
        ("QRIS", "QR_STRING"),
    ],
)
def test_what_the_payer_is_shown(play, channel, descriptor):
    """Banks, tills and QR codes are paid by something that the payer is shown; a wish for a number is heard."""
    request = made(play, channel_code=channel, channel_properties={"virtual_account_number": "262159912"})
    (action,) = request["actions"]
    assert (action["type"], action["descriptor"]) == ("PRESENT_TO_CUSTOMER", descriptor)
    assert action["value"] == "262159912" or not channel.startswith("BRI")


def test_simulated_payments_are_told_by_webhook(play):
    """The provider's call for test mode answers PENDING, whatever comes; the payment is told a moment later."""
    request = made(play, **ACCOUNT)
    answer = play.call("POST", path_of(request, "simulate"), {"amount": 150_000})
    assert (answer.status, answer.body["status"]) == (200, "PENDING")
    assert play.told() == []
    pending = shown(play, request)
    assert pending["status"] == "REQUIRES_ACTION"
    assert play.ok("GET", f"/v3/payments/{pending['latest_payment_id']}")["status"] == "PENDING"
    assert play.refused("POST", path_of(request, "simulate"), {}) == INELIGIBLE
    play.advance(1_000)
    data = told_well(play, "payment.capture")
    assert (data["status"], data["payment_id"], data["request_amount"]) == (
        "SUCCEEDED",
        pending["latest_payment_id"],
        150_000,
    )
    assert [one["capture_amount"] for one in data["captures"]] == [150_000]
    assert data["payment_details"]["issuer_name"] == "BRI"
    done = shown(play, request)
    assert (done["status"], done["actions"]) == ("SUCCEEDED", [])
    assert play.refused("POST", path_of(request, "simulate"), {}) == INACTIVE
    play.advance(2 * DAY)
    assert len(play.told()) == 1


def test_a_payment_fails(play):
    """A payer who fails to pay ends the request; the webhook and both objects say why."""
    request = made(play)
    payment = decide(play, request, status="FAILED", failure_code="USER_DECLINED_PAYMENT")
    data = told_well(play, "payment.failure")
    assert (data["status"], data["failure_code"], data["captures"]) == ("FAILED", "USER_DECLINED_PAYMENT", [])
    assert play.ok("GET", f"/v3/payments/{payment['payment_id']}") == payment
    failed = shown(play, request)
    assert (failed["status"], failed["failure_code"]) == ("FAILED", "USER_DECLINED_PAYMENT")
    assert play.refused("POST", f"/sandbox{path_of(request, 'simulate')}") == INACTIVE
    decide(play, made(play), status="FAILED")
    assert told_well(play, "payment.failure")["failure_code"] == "INSUFFICIENT_BALANCE"


@pytest.mark.parametrize(
    ("status", "event"), [("SUCCEEDED", "payment.capture"), ("FAILED", "payment.failure")]
)
def test_a_payment_under_way_is_decided(play, status, event):
    """A simulated payment that is decided before its time is the same payment, and is told once."""
    request = made(play)
    play.ok("POST", path_of(request, "simulate"), {})
    begun = shown(play, request)["latest_payment_id"]
    decide(play, request, status=status)
    assert told_well(play, event)["payment_id"] == begun
    play.advance(2 * DAY)
    assert len(play.told()) == 1
    assert play.ok("GET", f"/v3/payments/{begun}")["status"] == status


def test_the_log_lists_payments_under_their_request(play):
    """Whoever looks for a request in the log finds what was told of its payment."""
    request = made(play)
    decide(play, request)
    [row] = play.ok("GET", "/sandbox/webhooks/log")["data"]
    assert row["product_id"] == request["payment_request_id"]


def test_a_request_expires(play):
    """After a day, or when it says, a request is EXPIRED, which is told once, and cannot be paid."""
    usual = made(play, **ACCOUNT)
    later = made(play, **ACCOUNT | {"channel_properties": {"expires_at": "2099-01-01T00:00:00Z"}})
    assert later["channel_properties"]["expires_at"] == "2099-01-01T00:00:00Z"
    play.advance(DAY)
    data = told_well(play, "payment_request.expiry")
    assert (data["payment_request_id"], data["status"]) == (usual["payment_request_id"], "EXPIRED")
    assert data["channel_properties"] == usual["channel_properties"]
    assert shown(play, usual)["status"] == "EXPIRED"
    assert play.refused("POST", path_of(usual, "simulate"), {}) == INACTIVE
    assert shown(play, later)["status"] == "REQUIRES_ACTION"
    assert len(play.told()) == 1


def test_money_that_comes_too_late(play):
    """A payment that is under way when its request expires fails."""
    request = made(play, **ACCOUNT)
    play.advance(DAY - 500)
    play.ok("POST", path_of(request, "simulate"), {})
    play.advance(1_000)
    assert [event for event, _, _ in play.told()] == ["payment_request.expiry", "payment.failure"]
    assert told_well(play, "payment.failure")["failure_code"] == "PAYMENT_REQUEST_EXPIRED"
    assert shown(play, request)["status"] == "EXPIRED"


def test_a_request_is_canceled(play):
    """A request that waits can be canceled, with the payment under way, of which nothing is told."""
    request = made(play)
    play.ok("POST", path_of(request, "simulate"), {})
    canceled = play.ok("POST", path_of(request, "cancel"))
    assert canceled["status"] == "CANCELED"
    assert play.ok("GET", f"/v3/payments/{canceled['latest_payment_id']}")["status"] == "CANCELED"
    play.advance(2 * DAY)
    assert play.told() == []
    assert play.refused("POST", path_of(request, "cancel")) == INACTIVE
    paid = made(play)
    decide(play, paid)
    assert play.refused("POST", path_of(paid, "cancel")) == INELIGIBLE


def test_a_code_is_paid_again_and_again(play):
    """A reusable code takes any amounts, each a payment of its own, also after one failed, until it is canceled."""
    code = made(play, **OPEN_CODE)
    assert (code["status"], "request_amount" in code) == ("ACCEPTING_PAYMENTS", False)
    assert play.refused("POST", path_of(code, "simulate"), {}) == WRONG_VALUE
    for amount in (10_000, 20_000):
        play.ok("POST", path_of(code, "simulate"), {"amount": amount})
    play.advance(1_000)
    decide(play, code, status="FAILED", amount=5_000)
    assert [(event, body["data"]["request_amount"]) for event, _, body in play.told()] == [
        ("payment.capture", 10_000),
        ("payment.capture", 20_000),
        ("payment.failure", 5_000),
    ]
    assert len({body["data"]["payment_id"] for _, _, body in play.told()}) == 3
    play.advance(400 * DAY)
    assert shown(play, code)["status"] == "ACCEPTING_PAYMENTS"
    play.ok("POST", path_of(code, "simulate"), {"amount": 10_000})
    play.ok("POST", path_of(code, "cancel"))
    play.advance(1_000)
    assert len(play.told()) == 3


def test_a_code_for_one_amount(play):
    """A code that was made for an amount takes no other, and expires when it says."""
    ends = play.sandbox.stamp(play.clock() + DAY)
    code = made(play, **OPEN_CODE | {"request_amount": 10_000, "channel_properties": {"expires_at": ends}})
    assert play.refused("POST", path_of(code, "simulate"), {"amount": 9_999}) == WRONG_VALUE
    decide(play, code)
    assert told_well(play, "payment.capture")["request_amount"] == 10_000
    assert shown(play, code)["status"] == "ACCEPTING_PAYMENTS"
    play.advance(DAY)
    assert told_well(play, "payment_request.expiry")["payment_request_id"] == code["payment_request_id"]
    assert play.refused("POST", path_of(code, "simulate"), {}) == INACTIVE


# --- Cards, authorizations, captures -------------------------------------------------------------------------


def test_a_card_without_3ds_is_charged_at_once(play):
    """The answer says SUCCEEDED already, and the payment is told."""
    request = made(play, **CARDS)
    assert (request["status"], request["actions"]) == ("SUCCEEDED", [])
    assert told_well(play, "payment.capture")["payment_id"] == request["latest_payment_id"]
    asked = {"channel_properties": {"card_details": CARD, "skip_three_ds": False}}
    waiting = made(play, **CARDS | asked, reference_id="order-2")
    assert waiting["actions"][0]["type"] == "REDIRECT_CUSTOMER"
    assert decide(play, waiting, status="FAILED")["failure_code"] == "CARD_DECLINED"


def test_a_cards_secrets_are_kept_nowhere(play):
    """Neither an answer, nor a webhook, nor the store has the number or the code of a card."""
    request = made(play, **CARDS)
    details = request["channel_properties"]["card_details"]
    assert details["masked_card_number"] == "4000****1091"
    assert (details["network"], details["cardholder_first_name"]) == ("VISA", "TEST")
    documents = play.run(play.sandbox.outbox.documents(COLLECTION))
    kept = b"".join(document.body or b"" for document in documents)
    assert request["payment_request_id"].encode() in kept
    assert NUMBER.encode() not in kept
    assert f'"{CODE}"'.encode() not in kept


def test_a_card_is_used_once_for_a_reference(play):
    """The reference_id of a card payment is its own."""
    made(play, **CARDS)
    assert play.refused("POST", REQUESTS, WALLET | CARDS) == (409, "DUPLICATE_ERROR")
    assert play.call("POST", REQUESTS, WALLET | CARDS, headers=OTHERS).status == 201
    assert made(play)["status"] == "REQUIRES_ACTION"


def test_an_authorization_is_captured_in_parts(play):
    """With MANUAL a payment is held first; each capture is told with all captures, up to the whole and no more."""
    request, payment = authorized(play)
    assert (request["status"], payment["status"], payment["captures"]) == ("AUTHORIZED", "AUTHORIZED", [])
    assert told_well(play, "payment.authorization")["payment_id"] == payment["payment_id"]
    capture = f"/v3/payments/{payment['payment_id']}/capture"
    for wrong, refusal in (
        (150_001, (400, "CAPTURE_AMOUNT_EXCEEDED")),
        (0, WRONG_VALUE),
        ("1", (400, "API_VALIDATION_ERROR")),
    ):
        assert play.refused("POST", capture, {"capture_amount": wrong}) == refusal
    first = play.ok("POST", capture, {"capture_amount": 100_000})
    assert (first["status"], len(first["captures"])) == ("SUCCEEDED", 1)
    assert told_well(play, "payment.capture")["captures"] == first["captures"]
    assert shown(play, request)["status"] == "SUCCEEDED"
    rest = play.ok("POST", capture, {})
    assert [one["capture_amount"] for one in rest["captures"]] == [100_000, 50_000]
    assert told_well(play, "payment.capture")["captures"] == rest["captures"]
    assert len({one["capture_id"] for one in rest["captures"]}) == 2
    assert play.refused("POST", capture, {}) == INELIGIBLE
    play.advance(8 * DAY)
    assert len(play.told()) == 3


def test_an_authorization_lapses(play):
    """After a week what was not captured is given back: the whole with payment.expiry, a rest without."""
    request, whole = authorized(play)
    _, partly = authorized(play, "hold-2")
    capture = f"/v3/payments/{partly['payment_id']}/capture"
    play.ok("POST", capture, {"capture_amount": 1})
    play.advance(7 * DAY)
    data = told_well(play, "payment.expiry")
    assert (data["payment_id"], data["status"]) == (whole["payment_id"], "EXPIRED")
    assert shown(play, request)["status"] == "EXPIRED"
    assert play.refused("POST", capture, {}) == INELIGIBLE
    assert play.ok("GET", f"/v3/payments/{partly['payment_id']}")["status"] == "SUCCEEDED"
    assert len(play.told()) == 4


def test_an_authorization_is_canceled(play):
    """What is held can be given back, not what was captured."""
    request, payment = authorized(play)
    cancel = f"/v3/payments/{payment['payment_id']}/cancel"
    assert play.ok("POST", cancel)["status"] == "CANCELED"
    assert shown(play, request)["status"] == "CANCELED"
    assert play.refused("POST", cancel) == INELIGIBLE
    assert play.refused("POST", path_of(request, "cancel")) == INACTIVE
    other, held = authorized(play, "hold-2")
    assert play.refused("POST", path_of(other, "cancel")) == INELIGIBLE
    play.ok("POST", f"/v3/payments/{held['payment_id']}/capture", {})
    assert play.refused("POST", f"/v3/payments/{held['payment_id']}/cancel") == INELIGIBLE


def test_pesos_are_captured_to_the_centavo(play):
    """Amounts with decimals add up exactly, and keep their form."""
    _, payment = authorized(play, country="PH", currency="PHP", request_amount=0.3)
    capture = f"/v3/payments/{payment['payment_id']}/capture"
    play.ok("POST", capture, {"capture_amount": 0.1})
    assert [one["capture_amount"] for one in play.ok("POST", capture, {})["captures"]] == [0.1, 0.2]


# --- Saving --------------------------------------------------------------------------------------------------


def test_pay_and_save(play):
    """A payment that is also to be saved brings a token, told twice, which pays the next request."""
    request = made(play, type="PAY_AND_SAVE", customer_id="cust-1")
    decide(play, request)
    (_, _, captured), (event, slot, activated) = play.told()
    assert (event, slot) == ("payment_token.activation", "payment_tokens")
    assert faults(event, "event", activated) == []
    token = captured["data"]["payment_token_id"]
    assert activated["data"]["payment_token_id"] == token == shown(play, request)["payment_token_id"]
    assert play.ok("GET", f"/v3/payment_tokens/{token}")["status"] == "ACTIVE"
    with_token = {"payment_token_id": token, "channel_code": None, "channel_properties": None}
    again = made(play, **with_token)
    assert (again["channel_code"], again["customer_id"]) == ("DANA", "cust-1")
    decide(play, again)
    assert told_well(play, "payment.capture")["payment_token_id"] == token


def test_a_card_that_is_saved(play):
    """A saved card pays without its number, and no longer than it lasts."""
    decide_at_once = made(play, type="PAY_AND_SAVE", **CARDS)
    token = decide_at_once["payment_token_id"]
    paid = made(
        play,
        reference_id="month-2",
        payment_token_id=token,
        channel_code="CARDS",
        channel_properties={"skip_three_ds": True, "card_on_file_type": "RECURRING"},
    )
    assert paid["status"] == "SUCCEEDED"
    play.advance(5 * 366 * DAY)
    told_well(play, "payment_token.expiry", "payment_tokens")
    body = WALLET | {"payment_token_id": token, "channel_code": None}
    assert play.refused("POST", REQUESTS, body) == (400, "INVALID_TOKEN")


# --- Refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reference_id": ""}, "API_VALIDATION_ERROR"),
        ({"type": "SINGLE_PAYMENT"}, "API_VALIDATION_ERROR"),
        ({"country": "US"}, "API_VALIDATION_ERROR"),
        ({"country": "PH"}, "INVALID_VALUE_ERROR"),
        ({"currency": "EUR"}, "API_VALIDATION_ERROR"),
        ({"request_amount": None}, "API_VALIDATION_ERROR"),
        ({"request_amount": "10000"}, "API_VALIDATION_ERROR"),
        ({"request_amount": 0}, "INVALID_VALUE_ERROR"),
        ({"request_amount": 10**13}, "INVALID_VALUE_ERROR"),
        ({"channel_code": None}, "API_VALIDATION_ERROR"),
        ({"channel_code": "GCASH"}, "INVALID_VALUE_ERROR"),
        ({"channel_properties": None}, "API_VALIDATION_ERROR"),
        ({"channel_properties": {"success_return_url": "shop"}}, "API_VALIDATION_ERROR"),
        ({"channel_properties": {"expires_at": "soon"}}, "API_VALIDATION_ERROR"),
        ({"channel_properties": {"expires_at": "2001-01-01T00:00:00Z"}}, "INVALID_VALUE_ERROR"),
        ({"channel_code": "CARDS"}, "API_VALIDATION_ERROR"),
        (
            CARDS | {"channel_properties": {"card_details": CARD | {"card_number": "4000"}}},
            "API_VALIDATION_ERROR",
        ),
        (CARDS | {"channel_properties": {"card_details": CARD | {"expiry_year": "2020"}}}, "CARD_EXPIRED"),
        (ACCOUNT | {"capture_method": "MANUAL"}, "INVALID_VALUE_ERROR"),
        (ACCOUNT | {"type": "PAY_AND_SAVE"}, "INVALID_VALUE_ERROR"),
        ({"type": "REUSABLE_PAYMENT_CODE"}, "INVALID_VALUE_ERROR"),
        ({"customer_id": "siti"}, "API_VALIDATION_ERROR"),
        ({"customer": {"reference_id": "c-1"}}, "API_VALIDATION_ERROR"),
        ({"metadata": {"k": "v" * 501}}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_a_request(play, change, code):
    """Each fault is 400 with the provider's code, and nothing is made."""
    assert play.refused("POST", REQUESTS, WALLET | change) == (400, code)
    assert play.told() == []


def test_another_version(play):
    """A call that names another version of the API is refused."""
    headers = {"api-version": "2022-07-31"}
    assert play.refused("POST", REQUESTS, WALLET, headers=headers) == (400, "API_VALIDATION_ERROR")


def test_tokens_that_cannot_pay(play):
    """A token that is not there is 404, and one of another channel or currency is refused."""
    body = WALLET | {"payment_token_id": "pt-x"}
    assert play.refused("POST", REQUESTS, body) == MISSING
    request = made(play, type="PAY_AND_SAVE")
    token = decide(play, request)["payment_token_id"]
    for change in ({"channel_code": "OVO"}, {"currency": "PHP", "country": "PH"}):
        body = WALLET | {"payment_token_id": token} | change
        assert play.refused("POST", REQUESTS, body) == WRONG_VALUE
    body = WALLET | {"payment_token_id": token, "type": "PAY_AND_SAVE"}
    assert play.refused("POST", REQUESTS, body) == WRONG_VALUE
    assert play.refused("POST", REQUESTS, body, headers=OTHERS) == MISSING


def test_a_customer_that_is_described(play):
    """Whoever is described becomes a customer, once for a reference_id, for each business its own."""
    described = {"reference_id": "c-1", "type": "INDIVIDUAL", "individual_detail": {"given_names": "TEST"}}
    first, again = made(play, customer=described), made(play, customer=described)
    assert first["customer_id"] == again["customer_id"]
    customer = play.ok("GET", f"/customers/{first['customer_id']}")
    assert (customer["reference_id"], customer["individual_detail"]["given_names"]) == ("c-1", "TEST")
    other = play.ok("POST", REQUESTS, WALLET | {"customer": described}, headers=OTHERS)
    assert other["customer_id"] != first["customer_id"]


def test_what_is_not_there(play):
    """Unknown requests and payments, and those of others, are 404, whatever is asked of them."""
    request, payment = authorized(play)
    for named, headers in (
        (("pr-x", "py-x"), {}),
        ((request["payment_request_id"], payment["payment_id"]), OTHERS),
    ):
        for path in (
            f"{REQUESTS}/{named[0]}/cancel",
            f"{REQUESTS}/{named[0]}/simulate",
            f"/sandbox{REQUESTS}/{named[0]}/simulate",
            f"/v3/payments/{named[1]}/capture",
            f"/v3/payments/{named[1]}/cancel",
        ):
            assert play.refused("POST", path, headers=headers) == MISSING
        assert play.refused("GET", f"{REQUESTS}/{named[0]}", headers=headers) == MISSING
        assert play.refused("GET", f"/v3/payments/{named[1]}", headers=headers) == MISSING


def test_a_restart(tmp_path):
    """What was under way goes on in the next run: a simulated payment, an authorization, an expiry."""
    with playing(tmp_path) as play:
        simulated, expiring = made(play), made(play)
        authorized(play)
        play.ok("POST", path_of(simulated, "simulate"), {})
        assert len(play.told(OWNER)) == 1
    with playing(tmp_path, seed=8) as play:
        play.advance(8 * DAY)
        assert [event for event, _, _ in play.told()] == [
            "payment.authorization",
            "payment.capture",
            "payment_request.expiry",
            "payment.expiry",
        ]
        assert shown(play, simulated)["status"] == "SUCCEEDED"
        assert shown(play, expiring)["status"] == "EXPIRED"
