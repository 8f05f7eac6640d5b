"""Payouts v2 of the sandbox."""

import pytest
from sandboxes import playing
from xendit_tables import faults

from xendit_requests import OTHERS

DRAFT = {
    "reference_id": "po-1",
    "channel_code": "ID_BCA",
    "channel_properties": {"account_number": "1231231231", "account_holder_name": "RINA"},
    "amount": 250_000,
    "currency": "IDR",
    "description": "Refund",
    "receipt_notification": {"email_to": ["ops@shop.example"]},
    "metadata": {"outlet": 24},
}
PESOS = {"channel_code": "PH_GCASH", "currency": "PHP", "amount": 1.11}
OPENING = 1_000_000_000
MISSING = (404, "DATA_NOT_FOUND")
INVALID = (400, "API_VALIDATION_ERROR")
INELIGIBLE = (403, "INELIGIBLE_TRANSACTION_STATUS")


def made(play, key=None, number=None, **more):
    keys = {"idempotency-key": key or f"key-{play.sandbox.new_hex()}"}
    draft = DRAFT | more
    if number is not None:
        draft = draft | {"channel_properties": {"account_number": number}}
    return play.ok("POST", "/v2/payouts", draft, headers=keys)


def status(play, payout):
    return play.ok("GET", f"/v2/payouts/{payout['id']}")["status"]


def balance(play, **query):
    return play.ok("GET", "/balance", query=query)["balance"]


