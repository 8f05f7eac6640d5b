"""Payment methods, version 2: made, agreed to, changed, paid into, ended."""

import pytest
from sandboxes import playing
from test_sandbox_payment_requests import CARD, DEBIT, TRUSTED_CARD, events, told_well

from xendit_requests import ACCOUNT, CODE, COUNTER, OTHERS, WALLET

MISSING = (404, "DATA_NOT_FOUND")
MULTIPLE = {"reusability": "MULTIPLE_USE"}
DAY = 86_400_000


def made(play, method, **more):
    return play.ok("POST", "/v2/payment_methods", method | more)


def at(method, *rest):
    return "/".join(["/v2/payment_methods", method["id"], *rest])


def decide(play, method, **outcome):
    return play.ok("POST", f"/sandbox/payment_methods/{method['id']}/simulate", outcome)


def customer(play, name="siti"):
    return play.ok("POST", "/customers", {"reference_id": name})["id"]


# --- How a payment method begins -----------------------------------------------------------------------------


@pytest.mark.parametrize("reusability", ["ONE_TIME_USE", "MULTIPLE_USE"])
@pytest.mark.parametrize("method", [ACCOUNT, COUNTER, CODE])
def test_what_is_shown_to_a_payer(play, method, reusability):
    """An account or a code is active at once, and told to be."""
    answer = play.call("POST", "/v2/payment_methods", method | {"reusability": reusability})
    body = answer.body
    assert (answer.status, body["status"], body["reusability"]) == (201, "ACTIVE", reusability)
    ((event, told),) = told_well(play)
    assert (event, told["id"], told["status"]) == ("payment_method.activated", body["id"], "ACTIVE")
    assert list(told) == sorted(told, key=lambda key: (len(key), key))
    assert play.ok("GET", at(body)) == body


@pytest.mark.parametrize(
    ("method", "url_type"), [(WALLET, "WEB"), (CARD, "WEB"), (DEBIT, "API")], ids=["wallet", "card", "debit"]
)
def test_agreeing(play, method, url_type):
    """A method for several uses waits for its payer, who agrees on a page or by a code, or does not."""
    good, bad = made(play, method | MULTIPLE), made(play, method | MULTIPLE)
    assert (good["status"], good["actions"][0]["url_type"]) == ("REQUIRES_ACTION", url_type)
    assert good["actions"][0]["action"] == "AUTH"
    assert play.told() == []
    assert decide(play, good)["status"] == "ACTIVE"
    failed = decide(play, bad, status="FAILED", failure_code="INVALID_ACCOUNT_DETAILS")
    assert (failed["status"], failed["actions"]) == ("FAILED", [])
    (first, active), (second, told) = told_well(play)
    assert (first, active["id"], second) == ("payment_method.activated", good["id"], "payment_method.failed")
    assert told["failure_code"] == failed["failure_code"] == "INVALID_ACCOUNT_DETAILS"
    path = "/sandbox/payment_methods/{}/simulate"
    assert play.refused("POST", path.format(good["id"])) == (409, "PAYMENT_METHOD_ALREADY_ACTIVE")
    assert play.refused("POST", path.format(bad["id"])) == (409, "PAYMENT_METHOD_ALREADY_FAILED")


def test_agreeing_by_code(play):
    """The bank's code agrees, unless it is one of those that are refused on purpose."""
    method, wallet = made(play, DEBIT | MULTIPLE), made(play, WALLET | MULTIPLE)
    assert method["actions"][0]["url"].endswith(at(method, "auth"))
    refusal = play.refused("POST", at(method, "auth"), {"auth_code": "222003"})
    assert refusal == (400, "INVALID_OTP_ERROR")
    assert play.ok("POST", at(method, "auth"), {"auth_code": "333000"})["status"] == "ACTIVE"
    again = play.refused("POST", at(method, "auth"), {"auth_code": "333000"})
    assert again == (409, "PAYMENT_METHOD_ALREADY_ACTIVE")
    elsewhere = play.refused("POST", at(wallet, "auth"), {"auth_code": "333000"})
    assert elsewhere == (400, "OPERATION_NOT_ALLOWED")


