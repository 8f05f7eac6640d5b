"""Refunds in the sandbox: of payment requests of both versions, of invoices and of e-wallet charges."""

import pytest
from sandboxes import OWNER, playing
from xendit_tables import faults

from ringback.sandbox.xendit.books import OPENING, Books
from ringback.sandbox.xendit.movements import HOLDING
from xendit_requests import OTHERS, REQUEST_V2, REQUEST_V3

DAY = 86_400_000
CHARGE = {
    "reference_id": "order-1",
    "currency": "IDR",
    "amount": 150_000,
    "checkout_method": "ONE_TIME_PAYMENT",
    "channel_code": "ID_DANA",
    "channel_properties": {"success_redirect_url": "https://shop.example/ok"},
}
MISSING = (404, "DATA_NOT_FOUND")
INELIGIBLE = (400, "INELIGIBLE_TRANSACTION")
INVALID = (400, "API_VALIDATION_ERROR")
IN_PROGRESS = (400, "REFUND_IN_PROGRESS")


def asked_v3(play, **more):
    request = play.ok("POST", "/v3/payment_requests", REQUEST_V3 | more)
    return {"payment_request_id": request["payment_request_id"]}


def paid_v3(play, **more):
    asked = asked_v3(play, **more)
    payment = play.ok("POST", f"/sandbox/v3/payment_requests/{asked['payment_request_id']}/simulate")
    return asked, payment["payment_id"]


def asked_v2(play):
    return {"payment_request_id": play.ok("POST", "/payment_requests", REQUEST_V2)["id"]}


def paid_v2(play):
    asked = asked_v2(play)
    play.ok("POST", f"/payment_requests/{asked['payment_request_id']}/payments/simulate")
    told = [body["data"] for event, _, body in play.told() if event == "payment.succeeded"]
    return asked, told[-1]["id"]


def asked_invoice(play):
    return {
        "invoice_id": play.ok("POST", "/v2/invoices", {"external_id": "order-0", "amount": 150_000})["id"]
    }


def paid_invoice(play, method="EWALLET", channel="DANA"):
    asked = asked_invoice(play)
    way = {"payment_method": method, "payment_channel": channel}
    invoice = play.ok("POST", f"/sandbox/invoices/{asked['invoice_id']}/pay", way)
    return asked, invoice["payment_id"]


def charged(play):
    """Return the path of the refunds of a charge that was paid."""
    charge = play.ok("POST", "/ewallets/charges", CHARGE)
    play.ok("POST", f"/sandbox/ewallets/charges/{charge['id']}/simulate")
    return f"/ewallets/charges/{charge['id']}"


PAID = {"v3": paid_v3, "v2": paid_v2, "invoice": paid_invoice}
ASKED = {"v3": asked_v3, "v2": asked_v2, "invoice": asked_invoice}
EXCEEDED = {
    "v3": (400, "REFUND_AMOUNT_EXCEEDED"),
    "v2": (400, "MAXIMUM_REFUND_AMOUNT_REACHED"),
    "invoice": (400, "MAXIMUM_REFUND_AMOUNT_REACHED"),
}


def refund(play, asked, **more):
    return play.ok("POST", "/refunds", asked | more)


def end(play, made, **outcome):
    return play.ok("POST", f"/sandbox/refunds/{made['id']}/simulate", outcome)


