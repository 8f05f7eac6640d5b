"""The books of the sandbox: balances, transactions and reports, all read from what happened."""

import csv
import io
import re

import pytest
from sandboxes import SITE, playing
from xendit_tables import faults

from xendit_requests import OTHERS

OPENING = 1_000_000_000
DAY = 86_400_000
V3 = {"api-version": "2024-11-11"}
INVALID = (400, "API_VALIDATION_ERROR")
MISSING = (404, "DATA_NOT_FOUND")
CARD = {
    "card_number": "4000000000001091",
    "expiry_month": "12",
    "expiry_year": "2030",
    "cvn": "123",
    "cardholder_first_name": "Siti",
    "cardholder_last_name": "Aminah",
    "cardholder_email": "siti@example.com",
}
CARD_V2 = {name: CARD[name] for name in ("card_number", "expiry_month", "expiry_year")}
PERIOD = {"from": "2020-01-01", "to": "2020-03-01"}


def balance(play, account="CASH", **query):
    return play.ok("GET", "/balance", query={"account_type": account, **query})["balance"]


def listed(play, headers=None, **query):
    return play.ok("GET", "/transactions", query=query, headers=headers)["data"]


def invoice(play, method="EWALLET", channel="DANA", external_id="order-1"):
    made = play.ok("POST", "/v2/invoices", {"external_id": external_id, "amount": 75_000})
    way = {"payment_method": method, "payment_channel": channel}
    return play.ok("POST", f"/sandbox/invoices/{made['id']}/pay", way)


def payout(play, number="1231231231", amount=250_000, reference="po-1"):
    draft = {
        "reference_id": reference,
        "channel_code": "ID_BCA",
        "channel_properties": {"account_number": number},
        "amount": amount,
        "currency": "IDR",
    }
    return play.ok("POST", "/v2/payouts", draft, headers={"idempotency-key": play.sandbox.new_hex()})


def account(play, **more):
    draft = {"external_id": "va-1", "bank_code": "BNI", "name": "SITI"} | more
    made = play.ok("POST", "/callback_virtual_accounts", draft)
    play.advance(3_000)
    return made


def transfer(play, amount, external_id="va-1"):
    path = f"/callback_virtual_accounts/external_id={external_id}/simulate_payment"
    play.ok("POST", path, {"amount": amount})


def request_v3(play, **more):
    draft = {
        "reference_id": f"card-{play.sandbox.new_hex()}",
        "type": "PAY",
        "country": "ID",
        "currency": "IDR",
        "request_amount": 90_000,
        "channel_code": "DANA",
        "channel_properties": {"success_return_url": "https://shop.example"},
    } | more
    return play.ok("POST", "/v3/payment_requests", draft, headers=V3)


# --- Balances -------------------------------------------------------------------------------------------------


def test_what_comes_in_settles_a_day_later(play):
    """Money that is paid is on its way for a day, as the invoice is PAID, and can be spent when it is SETTLED."""
    paid = invoice(play)
    assert (balance(play), balance(play, "HOLDING")) == (OPENING, 75_000)
    play.advance(DAY)
    assert play.ok("GET", f"/v2/invoices/{paid['id']}")["status"] == "SETTLED"
    assert (balance(play), balance(play, "HOLDING")) == (OPENING + 75_000, 0)


def test_what_a_balance_was(play):
    """A balance can be asked for as it was at an instant; what is to settle later does not count before."""
    before = play.sandbox.stamp()
    play.advance(1)
    payout(play, number="121212")
    play.advance(1)
    between = play.sandbox.stamp()
    play.advance(60_000)
    invoice(play)
    assert balance(play, at_timestamp="2099-01-01") == OPENING
    assert balance(play, at_timestamp=before) == OPENING
    assert balance(play, at_timestamp=between) == OPENING - 250_000
    assert balance(play, "HOLDING", at_timestamp=between) == 250_000
    assert balance(play) == OPENING


