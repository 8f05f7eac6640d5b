"""E-wallet and pay-later charges of the sandbox."""

import pytest
from sandboxes import OWNER
from xendit_tables import faults

from ringback.sandbox.xendit.notices import NOTICE
from ringback.sandbox.xendit.slots import Slot
from xendit_requests import OTHERS

DRAFT = {
    "reference_id": "order-1",
    "currency": "IDR",
    "amount": 45_000.0,
    "checkout_method": "ONE_TIME_PAYMENT",
    "channel_code": "ID_DANA",
    "channel_properties": {"success_redirect_url": "https://shop.example/ok"},
    "metadata": {"branch": "menteng"},
}
URL = "http://127.0.0.1:8000/ewallet"
MISSING = (404, "DATA_NOT_FOUND")
DONE = (400, "INELIGIBLE_TRANSACTION")


def made(play, headers=None, **more):
    return play.ok("POST", "/ewallets/charges", DRAFT | more, headers=headers)


def simulate(charge, product="ewallets"):
    return f"/sandbox/{product}/charges/{charge['id']}/simulate"


def told_well(play, event, slot):
    """Return the data of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, slot]
    assert faults(event, "event", body) == []
    assert list(body["data"]) == sorted(body["data"], key=lambda key: (len(key), key))
    return body["data"]


def test_a_charge_waits_for_its_payer(play):
    """A new charge is accepted, PENDING, and says where the payer goes."""
    answer = play.call("POST", "/ewallets/charges", DRAFT)
    charge = answer.body
    assert (answer.status, charge["status"], charge["charge_amount"]) == (202, "PENDING", 45_000)
    assert charge["actions"]["mobile_web_checkout_url"].endswith(charge["id"])
    assert play.ok("GET", f"/ewallets/charges/{charge['id']}") == charge
    assert play.told() == []


def test_success_and_failure_are_one_event(play):
    """ewallet.capture tells of both: the status says which, and a failure why."""
    charge, poor = made(play), made(play)
    play.ok("POST", simulate(charge))
    assert (
        told_well(play, "ewallet.capture", "ewallet").items()
        >= {
            "status": "SUCCEEDED",
            "capture_amount": 45_000,
            "failure_code": None,
        }.items()
    )
    failed = play.ok("POST", simulate(poor), {"status": "FAILED"})
    assert told_well(play, "ewallet.capture", "ewallet")["failure_code"] == "INSUFFICIENT_BALANCE"
    assert (failed["status"], failed["capture_amount"]) == ("FAILED", None)
    for done in (charge, poor):
        assert play.refused("POST", simulate(done)) == DONE


def test_a_void(play):
    """A successful charge can be taken back once: the call answers PENDING and ewallet.void follows."""
    charge = made(play)
    path = f"/ewallets/charges/{charge['id']}/void"
    assert play.refused("POST", path) == DONE
    play.ok("POST", simulate(charge))
    assert play.ok("POST", path)["void_status"] == "PENDING"
    assert play.refused("POST", path) == DONE
    play.advance(60_000)
    assert (
        told_well(play, "ewallet.void", "ewallet").items()
        >= {
            "status": "VOIDED",
            "void_status": "SUCCEEDED",
        }.items()
    )
    assert len(play.told()) == 2


def test_a_wallet_on_the_phone(play):
    """OVO asks the payer's phone: it needs a number and no page."""
    charge = made(play, channel_code="ID_OVO", channel_properties={"mobile_number": "+628123456789"})
    assert (charge["actions"], charge["is_redirect_required"]) == (None, False)
    play.ok("POST", simulate(charge))
    told_well(play, "ewallet.capture", "ewallet")


def test_where_webhooks_of_a_charge_go(play):
    """The callback-url header decides for its charge, and is echoed; without it the settings' URL is."""
    play.run(play.sandbox.slots.put(OWNER, Slot(name="ewallet", url="http://127.0.0.1:1/set")))
    named, plain = made(play, {"callback-url": URL}), made(play)
    assert (named["callback_url"], plain["callback_url"]) == (URL, "http://127.0.0.1:1/set")
    for charge in (named, plain):
        play.ok("POST", simulate(charge))
    urls = {entry.body["product_id"]: entry.hidden["url"] for entry in play.sandbox.ledger.entries(NOTICE)}
    assert urls == {named["id"]: URL, plain["id"]: None}
    refused = play.refused("POST", "/ewallets/charges", DRAFT, headers={"callback-url": "no url"})
    assert refused == (400, "INVALID_URL_FORMAT")


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "EUR"},
        {"amount": 99},
        {"channel_code": "PH_GCASH"},
        {"channel_code": None},
        {"channel_properties": None},
        {"channel_properties": {"success_redirect_url": "shop"}},
        {"channel_code": "ID_OVO"},
        {"channel_code": "ID_OVO", "channel_properties": {"mobile_number": "0812"}},
        {"checkout_method": "TOKENIZED_PAYMENT"},
        {"checkout_method": "CASH"},
        {"basket": {}},
    ],
)
def test_what_cannot_be_a_charge(play, change):
    """Each fault is 400 API_VALIDATION_ERROR."""
    assert play.refused("POST", "/ewallets/charges", DRAFT | change) == (400, "API_VALIDATION_ERROR")


@pytest.mark.parametrize("product", ["ewallets", "paylater"])
def test_charges_that_are_not_there(play, product):
    """Unknown charges, and those of others, are 404."""
    charge = made(play)
    assert play.refused("GET", f"/{product}/charges/{charge['id']}", headers=OTHERS) == MISSING
    assert play.refused("POST", simulate({"id": "x"}, product)) == MISSING


# --- Pay-later -----------------------------------------------------------------------------------------------

PLAN = {"customer_id": "cust-1", "channel_code": "ID_KREDIVO", "currency": "IDR", "amount": 600_000.0}


def later(play):
    plan = play.ok("POST", "/paylater/plans", PLAN | {"order_items": [{"name": "Kettle", "quantity": 1}]})
    draft = {"plan_id": plan["id"], "reference_id": "pl-1", "checkout_method": "ONE_TIME_PAYMENT"}
    return play.ok("POST", "/paylater/charges", draft)


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
def test_a_paylater_charge(play, status):
    """A charge takes its sum from the plan, and its end is told with all documented fields."""
    charge = later(play)
    assert (charge["status"], charge["amount"]) == ("PENDING", 600_000)
    assert play.ok("GET", f"/paylater/charges/{charge['id']}") == charge
    play.ok("POST", simulate(charge, "paylater"), {"status": status})
    data = told_well(play, "paylater.payment", "paylater")
    assert (data["status"], data["plan_id"], data["amount"]) == (status, charge["plan_id"], 600_000)
    assert play.refused("POST", simulate(charge, "paylater")) == DONE


@pytest.mark.parametrize("change", [{"channel_code": "ID_DANA"}, {"currency": "USD"}, {"amount": 1}])
def test_what_cannot_be_a_plan(play, change):
    """Each fault is 400 API_VALIDATION_ERROR; a charge needs a plan that is there."""
    assert play.refused("POST", "/paylater/plans", PLAN | change) == (400, "API_VALIDATION_ERROR")
    draft = {"plan_id": "plp_x", "reference_id": "pl-1", "checkout_method": "ONE_TIME_PAYMENT"}
    assert play.refused("POST", "/paylater/charges", draft) == MISSING
