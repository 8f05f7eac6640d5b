"""Fixed virtual accounts of the sandbox, and transfers to those of invoices."""

from urllib.parse import quote

import pytest
from sandboxes import OWNER
from xendit_tables import faults

from ringback.sandbox.xendit.invoices import INVOICE, Invoices
from xendit_requests import OTHERS

HOUR, DAY = 3_600_000, 86_400_000
INACTIVE = (400, "CALLBACK_VIRTUAL_ACCOUNT_INACTIVE_ERROR")
MISSING = (404, "CALLBACK_VIRTUAL_ACCOUNT_NOT_FOUND_ERROR")


def made(play, external_id="va-1", bank_code="BCA", name="SITI AMINAH", **more):
    body = {"external_id": external_id, "bank_code": bank_code, "name": name, **more}
    return play.ok("POST", "/callback_virtual_accounts", body)


def simulate(external_id):
    return f"/callback_virtual_accounts/external_id={external_id}/simulate_payment"


def status(play, account):
    return play.ok("GET", f"/callback_virtual_accounts/{account['id']}")["status"]


def test_the_bank_takes_a_moment(play):
    """An account is PENDING, then ACTIVE, which is told with all documented fields."""
    account = made(play, is_closed=True, expected_amount=150_000.0, is_single_use=True)
    assert (account["status"], account["owner_id"]) == ("PENDING", OWNER.business_id)
    assert account["account_number"].startswith(account["merchant_code"])
    play.advance(10_000)
    assert status(play, account) == "ACTIVE"
    [(event, slot, body)] = play.told()
    assert (event, slot, body["status"]) == ("fva.created", "fva_status", "ACTIVE")
    assert faults(event, "legacy", {name: value for name, value in body.items() if name != "country"}) == []
    assert body["expected_amount"] == 150_000


def test_a_transfer_is_told(play):
    """simulate_payment answers COMPLETED, sends fva.paid as documented, and the payment can be looked up."""
    account = made(play)
    play.advance(10_000)
    answer = play.ok("POST", simulate("va-1"), {"amount": 75_000.0})
    assert answer["status"] == "COMPLETED"
    assert "va-1" in answer["message"]
    (event, slot, body) = play.told()[-1]
    assert (event, slot) == ("fva.paid", "fva_paid")
    assert faults(event, "legacy", body) == []
    assert (body["amount"], body["callback_virtual_account_id"]) == (75_000, account["id"])
    path = "/callback_virtual_account_payments/payment_id="
    assert play.ok("GET", path + body["payment_id"]) == body
    assert play.refused("GET", path + "nothing")[0] == 404


def test_names_may_hold_slashes(play):
    """An external_id with slashes and other signs is found by simulate_payment."""
    for external_id in ("shop/7/order 1", "a/simulate_payment", "é?=&"):
        made(play, external_id)
        play.ok("POST", simulate(external_id), {"amount": 1})
        assert play.told()[-1][2]["external_id"] == external_id
    assert play.refused("POST", simulate(quote("shop/8", safe="")), {"amount": 1}) == MISSING


def test_single_use(play):
    """An account for single use is INACTIVE once it is paid; others are paid again and again."""
    single, many = made(play, "single", is_single_use=True), made(play, "many")
    play.advance(10_000)
    for _ in range(2):
        play.ok("POST", simulate("many"), {"amount": 1_000})
    play.ok("POST", simulate("single"), {"amount": 1_000})
    assert play.refused("POST", simulate("single"), {"amount": 1_000}) == INACTIVE
    assert (status(play, single), status(play, many)) == ("INACTIVE", "ACTIVE")
    assert [event for event, _, _ in play.told()].count("fva.paid") == 3


def test_a_closed_account_takes_its_amount(play):
    """A closed account takes the expected amount and no other; an open one takes any."""
    made(play, is_closed=True, expected_amount=50_000)
    assert play.refused("POST", simulate("va-1"), {"amount": 49_999}) == (400, "API_VALIDATION_ERROR")
    play.ok("POST", simulate("va-1"), {"amount": 50_000})
    made(play, "open", expected_amount=50_000)
    play.ok("POST", simulate("open"), {"amount": 20_000})


def test_an_update_goes_to_the_bank(play):
    """A changed account is PENDING until the bank has it, which is told again; an ended one cannot be changed."""
    account = made(play, is_closed=True, expected_amount=50_000)
    play.advance(10_000)
    path = f"/callback_virtual_accounts/{account['id']}"
    changed = play.ok("PATCH", path, {"expected_amount": 60_000, "is_single_use": True})
    assert (changed["status"], changed["expected_amount"]) == ("PENDING", 60_000)
    play.advance(10_000)
    assert [body["expected_amount"] for _, _, body in play.told()] == [50_000, 60_000]
    play.ok("PATCH", path, {"expiration_date": "2020-01-01T00:00:00Z"})
    play.advance(10_000)
    assert play.told()[-1][2]["status"] == "INACTIVE"
    assert play.refused("PATCH", path, {"expected_amount": 1}) == INACTIVE