def test_each_business_has_its_own(play):
    """A sub-account and another currency have balances of their own; nothing is kept back for taxes."""
    invoice(play)
    play.advance(DAY)
    assert play.ok("GET", "/balance", headers=OTHERS)["balance"] == OPENING
    assert balance(play, currency="PHP") == 10_000_000
    assert balance(play, "TAX") == 0
    assert play.ok("GET", "/balance") == {"balance": OPENING + 75_000}


@pytest.mark.parametrize(
    "query",
    [{"account_type": "GOLD"}, {"currency": "JPY"}, {"at_timestamp": "then"}, {"currency": ["IDR", "PHP"]}],
)
def test_balances_that_cannot_be(play, query):
    """Each fault is 400 API_VALIDATION_ERROR."""
    assert play.refused("GET", "/balance", query=query) == INVALID


# --- Transactions ---------------------------------------------------------------------------------------------


def test_a_payout_as_a_transaction(play):
    """A payout is money that goes out: pending, then successful; it can be fetched by its own id."""
    made = payout(play)
    (pending,) = listed(play)
    assert re.fullmatch(
        r"txn_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", pending["id"]
    )
    assert (pending["status"], pending["cashflow"], pending["type"]) == (
        "PENDING",
        "MONEY_OUT",
        "DISBURSEMENT",
    )
    assert (pending["product_id"], pending["channel_category"]) == (made["id"], "BANK")
    assert (pending["account_identifier"], pending["settlement_status"]) == ("1231231231", None)
    play.advance(60_000)
    done = play.ok("GET", f"/transactions/{pending['id']}")
    assert done == pending | {"status": "SUCCESS", "updated": done["updated"]}
    assert done["updated"] > pending["updated"]


@pytest.mark.parametrize(
    ("number", "status"), [("121212", "FAILED"), ("654321", "REVERSED"), ("131313", "PENDING")]
)
def test_ends_of_payouts(play, number, status):
    """A transaction says how its payout ended, or that it has not."""
    payout(play, number=number)
    play.advance(600_000)
    (transaction,) = listed(play)
    assert transaction["status"] == status


def test_payments_of_all_products(play):
    """Whatever was paid is a transaction once, with its channel, its number and what it belongs to."""
    paid = invoice(play, "BANK_TRANSFER", "BCA")
    account(play)
    transfer(play, 10_000)
    code = {
        "external_id": "code-1",
        "retail_outlet_name": "ALFAMART",
        "name": "BUDI",
        "expected_amount": 20_000,
    }
    code = play.ok("POST", "/fixed_payment_code", code)
    cash = {"retail_outlet_name": "ALFAMART", "payment_code": code["payment_code"], "transfer_amount": 20_000}
    play.ok("POST", "/fixed_payment_code/simulate_payment", cash)
    old = {"external_id": "qr-1", "type": "STATIC", "callback_url": "http://127.0.0.1:1/"}
    play.ok("POST", "/qr_codes", old)
    play.ok("POST", "/qr_codes/qr-1/payments/simulate", {"amount": 1_500})
    new = {"reference_id": "qr-2", "type": "DYNAMIC", "currency": "IDR", "amount": 2_500}
    qr = play.ok("POST", "/qr_codes", new, headers={"api-version": "2022-07-31"})
    play.ok("POST", f"/qr_codes/{qr['id']}/payments/simulate")
    charge = {
        "reference_id": "wallet-1",
        "currency": "IDR",
        "amount": 45_000,
        "checkout_method": "ONE_TIME_PAYMENT",
        "channel_code": "ID_OVO",
        "channel_properties": {"mobile_number": "+628123456789"},
    }
    made = [play.ok("POST", "/ewallets/charges", charge) for _ in range(3)]
    for one, status in zip(made, ("SUCCEEDED", "FAILED"), strict=False):
        play.ok("POST", f"/sandbox/ewallets/charges/{one['id']}/simulate", {"status": status})
    plan = {"customer_id": "cust-1", "channel_code": "ID_KREDIVO", "currency": "IDR", "amount": 60_000}
    plan = play.ok("POST", "/paylater/plans", plan)
    later = {"plan_id": plan["id"], "reference_id": "later-1", "checkout_method": "ONE_TIME_PAYMENT"}
    later = play.ok("POST", "/paylater/charges", later)
    play.ok("POST", f"/sandbox/paylater/charges/{later['id']}/simulate")
    found = listed(play, limit=50)
    assert [
        (one["reference_id"], one["channel_category"], one["channel_code"], one["amount"], one["status"])
        for one in reversed(found)
    ] == [
        ("order-1", "VIRTUAL_ACCOUNT", "BCA", 75_000, "SUCCESS"),
        ("va-1", "VIRTUAL_ACCOUNT", "BNI", 10_000, "SUCCESS"),
        ("code-1", "RETAIL_OUTLET", "ALFAMART", 20_000, "SUCCESS"),
        ("qr-1", "QR_CODE", "QRIS", 1_500, "SUCCESS"),
        ("qr-2", "QR_CODE", "ID_DANA", 2_500, "SUCCESS"),
        ("wallet-1", "EWALLET", "ID_OVO", 45_000, "SUCCESS"),
        ("wallet-1", "EWALLET", "ID_OVO", 45_000, "FAILED"),
        ("later-1", "PAYLATER", "ID_KREDIVO", 60_000, "SUCCESS"),
    ]
    assert {(one["type"], one["cashflow"]) for one in found} == {("PAYMENT", "MONEY_IN")}
    assert found[-1]["product_data"] == {"payment_link_id": paid["id"]}
    assert balance(play, "HOLDING") == 75_000 + 10_000 + 20_000 + 1_500 + 2_500 + 45_000 + 60_000


