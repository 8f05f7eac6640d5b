"""Payouts v3 of the sandbox."""

import pytest
from sandboxes import playing
from xendit_tables import faults

from xendit_requests import OTHERS

RECIPIENT = {
    "type": "INDIVIDUAL",
    "given_name": "Rina",
    "surname": "S",
    "relationship": "CUSTOMER",
    "details": {"personal_mobile_number": "+639171234567"},
    "address": {"country": "PH", "city": "Manila"},
    "account_details": {
        "currency": "PHP",
        "account_country": "PH",
        "account_holder_name": "Rina S",
        "account_number": "09170000000",
        "routing_type_1": "WALLET",
        "routing_value_1": "PH_GCASH",
    },
}
DRAFT = {
    "reference_id": "po3-1",
    "recipient": RECIPIENT,
    "payout_details": {"source_currency": "PHP", "source_amount": 50_050, "destination_currency": "PHP"},
    "source_of_fund": "BUSINESS_REVENUE",
    "purpose_code": "SALARY",
    "description": "Freelancer payment",
    "receipt_notification": {"email_to": ["ops@shop.example"]},
    "underlying_documents": [{"type": "INVOICE", "reference_no": "1"}],
    "metadata": {"outlet": 24},
}
VERSION = {"api-version": "2025-09-01"}
OTHER = VERSION | OTHERS
PESOS = 10_000_000
MISSING = (404, "DATA_NOT_FOUND")
INVALID = (400, "API_VALIDATION_ERROR")
WRONG = (400, "INVALID_VALUE_ERROR")
INELIGIBLE = (403, "INELIGIBLE_TRANSACTION_STATUS")


def made(play, details=None, number=None, **more):
    draft = DRAFT | more
    if details is not None:
        draft |= {"payout_details": details}
    if number is not None:
        account = RECIPIENT["account_details"] | {"account_number": number}
        draft |= {"recipient": RECIPIENT | {"account_details": account}}
    return play.ok("POST", "/v3/payouts", draft, headers=VERSION)


def status(play, payout):
    return play.ok("GET", path(payout), headers=VERSION)["status"]


def path(payout, end=""):
    return f"/v3/payouts/{payout['payout_id']}{end}"


def simulate(play, payout, status, **more):
    return play.ok("POST", f"/sandbox{path(payout, '/simulate')}", {"status": status, **more})


def pesos(play, **query):
    return play.ok("GET", "/balance", query={"currency": "PHP", **query})["balance"]


def told_well(play, event):
    """Return the data of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, "payouts_v3"]
    assert faults(event, "event", body) == []
    return body["data"]


def test_money_is_sent(play):
    """A payout is ACCEPTED, REQUESTED and SUCCEEDED; its amounts are cents, the balance's are pesos."""
    payout = made(play)
    assert {name: payout[name] for name in DRAFT if name != "payout_details"} == {
        name: value for name, value in DRAFT.items() if name != "payout_details"
    }
    assert (payout["source_amount"], payout["destination_amount"]) == (50_050, 50_050)
    assert (payout["type"], payout["sender"]["type"]) == ("B2C", "BUSINESS")
    assert (payout["status"], pesos(play)) == ("ACCEPTED", PESOS - 500.5)
    play.advance(5_000)
    assert status(play, payout) == "REQUESTED"
    play.advance(5_000)
    data = told_well(play, "v3_payout.succeeded")
    assert (data["status"], data["destination_amount"]) == ("SUCCEEDED", 50_050)
    assert (pesos(play), pesos(play, account_type="HOLDING")) == (PESOS - 500.5, 0)


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("FAILED", "v3_payout.failed"),
        ("REJECTED", "v3_payout.rejected"),
    ],
)
def test_ends_that_bring_money_back(play, status, event):
    """A payout that fails or is rejected says why, and its money comes back."""
    payout = made(play)
    simulate(play, payout, status, failure_code="SLS_RECIPIENT")
    data = told_well(play, event)
    assert (data["status"], data["failure_code"]) == (status, "SLS_RECIPIENT")
    play.advance(60_000)
    assert (len(play.told()), pesos(play)) == (1, PESOS)


def test_a_review(play):
    """A payout under review waits for the decision, can be cancelled, and keeps its money from being spent."""
    good, bad = made(play), made(play)
    for payout in (good, bad):
        simulate(play, payout, "PENDING_COMPLIANCE_REVIEW")
        told_well(play, "v3_payout.pending_compliance")
    play.advance(3_600_000)
    assert pesos(play, account_type="HOLDING") == 1_001
    simulate(play, good, "SUCCEEDED")
    told_well(play, "v3_payout.succeeded")
    assert play.ok("POST", path(bad, "/cancel"), headers=VERSION)["status"] == "CANCELLED"
    assert (pesos(play), pesos(play, account_type="HOLDING")) == (PESOS - 500.5, 0)


def test_a_reversal(play):
    """The number that stands for it lets a payout succeed and come back; both are told."""
    made(play, number="654321")
    play.advance(60_000)
    told_well(play, "v3_payout.succeeded")
    play.advance(300_000)
    assert told_well(play, "v3_payout.reversed")["status"] == "REVERSED"
    assert pesos(play) == PESOS