def test_an_account_ends(play):
    """At its expiration_date an account becomes INACTIVE and takes no money."""
    account = made(play, expiration_date=play.sandbox.stamp(play.clock() + HOUR))
    play.advance(HOUR)
    assert status(play, account) == "INACTIVE"
    assert play.refused("POST", simulate("va-1"), {"amount": 1}) == INACTIVE


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bank_code": "GOLD"}, "BANK_NOT_SUPPORTED_ERROR"),
        ({"is_closed": True}, "EXPECTED_AMOUNT_REQUIRED_ERROR"),
        ({"expected_amount": 0}, "MINIMUM_EXPECTED_AMOUNT_ERROR"),
        ({"expected_amount": 10**13}, "MAXIMUM_EXPECTED_AMOUNT_ERROR"),
        ({"virtual_account_number": "12x"}, "VIRTUAL_ACCOUNT_NUMBER_OUTSIDE_RANGE"),
        ({"virtual_account_number": "٣٤"}, "VIRTUAL_ACCOUNT_NUMBER_OUTSIDE_RANGE"),
        ({"expiration_date": "2020-01-01"}, "EXPIRATION_DATE_INVALID_ERROR"),
        ({"expiration_date": "9999-01-01"}, "EXPIRATION_DATE_INVALID_ERROR"),
        ({"expiration_date": "soon"}, "API_VALIDATION_ERROR"),
        ({"currency": "USD"}, "API_VALIDATION_ERROR"),
        ({"name": None}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_an_account(play, change, code):
    """Each fault has the provider's code."""
    body = {"external_id": "va-1", "bank_code": "BCA", "name": "SITI"} | change
    assert play.refused("POST", "/callback_virtual_accounts", body) == (400, code)


def test_a_number_is_had_once(play):
    """A number may be chosen, but not one that another account has."""
    account = made(play, virtual_account_number="777")
    assert account["account_number"] == account["merchant_code"] + "777"
    body = {"external_id": "va-2", "bank_code": "BCA", "name": "BUDI", "virtual_account_number": "777"}
    assert play.refused("POST", "/callback_virtual_accounts", body) == (
        400,
        "DUPLICATE_CALLBACK_VIRTUAL_ACCOUNT_ERROR",
    )


def test_accounts_of_others(play):
    """Accounts that are not there, or another's, cannot be seen or paid."""
    account = made(play)
    path = f"/callback_virtual_accounts/{account['id']}"
    assert play.refused("GET", path, headers=OTHERS) == MISSING
    assert play.refused("PATCH", path, {}, headers=OTHERS) == MISSING
    assert play.refused("POST", simulate("va-1"), {"amount": 1}, headers=OTHERS) == MISSING


def test_the_banks(play):
    """The banks that are listed are those at which accounts can be made."""
    for bank in play.ok("GET", "/available_virtual_account_banks"):
        made(play, bank["code"], bank["code"])


# --- Invoices ------------------------------------------------------------------------------------------------


def test_a_transfer_to_an_invoices_account(play):
    """The number that an invoice's page shows is paid by pool simulation: with the exact amount, and once."""
    invoice = play.ok("POST", "/v2/invoices", {"external_id": "order-1", "amount": 50_000})
    entry = play.sandbox.ledger.get(INVOICE, invoice["id"])
    chosen = play.run(play.sandbox.product(Invoices).choose(entry, "BCA")).body
    [number] = [
        bank["bank_account_number"] for bank in chosen["available_banks"] if "bank_account_number" in bank
    ]
    body = {"transfer_amount": 50_000.0, "bank_account_number": number, "bank_code": "BCA"}
    path = "/pool_virtual_accounts/simulate_payment"
    assert play.refused("POST", path, body | {"transfer_amount": 1}) == (400, "API_VALIDATION_ERROR")
    assert play.refused("POST", path, body | {"bank_code": "BNI"}) == MISSING
    assert play.ok("POST", path, body)["status"] == "COMPLETED"
    assert play.refused("POST", path, body) == MISSING
    [(event, _, told)] = play.told()
    assert (event, told["payment_destination"]) == ("invoice.paid", number)


def test_an_invoice_of_a_fixed_account(play):
    """An invoice made for a fixed account shows its number alone and is paid by a transfer to it: both are told."""
    account = made(play)
    play.advance(10_000)
    draft = {"external_id": "order-1", "amount": 50_000, "callback_virtual_account_id": account["id"]}
    invoice = play.ok("POST", "/v2/invoices", draft)
    assert [bank["bank_account_number"] for bank in invoice["available_banks"]] == [account["account_number"]]
    assert invoice["fixed_va"] is True
    play.ok("POST", simulate("va-1"), {"amount": 1_000})
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "PENDING"
    play.ok("POST", simulate("va-1"), {"amount": 50_000})
    paid = play.ok("GET", f"/v2/invoices/{invoice['id']}")
    assert (paid["status"], paid["payment_destination"]) == ("PAID", account["account_number"])
    assert [event for event, _, _ in play.told()][-2:] == ["fva.paid", "invoice.paid"]
    missing = {**draft, "callback_virtual_account_id": "nothing"}
    assert play.refused("POST", "/v2/invoices", missing) == MISSING
