"""The provider's official Python SDK, unmodified, refunds payments of a real sandbox process."""

import json

import pytest
from running import receiving
from sandbox_process import refusal, sandbox
from xendit.apis import RefundApi
from xendit.refund.model.create_refund import CreateRefund
from xendit.refund.model.refund_callback import RefundCallback

from xendit_requests import OTHER_BUSINESS, REQUEST_V2, REQUEST_V3

MISSING = (404, "DATA_NOT_FOUND")


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Return a sandbox; whatever the tests make stays in it, so each refunds its own payments."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as box:
        yield box


@pytest.fixture(scope="module")
def refunds(box):
    return RefundApi(box.client())


def paid_v3(box):
    request = box.ok("POST", "/v3/payment_requests", REQUEST_V3)["payment_request_id"]
    box.ok("POST", f"/sandbox/v3/payment_requests/{request}/simulate")
    return {"payment_request_id": request}


def paid_v2(box):
    request = box.ok("POST", "/payment_requests", REQUEST_V2)["id"]
    box.ok("POST", f"/payment_requests/{request}/payments/simulate")
    return {"payment_request_id": request}


def paid_invoice(box, method="EWALLET", channel="DANA"):
    invoice = box.ok("POST", "/v2/invoices", {"external_id": "order-1", "amount": 150_000})["id"]
    box.ok(
        "POST",
        f"/sandbox/invoices/{invoice}/pay",
        {"payment_method": method, "payment_channel": channel},
    )
    return {"invoice_id": invoice}


def end(box, refund, **outcome):
    box.ok("POST", f"/sandbox/refunds/{refund.id}/simulate", outcome)


@pytest.mark.parametrize("paid", [paid_v2, paid_v3, paid_invoice])
def test_a_refund(box, refunds, paid):
    """Whatever the SDK's model of a request can say is taken, and said again by the refund."""
    asked = paid(box)
    request = CreateRefund(
        **asked,
        reference_id="refund-1",
        amount=50_000.0,
        currency="IDR",
        reason="REQUESTED_BY_CUSTOMER",
        metadata={"case": "7"},
    )
    made = refunds.create_refund(create_refund=request)
    assert (made.amount, made.currency, made.country, made.channel_code) == (50_000, "IDR", "ID", "DANA")
    assert (made.reference_id, made.metadata, made.status) == ("refund-1", {"case": "7"}, "PENDING")
    assert (made.failure_code, made.refund_fee_amount) == (None, None)
    assert refunds.get_refund(made.id).to_dict() == made.to_dict()
    end(box, made)
    assert refunds.get_refund(made.id).status == "SUCCEEDED"
    rest = refunds.create_refund(create_refund=CreateRefund(**asked))
    assert (rest.amount, rest.reason) == (100_000, "OTHERS")


def test_lists(box, refunds):
    """Each filter that the SDK sends is heeded, alone and with the others."""
    request, invoice = paid_v3(box), paid_invoice(box, "CREDIT_CARD", "CREDIT_CARD")
    made = []
    for asked in (request, request, request, invoice):
        refund = refunds.create_refund(create_refund=CreateRefund(**asked, amount=1_000.0))
        end(box, refund)
        made.insert(0, refund.id)

    def found(**filters):
        page = refunds.get_all_refunds(**filters)
        return [made.index(refund.id) for refund in page.data], page.has_more

    assert found(**request) == ([1, 2, 3], False)
    assert found(**invoice) == ([0], False)
    assert found(**request, limit=2.0) == ([1, 2], True)
    assert found(**request, limit=1.0, after_id=made[1]) == ([2], True)
    assert found(**request, before_id=made[2]) == ([1], True)
    assert found(**request, channel_code="DANA", payment_method_type="EWALLET") == ([1, 2, 3], False)
    assert found(**request, channel_code="CARDS") == ([], False)
    assert found(payment_method_type="CARD") == ([0], False)
    assert found(for_user_id=OTHER_BUSINESS) == ([], False)


