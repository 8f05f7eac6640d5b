"""The provider's official Python SDK, unmodified, makes, finds and ends invoices of a real sandbox process."""

from datetime import UTC, datetime, timedelta

import pytest
from running import receiving
from sandbox_process import KEY, refusal, sandbox
from xendit.apis import InvoiceApi
from xendit.invoice.model.create_invoice_request import CreateInvoiceRequest

from xendit_requests import OTHER_BUSINESS

DRAFT = {"external_id": "order-1", "amount": 75_000}


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Return a sandbox; whatever the tests make stays in it, so each looks for its own."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as box:
        yield box


@pytest.fixture(scope="module")
def invoices(box):
    return InvoiceApi(box.client())


def test_create_with_little(invoices):
    """Two fields make an invoice that the SDK takes: every mandatory field is there, in its kind."""
    invoice = invoices.create_invoice(DRAFT)
    assert (invoice.external_id, invoice.amount, invoice.status.value) == ("order-1", 75_000, "PENDING")
    assert invoice.expiry_date - invoice.created == timedelta(days=1)
    assert [bank["bank_code"].value for bank in invoice.available_banks[:2]] == ["BCA", "BNI"]
    assert invoice.should_send_email is False


def test_create_with_everything(box):
    """Whatever the SDK's model of a request can say is taken, and said again by the invoice."""
    request = CreateInvoiceRequest(
        external_id="order-2",
        amount=250_500.0,
        payer_email="siti@example.com",
        description="Order 2",
        invoice_duration=3_600.0,
        should_send_email=True,
        success_redirect_url="https://shop.example/ok",
        failure_redirect_url="https://shop.example/no",
        payment_methods=["BCA", "ALFAMART", "DANA", "QRIS"],
        currency="IDR",
        locale="en",
        should_authenticate_credit_card=True,
        reminder_time=0.5,
        reminder_time_unit="hours",
        metadata={"branch": "menteng"},
        customer=_model("customer_object", "CustomerObject")(given_names="Siti", surname="Aminah"),
        customer_notification_preference=_model("notification_preference", "NotificationPreference")(
            invoice_paid=[_model("notification_channel", "NotificationChannel")("whatsapp")]
        ),
        items=[_model("invoice_item", "InvoiceItem")(name="Kettle", price=125_000.0, quantity=2.0)],
        fees=[_model("invoice_fee", "InvoiceFee")(type="Delivery", value=500.0)],
    )
    invoice = InvoiceApi(box.client()).create_invoice(request)
    assert invoice.expiry_date - invoice.created == timedelta(hours=1)
    assert invoice.reminder_date == invoice.expiry_date - timedelta(minutes=30)
    assert (invoice.customer.given_names, invoice.items[0].name, invoice.fees[0].value) == (
        "Siti",
        "Kettle",
        500,
    )
    assert [wallet["ewallet_type"].value for wallet in invoice.available_ewallets] == ["DANA"]
    assert (len(invoice.available_banks), len(invoice.available_paylaters)) == (1, 0)
    assert invoice.metadata == {"branch": "menteng"}


def test_get(box, invoices):
    """An invoice is found by its id, by nobody but its own business."""
    made = invoices.create_invoice(DRAFT)
    assert invoices.get_invoice_by_id(made.id).to_dict() == made.to_dict()
    missing = (404, "INVOICE_NOT_FOUND_ERROR")
    assert refusal(invoices.get_invoice_by_id, made.id, for_user_id=OTHER_BUSINESS) == missing
    assert refusal(invoices.get_invoice_by_id, "579c8d61f23fa4ca35e52da4") == missing


def test_list_with_every_filter(box, invoices):
    """Each filter that the SDK sends is heeded, alone and with the others."""
    before = datetime.now(UTC) - timedelta(minutes=1)
    after = datetime.now(UTC) + timedelta(days=2)
    paid, pending, expired = (invoices.create_invoice(DRAFT | {"external_id": "list"}).id for _ in range(3))
    box.ok("POST", f"/sandbox/invoices/{paid}/pay", {"payment_method": "EWALLET", "payment_channel": "DANA"})
    invoices.expire_invoice(expired)

    def found(**filters):
        return [invoice.id for invoice in invoices.get_invoices(external_id="list", **filters)]

    assert found() == [expired, pending, paid]
    assert found(statuses=["PENDING", "EXPIRED"]) == [expired, pending]
    assert found(limit=2.0) == [expired, pending]
    assert found(limit=2.0, last_invoice=pending) == [paid]
    assert found(payment_channels=["DANA"]) == [paid]
    assert found(payment_channels=["BCA"]) == []
    assert found(client_types=["API_GATEWAY"]) == [expired, pending, paid]
    assert found(client_types=["DASHBOARD"]) == []
    assert found(created_after=before, created_before=after) == [expired, pending, paid]
    assert found(created_after=after) == []
    assert found(paid_after=before, paid_before=after) == [paid]
    assert found(expired_after=before, expired_before=after) == [expired]
    assert found(on_demand_link="x") == found(recurring_payment_id="x") == []
    assert found(statuses=["PAID"], payment_channels=["DANA"], paid_after=before, limit=1.0) == [paid]