def test_cancelling(play):
    """A payout can be cancelled before it is sent, once."""
    payout, gone = made(play), made(play)
    assert play.ok("POST", path(payout, "/cancel"), headers=VERSION)["status"] == "CANCELLED"
    assert play.refused("POST", path(payout, "/cancel"), headers=VERSION) == INELIGIBLE
    play.advance(5_000)
    assert play.refused("POST", path(gone, "/cancel"), headers=VERSION) == INELIGIBLE
    assert pesos(play) == PESOS - 500.5


def test_more_than_there_is(play):
    """What the balance cannot pay for is accepted and fails with INSUFFICIENT_BALANCE."""
    details = {"source_currency": "PHP", "source_amount": PESOS * 100 + 1, "destination_currency": "PHP"}
    made(play, details)
    play.advance(60_000)
    assert told_well(play, "v3_payout.failed")["failure_code"] == "INSUFFICIENT_BALANCE"
    assert pesos(play) == PESOS


def test_another_currency(play):
    """Either amount may be given, and the other follows; rupiah have no smaller units, dollars do."""
    details = {"source_currency": "IDR", "source_amount": 1_650_000, "destination_currency": "USD"}
    assert made(play, details)["destination_amount"] == 10_000
    details = {"source_currency": "IDR", "destination_amount": 10_000, "destination_currency": "USD"}
    assert made(play, details)["source_amount"] == 1_650_000
    assert play.ok("GET", "/balance")["balance"] == 1_000_000_000 - 2 * 1_650_000


@pytest.mark.parametrize(
    ("details", "refusal"),
    [
        ({}, INVALID),
        ({"source_currency": "PHP", "destination_currency": "PHP"}, INVALID),
        ({"source_amount": 5_000, "destination_amount": 5_000}, INVALID),
        ({"source_amount": 5_000.5}, INVALID),
        ({"source_amount": "5000"}, INVALID),
        ({"source_currency": "JPY", "source_amount": 5_000}, WRONG),
        ({"destination_currency": "JPY", "source_amount": 5_000}, WRONG),
        ({"source_amount": 99}, WRONG),
        ({"source_currency": "USD", "destination_currency": "VND", "source_amount": 10**14}, WRONG),
        ({"quote_id": "quote-1"}, MISSING),
    ],
)
def test_sums_that_cannot_be(play, details, refusal):
    """Each fault of what is to be paid is refused with the provider's code."""
    usual = {"source_currency": "PHP", "destination_currency": "PHP"} if details else {}
    draft = DRAFT | {"payout_details": usual | details}
    assert play.refused("POST", "/v3/payouts", draft, headers=VERSION) == refusal


@pytest.mark.parametrize(
    "change",
    [
        {"recipient": {"type": "INDIVIDUAL"}},
        {"recipient": RECIPIENT | {"given_name": None}},
        {"recipient": RECIPIENT | {"type": "BUSINESS"}},
        {"recipient": RECIPIENT | {"relationship": "STRANGER"}},
        {"sender": {"type": "BUSINESS"}},
        {"purpose_code": "FUN"},
        {"source_of_fund": None},
        {"description": "x" * 101},
        {"underlying_documents": [{}] * 21},
        {"receipt_notification": {}},
    ],
)
def test_what_cannot_be_sent(play, change):
    """Each fault of who sends what to whom is 400 API_VALIDATION_ERROR."""
    assert play.refused("POST", "/v3/payouts", DRAFT | change, headers=VERSION) == INVALID


def test_who_sends_to_whom(play):
    """The type of a payout says who sends to whom."""
    business = RECIPIENT | {"type": "BUSINESS", "business_name": "Toko"}
    person = {"type": "INDIVIDUAL", "given_name": "Ani", "surname": "W"}
    assert made(play, recipient=business)["type"] == "B2B"
    payout = made(play, sender=person, recipient=business)
    assert (payout["type"], payout["sender"]) == ("C2B", person)


def test_headers(play):
    """The version is needed; the same idempotency key is the same payout, or refused."""
    assert play.refused("POST", "/v3/payouts", DRAFT) == INVALID
    headers = VERSION | {"idempotency-key": "once"}
    payout = play.ok("POST", "/v3/payouts", DRAFT, headers=headers)
    assert play.ok("POST", "/v3/payouts", DRAFT, headers=headers) == payout
    changed = DRAFT | {"description": "another"}
    assert play.refused("POST", "/v3/payouts", changed, headers=headers) == (409, "DUPLICATE_ERROR")


def test_payouts_of_others(play):
    """Payouts that are not there, and those of others, are 404."""
    payout = made(play)
    for method, end in (("GET", ""), ("POST", "/cancel")):
        assert play.refused(method, path(payout, end), headers=OTHER) == MISSING
        assert play.refused(method, f"/v3/payouts/po-none{end}", headers=VERSION) == MISSING
    assert play.refused("POST", f"/sandbox{path(payout, '/simulate')}", headers=OTHER) == MISSING


def test_payouts_go_on_after_a_restart(tmp_path):
    """A payout that was on its way arrives after the sandbox started again."""
    with playing(tmp_path) as play:
        payout = made(play)
    with playing(tmp_path) as play:
        play.advance(60_000)
        assert (status(play, payout), pesos(play)) == ("SUCCEEDED", PESOS - 500.5)
