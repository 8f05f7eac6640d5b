"""Payment requests, version 2, and their captures."""

import pytest
from sandboxes import playing
from xendit_tables import faults

from ringback.sandbox.xendit.notices import NOTICE
from xendit_requests import ACCOUNT, CODE, COUNTER, OTHERS, WALLET

PHONE = WALLET | {
    "ewallet": {"channel_code": "OVO", "channel_properties": {"mobile_number": "+628123456789"}}
}
DEBIT = {
    "type": "DIRECT_DEBIT",
    "reusability": "ONE_TIME_USE",
    "direct_debit": {
        "channel_code": "BRI",
        "channel_properties": {"mobile_number": "+62818555988", "card_last_four": "8888"},
    },
}
CARD = {
    "type": "CARD",
    "reusability": "ONE_TIME_USE",
    "card": {
        "currency": "IDR",
        "channel_properties": {"success_return_url": "https://shop.example/ok"},
        "card_information": {
            "card_number": "4000000000001091",
            "expiry_month": "12",
            "expiry_year": "2030",
        },
    },
}
TRUSTED_CARD = CARD | {"card": CARD["card"] | {"channel_properties": {"skip_three_d_secure": True}}}
DRAFT = {"reference_id": "order-1", "currency": "IDR", "amount": 150_000.0, "metadata": {"sku": "A1"}}
COMPLETED = (409, "PAYMENT_REQUEST_ALREADY_COMPLETED")


def made(play, method=WALLET, **more):
    return play.ok("POST", "/payment_requests", DRAFT | {"payment_method": method} | more)


def at(request, *rest):
    return "/".join(["/payment_requests", request["id"], *rest])


def outcome(play, request, status, **more):
    return play.ok("POST", f"/sandbox{at(request)}/simulate", {"status": status} | more)


def told_well(play, after=0):
    """Return event and data of each webhook but the first ones; each must be as documented."""
    told = play.told()[after:]
    for event, _, body in told:
        shape = "legacy" if "data" not in body else "event"
        assert faults(event, shape, body) == []
    return [(event, body.get("data", body)) for event, _, body in told]


def events(play, after=0):
    return [event for event, _ in told_well(play, after)]


# --- How a payment begins ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status", "actions"),
    [
        (ACCOUNT, "PENDING", []),
        (COUNTER, "PENDING", []),
        (CODE, "PENDING", []),
        (PHONE, "PENDING", []),
        (WALLET, "REQUIRES_ACTION", [("AUTH", "WEB")]),
        (CARD, "REQUIRES_ACTION", [("AUTH", "WEB")]),
        (DEBIT, "REQUIRES_ACTION", [("AUTH", "API"), ("RESEND_AUTH", "API")]),
        (TRUSTED_CARD, "PENDING", []),
    ],
)
def test_how_each_type_begins(play, method, status, actions):
    """What the payer has to do decides: nothing of ours to do is PENDING, a page or a code REQUIRES_ACTION."""
    answer = play.call("POST", "/payment_requests", DRAFT | {"payment_method": method})
    request = answer.body
    assert (answer.status, request["status"], request["amount"]) == (201, status, 150_000)
    assert [(action["action"], action["url_type"]) for action in request["actions"]] == actions
    assert request["payment_method"]["type"] == method["type"]
    assert play.ok("GET", at(request)) == request


def test_an_account_and_a_code_are_made_for_their_payment(play):
    """What is shown to the payer has a number, an end and the amount of the request."""
    account = made(play, ACCOUNT)["payment_method"]["virtual_account"]
    code = made(play, CODE)["payment_method"]["qr_code"]
    till = made(play, COUNTER)["payment_method"]["over_the_counter"]
    assert (account["amount"], code["amount"], till["amount"]) == (150_000, 150_000, 150_000)
    assert account["channel_properties"]["virtual_account_number"].isdigit()
    assert account["channel_properties"]["expires_at"].startswith("2057-")
    assert code["channel_properties"]["qr_string"].startswith("000201")
    assert till["channel_properties"]["payment_code"]