def test_a_card_whose_owner_is_not_asked(play):
    """Without 3-D Secure a card is active at once, and its number is not shown."""
    method = made(play, TRUSTED_CARD | MULTIPLE)
    assert method["status"] == "ACTIVE"
    assert "card_number" not in method["card"]["card_information"]


@pytest.mark.parametrize(
    ("channel", "properties", "kind"),
    [
        ("BRI", {"card_last_four": "8888"}, "DEBIT_CARD"),
        ("BPI", {"mobile_number": "+63818555988"}, "BANK_ACCOUNT"),
        ("MAYB2U_FPX", {"success_return_url": "https://shop.example"}, "BANK_REDIRECT"),
    ],
)
def test_the_kinds_of_direct_debit(play, channel, properties, kind):
    """The channel and what is known of the payer say what is debited."""
    part = {"channel_code": channel, "channel_properties": properties}
    method = made(play, DEBIT | {"direct_debit": part})
    assert method["direct_debit"]["type"] == kind
    assert (method["direct_debit"]["debit_card"] is None) == (kind != "DEBIT_CARD")
    assert (method["direct_debit"]["bank_account"] is None) == (kind != "BANK_ACCOUNT")
    stated = made(play, DEBIT | {"direct_debit": part | {"type": "BANK_ACCOUNT"}})
    assert stated["direct_debit"]["type"] == "BANK_ACCOUNT"


def test_each_country_has_its_channels(play):
    """A channel of several countries is the first one's unless the call says which."""
    shop = WALLET["ewallet"] | {"channel_code": "SHOPEEPAY"}
    assert made(play, WALLET | {"ewallet": shop})["country"] == "ID"
    assert made(play, WALLET | {"ewallet": shop}, country="PH")["country"] == "PH"
    code = {"type": "QR_CODE", "reusability": "ONE_TIME_USE"}
    assert made(play, code)["qr_code"]["channel_code"] == "QRIS"
    assert made(play, code, country="TH")["qr_code"]["channel_code"] == "PROMPTPAY"


def test_an_account_that_can_be_scanned(play):
    """An alternative display is made for an account on request."""
    part = ACCOUNT["virtual_account"] | {"alternative_display_types": ["QR_STRING"], "amount": 5_000.0}
    account = made(play, ACCOUNT | {"virtual_account": part})["virtual_account"]
    ((display),) = account["alternative_displays"]
    assert (display["type"], account["amount"]) == ("QR_STRING", 5_000)
    assert display["data"].startswith("000201")


def _with(method, **properties):
    name = method["type"].lower()
    part = method[name]
    return method | {name: part | {"channel_properties": part["channel_properties"] | properties}}


@pytest.mark.parametrize(
    ("method", "code"),
    [
        (WALLET | {"type": "CASH"}, "API_VALIDATION_ERROR"),
        (WALLET | {"type": "CARD"}, "API_VALIDATION_ERROR"),
        (WALLET | {"reusability": "NEVER"}, "API_VALIDATION_ERROR"),
        (WALLET | {"country": "PH"}, "CHANNEL_CODE_NOT_SUPPORTED_ERROR"),
        (WALLET | {"customer_id": "cust-1"}, "CUSTOMER_NOT_FOUND_ERROR"),
        (_with(WALLET, success_return_url=None), "API_VALIDATION_ERROR"),
        (_with(WALLET, success_return_url="shop"), "API_VALIDATION_ERROR"),
        (WALLET | {"ewallet": WALLET["ewallet"] | {"channel_code": "OVO"}}, "API_VALIDATION_ERROR"),
        (_with(ACCOUNT, expires_at="2026-03-02T11:00:00Z"), "API_VALIDATION_ERROR"),
        (_with(ACCOUNT, expires_at="soon"), "API_VALIDATION_ERROR"),
        (_with(ACCOUNT, virtual_account_number="12a"), "API_VALIDATION_ERROR"),
        (_with(DEBIT, card_expiry="02/26"), "EXPIRED_CARD"),
        (_with(DEBIT, card_expiry="13/26"), "API_VALIDATION_ERROR"),
        (
            CARD | {"card": {"card_information": {"card_number": "4000000000001091"}}},
            "API_VALIDATION_ERROR",
        ),
        (
            CARD | {"card": {"card_information": {"expiry_month": "2", "expiry_year": "26"}}},
            "EXPIRED_CARD",
        ),
        (CARD | {"card": {"currency": "EUR"}}, "API_VALIDATION_ERROR"),
        (
            ACCOUNT | {"virtual_account": ACCOUNT["virtual_account"] | {"min_amount": 5, "max_amount": 4}},
            "API_VALIDATION_ERROR",
        ),
        (
            ACCOUNT | {"virtual_account": ACCOUNT["virtual_account"] | {"amount": 5, "max_amount": 9}},
            "API_VALIDATION_ERROR",
        ),
    ],
)
def test_what_cannot_be_a_payment_method(play, method, code):
    """Each fault is 400 with the provider's code, and makes nothing."""
    assert play.refused("POST", "/v2/payment_methods", method) == (400, code)
    assert play.ok("GET", "/v2/payment_methods") == {"data": [], "has_more": False}