def test_expire(invoices):
    """A pending invoice ends by a call, once."""
    invoice = invoices.create_invoice(DRAFT)
    assert invoices.expire_invoice(invoice.id).status.value == "EXPIRED"
    assert refusal(invoices.expire_invoice, invoice.id)[0] == 404
    assert refusal(invoices.expire_invoice, "579c8d61f23fa4ca35e52da4") == (404, "INVOICE_NOT_FOUND_ERROR")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 9_999}, "MINIMAL_TRANSFER_AMOUNT_ERROR"),
        ({"amount": 2_000_000_000_000}, "MAXIMUM_TRANSFER_AMOUNT_ERROR"),
        ({"external_id": ""}, "API_VALIDATION_ERROR"),
        ({"success_redirect_url": "javascript:alert(1)"}, "API_VALIDATION_ERROR"),
        ({"currency": "EUR"}, "UNSUPPORTED_CURRENCY"),
        ({"payment_methods": ["GCASH"]}, "UNAVAILABLE_PAYMENT_METHOD_ERROR"),
        ({"payer_email": "siti"}, "EMAIL_FORMAT_ERROR"),
        ({"metadata": {"k" * 41: "v"}}, "API_VALIDATION_ERROR"),
        ({"metadata": {"k": "v" * 501}}, "API_VALIDATION_ERROR"),
        ({"metadata": {f"k{number}": "v" for number in range(51)}}, "API_VALIDATION_ERROR"),
        ({"invoice_duration": 400 * 86_400}, "API_VALIDATION_ERROR"),
    ],
)
def test_errors_are_the_sdks_own(invoices, change, code):
    """What the provider refuses surfaces as the SDK's exception, with the status and the provider's code."""
    assert refusal(invoices.create_invoice, DRAFT | change) == (400, code)


def test_a_wrong_key(box):
    """A key that is none, or is missing, is 401."""
    for key in ("xnd_development_other", ""):
        assert refusal(InvoiceApi(box.client(key)).create_invoice, DRAFT) == (401, "INVALID_API_KEY")


def test_an_idempotent_create(box):
    """The same key and body make one invoice, in both spellings of the path; another body under that key is 409."""
    once = {"idempotency_key": "order-9"}
    first = box.ok("POST", "/v2/invoices", DRAFT, **once)
    assert box.ok("POST", "/v2/invoices", DRAFT, **once) == first
    assert box.ok("POST", "/v2/invoices/", DRAFT, **once) == first
    status, error = box.ask("POST", "/v2/invoices", DRAFT | {"amount": 80_000}, **once)
    assert (status, error["error_code"]) == (409, "IDEMPOTENCY_ERROR")


def test_paid_and_told(tmp_path):
    """A paid invoice is told of once, with the token told at the start, to the URL given at the start."""
    with receiving() as receiver, sandbox(tmp_path, "--webhook-url", f"{receiver.url}/hooks") as box:
        invoices = InvoiceApi(box.client())
        invoice = invoices.create_invoice(DRAFT)
        box.ok("POST", f"/sandbox/invoices/{invoice.id}/pay")
        receiver.until(lambda: receiver.succeeded)
        assert invoices.get_invoice_by_id(invoice.id).status.value == "PAID"
        [arrival] = receiver.seen()
        token = box.ok("GET", "/sandbox/webhooks/token")
        assert arrival.headers["x-callback-token"] == token["current"]
        assert box.process.line(r"x-callback-token: (\w+)")[1] == token["current"]
        assert arrival.headers["content-type"] == "application/json"
        assert b'"status":"PAID"' in arrival.body


def test_no_key_is_told(box):
    """The sandbox's own log never shows a key."""
    assert not [line for line in box.process.lines if KEY in line and "API key:" not in line]


def _model(module, name):
    return getattr(__import__(f"xendit.invoice.model.{module}", fromlist=[name]), name)