def test_a_card_is_not_kept(play):
    """Neither the answer nor the ledger has a card's number."""
    request = made(play, CARD)
    information = request["payment_method"]["card"]["card_information"]
    assert (information["masked_card_number"], information["network"]) == ("400000XXXXXX1091", "VISA")
    kept = [
        str(entry)
        for kind in ("payment_request", "payment_method")
        for entry in play.sandbox.ledger.entries(kind)
    ]
    assert "4000000000001091" not in "".join(kept)


# --- How it ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [ACCOUNT, COUNTER, CODE, PHONE, WALLET, CARD])
def test_a_payment_succeeds(play, method):
    """The provider's own call pays: payment.succeeded, and with it the end of a method for one use."""
    request = made(play, method)
    begun = len(play.told())
    answer = play.ok("POST", at(request, "payments", "simulate"))
    assert answer["status"] == "PENDING"
    assert request["id"] in answer["message"]
    (succeeded, payment), (expired, ended) = told_well(play, begun)
    assert (succeeded, expired) == ("payment.succeeded", "payment_method.expired")
    assert (
        payment.items()
        >= {
            "status": "SUCCEEDED",
            "amount": 150_000,
            "reference_id": "order-1",
            "payment_request_id": request["id"],
            "metadata": {"sku": "A1"},
            "failure_code": None,
        }.items()
    )
    assert (ended["id"], ended["status"]) == (request["payment_method"]["id"], "EXPIRED")
    paid = play.ok("GET", at(request))
    assert (paid["status"], paid["actions"], paid["payment_method"]["status"]) == ("SUCCEEDED", [], "EXPIRED")
    assert play.refused("POST", at(request, "payments", "simulate")) == COMPLETED


def test_the_log_of_a_request(play):
    """The provider's log lists what was told of a payment under its request."""
    request = made(play)
    outcome(play, request, "FAILED")
    entry = play.sandbox.ledger.entries(NOTICE)[0]
    assert (entry.body["event"], entry.body["product_id"]) == ("payment.failed", request["id"])


def test_a_payment_fails(play):
    """A failure has a code, in the webhook and in the request; it is final, but the method can be tried again."""
    request = made(play)
    begun = len(play.told())
    failed = outcome(play, request, "FAILED", failure_code="INSUFFICIENT_BALANCE")
    assert (failed["status"], failed["failure_code"]) == ("FAILED", "INSUFFICIENT_BALANCE")
    ((event, payment),) = told_well(play, begun)
    assert (event, payment["failure_code"]) == ("payment.failed", "INSUFFICIENT_BALANCE")
    again = (409, "PAYMENT_REQUEST_ALREADY_FAILED")
    assert play.refused("POST", at(request, "payments", "simulate")) == again
    second = play.ok(
        "POST", "/payment_requests", DRAFT | {"payment_method_id": failed["payment_method"]["id"]}
    )
    assert second["status"] == "REQUIRES_ACTION"
    assert outcome(play, second, "FAILED")["failure_code"] == "DECLINED_BY_ISSUER"


def test_a_payment_that_takes_its_time(play):
    """One that has begun is told by payment.pending, and decided a moment later, as one and the same payment."""
    request = made(play)
    begun = len(play.told())
    assert outcome(play, request, "PENDING")["status"] == "PENDING"
    assert events(play, begun) == ["payment.pending"]
    for status in ("PENDING", "CANCELED", "EXPIRED"):
        body = {"status": status}
        refusal = play.refused("POST", f"/sandbox{at(request)}/simulate", body)
        assert refusal == (400, "OPERATION_NOT_ALLOWED")
    play.advance(60_000)
    (_, pending), (event, payment), _ = told_well(play, begun)
    assert (event, payment["id"]) == ("payment.succeeded", pending["id"])
    assert play.ok("GET", at(request))["status"] == "SUCCEEDED"


@pytest.mark.parametrize("status", ["CANCELED", "EXPIRED"])
def test_an_end_without_a_payment(play, status):
    """No webhook tells of it, and nobody can pay any more."""
    request = made(play, ACCOUNT)
    begun = len(play.told())
    assert outcome(play, request, status)["status"] == status
    assert play.refused("POST", at(request, "payments", "simulate")) == COMPLETED
    assert play.told()[begun:] == []