def test_a_number_leads_to_one_account(play):
    """A number of the caller's choice is taken until its account has ended."""
    method = _with(ACCOUNT, virtual_account_number="3816599000123")
    first = made(play, method)
    assert first["virtual_account"]["channel_properties"]["virtual_account_number"] == "3816599000123"
    taken = (400, "DUPLICATED_FIXED_PAYMENT_INSTRUMENT")
    assert play.refused("POST", "/v2/payment_methods", method) == taken
    play.ok("POST", at(first, "expire"))
    made(play, method)


# --- Changes -------------------------------------------------------------------------------------------------


def test_changes(play):
    """A change keeps what it does not name, and the new end holds."""
    method = made(play, ACCOUNT | MULTIPLE)
    change = {
        "description": "Rent",
        "reference_id": "rent-1",
        "virtual_account": {
            "amount": 900_000.0,
            "channel_properties": {"expires_at": "2026-03-03T00:00:00+07:00"},
        },
    }
    changed = play.ok("PATCH", at(method), change)
    assert (changed["description"], changed["reference_id"]) == ("Rent", "rent-1")
    assert changed["virtual_account"] == method["virtual_account"] | {
        "amount": 900_000,
        "channel_properties": method["virtual_account"]["channel_properties"]
        | {"expires_at": "2026-03-02T17:00:00.000Z"},
    }
    play.advance(DAY)
    assert play.ok("GET", at(method))["status"] == "EXPIRED"
    assert play.refused("PATCH", at(method), {"description": "x"}) == (400, "INACTIVE_PAYMENT_METHOD")


def test_switched_off_and_on(play):
    """An inactive method cannot pay until it is active again; one that waits for its payer is neither."""
    method = made(play, ACCOUNT | MULTIPLE)
    assert play.ok("PATCH", at(method), {"status": "INACTIVE"})["status"] == "INACTIVE"
    pay = at(method, "payments", "simulate")
    assert play.refused("POST", pay, {"amount": 1_000}) == (400, "INACTIVE_PAYMENT_METHOD")
    play.ok("PATCH", at(method), {"status": "ACTIVE"})
    play.ok("POST", pay, {"amount": 1_000})
    waiting = made(play, WALLET | MULTIPLE)
    refusal = play.refused("PATCH", at(waiting), {"status": "ACTIVE"})
    assert refusal == (400, "OPERATION_NOT_ALLOWED")


@pytest.mark.parametrize(
    "change",
    [
        {"over_the_counter": {"amount": 1}},
        {"virtual_account": {"amount": 0}},
        {"virtual_account": {"channel_properties": {"expires_at": "2020-01-01T00:00:00Z"}}},
        {"status": "EXPIRED"},
        {"reference_id": ""},
    ],
)
def test_what_cannot_be_changed(play, change):
    """Each fault is 400 API_VALIDATION_ERROR and changes nothing."""
    method = made(play, ACCOUNT)
    assert play.refused("PATCH", at(method), change) == (400, "API_VALIDATION_ERROR")
    assert play.ok("GET", at(method)) == method


