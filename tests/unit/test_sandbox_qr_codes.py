"""QR codes of the sandbox, in both versions."""

import pytest
from xendit_tables import faults

from ringback.sandbox.xendit.notices import NOTICE
from xendit_requests import OTHERS

HOUR, DAY = 3_600_000, 86_400_000
NEW = {"api-version": "2022-07-31"}
URL = "http://127.0.0.1:8000/qr"
OLD_DRAFT = {"external_id": "qr-1", "type": "DYNAMIC", "callback_url": URL, "amount": 20_000.0}
NEW_DRAFT = {"reference_id": "qr-2", "type": "DYNAMIC", "currency": "IDR", "amount": 20_000.0}
MISSING = (404, "QR_CODE_NOT_FOUND_ERROR")


def old(play, **more):
    return play.ok("POST", "/qr_codes", OLD_DRAFT | more)


def new(play, **more):
    return play.ok("POST", "/qr_codes", NEW_DRAFT | more, headers=NEW)


def test_an_old_code(play):
    """An old code is found by its external_id, and its payment is told in the old shape to its own URL."""
    code = old(play)
    assert play.ok("GET", "/qr_codes/qr-1") == play.ok("GET", f"/qr_codes/{code['id']}") == code
    payment = play.ok("POST", "/qr_codes/qr-1/payments/simulate")
    [(event, slot, body)] = play.told()
    assert (event, slot, body) == ("qr.payment", "qr_code", payment)
    assert faults(event, "legacy", body) == []
    assert body["amount"] == 20_000
    [notice] = play.sandbox.ledger.entries(NOTICE)
    assert notice.hidden["url"] == URL


def test_a_new_code(play):
    """A code of the version 2022-07-31 is told in the new shape to where the settings say."""
    code = new(play, metadata={"branch": "menteng"}, basket=[{"name": "Kettle", "price": 10_000.5}])
    assert play.ok("GET", f"/qr_codes/{code['id']}", headers=NEW) == code
    payment = play.ok("POST", f"/qr_codes/{code['id']}/payments/simulate", {"amount": 20_000}, headers=NEW)
    [(event, slot, body)] = play.told()
    assert (event, slot, body["api_version"]) == ("qr.payment", "qr_code", "2022-07-31")
    assert list(body) == ["created", "business_id", "event", "data", "api_version"]
    shown = {name: value for name, value in body["data"].items() if name not in {"description", "basket"}}
    assert faults(event, "event", body | {"data": shown}) == []
    assert body["data"] == payment
    assert payment["qr_id"] == code["id"]
    [notice] = play.sandbox.ledger.entries(NOTICE)
    assert notice.hidden["url"] is None


@pytest.mark.parametrize("make", [old, new])
def test_dynamic_codes_are_paid_once(play, make):
    """A dynamic code is INACTIVE once paid; a static one is paid again and again, by any amount."""
    code = make(play)
    path = f"/qr_codes/{code['id']}/payments/simulate"
    assert play.refused("POST", path, {"amount": 1}) == (400, "API_VALIDATION_ERROR")
    play.ok("POST", path)
    assert play.refused("POST", path) == (400, "INACTIVE_QR_CODE")
    own = {"external_id": "static", "reference_id": "static"}
    static = make(play, type="STATIC", amount=None, **own)
    path = f"/qr_codes/{static['id']}/payments/simulate"
    assert play.refused("POST", path) == (400, "API_VALIDATION_ERROR")
    assert [play.ok("POST", path, {"amount": amount})["amount"] for amount in (1, 2.9)] == [1, 2]


def test_a_code_ends(play):
    """A new dynamic code ends after two days, or when it says; a static one does not."""
    code, short = new(play), new(play, expires_at=play.sandbox.stamp(play.clock() + HOUR))
    static = new(play, type="STATIC", amount=None)
    play.advance(HOUR)
    assert play.ok("GET", f"/qr_codes/{short['id']}")["status"] == "INACTIVE"
    assert play.ok("GET", f"/qr_codes/{code['id']}")["status"] == "ACTIVE"
    play.advance(2 * DAY)
    assert play.ok("GET", f"/qr_codes/{code['id']}")["status"] == "INACTIVE"
    assert play.ok("GET", f"/qr_codes/{static['id']}")["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": None}, "API_VALIDATION_ERROR"),
        ({"amount": 0}, "API_VALIDATION_ERROR"),
        ({"type": "ROUND"}, "API_VALIDATION_ERROR"),
        ({"callback_url": None}, "API_VALIDATION_ERROR"),
        ({"callback_url": "ftp://shop.example"}, "API_VALIDATION_ERROR"),
        ({"callback_url": "http://shop.example:99999/"}, "INVALID_URL_FORMAT"),
    ],
)
def test_what_cannot_be_an_old_code(play, change, code):
    """Each fault has its code."""
    assert play.refused("POST", "/qr_codes", OLD_DRAFT | change) == (400, code)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "USD"}, "API_VALIDATION_ERROR"),
        ({"channel_code": "ID_GOLD"}, "UNSUPPORTED_CHANNEL"),
        ({"expires_at": "2020-01-01"}, "API_VALIDATION_ERROR"),
        ({"reference_id": None}, "API_VALIDATION_ERROR"),
        ({"basket": [{"name": ["x"]}]}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_a_new_code(play, change, code):
    """Each fault has its code."""
    assert play.refused("POST", "/qr_codes", NEW_DRAFT | change, headers=NEW) == (400, code)


def test_names_of_codes(play):
    """An external_id names one code, may hold slashes, and is not seen by others."""
    old(play, external_id="shop/1")
    assert play.refused("POST", "/qr_codes", OLD_DRAFT | {"external_id": "shop/1"}) == (
        400,
        "DUPLICATE_ERROR",
    )
    play.ok("POST", "/qr_codes/shop/1/payments/simulate")
    assert play.refused("GET", "/qr_codes/shop/2") == MISSING
    assert play.refused("GET", "/qr_codes/shop/1", headers=OTHERS) == MISSING