def test_a_request_ends_with_its_account(play):
    """When an account expires, at its time or by a call, so does what waits for it."""
    expiring = {"customer_name": "SITI", "expires_at": "2026-03-02T13:00:00Z"}
    method = ACCOUNT | {"virtual_account": {"channel_code": "BCA", "channel_properties": expiring}}
    timed, called = made(play, method), made(play, ACCOUNT)
    play.ok("POST", f"/v2/payment_methods/{called['payment_method']['id']}/expire")
    assert play.ok("GET", at(called))["status"] == "EXPIRED"
    assert play.ok("GET", at(timed))["status"] == "PENDING"
    play.advance(3_600_000)
    assert play.ok("GET", at(timed))["status"] == "EXPIRED"
    assert events(play)[-2:] == ["payment_method.expired"] * 2


# --- Direct debit --------------------------------------------------------------------------------------------


def test_a_payment_by_code(play):
    """The bank's code begins the payment, whose end is told a moment later, to the older setting, too."""
    request = made(play, DEBIT)
    begun = len(play.told())
    assert play.ok("POST", at(request, "auth", "resend")) == request
    for code, error in {
        "222001": "EXPIRED_OTP_ERROR",
        "222002": "MAX_OTP_ATTEMPTS_ERROR",
        "222003": "INVALID_OTP_ERROR",
    }.items():
        assert play.refused("POST", at(request, "auth"), {"auth_code": code}) == (400, error)
    assert play.ok("POST", at(request, "auth"), {"auth_code": "222000"})["status"] == "PENDING"
    refusal = (400, "OPERATION_NOT_ALLOWED")
    assert play.refused("POST", at(request, "auth"), {"auth_code": "222000"}) == refusal
    play.advance(2_000)
    assert events(play, begun) == [
        "payment.pending",
        "payment.succeeded",
        "direct_debit.payment",
        "payment_method.expired",
    ]
    old = play.told()[begun + 2]
    assert (old[1], old[2]["status"], old[2]["timestamp"]) == (
        "direct_debit",
        "COMPLETED",
        "2026-03-02T20:00:02+0800",
    )
    assert play.refused("POST", at(request, "auth"), {"auth_code": "222000"}) == COMPLETED


@pytest.mark.parametrize("amount", [11_001, 11_002, 11_003, 11_004])
def test_amounts_at_which_a_debit_fails(play, amount):
    """The documented amounts fail, told by payment.failed and by the older direct_debit.payment."""
    request = made(play, DEBIT, amount=amount)
    play.ok("POST", at(request, "auth"), {"auth_code": "222000"})
    play.advance(2_000)
    *_, (event, payment), (old_event, old) = told_well(play)
    assert (event, payment["status"], old_event, old["status"]) == (
        "payment.failed",
        "FAILED",
        "direct_debit.payment",
        "FAILED",
    )
    assert payment["failure_code"] == old["failure_code"] == play.ok("GET", at(request))["failure_code"]


def test_a_code_that_nobody_asked_for(play):
    """Only where a code was sent can one be given, and it has six digits."""
    for method in (WALLET, ACCOUNT):
        request = made(play, method)
        refusal = play.refused("POST", at(request, "auth"), {"auth_code": "123456"})
        assert refusal == (400, "OPERATION_NOT_ALLOWED")
    refusal = play.refused("POST", at(made(play, DEBIT), "auth"), {"auth_code": "12"})
    assert refusal == (400, "API_VALIDATION_ERROR")


# --- Captures ------------------------------------------------------------------------------------------------


def authorized(play, **more):
    request = made(play, TRUSTED_CARD, capture_method="MANUAL", **more)
    play.advance(2_000)
    return play.ok("GET", at(request))