def told_well(play, event):
    """Return the data of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, "refunds"]
    assert faults(event, "event", body) == []
    assert list(body["data"]) == sorted(body["data"], key=lambda key: (len(key), key))
    return body["data"]


def balance(play, account="CASH"):
    return Books(play.sandbox).balance(OWNER, "IDR", account)


@pytest.mark.parametrize("kind", PAID)
def test_a_whole_refund(play, kind):
    """Without an amount all is refunded: PENDING first, and told with all documented fields once it has succeeded."""
    asked, payment_id = PAID[kind](play)
    before = len(play.told())
    made = refund(play, asked, reason="DUPLICATE", reference_id="r-1", metadata={"case": "7"})
    assert (made["status"], made["amount"], made["reason"]) == ("PENDING", 150_000, "DUPLICATE")
    assert (made["payment_id"], made["payment_method_type"], made["country"]) == (payment_id, "EWALLET", "ID")
    assert {name: made[name] for name in ("payment_request_id", "invoice_id")} == {
        "payment_request_id": None,
        "invoice_id": None,
    } | asked
    assert play.ok("GET", f"/refunds/{made['id']}") == made
    assert len(play.told()) == before
    play.advance(10_000)
    data = told_well(play, "refund.succeeded")
    assert data == play.ok("GET", f"/refunds/{made['id']}")
    assert (data["status"], data["channel_code"], data["metadata"]) == ("SUCCEEDED", "DANA", {"case": "7"})
    assert play.refused("POST", "/refunds", asked) == EXCEEDED[kind]
    play.advance(60_000)
    assert len(play.told()) == before + 1


@pytest.mark.parametrize("kind", PAID)
def test_parts_add_up_to_the_whole(play, kind):
    """Parts can be refunded one after the other until nothing is left; one that failed or was cancelled is free."""
    asked, _ = PAID[kind](play)
    end(play, refund(play, asked, amount=100_000, currency="IDR"))
    assert play.refused("POST", "/refunds", asked | {"amount": 50_001}) == EXCEEDED[kind]
    end(play, refund(play, asked, amount=50_000), status="FAILED")
    cancelled = refund(play, asked, amount=50_000)
    assert play.refused("POST", "/refunds", asked | {"amount": 1}) == IN_PROGRESS
    play.ok("POST", f"/refunds/{cancelled['id']}/cancel")
    assert refund(play, asked)["amount"] == 50_000
    play.advance(10_000)
    assert play.refused("POST", "/refunds", asked | {"amount": 1}) == EXCEEDED[kind]


@pytest.mark.parametrize("kind", ASKED)
def test_what_was_not_paid(play, kind):
    """Nothing is refunded of what was not paid."""
    code = "INELIGIBLE_TRANSACTION_STATUS" if kind == "v3" else "INELIGIBLE_TRANSACTION"
    assert play.refused("POST", "/refunds", ASKED[kind](play)) == (400, code)


def test_a_refund_fails(play):
    """A refund that fails says why, is told, and stays as it is."""
    asked, _ = paid_v3(play)
    made = refund(play, asked)
    end(play, made, status="FAILED", failure_code="ACCOUNT_NOT_FOUND")
    data = told_well(play, "refund.failed")
    assert (data["status"], data["failure_code"]) == ("FAILED", "ACCOUNT_NOT_FOUND")
    end(play, refund(play, asked), status="FAILED")
    assert told_well(play, "refund.failed")["failure_code"] == "REFUND_FAILED"
    assert play.refused("POST", f"/sandbox/refunds/{made['id']}/simulate") == INELIGIBLE


def test_a_refund_is_cancelled(play):
    """A refund can be cancelled before it has ended, once, and nothing is told of it."""
    made = refund(play, paid_v3(play)[0])
    before = len(play.told())
    assert play.ok("POST", f"/refunds/{made['id']}/cancel")["status"] == "CANCELLED"
    assert play.refused("POST", f"/refunds/{made['id']}/cancel") == INELIGIBLE
    play.advance(60_000)
    assert len(play.told()) == before


def test_only_what_was_captured_is_refunded(play):
    """Of an authorization that was captured in part, that part can be refunded, to the centavo."""
    card = {"card_number": "4000000000001091", "expiry_month": "12", "expiry_year": "2040"}
    request = play.ok(
        "POST",
        "/v3/payment_requests",
        REQUEST_V3
        | {"country": "PH", "currency": "PHP", "request_amount": 0.5, "capture_method": "MANUAL"}
        | {"channel_code": "CARDS", "channel_properties": {"card_details": card, "skip_three_ds": True}},
    )
    asked = {"payment_request_id": request["payment_request_id"]}
    for amount in (0.1, 0.2):
        capture = {"capture_amount": amount}
        play.ok("POST", f"/v3/payments/{request['latest_payment_id']}/capture", capture)
    end(play, refund(play, asked, amount=0.1))
    rest = refund(play, asked)
    assert (rest["amount"], rest["payment_method_type"], rest["country"]) == (0.2, "CARD", "PH")


@pytest.mark.parametrize(
    ("method", "channel", "refunded_as"),
    [
        ("CREDIT_CARD", "CREDIT_CARD", ("CARD", "CARDS")),
        ("DIRECT_DEBIT", "DD_BRI", ("DIRECT_DEBIT", "DD_BRI")),
    ],
)
def test_how_an_invoice_was_paid(play, method, channel, refunded_as):
    """A refund says by which method and channel its invoice was paid; a settled invoice can be refunded, too."""
    asked, _ = paid_invoice(play, method, channel)
    play.advance(2 * DAY)
    made = refund(play, asked)
    assert (made["payment_method_type"], made["channel_code"]) == refunded_as


def test_what_cannot_be_refunded(play):
    """Transfers, QR codes and cash are not refunded: 400, and 403 for the v3 API."""
    unsupported = "REFUND_NOT_SUPPORTED"
    for method, channel in (("BANK_TRANSFER", "BCA"), ("QR_CODE", "QRIS"), ("PAYLATER", "KREDIVO")):
        assert play.refused("POST", "/refunds", paid_invoice(play, method, channel)[0]) == (400, unsupported)
    account = {"channel_code": "BRI_VIRTUAL_ACCOUNT", "channel_properties": {}}
    assert play.refused("POST", "/refunds", paid_v3(play, **account)[0]) == (403, unsupported)
    code = account | {"type": "REUSABLE_PAYMENT_CODE"}
    assert play.refused("POST", "/refunds", asked_v3(play, **code)) == (403, unsupported)


@pytest.mark.parametrize(
    "change",
    [
        {"payment_request_id": None},
        {"invoice_id": "579c8d61f23fa4ca35e52da4"},
        {"amount": 0},
        {"amount": "1"},
        {"currency": "PHP"},
        {"reason": "BORED"},
        {"metadata": {"k" * 41: "v"}},
    ],
)
def test_what_is_no_refund(play, change):
    """Each fault is 400 API_VALIDATION_ERROR."""
    assert play.refused("POST", "/refunds", paid_v3(play)[0] | change) == INVALID


def test_what_is_not_there(play):
    """Unknown payments, invoices and refunds, and those of others, are 404."""
    asked, _ = paid_v3(play)
    invoice, _ = paid_invoice(play)
    made = refund(play, asked)
    for body in (asked, invoice):
        assert play.refused("POST", "/refunds", body, headers=OTHERS) == MISSING
    for body in ({"payment_request_id": "pr-x"}, {"invoice_id": "x"}):
        assert play.refused("POST", "/refunds", body) == MISSING
    for named, headers in (("rfd-x", {}), (made["id"], OTHERS)):
        assert play.refused("GET", f"/refunds/{named}", headers=headers) == MISSING
        assert play.refused("POST", f"/refunds/{named}/cancel", headers=headers) == MISSING
        assert play.refused("POST", f"/sandbox/refunds/{named}/simulate", headers=headers) == MISSING
    assert play.ok("GET", "/refunds", headers=OTHERS)["data"] == []


def test_lists(play):
    """Refunds are listed newest first, by what was refunded and how, in pages."""
    invoice, request = paid_invoice(play)[0], paid_v3(play)[0]
    made = []
    for asked in (invoice, request, request):
        made.insert(0, refund(play, asked, amount=1_000))
        end(play, made[0])

    def found(**query):
        page = play.ok("GET", "/refunds", query=query)
        return [
            made.index(next(one for one in made if one["id"] == item["id"])) for item in page["data"]
        ], page["has_more"]

    assert found() == ([0, 1, 2], False)
    assert found(**request) == ([0, 1], False)
    assert found(**invoice) == ([2], False)
    assert found(payment_method_type="CARD") == ([], False)
    assert found(channel_code="DANA", limit="2.0") == ([0, 1], True)
    assert found(after_id=made[0]["id"], limit=1) == ([1], True)
    assert found(before_id=made[2]["id"]) == ([0, 1], True)
    assert play.refused("GET", "/refunds", query={"limit": 0}) == INVALID
    assert play.refused("GET", "/refunds", query={"after_id": "x"}) == INVALID


def test_a_call_that_comes_twice(play):
    """With an idempotency key a refund is made once; the key is for one body."""
    asked, key = paid_v3(play)[0], {"idempotency-key": "k-1"}
    first = refund(play, asked | {"amount": 1_000})
    assert play.refused("POST", "/refunds", asked) == IN_PROGRESS
    end(play, first)
    once = play.ok("POST", "/refunds", asked | {"amount": 2_000}, headers=key)
    assert play.ok("POST", "/refunds", asked | {"amount": 2_000}, headers=key) == once
    assert play.refused("POST", "/refunds", asked, headers=key) == (409, "IDEMPOTENCY_ERROR")
    assert len(play.ok("GET", "/refunds")["data"]) == 2


def test_a_refund_is_paid_from_the_balance(play):
    """Its amount leaves the balance at once, comes back if it does not succeed, and must be there."""
    asked, _ = paid_v3(play)
    assert (balance(play), balance(play, HOLDING)) == (OPENING["IDR"], 150_000)
    made = refund(play, asked, amount=100_000)
    assert (balance(play), balance(play, HOLDING)) == (OPENING["IDR"] - 100_000, 250_000)
    end(play, made, status="FAILED")
    assert balance(play) == OPENING["IDR"]
    end(play, refund(play, asked))
    assert (balance(play), balance(play, HOLDING)) == (OPENING["IDR"] - 150_000, 150_000)
    transactions = play.ok("GET", "/transactions", query={"types": "REFUND"})["data"]
    assert [(one["status"], one["amount"], one["cashflow"]) for one in transactions] == [
        ("SUCCESS", 150_000, "MONEY_OUT"),
        ("FAILED", 100_000, "MONEY_OUT"),
    ]
    dear, _ = paid_v3(play, request_amount=OPENING["IDR"])
    assert play.refused("POST", "/refunds", dear) == (400, "INSUFFICIENT_BALANCE")
    play.advance(DAY)
    assert refund(play, dear)["amount"] == OPENING["IDR"]


# --- E-wallet charges ----------------------------------------------------------------------------------------


def test_a_charge_is_refunded(play):
    """The older product shows a refund in its own words; the charge adds up what was refunded."""
    charge = charged(play)
    made = play.ok("POST", f"{charge}/refunds", {"amount": 50_000, "reason": "REQUESTED_BY_CUSTOMER"})
    assert (made["status"], made["refund_amount"], made["capture_amount"]) == ("PENDING", 50_000, 150_000)
    assert play.ok("GET", charge)["refunded_amount"] is None
    assert play.refused("POST", f"{charge}/refunds") == IN_PROGRESS
    end(play, made)
    data = told_well(play, "refund.succeeded")
    assert (data["payment_id"], data["channel_code"]) == (made["charge_id"], "ID_DANA")
    end(play, play.ok("POST", f"{charge}/refunds"))
    assert play.ok("GET", charge)["refunded_amount"] == 150_000
    refunds = play.ok("GET", f"{charge}/refunds")["data"]
    assert [one["refund_amount"] for one in refunds] == [100_000, 50_000]
    assert play.ok("GET", f"{charge}/refunds/{made['id']}") == refunds[1]
    assert play.refused("POST", f"{charge}/refunds") == (400, "MAXIMUM_REFUND_AMOUNT_REACHED")
    assert play.refused("POST", f"{charge}/void") == INELIGIBLE


def test_charges_that_cannot_be_refunded(play):
    """A charge that was not paid, or is taken back, is not refunded; one that is not there is 404."""
    pending = play.ok("POST", "/ewallets/charges", CHARGE)["id"]
    assert play.refused("POST", f"/ewallets/charges/{pending}/refunds") == INELIGIBLE
    voided = charged(play)
    play.ok("POST", f"{voided}/void")
    assert play.refused("POST", f"{voided}/refunds") == INELIGIBLE
    assert play.refused("POST", "/ewallets/charges/ewc_x/refunds") == MISSING
    made = play.ok("POST", f"{charged(play)}/refunds")
    assert play.refused("GET", f"{charged(play)}/refunds/{made['id']}") == MISSING
    assert play.refused("GET", f"{voided}/refunds", headers=OTHERS) == MISSING


def test_a_refund_does_not_stop_a_void(play):
    """A charge that is taken back while its refund is under way is taken back all the same."""
    charge = charged(play)
    made = play.ok("POST", f"{charge}/refunds", {"amount": 1_000})
    play.ok("POST", f"{charge}/void")
    end(play, made)
    play.advance(60_000)
    assert play.ok("GET", charge)["void_status"] == "SUCCEEDED"


def test_a_restart(tmp_path):
    """A refund that is under way ends in the next run, and counts there."""
    with playing(tmp_path) as play:
        asked, _ = paid_v3(play)
        charge = charged(play)
        refund(play, asked, amount=100_000)
        play.ok("POST", f"{charge}/refunds")
    with playing(tmp_path, seed=8) as play:
        assert play.refused("POST", "/refunds", asked) == IN_PROGRESS
        play.advance(10_000)
        assert [event for event, _, _ in play.told()][-2:] == ["refund.succeeded"] * 2
        assert play.ok("GET", charge)["refunded_amount"] == 150_000
        assert refund(play, asked)["amount"] == 50_000
