"""Disbursements of the sandbox, one by one and in batches."""

import pytest
from sandboxes import playing
from xendit_tables import faults

from xendit_requests import OTHERS

DRAFT = {
    "external_id": "pay-1",
    "amount": 150_000,
    "bank_code": "BCA",
    "account_holder_name": "RINA",
    "account_number": "1231231231",
    "description": "Refund for order 9001",
    "email_to": ["ops@shop.example"],
}
ITEM = {
    "amount": 10_000,
    "bank_code": "BCA",
    "bank_account_name": "RINA",
    "bank_account_number": "1231231231",
    "description": "salary",
    "external_id": "item-1",
}
OPENING = 1_000_000_000
MISSING = (404, "DIRECT_DISBURSEMENT_NOT_FOUND_ERROR")
INVALID = (400, "API_VALIDATION_ERROR")


def made(play, **more):
    return play.ok("POST", "/disbursements", DRAFT | more)


def got(play, disbursement):
    return play.ok("GET", f"/disbursements/{disbursement['id']}")


def simulate(disbursement):
    return f"/sandbox/disbursements/{disbursement['id']}/simulate"


def balance(play, **query):
    return play.ok("GET", "/balance", query=query)["balance"]


def told_well(play, event, slot="disbursement"):
    """Return the body of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, slot]
    assert faults(event, "legacy", body) == []
    return body


def test_money_is_sent(play):
    """A disbursement is PENDING, takes its amount at once, and is COMPLETED by itself, which is told."""
    disbursement = made(play)
    assert (disbursement["status"], disbursement["amount"]) == ("PENDING", 150_000)
    assert "account_number" not in disbursement
    assert (balance(play), balance(play, account_type="HOLDING")) == (OPENING - 150_000, 150_000)
    play.advance(60_000)
    body = told_well(play, "disbursement.completed")
    assert body == got(play, disbursement)
    assert (body["status"], body["is_instant"], body["email_to"]) == ("COMPLETED", True, DRAFT["email_to"])
    assert (balance(play), balance(play, account_type="HOLDING")) == (OPENING - 150_000, 0)
    assert len(play.told()) == 1


def test_a_number_that_stands_for_a_failure(play):
    """Some numbers at Mandiri fail with what they stand for, and the money comes back; elsewhere they do not."""
    disbursement = made(play, bank_code="MANDIRI", account_number="8787878")
    elsewhere = made(play, bank_code="BRI", account_number="8787878")
    play.advance(60_000)
    bodies = {body["id"]: body for _, _, body in play.told()}
    failed = bodies[disbursement["id"]]
    assert (failed["status"], failed["failure_code"]) == ("FAILED", "REJECTED_BY_BANK")
    assert faults("disbursement.failed", "legacy", failed) == []
    assert bodies[elsewhere["id"]]["status"] == "COMPLETED"
    assert balance(play) == OPENING - 150_000


def test_an_end_at_will(play):
    """The control route ends a pending disbursement, once."""
    disbursement = made(play)
    outcome = {"status": "FAILED", "failure_code": "TRANSFER_ERROR"}
    assert play.ok("POST", simulate(disbursement), outcome)["failure_code"] == "TRANSFER_ERROR"
    assert told_well(play, "disbursement.failed")["failure_code"] == "TRANSFER_ERROR"
    assert play.refused("POST", simulate(disbursement)) == (403, "INELIGIBLE_TRANSACTION_STATUS")
    play.advance(60_000)
    assert len(play.told()) == 1
    assert balance(play) == OPENING


def test_more_than_there_is(play):
    """What the balance cannot pay for is accepted, takes nothing, and fails with INSUFFICIENT_BALANCE."""
    disbursement = made(play, amount=OPENING + 1)
    assert balance(play) == OPENING
    assert play.refused("POST", simulate(disbursement)) == (400, "INSUFFICIENT_BALANCE")
    play.advance(60_000)
    assert told_well(play, "disbursement.failed")["failure_code"] == "INSUFFICIENT_BALANCE"
    assert balance(play) == OPENING


def test_looking_for_disbursements(play):
    """They are found by id and by external_id, newest first; those of others are not there."""
    first, second = made(play), made(play, amount=20_000)
    found = play.ok("GET", "/disbursements", query={"external_id": "pay-1"})
    assert [one["id"] for one in found] == [second["id"], first["id"]]
    assert play.refused("GET", "/disbursements", query={"external_id": "none"}) == MISSING
    assert play.refused("GET", "/disbursements") == INVALID
    assert play.refused("GET", f"/disbursements/{first['id']}", headers=OTHERS) == MISSING
    assert play.refused("GET", "/disbursements", query={"external_id": "pay-1"}, headers=OTHERS) == MISSING
    assert play.refused("POST", simulate(first), headers=OTHERS) == MISSING


def test_the_same_key_again(play):
    """X-IDEMPOTENCY-KEY keeps money from being sent twice; with another body it is refused."""
    headers = {"X-IDEMPOTENCY-KEY": "once"}
    first = play.ok("POST", "/disbursements", DRAFT, headers=headers)
    assert play.ok("POST", "/disbursements", DRAFT, headers=headers) == first
    again = play.refused("POST", "/disbursements", DRAFT | {"amount": 10_000}, headers=headers)
    assert again == (409, "DUPLICATE_TRANSACTION_ERROR")
    assert balance(play) == OPENING - 150_000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 9_999}, "RECIPIENT_AMOUNT_ERROR"),
        ({"amount": 2_000_000_000_000}, "MAXIMUM_TRANSFER_LIMIT_ERROR"),
        ({"bank_code": "NONE"}, "BANK_CODE_NOT_SUPPORTED_ERROR"),
        ({"account_number": "123"}, "RECIPIENT_ACCOUNT_NUMBER_ERROR"),
        ({"bank_code": "BRI", "account_number": "12 3"}, "RECIPIENT_ACCOUNT_NUMBER_ERROR"),
        ({"description": ""}, "API_VALIDATION_ERROR"),
        ({"description": None}, "API_VALIDATION_ERROR"),
        ({"email_to": ["nobody"]}, "API_VALIDATION_ERROR"),
        ({"email_to": ["a@b.example"] * 4}, "API_VALIDATION_ERROR"),
        ({"amount": "150000"}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_sent(play, change, code):
    """Each fault is refused with the provider's code, and takes nothing."""
    assert play.refused("POST", "/disbursements", DRAFT | change) == (400, code)
    assert balance(play) == OPENING