def told_well(play, event):
    """Return the data of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, "payout"]
    assert faults(event, "event", body) == []
    return body["data"]


def simulate(payout):
    return f"/sandbox/payouts/{payout['id']}/simulate"


def cancel(payout):
    return f"/v2/payouts/{payout['id']}/cancel"


def test_money_is_sent(play):
    """A payout is ACCEPTED, then REQUESTED, then SUCCEEDED, which is told; it repeats what was asked for."""
    payout = made(play)
    assert {name: payout[name] for name in DRAFT} == DRAFT
    assert payout["status"] == "ACCEPTED"
    play.advance(5_000)
    assert (status(play, payout), play.told()) == ("REQUESTED", [])
    play.advance(5_000)
    data = told_well(play, "payout.succeeded")
    assert data == play.ok("GET", f"/v2/payouts/{payout['id']}")
    assert (data["status"], "failure_code" in data) == ("SUCCEEDED", False)
    assert balance(play) == OPENING - 250_000


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("123456", "TEMPORARY_TRANSFER_ERROR"),
        ("999999", "REJECTED_BY_CHANNEL"),
        ("121212", "INVALID_DESTINATION"),
    ],
)
def test_numbers_that_stand_for_failures(play, number, code):
    """Such a payout fails with the code that its number stands for, and the money comes back."""
    made(play, number=number)
    assert balance(play) == OPENING - 250_000
    play.advance(60_000)
    data = told_well(play, "payout.failed")
    assert (data["status"], data["failure_code"]) == ("FAILED", code)
    assert balance(play) == OPENING


def test_money_that_comes_back(play):
    """With the number that stands for it, a payout succeeds and is reversed minutes later; both are told."""
    made(play, number="654321")
    play.advance(60_000)
    told_well(play, "payout.succeeded")
    assert balance(play) == OPENING - 250_000
    play.advance(300_000)
    assert told_well(play, "payout.reversed")["status"] == "REVERSED"
    assert (len(play.told()), balance(play)) == (2, OPENING)


def test_cancelling(play):
    """A payout that waits is cancelled, untold, and the money comes back; one that was sent is not."""
    waiting, gone = made(play, number="131313"), made(play)
    play.advance(600_000)
    assert (status(play, waiting), len(play.told())) == ("ACCEPTED", 1)
    assert balance(play) == OPENING - 500_000
    assert play.ok("POST", cancel(waiting))["status"] == "CANCELLED"
    assert (len(play.told()), balance(play)) == (1, OPENING - 250_000)
    assert play.refused("POST", cancel(waiting)) == INELIGIBLE
    assert play.refused("POST", cancel(gone)) == INELIGIBLE


def test_an_end_at_will(play):
    """The control route lets a payout fail, arrive or come back, where its status leads there."""
    payout, lost = made(play), made(play)
    assert play.refused("POST", simulate(payout), {"status": "REVERSED"}) == INELIGIBLE
    play.ok("POST", simulate(payout))
    assert play.ok("POST", simulate(payout), {"status": "REVERSED"})["status"] == "REVERSED"
    failed = play.ok("POST", simulate(lost), {"status": "FAILED", "failure_code": "TRANSFER_ERROR"})
    assert failed["failure_code"] == told_well(play, "payout.failed")["failure_code"] == "TRANSFER_ERROR"
    assert play.refused("POST", simulate(lost)) == INELIGIBLE
    assert play.refused("POST", simulate(lost), {"status": "GONE"}) == INVALID
    play.advance(600_000)
    assert (len(play.told()), balance(play)) == (3, OPENING)


def test_more_than_there_is(play):
    """What the balance cannot pay for is accepted and fails with INSUFFICIENT_BALANCE, even by one unit."""
    made(play, amount=OPENING - 250_000)
    made(play)
    poor = made(play, amount=10_000)
    play.advance(60_000)
    assert status(play, poor) == "FAILED"
    failed = [body["data"] for event, _, body in play.told() if event == "payout.failed"]
    assert [data["failure_code"] for data in failed] == ["INSUFFICIENT_BALANCE"]
    assert balance(play) == 0


def test_each_currency_has_its_balance(play):
    """Pesos are taken from pesos, with their cents."""
    made(play, **PESOS)
    assert (balance(play, currency="PHP"), balance(play)) == (10_000_000 - 1.11, OPENING)


def test_the_key(play):
    """Each payout needs an idempotency key; the same one again is the same payout, or refused."""
    assert play.refused("POST", "/v2/payouts", DRAFT) == INVALID
    payout = made(play, key="once")
    play.advance(60_000)
    assert made(play, key="once") == payout
    headers = {"idempotency-key": "once"}
    again = play.refused("POST", "/v2/payouts", DRAFT | {"amount": 10_000}, headers=headers)
    assert again == (409, "DUPLICATE_ERROR")
    assert balance(play) == OPENING - 250_000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"channel_code": "ID_NONE"}, "CHANNEL_CODE_NOT_SUPPORTED"),
        ({"channel_code": "PH_GCASH"}, "CHANNEL_CODE_NOT_SUPPORTED"),
        ({"currency": "EUR"}, "CHANNEL_CODE_NOT_SUPPORTED"),
        ({"amount": 9_999}, "MINIMUM_TRANSFER_LIMIT_ERROR"),
        ({"amount": 2_000_000_000_000}, "MAXIMUM_TRANSFER_LIMIT_ERROR"),
        ({"amount": 10_000.5}, "AMOUNT_INCREMENT_NOT_SUPPORTED"),
        (PESOS | {"amount": 1.111}, "AMOUNT_INCREMENT_NOT_SUPPORTED"),
        ({"channel_properties": {}}, "API_VALIDATION_ERROR"),
        ({"reference_id": ""}, "API_VALIDATION_ERROR"),
        ({"receipt_notification": {"email_to": ["nobody"]}}, "API_VALIDATION_ERROR"),
        ({"metadata": {"a": {}}}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_sent(play, change, code):
    """Each fault is refused with the provider's code, and takes nothing."""
    headers = {"idempotency-key": "a"}
    assert play.refused("POST", "/v2/payouts", DRAFT | change, headers=headers) == (400, code)
    assert balance(play) == OPENING