def test_a_transfer_that_pays_an_invoice_counts_once(play):
    """Money that comes through a fixed account to an invoice is one transaction: the invoice's."""
    fixed = account(play)
    draft = {"external_id": "order-1", "amount": 75_000, "callback_virtual_account_id": fixed["id"]}
    play.ok("POST", "/v2/invoices", draft)
    transfer(play, 75_000)
    transfer(play, 75_000)
    assert [one["reference_id"] for one in listed(play)] == ["va-1", "order-1"]
    assert balance(play, "HOLDING") == 150_000


def test_a_charge_that_is_taken_back(play):
    """A voided charge is VOIDED, and nothing of it settles."""
    charge = {
        "reference_id": "wallet-1",
        "currency": "IDR",
        "amount": 45_000,
        "checkout_method": "ONE_TIME_PAYMENT",
        "channel_code": "ID_OVO",
        "channel_properties": {"mobile_number": "+628123456789"},
    }
    made = play.ok("POST", "/ewallets/charges", charge)
    assert listed(play) == []
    play.ok("POST", f"/sandbox/ewallets/charges/{made['id']}/simulate")
    play.ok("POST", f"/ewallets/charges/{made['id']}/void")
    play.advance(2 * DAY)
    assert [one["status"] for one in listed(play)] == ["VOIDED"]
    assert balance(play) == OPENING


def test_payments_v3(play):
    """A payment v3 that succeeds or fails is a transaction that names its request; one that waits is none."""
    good, bad, waits = request_v3(play), request_v3(play), request_v3(play)
    play.ok("POST", f"/sandbox/v3/payment_requests/{good['payment_request_id']}/simulate")
    play.ok(
        "POST", f"/sandbox/v3/payment_requests/{bad['payment_request_id']}/simulate", {"status": "FAILED"}
    )
    failed, paid = listed(play)
    assert (failed["status"], paid["status"], paid["channel_category"]) == ("FAILED", "SUCCESS", "EWALLET")
    assert paid["product_data"]["payment_request_id"] == good["payment_request_id"]
    assert waits["payment_request_id"] not in str((failed, paid))
    play.advance(DAY)
    assert balance(play) == OPENING + 90_000