def test_a_manual_capture(play):
    """A card's payment waits for its merchant, who collects it in parts, but not more than was authorized."""
    request = authorized(play)
    assert (request["status"], request["actions"][0]["action"]) == ("AWAITING_CAPTURE", "CAPTURE")
    assert events(play) == [
        "payment_method.activated",
        "payment.pending",
        "payment.awaiting_capture",
        "payment_method.expired",
    ]
    path = at(request, "captures")
    too_much = play.refused("POST", path, {"capture_amount": 150_001})
    assert too_much == (400, "EXCEEDS_CAPTURABLE_AMOUNT")
    first = play.ok("POST", path, {"capture_amount": 100_000.0, "reference_id": "part-1"})
    assert (first["status"], first["captured_amount"], first["authorized_amount"]) == (
        "SUCCEEDED",
        100_000,
        150_000,
    )
    assert first["reference_id"] == "part-1"
    assert play.ok("GET", at(request))["status"] == "SUCCEEDED"
    second = play.ok("POST", path, {"capture_amount": 50_000})
    full = (409, "PAYMENT_REQUEST_ALREADY_FULLY_CAPTURED")
    assert play.refused("POST", path, {"capture_amount": 1}) == full
    assert play.ok("GET", path) == {"data": [second, first], "has_more": False}
    assert play.ok("GET", path, query={"limit": 1}) == {"data": [second], "has_more": True}
    assert events(play, 4) == ["capture.succeeded", "payment.succeeded", "capture.succeeded"]
    assert told_well(play)[5][1]["amount"] == 100_000


def test_a_capture_fails(play):
    """One that was made to fail leaves the amount to be captured, and is told by capture.failed."""
    request = authorized(play)
    begun = len(play.told())
    play.ok("POST", f"/sandbox{at(request)}/captures/simulate", {"failure_code": "PROCESSOR_TIMEOUT"})
    failed = play.ok("POST", at(request, "captures"), {"capture_amount": 150_000})
    assert (failed["status"], failed["failure_code"]) == ("FAILED", "PROCESSOR_TIMEOUT")
    assert play.ok("GET", at(request))["status"] == "AWAITING_CAPTURE"
    assert play.ok("POST", at(request, "captures"), {"capture_amount": 150_000})["status"] == "SUCCEEDED"
    assert events(play, begun) == ["capture.failed", "capture.succeeded", "payment.succeeded"]


def test_what_cannot_be_captured(play):
    """Only an authorized payment can; the answer says what is in the way."""
    body = {"capture_amount": 1_000}
    waiting, failed, paid = made(play, CARD), made(play, CARD), made(play, CARD)
    outcome(play, failed, "FAILED")
    outcome(play, paid, "SUCCEEDED")
    assert play.refused("POST", at(waiting, "captures"), body) == (400, "OPERATION_NOT_ALLOWED")
    assert play.refused("POST", at(failed, "captures"), body) == (409, "PAYMENT_REQUEST_ALREADY_FAILED")
    assert play.refused("POST", at(paid, "captures"), body) == COMPLETED
    nothing = play.refused("POST", at(authorized(play), "captures"), {"capture_amount": 0})
    assert nothing == (400, "API_VALIDATION_ERROR")


# --- Payment methods made before -----------------------------------------------------------------------------


def linked(play, method=WALLET, **more):
    """Return a payment method for several uses to which its payer has agreed."""
    body = play.ok("POST", "/v2/payment_methods", method | {"reusability": "MULTIPLE_USE"} | more)
    return play.ok("POST", f"/sandbox/payment_methods/{body['id']}/simulate")


def test_a_linked_wallet_pays_without_its_payer(play):
    """Once agreed, a charge needs nobody: it is pending and succeeds by itself, as often as one likes."""
    method = linked(play)
    for _ in range(2):
        begun = len(play.told())
        request = play.ok("POST", "/payment_requests", DRAFT | {"payment_method_id": method["id"]})
        assert (request["status"], request["actions"]) == ("PENDING", [])
        play.advance(2_000)
        assert events(play, begun) == ["payment.pending", "payment.succeeded"]
    assert play.ok("GET", f"/v2/payment_methods/{method['id']}")["status"] == "ACTIVE"


def test_a_payer_is_asked_again(play):
    """With require_auth the payer has to agree to this payment, too."""
    body = {"payment_method_id": linked(play)["id"], "channel_properties": {"require_auth": True}}
    assert play.ok("POST", "/payment_requests", DRAFT | body)["status"] == "REQUIRES_ACTION"