@pytest.mark.parametrize(
    ("code", "currency"), [("TH_SCB", "THB"), ("VN_VIETINBANK", "VND"), ("MY_CIMB", "MYR")]
)
def test_channels_that_are_not_listed(play, code, currency):
    """Of the countries whose channels the sandbox does not know, every code is taken."""
    made(play, channel_code=code, currency=currency, amount=50_000)
    play.advance(60_000)
    told_well(play, "payout.succeeded")


def test_channels(play):
    """They are listed by code, and by what is asked for."""
    channels = play.ok("GET", "/payouts_channels")
    codes = [channel["channel_code"] for channel in channels]
    assert codes == sorted(codes)
    query = {"currency": "IDR", "channel_category": "EWALLET,OTC"}
    assert {channel["channel_category"] for channel in play.ok("GET", "/payouts_channels", query=query)} == {
        "EWALLET"
    }
    (one,) = play.ok("GET", "/payouts_channels", query={"channel_code": "ID_BSI"})
    assert one == {
        "channel_code": "ID_BSI",
        "channel_category": "BANK",
        "currency": "IDR",
        "channel_name": "Bank Syariah Indonesia",
        "amount_limits": {"minimum": 10_000, "maximum": 1_999_999_999_999, "minimum_increment": 1},
    }
    assert play.ok("GET", "/payouts_channels", query={"currency": "EUR"}) == []
    assert play.refused("GET", "/payouts_channels", query={"channel_category": "CASH"}) == INVALID


def test_pages_of_payouts(play):
    """Payouts with a reference are listed in pages, newest first, forth and back."""
    ids = [made(play)["id"] for _ in range(5)][::-1]
    made(play, reference_id="another")

    def page(**query):
        body = play.ok("GET", "/v2/payouts", query={"reference_id": "po-1", **query})
        return [payout["id"] for payout in body["data"]], body

    first, body = page(limit="2.0")
    assert (first, body["has_more"]) == (ids[:2], True)
    assert body["links"]["href"] == f"/v2/payouts?reference_id=po-1&limit=2.0&after_id={ids[1]}"
    last, body = page(limit=10, after_id=ids[2])
    assert (last, body["has_more"], "links" in body) == (ids[3:], False, False)
    assert page(limit=2, before_id=ids[3])[0] == ids[1:3]
    assert page(after_id=ids[0], before_id=ids[2])[0] == [ids[1]]
    assert play.ok("GET", "/v2/payouts", query={"reference_id": "none"})["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"reference_id": "po-1", "limit": "0"},
        {"reference_id": "po-1", "limit": "1.5"},
        {"reference_id": "po-1", "limit": "many"},
        {"reference_id": "po-1", "after_id": "disb-none"},
        {"reference_id": ["po-1", "po-2"]},
    ],
)
def test_lists_that_cannot_be(play, query):
    """A list without a reference, or of a page that cannot be, is refused."""
    assert play.refused("GET", "/v2/payouts", query=query) == INVALID


def test_payouts_of_others(play):
    """A sub-account has its own payouts and its own money."""
    payout = made(play)
    for method, path in (
        ("GET", f"/v2/payouts/{payout['id']}"),
        ("POST", cancel(payout)),
        ("POST", simulate(payout)),
    ):
        assert play.refused(method, path, headers=OTHERS) == MISSING
    assert play.ok("GET", "/balance", headers=OTHERS)["balance"] == OPENING
    assert play.ok("GET", "/v2/payouts", query={"reference_id": "po-1"}, headers=OTHERS)["data"] == []


def test_payouts_go_on_after_a_restart(tmp_path):
    """A payout that was on its way arrives, and one that was to come back comes back."""
    with playing(tmp_path) as play:
        payout = made(play, number="654321")
        play.advance(60_000)
    with playing(tmp_path) as play:
        play.advance(600_000)
        assert status(play, payout) == "REVERSED"
        assert [event for event, _, _ in play.told()] == ["payout.succeeded", "payout.reversed"]
        assert balance(play) == OPENING