# --- Ends ----------------------------------------------------------------------------------------------------


def test_expired_by_a_call(play):
    """A method can be ended, once, and is told to have."""
    method = made(play, WALLET)
    assert play.ok("POST", at(method, "expire"))["status"] == "EXPIRED"
    assert play.refused("POST", at(method, "expire")) == (400, "INACTIVE_PAYMENT_METHOD")
    assert events(play) == ["payment_method.activated", "payment_method.expired"]


def test_the_end_of_a_debit_card(play):
    """A customer's direct debit ends with its card: the older setting is warned 30 days ahead, and told the end."""
    method = made(play, _with(DEBIT, card_expiry="04/26") | MULTIPLE, customer_id=customer(play))
    decide(play, method)
    play.advance(29 * DAY)
    assert [event for event, *_ in play.told()] == ["payment_method.activated"]
    play.advance(3 * DAY)
    _, (event, warning) = told_well(play)
    assert event == "payment_method.expiry.expiring"
    assert (warning["id"], warning["customer_id"]) == (method["id"], method["customer_id"])
    assert warning["expiration_timestamp"] == "2026-05-01T08:00:00+0800"
    play.advance(30 * DAY)
    *_, (expired, slot, body), (old, old_slot, old_body) = play.told()
    assert (expired, slot, body["data"]["status"]) == (
        "payment_method.expired",
        "payment_method_v2",
        "EXPIRED",
    )
    assert (old, old_slot) == ("payment_method.expiry.expired", "payment_method")
    assert set(old_body) == {"event", "timestamp", "id", "customer_id", "business_id"}
    assert play.ok("GET", at(method))["status"] == "EXPIRED"


def test_a_card_near_its_end(play):
    """Of one that ends within 30 days the warning comes at once; whom nobody owns is not warned of."""
    made(play, _with(DEBIT, card_expiry="03/26"), customer_id=customer(play))
    made(play, _with(DEBIT, card_expiry="03/26"))
    play.advance(1)
    assert events(play) == ["payment_method.activated"] * 2 + ["payment_method.expiry.expiring"]


# --- Payments into a method ----------------------------------------------------------------------------------


def test_payments_into_an_account(play):
    """Whoever knows the account can pay; each payment is told and listed, by every filter that the SDK has."""
    method = made(play, ACCOUNT | MULTIPLE, reference_id="savings")
    pay, path = at(method, "payments", "simulate"), at(method, "payments")
    for amount in (1_000, 2_000, 3_000):
        play.ok("POST", pay, {"amount": amount})
        play.advance(60_000)

    def amounts(**query):
        answer = play.ok("GET", path, query=query)
        return [payment["amount"] for payment in answer["data"]], answer["has_more"]

    assert amounts() == ([3_000, 2_000, 1_000], False)
    assert amounts(limit=2) == ([3_000, 2_000], True)
    assert amounts(**{"created[gte]": "2026-03-02T12:01:00Z", "created[lte]": "2026-03-02T12:01:30Z"}) == (
        [2_000],
        False,
    )
    assert amounts(**{"updated[lte]": "2026-03-02T12:00:30Z"}) == ([1_000], False)
    everything = {
        "reference_id": "savings",
        "payment_method_id": method["id"],
        "payment_method_type": "VIRTUAL_ACCOUNT",
        "channel_code": ["BCA", "BNI"],
        "status": "SUCCEEDED",
        "currency": "IDR",
    }
    assert amounts(**everything) == ([3_000, 2_000, 1_000], False)
    for name in everything:
        assert amounts(**{name: "another"}) == ([], False)
    assert play.refused("GET", path, query={"created[gte]": "then"}) == (400, "API_VALIDATION_ERROR")
    assert events(play)[1:] == ["payment.succeeded"] * 3