@pytest.mark.parametrize(
    ("status", "method_status", "told"),
    [("SUCCEEDED", "ACTIVE", "payment_method.activated"), ("FAILED", "FAILED", "payment_method.failed")],
)
def test_paying_and_agreeing_at_once(play, status, method_status, told):
    """A method for several uses that comes with its first payment becomes active, or fails, with that."""
    request = made(play, WALLET | {"reusability": "MULTIPLE_USE"})
    assert (request["status"], request["payment_method"]["status"]) == ("REQUIRES_ACTION", "PENDING")
    assert outcome(play, request, status)["payment_method"]["status"] == method_status
    assert events(play) == [told, f"payment.{status.lower()}"]


def test_an_account_of_ones_own(play):
    """A transfer into an account goes to the request that waits for this amount, and stands alone without one."""
    method = play.ok("POST", "/v2/payment_methods", ACCOUNT | {"reusability": "MULTIPLE_USE"})
    request = play.ok("POST", "/payment_requests", DRAFT | {"payment_method_id": method["id"]})
    simulate = f"/v2/payment_methods/{method['id']}/payments/simulate"
    for amount in (70_000, 150_000, 150_000):
        assert play.ok("POST", simulate, {"amount": amount})["status"] == "PENDING"
    assert play.ok("GET", at(request))["status"] == "SUCCEEDED"
    payments = [data for event, data in told_well(play) if event == "payment.succeeded"]
    assert [(payment["amount"], payment["payment_request_id"]) for payment in payments] == [
        (70_000, None),
        (150_000, request["id"]),
        (150_000, None),
    ]
    assert payments[0]["reference_id"] == method["reference_id"]


def test_a_request_without_an_amount(play):
    """An account may be left open: whatever comes pays it."""
    draft = {"reference_id": "open", "currency": "IDR", "payment_method": ACCOUNT}
    request = play.ok("POST", "/payment_requests", draft)
    refusal = play.refused("POST", at(request, "payments", "simulate"))
    assert refusal == (400, "API_VALIDATION_ERROR")
    play.ok(
        "POST", f"/v2/payment_methods/{request['payment_method']['id']}/payments/simulate", {"amount": 7_000}
    )
    assert play.ok("GET", at(request))["status"] == "SUCCEEDED"


# --- Lists, refusals, tenants, restarts ----------------------------------------------------------------------