def test_a_refund_is_cancelled(box, refunds):
    """A refund that has not ended is cancelled, once, and then the payment can be refunded again."""
    asked = paid_v2(box)
    made = refunds.create_refund(create_refund=CreateRefund(**asked))
    assert refunds.cancel_refund(made.id).status == "CANCELLED"
    assert refusal(refunds.cancel_refund, made.id) == (400, "INELIGIBLE_TRANSACTION")
    assert refunds.create_refund(create_refund=CreateRefund(**asked)).amount == 150_000


def test_errors_are_the_sdks_own(box, refunds):
    """What the provider refuses surfaces as the SDK's exception, with the status and the provider's code."""

    def refused(asked, **more):
        return refusal(refunds.create_refund, create_refund=CreateRefund(**asked, **more))

    asked = paid_v2(box)
    assert refused({}) == (400, "API_VALIDATION_ERROR")
    assert refused(asked, amount=0.0) == (400, "API_VALIDATION_ERROR")
    assert refused(asked, currency="PHP") == (400, "API_VALIDATION_ERROR")
    assert refused(asked, amount=150_001.0) == (400, "MAXIMUM_REFUND_AMOUNT_REACHED")
    assert refused({"payment_request_id": "pr-x"}) == MISSING
    assert refused({"invoice_id": "579c8d61f23fa4ca35e52da4"}) == MISSING
    assert refused(paid_invoice(box, "BANK_TRANSFER", "BCA")) == (400, "REFUND_NOT_SUPPORTED")
    unpaid = box.ok("POST", "/payment_requests", REQUEST_V2)["id"]
    assert refused({"payment_request_id": unpaid}) == (400, "INELIGIBLE_TRANSACTION")
    made = refunds.create_refund(create_refund=CreateRefund(**asked))
    assert refused(asked) == (400, "REFUND_IN_PROGRESS")
    end(box, made)
    assert refused(asked) == (400, "MAXIMUM_REFUND_AMOUNT_REACHED")


def test_whose_refund(box, refunds):
    """A refund is seen by nobody but its own business."""
    asked = paid_v3(box)
    mine = CreateRefund(**asked)
    assert refusal(refunds.create_refund, for_user_id=OTHER_BUSINESS, create_refund=mine) == MISSING
    made = refunds.create_refund(create_refund=mine)
    for call in (refunds.get_refund, refunds.cancel_refund):
        assert refusal(call, made.id, for_user_id=OTHER_BUSINESS) == MISSING
        assert refusal(call, "rfd-x") == MISSING
    wrong = RefundApi(box.client("xnd_development_other"))
    assert refusal(wrong.get_refund, made.id) == (401, "INVALID_API_KEY")


def test_an_idempotent_refund(box, refunds):
    """The same key and body make one refund; another body under that key is 409."""
    body = CreateRefund(**paid_v3(box), amount=1_000.0)
    once = {"idempotency_key": "refund-9"}
    first = refunds.create_refund(**once, create_refund=body)
    assert refunds.create_refund(**once, create_refund=body).id == first.id
    other = CreateRefund(payment_request_id=body.payment_request_id, amount=2_000.0)
    assert refusal(refunds.create_refund, **once, create_refund=other) == (409, "IDEMPOTENCY_ERROR")


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
def test_a_refund_is_told(tmp_path, status):
    """The end of a refund reaches the merchant as a webhook that the SDK's own model of it can read."""
    with receiving() as receiver, sandbox(tmp_path, "--webhook-url", f"{receiver.url}/hooks") as box:
        refunds = RefundApi(box.client())
        made = refunds.create_refund(create_refund=CreateRefund(**paid_v3(box)))
        end(box, made, status=status)

        def told():
            # The model takes no integers for amounts, of which clients of the SDK make the same.
            bodies = [json.loads(arrival.body, parse_int=float) for arrival in receiver.seen()]
            return [body for body in bodies if body["event"].startswith("refund.")]

        receiver.until(told)
        read = RefundCallback(**told()[0], _spec_property_naming=True)
        assert (read.event, read.data["id"]) == (f"refund.{status.lower()}", made.id)
        assert (read.data["status"], read.data["country"]) == (status, "ID")