def test_a_method_for_one_payment(play):
    """A method for one use is paid once: payment.succeeded, and with it payment_method.expired."""
    part = COUNTER["over_the_counter"] | {"amount": 30_000}
    method = made(play, COUNTER | {"over_the_counter": part})
    pay = at(method, "payments", "simulate")
    assert play.refused("POST", pay, {"amount": 29_000}) == (400, "INCORRECT_AMOUNT")
    play.ok("POST", pay)
    assert play.refused("POST", pay) == (400, "INACTIVE_PAYMENT_METHOD")
    assert events(play)[1:] == ["payment.succeeded", "payment_method.expired"]


def test_how_much_a_method_takes(play):
    """An open account needs to be told how much, and keeps to its bounds; a wallet is not paid into."""
    part = ACCOUNT["virtual_account"] | {"min_amount": 10_000, "max_amount": 20_000}
    method = made(play, ACCOUNT | MULTIPLE | {"virtual_account": part})
    pay = at(method, "payments", "simulate")
    for body, code in (
        (None, "API_VALIDATION_ERROR"),
        ({"amount": 9_999}, "INCORRECT_AMOUNT"),
        ({"amount": 20_001}, "INCORRECT_AMOUNT"),
        ({"amount": "10000"}, "API_VALIDATION_ERROR"),
    ):
        assert play.refused("POST", pay, body) == (400, code)
    play.ok("POST", pay, {"amount": 20_000})
    wallet = at(made(play, WALLET), "payments", "simulate")
    assert play.refused("POST", wallet) == (400, "PAYMENT_METHOD_NOT_SUPPORTED")


# --- Lists, tenants, restarts --------------------------------------------------------------------------------


def test_lists(play):
    """Methods are listed newest first, in pages, by every filter that the SDK has."""
    owner = customer(play)
    account = made(play, ACCOUNT, reference_id="a")["id"]
    wallet = made(play, WALLET | MULTIPLE, customer_id=owner, reference_id="w")["id"]
    till = made(play, COUNTER)["id"]

    def ids(**query):
        answer = play.ok("GET", "/v2/payment_methods", query=query)
        return [method["id"] for method in answer["data"]], answer["has_more"]

    assert ids() == ([till, wallet, account], False)
    assert ids(limit=1) == ([till], True)
    assert ids(limit=1, after_id=till) == ([wallet], True)
    assert ids(before_id=account) == ([till, wallet], True)
    assert ids(id=[account, till]) == ([till, account], False)
    assert ids(type=["EWALLET", "VIRTUAL_ACCOUNT"]) == ([wallet, account], False)
    assert ids(status="REQUIRES_ACTION") == ids(reusability="MULTIPLE_USE") == ([wallet], False)
    assert ids(customer_id=owner) == ids(reference_id="w") == ([wallet], False)
    for name in ("type", "status", "reusability"):
        refusal = play.refused("GET", "/v2/payment_methods", query={name: "x"})
        assert refusal == (400, f"PAYMENT_METHOD_{name.upper()}_INVALID")


def test_methods_that_are_not_there(play):
    """Unknown methods, and those of others, are 404, whatever is asked of them."""
    method = made(play, ACCOUNT)
    assert play.refused("GET", at(method), headers=OTHERS) == MISSING
    assert play.refused("POST", at(method, "expire"), headers=OTHERS) == MISSING
    assert play.ok("GET", "/v2/payment_methods", headers=OTHERS)["data"] == []
    unknown = {"id": "pm-1"}
    assert play.refused("PATCH", at(unknown), {}) == MISSING
    assert play.refused("GET", at(unknown, "payments")) == MISSING
    for rest in ("expire", "payments/simulate"):
        assert play.refused("POST", at(unknown, rest)) == MISSING
    assert play.refused("POST", at(unknown, "auth"), {"auth_code": "123456"}) == MISSING


def test_it_goes_on_after_a_restart(tmp_path):
    """A method is as it was, and ends at its time."""
    with playing(tmp_path) as play:
        method = made(play, _with(ACCOUNT, expires_at="2026-03-02T13:00:00Z"))
    with playing(tmp_path, seed=8) as play:
        assert play.ok("GET", at(method)) == method
        play.advance(3_600_000)
        assert events(play) == ["payment_method.activated", "payment_method.expired"]