def test_lists(play):
    """Requests are listed newest first, in pages both ways, by every filter that the SDK has."""
    ids = [made(play, reference_id=f"order-{number % 2}")["id"] for number in range(5)][::-1]

    def page(**query):
        answer = play.ok("GET", "/payment_requests", query=query)
        return [request["id"] for request in answer["data"]], answer["has_more"]

    assert page() == (ids, False)
    assert page(limit=2) == (ids[:2], True)
    assert page(limit=2, after_id=ids[1]) == (ids[2:4], True)
    assert page(limit=2, after_id=ids[2]) == (ids[3:], False)
    assert page(limit=2, before_id=ids[4]) == (ids[2:4], True)
    assert page(limit=2, before_id=ids[1]) == (ids[:1], True)
    assert page(reference_id="order-1") == ([ids[1], ids[3]], False)
    assert page(id=[ids[0], ids[3]]) == ([ids[0], ids[3]], False)
    assert page(customer_id="cust-1") == ([], False)
    for wrong in ({"limit": 0}, {"limit": "many"}, {"after_id": "pr-1"}, {"before_id": "pr-1"}):
        assert play.refused("GET", "/payment_requests", query=wrong) == (400, "API_VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"payment_method": None}, "API_VALIDATION_ERROR"),
        ({"payment_method_id": "pm-1"}, "API_VALIDATION_ERROR"),
        ({"payment_method": None, "payment_method_id": "pm-1"}, "PAYMENT_METHOD_NOT_FOUND_ERROR"),
        ({"currency": "EUR"}, "API_VALIDATION_ERROR"),
        ({"currency": "MYR"}, "CHANNEL_CODE_NOT_SUPPORTED_ERROR"),
        ({"amount": None}, "API_VALIDATION_ERROR"),
        ({"amount": 0}, "API_VALIDATION_ERROR"),
        ({"amount": 2_000_000_000_000}, "MAX_AMOUNT_LIMIT_ERROR"),
        ({"capture_method": "MANUAL"}, "MANUAL_CAPTURE_NOT_SUPPORTED"),
        ({"customer_id": "cust-1"}, "CUSTOMER_NOT_FOUND_ERROR"),
        ({"payment_method": WALLET | {"ewallet": {"channel_code": "DANA"}}}, "API_VALIDATION_ERROR"),
        (
            {"payment_method": ACCOUNT | {"virtual_account": ACCOUNT["virtual_account"] | {"amount": 1_000}}},
            "AMOUNT_MISMATCHED",
        ),
        (
            {
                "payment_method": ACCOUNT
                | {"virtual_account": ACCOUNT["virtual_account"] | {"currency": "VND"}}
            },
            "CURRENCY_MISMATCHED",
        ),
        ({"payment_method": {"type": "EWALLET", "reusability": "ONE_TIME_USE"}}, "API_VALIDATION_ERROR"),
        ({"metadata": {"": "x"}}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_asked_for(play, change, code):
    """Each fault is 400 with the provider's code, and makes nothing."""
    body = DRAFT | {"payment_method": WALLET} | change
    assert play.refused("POST", "/payment_requests", body) == (400, code)
    assert play.ok("GET", "/v2/payment_methods")["data"] == []


def test_methods_that_cannot_pay(play):
    """A method pays while it is active, in its currency, and for its own customer."""
    customers = [play.ok("POST", "/customers", {"reference_id": name})["id"] for name in ("a", "b")]
    method = linked(play, customer_id=customers[0])
    body = DRAFT | {"payment_method_id": method["id"]}
    assert play.ok("POST", "/payment_requests", body)["customer_id"] == customers[0]
    for change, code in (
        ({"currency": "PHP"}, "CURRENCY_MISMATCHED"),
        ({"customer_id": customers[1]}, "CUSTOMER_PAYMENT_METHOD_MISMATCHED"),
    ):
        assert play.refused("POST", "/payment_requests", body | change) == (400, code)
    play.ok("POST", f"/v2/payment_methods/{method['id']}/expire")
    assert play.refused("POST", "/payment_requests", body) == (400, "INVALID_PAYMENT_METHOD")


def test_requests_that_are_not_there(play):
    """Unknown requests, and those of others, are 404, whatever is asked of them."""
    missing = (404, "DATA_NOT_FOUND")
    request = made(play)
    assert play.refused("GET", at(request), headers=OTHERS) == missing
    assert play.ok("GET", "/payment_requests", headers=OTHERS)["data"] == []
    for path, body in {
        "auth": {"auth_code": "123456"},
        "auth/resend": None,
        "captures": {"capture_amount": 1},
        "payments/simulate": None,
    }.items():
        assert play.refused("POST", f"/payment_requests/pr-1/{path}", body) == missing
    assert play.refused("GET", "/payment_requests/pr-1/captures") == missing
    assert play.refused("POST", "/sandbox/payment_requests/pr-1/simulate") == missing
    method = request["payment_method"]["id"]
    stolen = play.refused("POST", "/payment_requests", DRAFT | {"payment_method_id": method}, headers=OTHERS)
    assert stolen == (400, "PAYMENT_METHOD_NOT_FOUND_ERROR")


def test_once_for_an_idempotency_key(play):
    """The same key asks for one payment; with another body it is refused."""
    body, headers = DRAFT | {"payment_method": WALLET}, {"idempotency-key": "key-1"}
    first = play.ok("POST", "/payment_requests", body, headers=headers)
    assert play.ok("POST", "/payment_requests", body, headers=headers) == first
    other = play.refused("POST", "/payment_requests", body | {"amount": 1_000}, headers=headers)
    assert other == (409, "IDEMPOTENCY_ERROR")
    assert len(play.ok("GET", "/payment_requests")["data"]) == 1


def test_it_goes_on_after_a_restart(tmp_path):
    """What waits for time to pass ends all the same, once."""
    with playing(tmp_path) as play:
        request = made(play, TRUSTED_CARD)
        account = made(play, ACCOUNT)
    with playing(tmp_path, seed=8) as play:
        assert play.ok("GET", at(account)) == account
        play.advance(2_000)
        assert play.ok("GET", at(request))["status"] == "SUCCEEDED"
        assert events(play)[-2:] == ["payment.succeeded", "payment_method.expired"]