def test_a_payment_v3_in_parts(play):
    """What is captured in parts is one transaction, whose parts settle each a day after it was taken."""
    properties = {"skip_three_ds": True, "card_details": CARD}
    asked = {
        "channel_code": "CARDS",
        "capture_method": "MANUAL",
        "channel_properties": {"success_return_url": "https://shop.example", **properties},
    }
    request = request_v3(play, **asked)
    payment = play.ok("GET", f"/v3/payments/{request['latest_payment_id']}", headers=V3)
    path = f"/v3/payments/{payment['payment_id']}/capture"
    play.ok("POST", path, {"capture_amount": 30_000}, headers=V3)
    play.advance(DAY // 2)
    play.ok("POST", path, {"capture_amount": 20_000}, headers=V3)
    (one,) = listed(play)
    assert (one["amount"], one["settlement_status"], one["channel_category"]) == (50_000, "PENDING", "CARDS")
    play.advance(DAY // 2)
    assert (balance(play), balance(play, "HOLDING")) == (OPENING + 30_000, 20_000)
    play.advance(DAY // 2)
    assert (balance(play), balance(play, "HOLDING")) == (OPENING + 50_000, 0)
    assert listed(play)[0]["settlement_status"] == "SETTLED"


def test_payments_v2(play):
    """A payment v2 that succeeds or fails is a transaction; a captured one settles in parts."""
    wallet = {"channel_code": "DANA", "channel_properties": {"success_return_url": "https://shop.example"}}
    method = {"type": "EWALLET", "reusability": "ONE_TIME_USE", "ewallet": wallet}
    draft = {"currency": "IDR", "amount": 90_000, "payment_method": method}
    for number, status in enumerate(("SUCCEEDED", "FAILED")):
        request = play.ok("POST", "/payment_requests", draft | {"reference_id": f"v2-{number}"})
        play.ok("POST", f"/sandbox/payment_requests/{request['id']}/simulate", {"status": status})
    play.ok("POST", "/payment_requests", draft | {"reference_id": "v2-waits"})
    properties = {"skip_three_d_secure": True}
    card = {"currency": "IDR", "channel_properties": properties, "card_information": CARD_V2}
    draft |= {"payment_method": {"type": "CARD", "reusability": "ONE_TIME_USE", "card": card}}
    draft |= {"reference_id": "v2-card", "capture_method": "MANUAL"}
    request = play.ok("POST", "/payment_requests", draft)
    play.advance(10_000)
    play.ok("POST", f"/payment_requests/{request['id']}/captures", {"capture_amount": 30_000})
    assert listed(play)[0]["amount"] == 30_000
    play.advance(DAY // 2)
    play.ok("POST", f"/payment_requests/{request['id']}/captures", {"capture_amount": 20_000})
    assert [
        (one["reference_id"], one["channel_category"], one["channel_code"], one["amount"], one["status"])
        for one in reversed(listed(play))
    ] == [
        ("v2-0", "EWALLET", "DANA", 90_000, "SUCCESS"),
        ("v2-1", "EWALLET", "DANA", 90_000, "FAILED"),
        ("v2-card", "CARDS", None, 50_000, "SUCCESS"),
    ]
    play.advance(DAY // 2)
    assert (balance(play), balance(play, "HOLDING")) == (OPENING + 90_000 + 30_000, 20_000)


def test_cycles_of_plans(play):
    """A cycle of a recurring plan that was charged is a transaction, and so is one that failed for good."""
    plan = {
        "reference_id": "plan-1",
        "customer_id": "cust-1b2c3d4e-0000-4000-8000-000000000001",
        "currency": "IDR",
        "amount": 99_000,
        "payment_tokens": [{"payment_token_id": "pt-1", "rank": 1}],
        "schedule": {
            "interval": "DAY",
            "interval_count": 1,
            "anchor_date": "2026-03-03T12:00:00Z",
            "total_recurrence": 2,
        },
    }
    play.ok("POST", "/recurring/plans", plan)
    play.advance(30 * DAY)
    found = [(one["reference_id"], one["status"], one["amount"]) for one in listed(play)]
    assert found == [("plan-1", "SUCCESS", 99_000)] * 2
    assert balance(play) == OPENING + 2 * 99_000


def test_filters(play):
    """Each filter narrows the list, alone and with others."""
    payout(play)
    play.advance(60_000)
    middle = play.sandbox.stamp()
    play.advance(1)
    paid = invoice(play)
    out, come = ["po-1"], ["order-1"]

    def found(**query):
        return [one["reference_id"] for one in listed(play, **query)]

    assert found() == come + out
    assert found(types=["PAYMENT", "REFUND"]) == found(channel_categories="EWALLET") == come
    assert found(statuses="PENDING") == []
    assert found(reference_id="po-1") == found(account_identifier="1231231231") == out
    assert found(product_id=paid["payment_id"]) == found(amount="75000.0") == come
    assert found(currency="PHP") == []
    assert found(**{"created[gte]": middle}) == found(**{"updated[gte]": middle}) == come
    assert found(**{"created[lte]": middle, "updated[lte]": middle}) == out
    assert found(created=f"{{'gte': '{middle}', 'lte': '{middle}'}}") == []
    assert found(types="PAYMENT", reference_id="po-1") == []


def test_pages_of_transactions(play):
    """The list goes on from page to page by its links, newest first."""
    for number in range(5):
        payout(play, reference=f"po-{number}")
    body = play.ok("GET", "/transactions", query={"limit": 2, "types": "DISBURSEMENT"})
    assert [one["reference_id"] for one in body["data"]] == ["po-4", "po-3"]
    (link,) = body["links"]
    last = body["data"][-1]["id"]
    assert body["has_more"]
    assert link == {
        "href": f"/transactions?limit=2&types=DISBURSEMENT&after_id={last}",
        "rel": "next",
        "method": "GET",
    }
    body = play.ok("GET", "/transactions", query={"after_id": last})
    assert [one["reference_id"] for one in body["data"]] == ["po-2", "po-1", "po-0"]
    assert (body["has_more"], body["links"]) == (False, [])
    assert [one["reference_id"] for one in listed(play, before_id=last)] == ["po-4"]


@pytest.mark.parametrize(
    "query",
    [
        {"types": "GIFT"},
        {"statuses": "PAID"},
        {"channel_categories": "GOLD"},
        {"amount": "much"},
        {"limit": "51"},
        {"created": "yesterday"},
        {"created[gte]": "yesterday"},
        {"after_id": "txn_none"},
        {"currency": ["IDR", "PHP"]},
    ],
)
def test_lists_that_cannot_be(play, query):
    """Each fault is 400 API_VALIDATION_ERROR."""
    assert play.refused("GET", "/transactions", query=query) == INVALID


def test_transactions_of_others(play):
    """A sub-account sees its own."""
    payout(play)
    (mine,) = listed(play)
    assert listed(play, headers=OTHERS) == []
    assert play.refused("GET", f"/transactions/{mine['id']}", headers=OTHERS) == MISSING


def test_books_are_the_same_after_a_restart(tmp_path):
    """The books are read from what is kept: the same ids, amounts and balances."""
    with playing(tmp_path) as play:
        payout(play)
        invoice(play)
        before = listed(play), balance(play), balance(play, "HOLDING")
    with playing(tmp_path) as play:
        assert (listed(play), balance(play), balance(play, "HOLDING")) == before


# --- Reports --------------------------------------------------------------------------------------------------


def ordered(play, kind="TRANSACTIONS", **more):
    day = play.sandbox.stamp()[:10]
    return play.ok(
        "POST", "/reports", {"type": kind, "filter": {"from": day, "to": f"{day}T23:59:59Z"}, **more}
    )


def told_well(play, event):
    """Return the body of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, "report"]
    assert faults(event, "legacy", body) == []
    return body


def rows(play, report, key=None):
    """Fetch a report's file as whoever has its address would."""
    answer = play.call("GET", report["url"].removeprefix(SITE), key=key)
    assert answer.content_type.startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.body.decode())))


def test_a_report(play):
    """A report is PENDING, then COMPLETED, which is told with where its file is; the file has the period's rows."""
    payout(play)
    invoice(play)
    report = ordered(play)
    assert (report["status"], report["format"], "url" in report) == ("PENDING", "CSV", False)
    play.advance(5_000)
    body = told_well(play, "report.completed")
    assert body == play.ok("GET", f"/reports/{report['id']}")
    assert [row["reference_id"] for row in rows(play, body)] == ["po-1", "order-1"]
    play.advance(DAY)
    assert play.refused("GET", body["url"].removeprefix(SITE)) == MISSING


def test_the_kinds_of_reports(play):
    """A history has each change of the balance and what it left; upcoming ones are what has not settled."""
    payout(play, number="121212")
    play.advance(60_000)
    invoice(play)
    kinds = ("BALANCE_HISTORY", "UPCOMING_TRANSACTIONS", "DETAILED_TRANSACTIONS")
    for kind in kinds:
        ordered(play, kind)
    play.advance(5_000)
    history, upcoming, detailed = (
        rows(play, body) for event, _, body in play.told() if event == "report.completed"
    )
    assert [(row["change"], row["balance"]) for row in history] == [
        ("-250000", str(OPENING - 250_000)),
        ("250000", str(OPENING)),
    ]
    assert [row["reference_id"] for row in upcoming] == ["order-1"]
    assert [row["settlement_status"] for row in detailed] == ["", "PENDING"]


@pytest.mark.parametrize("kind", ["BALANCE_HISTORY", "TRANSACTIONS"])
def test_reports_at_the_ends_of_the_calendar(play, kind):
    """A period in which nothing can have happened makes a report without rows."""
    for day in ("0001-01-01", "9999-12-31"):
        play.ok("POST", "/reports", {"type": kind, "filter": {"from": day, "to": day}})
        play.advance(5_000)
        assert rows(play, told_well(play, "report.completed")) == []


def test_a_report_in_another_currency(play):
    """A report is about one currency, rupiah unless it says otherwise."""
    payout(play)
    ordered(play, currency="PHP")
    play.advance(5_000)
    assert rows(play, told_well(play, "report.completed")) == []


def test_a_report_that_fails(play):
    """The control route ends a pending report, once."""
    report = ordered(play)
    path = f"/sandbox/reports/{report['id']}/simulate"
    assert play.ok("POST", path, {"status": "FAILED"})["status"] == "FAILED"
    assert "url" not in told_well(play, "report.failed")
    assert play.refused("POST", path) == (400, "INELIGIBLE_TRANSACTION")
    assert play.refused("GET", f"/sandbox/reports/{report['id']}.csv") == MISSING
    play.advance(60_000)
    assert len(play.told()) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "GOSSIP"}, "API_VALIDATION_ERROR"),
        ({"filter": {"from": "2020-01-01"}}, "API_VALIDATION_ERROR"),
        ({"filter": {"from": "then", "to": "now"}}, "API_VALIDATION_ERROR"),
        ({"filter": {"from": "2020-01-02", "to": "2020-01-01"}}, "API_VALIDATION_ERROR"),
        ({"filter": {"from": "2020-01-01", "to": "2020-04-02"}}, "DATE_RANGE_TOO_BIG"),
        ({"filter": dict.fromkeys(("from", "to"), "0001-01-01T00:00:00+23:59")}, "API_VALIDATION_ERROR"),
        ({"filter": dict.fromkeys(("from", "to"), "9999-12-31T23:59:59-23:59")}, "API_VALIDATION_ERROR"),
        ({"format": "PDF"}, "API_VALIDATION_ERROR"),
        ({"currency": "rupiah"}, "API_VALIDATION_ERROR"),
        ({"type": "BALANCE_HISTORY", "currency": "JPY"}, "API_VALIDATION_ERROR"),
    ],
)
def test_reports_that_cannot_be(play, change, code):
    """Each fault is refused with the provider's code."""
    draft = {"type": "TRANSACTIONS", "filter": PERIOD} | change
    assert play.refused("POST", "/reports", draft) == (400, code)


def test_reports_of_others(play):
    """Reports that are not there, and those of others, are 404."""
    report = ordered(play)
    assert play.refused("GET", f"/reports/{report['id']}", headers=OTHERS) == MISSING
    assert play.refused("POST", f"/sandbox/reports/{report['id']}/simulate", headers=OTHERS) == MISSING


def test_a_report_is_made_after_a_restart(tmp_path):
    """A report that was ordered before the sandbox stopped is made when it has started again."""
    with playing(tmp_path) as play:
        invoice(play)
        ordered(play)
    with playing(tmp_path) as play:
        play.advance(5_000)
        assert len(rows(play, told_well(play, "report.completed"))) == 1
