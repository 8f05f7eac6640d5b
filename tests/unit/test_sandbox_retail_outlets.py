"""Fixed payment codes of the sandbox."""

import pytest
from xendit_tables import faults

from xendit_requests import OTHERS

HOUR = 3_600_000
DRAFT = {
    "external_id": "fpc-1",
    "retail_outlet_name": "ALFAMART",
    "name": "BUDI",
    "expected_amount": 75_000.0,
}
SIMULATE = "/fixed_payment_code/simulate_payment"
INACTIVE = (400, "INACTIVE_FIXED_PAYMENT_CODE_ERROR")
MISSING = (404, "FIXED_PAYMENT_CODE_NOT_FOUND_ERROR")


def made(play, **more):
    return play.ok("POST", "/fixed_payment_code", DRAFT | more)


def cash(code, amount=75_000):
    return {
        "retail_outlet_name": code["retail_outlet_name"],
        "payment_code": code["payment_code"],
        "transfer_amount": amount,
    }


def test_cash_is_told(play):
    """A code that is paid at the till sends fpc.paid with all documented fields, in their order."""
    code = made(play)
    assert play.ok("GET", f"/fixed_payment_code/{code['id']}") == code
    assert play.ok("POST", SIMULATE, cash(code))["status"] == "COMPLETED"
    [(event, slot, body)] = play.told()
    assert (event, slot) == ("fpc.paid", "ro_fpc_paid")
    assert faults(event, "legacy", body) == []
    assert (body["amount"], body["payment_code"]) == (75_000, code["payment_code"])


def test_single_use(play):
    """A code for single use is paid once, others again and again."""
    code, many = made(play, is_single_use=True), made(play)
    play.ok("POST", SIMULATE, cash(code))
    assert play.refused("POST", SIMULATE, cash(code)) == INACTIVE
    for _ in range(2):
        play.ok("POST", SIMULATE, cash(many))
    assert len(play.told()) == 3


def test_the_till_asks_for_the_amount(play):
    """Another amount than the expected one is refused, and so is another outlet's till."""
    code = made(play)
    assert play.refused("POST", SIMULATE, cash(code, 74_999)) == (400, "API_VALIDATION_ERROR")
    elsewhere = cash(code) | {"retail_outlet_name": "INDOMARET"}
    assert play.refused("POST", SIMULATE, elsewhere) == MISSING
    assert play.told() == []


def test_an_update(play):
    """Name, amount and end of a code can be changed until it has ended."""
    code = made(play)
    path = f"/fixed_payment_code/{code['id']}"
    ends = play.sandbox.stamp(play.clock() + HOUR)
    changed = play.ok("PATCH", path, {"name": "SITI", "expected_amount": 80_000, "expiration_date": ends})
    assert (changed["name"], changed["expected_amount"], changed["expiration_date"]) == ("SITI", 80_000, ends)
    play.ok("PATCH", path, {"name": "BUDI"})
    play.advance(HOUR)
    assert play.ok("GET", path)["status"] == "INACTIVE"
    assert play.refused("PATCH", path, {"name": "SITI"}) == INACTIVE
    assert play.refused("POST", SIMULATE, cash(changed, 80_000)) == INACTIVE


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"retail_outlet_name": "KIOSK"}, "RETAIL_OUTLET_NOT_SUPPORTED_ERROR"),
        ({"expected_amount": 9_999}, "MINIMUM_EXPECTED_AMOUNT_ERROR"),
        ({"expected_amount": 2_500_001}, "MAXIMUM_EXPECTED_AMOUNT_ERROR"),
        ({"expiration_date": "2020-01-01"}, "EXPIRATION_DATE_INVALID_ERROR"),
        ({"payment_code": "a b"}, "API_VALIDATION_ERROR"),
        ({"name": ""}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_a_code(play, change, code):
    """Each fault has its code."""
    assert play.refused("POST", "/fixed_payment_code", DRAFT | change) == (400, code)


def test_codes_of_others(play):
    """A code that is not there, or another's, cannot be seen, changed or paid; a chosen one is had once."""
    code = made(play, payment_code="777")
    assert play.refused("POST", "/fixed_payment_code", DRAFT | {"payment_code": "777"}) == (
        400,
        "DUPLICATE_PAYMENT_CODE_ERROR",
    )
    path = f"/fixed_payment_code/{code['id']}"
    assert play.refused("GET", path, headers=OTHERS) == MISSING
    assert play.refused("PATCH", path, {}, headers=OTHERS) == MISSING
    assert play.refused("POST", SIMULATE, cash(code), headers=OTHERS) == MISSING