def test_banks(play):
    """The banks and wallets that money can be sent to are listed."""
    banks = {bank["code"]: bank for bank in play.ok("GET", "/available_disbursements_banks")}
    assert {"BCA", "MANDIRI", "OVO"} < set(banks)
    assert set(banks["BCA"]) == {"name", "code", "can_disburse", "can_name_validate"}


def test_a_batch(play):
    """A batch is approved by itself, pays what can be paid, and tells of each item."""
    items = [ITEM, ITEM | {"bank_code": "MANDIRI", "bank_account_number": "8787878", "amount": 20_000}]
    batch = play.ok("POST", "/batch_disbursements", {"reference": "PAYROLL", "disbursements": items})
    assert (batch["status"], batch["total_uploaded_count"], batch["total_uploaded_amount"]) == (
        "NEEDS_APPROVAL",
        2,
        30_000,
    )
    assert balance(play) == OPENING
    play.advance(60_000)
    body = told_well(play, "batch_disbursement.completed", "batch_disbursement")
    good, bad = body["disbursements"]
    assert (good["status"], bad["status"], bad["failure_code"]) == ("COMPLETED", "FAILED", "REJECTED_BY_BANK")
    assert (body["total_disbursed_amount"], body["total_error_amount"]) == (10_000, 20_000)
    assert (body["total_disbursed_count"], body["total_error_count"]) == (1, 1)
    assert balance(play) == OPENING - 10_000


def test_a_batch_beyond_the_balance(play):
    """Where the balance cannot pay for all of a batch, nothing of it is paid."""
    draft = {"reference": "ALL", "disbursements": [ITEM, ITEM | {"amount": OPENING}]}
    play.ok("POST", "/batch_disbursements", draft)
    play.advance(60_000)
    body = told_well(play, "batch_disbursement.completed", "batch_disbursement")
    assert {item["failure_code"] for item in body["disbursements"]} == {"INSUFFICIENT_BALANCE"}
    assert (body["total_disbursed_amount"], balance(play)) == (0, OPENING)


@pytest.mark.parametrize("items", [[], [ITEM | {"bank_code": "NONE"}], [ITEM | {"amount": 1}], None])
def test_what_cannot_be_a_batch(play, items):
    """A batch without items, or with one that cannot be sent, is refused as a whole."""
    status, _ = play.refused("POST", "/batch_disbursements", {"reference": "X", "disbursements": items})
    assert status == 400


def test_what_was_under_way_goes_on_after_a_restart(tmp_path):
    """Money that was on its way when the sandbox stopped arrives after it started again."""
    with playing(tmp_path) as play:
        disbursement = made(play)
    with playing(tmp_path) as play:
        play.advance(60_000)
        assert got(play, disbursement)["status"] == "COMPLETED"
        assert balance(play) == OPENING - 150_000
