"""The provider's official Python SDK, unmodified: all that it does with payments v2 and customers."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from sandbox_process import refusal, sandbox
from xendit.apis import CustomerApi, PaymentMethodApi, PaymentRequestApi

from xendit_requests import ACCOUNT, CODE, COUNTER, OTHER_BUSINESS, WALLET

MISSING = (404, "DATA_NOT_FOUND")
DEBIT = {
    "type": "DIRECT_DEBIT",
    "reusability": "MULTIPLE_USE",
    "direct_debit": {
        "channel_code": "BRI",
        "channel_properties": {
            "mobile_number": "+62818555988",
            "card_last_four": "8888",
            "card_expiry": "12/40",
            "email": "siti@example.com",
        },
    },
}
CARD = {
    "type": "CARD",
    "reusability": "ONE_TIME_USE",
    "card": {
        "currency": "IDR",
        "channel_properties": {"skip_three_d_secure": True},
    },
}
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """Return a sandbox whose time runs a hundred times as fast; each test looks for what it made itself."""
    with sandbox(tmp_path_factory.mktemp("sandbox"), "--time-scale", "100") as box:
        yield box


@pytest.fixture(scope="module")
def requests(box):
    return PaymentRequestApi(box.client())


@pytest.fixture(scope="module")
def methods(box):
    return PaymentMethodApi(box.client())


@pytest.fixture(scope="module")
def customers(box):
    return CustomerApi(box.client())


def asked(requests, method=WALLET, **more):
    """Ask for a payment under a reference of its own."""
    parameters = {"reference_id": f"order-{next(NUMBERS)}", "amount": 150_000.0, "currency": "IDR"}
    parameters |= {"payment_method": method} | more
    if more.get("payment_method_id"):
        del parameters["payment_method"]
    return requests.create_payment_request(payment_request_parameters=parameters)


def made(methods, method, **more):
    return methods.create_payment_method(payment_method_parameters=method | more)


def simulate(box, request, **outcome):
    return box.ok("POST", f"/sandbox/payment_requests/{request.id}/simulate", outcome)


def status_when_decided(requests, request):
    """Return the status of a request when it is not pending any more; asks until then."""
    while (found := requests.get_payment_request_by_id(request.id)).status.value == "PENDING":
        pass
    return found.status.value


# --- Payment requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [ACCOUNT, COUNTER, CODE, WALLET, DEBIT, CARD], ids=lambda m: m["type"])
def test_each_type_of_payment(requests, method):
    """The SDK's models take what each type of payment looks like, made and shown."""
    request = asked(requests, method, description="Order", metadata={"sku": "A1"})
    assert request.payment_method.type.value == method["type"]
    assert (request.amount, request.currency.value, request.country.value) == (150_000, "IDR", "ID")
    shown = requests.get_payment_request_by_id(request.id)
    assert (shown.id, shown.metadata, shown.description) == (request.id, {"sku": "A1"}, "Order")


def test_what_a_payer_has_to_do(requests):
    """Numbers and actions are where the SDK has them."""
    account = asked(requests, ACCOUNT).payment_method.virtual_account
    assert account.channel_properties.virtual_account_number.isdigit()
    assert account.channel_properties.expires_at > datetime.now(UTC)
    (action,) = asked(requests, WALLET).actions
    assert (action.action, action.url_type, action.method) == ("AUTH", "WEB", "GET")
    assert action.url.startswith("http://127.0.0.1:")


def test_create_with_everything(requests, customers):
    """Whatever the SDK's model of a request can say is taken, and said again."""
    owner = customers.create_customer(customer_request={"reference_id": f"c-{next(NUMBERS)}"})
    request = asked(
        requests,
        CARD,
        description="Order",
        capture_method="MANUAL",
        initiator="CUSTOMER",
        channel_properties={"success_return_url": "https://shop.example/ok", "cardonfile_type": "RECURRING"},
        shipping_information={"country": "ID", "city": "Jakarta"},
        items=[
            {"name": "Kettle", "category": "home", "currency": "IDR", "quantity": 1.0, "price": 150_000.0}
        ],
        customer_id=owner.id,
        metadata={"branch": "menteng"},
    )
    assert (request.capture_method.value, request.initiator.value) == ("MANUAL", "CUSTOMER")
    assert (request.shipping_information.city, request.customer_id) == ("Jakarta", owner.id)
    assert request["items"].value[0].name == "Kettle"
    assert request.channel_properties["cardonfile_type"] == "RECURRING"


def test_a_payment_is_simulated(requests):
    """The SDK's own call pays, and the request has succeeded."""
    request = asked(requests, ACCOUNT)
    simulation = requests.simulate_payment_request_payment(request.id)
    assert (simulation.status, request.id in simulation.message) == ("PENDING", True)
    paid = requests.get_payment_request_by_id(request.id)
    assert (paid.status.value, paid.payment_method.status.value) == ("SUCCEEDED", "EXPIRED")
    done = (409, "PAYMENT_REQUEST_ALREADY_COMPLETED")
    assert refusal(requests.simulate_payment_request_payment, request.id) == done


def test_a_payment_fails(box, requests):
    """A failure that was simulated is there with its code."""
    request = asked(requests, WALLET)
    simulate(box, request, status="FAILED", failure_code="INSUFFICIENT_BALANCE")
    failed = requests.get_payment_request_by_id(request.id)
    assert (failed.status.value, failed.failure_code) == ("FAILED", "INSUFFICIENT_BALANCE")


def test_a_code_from_the_bank(requests):
    """Resent, refused, and right: a direct debit goes on when the code is."""
    request = asked(requests, DEBIT)
    assert [action.action for action in request.actions] == ["AUTH", "RESEND_AUTH"]
    assert requests.resend_payment_request_auth(request.id).status.value == "REQUIRES_ACTION"
    authorize = requests.authorize_payment_request
    wrong = refusal(authorize, request.id, payment_request_auth_parameters={"auth_code": "222003"})
    assert wrong == (400, "INVALID_OTP_ERROR")
    good = authorize(request.id, payment_request_auth_parameters={"auth_code": "222000"})
    assert good.status.value in {"PENDING", "SUCCEEDED"}
    assert status_when_decided(requests, request) == "SUCCEEDED"


def test_captures(box, requests):
    """An authorized card is captured in parts, which are listed."""
    request = asked(requests, CARD, capture_method="MANUAL")
    assert status_when_decided(requests, request) == "AWAITING_CAPTURE"
    capture = requests.capture_payment_request
    first = capture(request.id, capture_parameters={"capture_amount": 100_000.0, "reference_id": "part-1"})
    assert (first.status, first.captured_amount, first.authorized_amount) == ("SUCCEEDED", 100_000, 150_000)
    too_much = refusal(capture, request.id, capture_parameters={"capture_amount": 50_001.0})
    assert too_much == (400, "EXCEEDS_CAPTURABLE_AMOUNT")
    box.ok("POST", f"/sandbox/payment_requests/{request.id}/captures/simulate", {})
    failed = capture(request.id, capture_parameters={"capture_amount": 50_000.0})
    assert (failed.status, failed.failure_code) == ("FAILED", "PROCESSOR_ERROR")
    listed = requests.get_payment_request_captures(request.id)
    assert ([one.id for one in listed.data.value], listed.has_more) == ([failed.id, first.id], False)
    assert requests.get_payment_request_captures(request.id, limit=1).has_more is True


def test_requests_are_listed(requests):
    """Each filter that the SDK sends is heeded, and pages go both ways."""
    reference = f"list-{next(NUMBERS)}"
    ids = [asked(requests, reference_id=reference).id for _ in range(3)][::-1]

    def listed(**filters):
        answer = requests.get_all_payment_requests(reference_id=[reference], **filters)
        return [request.id for request in answer.data], answer.has_more

    assert listed() == (ids, False)
    assert listed(limit=2) == (ids[:2], True)
    assert listed(after_id=ids[0], limit=1) == ([ids[1]], True)
    assert listed(before_id=ids[1], limit=1) == ([ids[0]], True)
    assert listed(id=[ids[0], ids[2]]) == ([ids[0], ids[2]], False)
    assert listed(customer_id=["cust-1"]) == listed(for_user_id=OTHER_BUSINESS) == ([], False)


def test_an_idempotency_key(requests):
    """The same key asks for one payment."""
    parameters = {"reference_id": "once", "currency": "IDR", "amount": 1_000.0, "payment_method": WALLET}
    create = requests.create_payment_request
    first = create(idempotency_key="key-1", payment_request_parameters=parameters)
    assert create(idempotency_key="key-1", payment_request_parameters=parameters).id == first.id
    other = {"reference_id": "twice", "currency": "IDR", "amount": 2_000.0, "payment_method": WALLET}
    refused = refusal(create, idempotency_key="key-1", payment_request_parameters=other)
    assert refused == (409, "IDEMPOTENCY_ERROR")


def test_refused_requests(requests):
    """Errors are the SDK's exception, with the provider's code."""
    create = requests.create_payment_request
    for parameters, error in (
        ({"currency": "IDR"}, (400, "API_VALIDATION_ERROR")),
        ({"currency": "IDR", "payment_method_id": "pm-1"}, (400, "PAYMENT_METHOD_NOT_FOUND_ERROR")),
        ({"currency": "MYR", "payment_method": WALLET}, (400, "CHANNEL_CODE_NOT_SUPPORTED_ERROR")),
    ):
        assert refusal(create, payment_request_parameters=parameters) == error
    request = asked(requests)
    assert refusal(requests.get_payment_request_by_id, request.id, for_user_id=OTHER_BUSINESS) == MISSING
    for call in (
        requests.get_payment_request_by_id,
        requests.get_payment_request_captures,
        requests.resend_payment_request_auth,
        requests.simulate_payment_request_payment,
    ):
        assert refusal(call, "pr-1") == MISSING


# --- Payment methods -----------------------------------------------------------------------------------------


def test_a_linked_account_pays_again_and_again(requests, methods, customers):
    """A customer's card is linked by a code, and then charged without them."""
    owner = customers.create_customer(customer_request={"reference_id": f"c-{next(NUMBERS)}"})
    method = made(methods, DEBIT, customer_id=owner.id, metadata={"a": "b"})
    assert (method.status.value, method.actions[0].action) == ("REQUIRES_ACTION", "AUTH")
    linked = methods.auth_payment_method(method.id, payment_method_auth_parameters={"auth_code": "333000"})
    assert (linked.status.value, linked.direct_debit.type.value) == ("ACTIVE", "DEBIT_CARD")
    for _ in range(2):
        request = asked(requests, payment_method_id=method.id)
        assert request.customer_id == owner.id
        assert status_when_decided(requests, request) == "SUCCEEDED"
    payments = methods.get_payments_by_payment_method_id(method.id, status=["SUCCEEDED"], limit=5)
    assert [payment["amount"] for payment in payments["data"]] == [150_000, 150_000]
    again = refusal(
        methods.auth_payment_method, method.id, payment_method_auth_parameters={"auth_code": "333000"}
    )
    assert again == (409, "PAYMENT_METHOD_ALREADY_ACTIVE")


def test_payments_into_an_account(methods):
    """Whoever knows an account can pay it; the payments are listed by every filter."""
    method = made(methods, ACCOUNT | {"reusability": "MULTIPLE_USE"}, reference_id=f"m-{next(NUMBERS)}")
    for amount in (10_000.0, 20_000.0):
        methods.simulate_payment(method.id, simulate_payment_request={"amount": amount})
    now = datetime.now(UTC)
    listed = methods.get_payments_by_payment_method_id(
        method.id,
        payment_method_id2=[method.id],
        reference_id=[method.reference_id],
        channel_code=["BCA"],
        currency=["IDR"],
        created_gte=now - timedelta(days=1),
        created_lte=now + timedelta(days=1),
        updated_gte=now - timedelta(days=1),
        updated_lte=now + timedelta(days=1),
    )
    assert [payment["amount"] for payment in listed["data"]] == [20_000, 10_000]
    none = methods.get_payments_by_payment_method_id(method.id, payment_request_id=["pr-1"])
    assert none == {"data": [], "has_more": False}


def test_a_method_is_changed_and_ended(methods):
    """A change, a switch, and an end, after which nothing can be changed."""
    method = made(methods, ACCOUNT | {"reusability": "MULTIPLE_USE"})
    changed = methods.patch_payment_method(
        method.id,
        payment_method_update_parameters={
            "description": "Rent",
            "virtual_account": {"amount": 90_000.0, "channel_properties": {}},
        },
    )
    assert (changed.description, changed.virtual_account.amount) == ("Rent", 90_000)
    off = methods.patch_payment_method(method.id, payment_method_update_parameters={"status": "INACTIVE"})
    assert off.status.value == "INACTIVE"
    ended = methods.expire_payment_method(
        method.id, payment_method_expire_parameters={"success_return_url": "https://shop.example/ok"}
    )
    assert ended.status.value == "EXPIRED"
    assert methods.get_payment_method_by_id(method.id).status.value == "EXPIRED"
    assert refusal(methods.expire_payment_method, method.id) == (400, "INACTIVE_PAYMENT_METHOD")


def test_methods_are_listed(methods):
    """Each filter that the SDK sends is heeded."""
    reference = f"m-{next(NUMBERS)}"
    account = made(methods, ACCOUNT, reference_id=reference).id
    wallet = made(methods, WALLET | {"reusability": "MULTIPLE_USE"}, reference_id=reference).id

    def listed(**filters):
        answer = methods.get_all_payment_methods(reference_id=reference, **filters)
        return [method.id for method in answer.data], answer.has_more

    assert listed() == ([wallet, account], False)
    assert listed(limit=1) == ([wallet], True)
    assert listed(after_id=wallet) == ([account], False)
    assert listed(before_id=account)[0] == [wallet]
    assert listed(id=[account]) == listed(type=["VIRTUAL_ACCOUNT"]) == ([account], False)
    assert listed(status=["REQUIRES_ACTION"]) == listed(reusability="MULTIPLE_USE") == ([wallet], False)
    assert listed(customer_id="cust-1") == listed(for_user_id=OTHER_BUSINESS) == ([], False)


def test_refused_methods(methods):
    """Errors are the SDK's exception, with the provider's code."""
    wrong = refusal(methods.create_payment_method, payment_method_parameters=WALLET | {"country": "PH"})
    assert wrong == (400, "CHANNEL_CODE_NOT_SUPPORTED_ERROR")
    method = made(methods, ACCOUNT)
    assert refusal(methods.get_payment_method_by_id, method.id, for_user_id=OTHER_BUSINESS) == MISSING
    for call in (
        methods.get_payment_method_by_id,
        methods.get_payments_by_payment_method_id,
        methods.expire_payment_method,
        methods.patch_payment_method,
        methods.simulate_payment,
    ):
        assert refusal(call, "pm-1") == MISSING


# --- Customers -----------------------------------------------------------------------------------------------


def test_a_customer(customers):
    """Made with all that the SDK's model can say, found, changed."""
    reference = f"c-{next(NUMBERS)}"
    made_one = customers.create_customer(
        idempotency_key=reference,
        customer_request={
            "reference_id": reference,
            "type": "INDIVIDUAL",
            "individual_detail": {"given_names": "Siti", "surname": "Aminah", "gender": "FEMALE"},
            "email": "siti@example.com",
            "mobile_number": "+628123456789",
            "phone_number": "+62215550100",
            "description": "Regular",
            "addresses": [{"country_code": "ID", "line_1": "Jl. Menteng 1", "is_primary": True}],
            "identity_accounts": [
                {"type": "EWALLET", "company": "OVO", "country": "ID", "properties": {"account_number": "1"}}
            ],
            "kyc_documents": [{"country": "ID", "type": "IDENTITY_CARD", "document_number": "317"}],
            "metadata": {"branch": "menteng"},
        },
    )
    assert (made_one.individual_detail.given_names, made_one.description) == ("Siti", "Regular")
    assert made_one.addresses[0].street_line1 == "Jl. Menteng 1"
    assert made_one.identity_accounts[0].company == "OVO"
    assert made_one.kyc_documents[0].document_number == "317"
    assert customers.get_customer(made_one.id).to_dict() == made_one.to_dict()
    found = customers.get_customer_by_reference_id(reference)
    assert ([one.id for one in found.data], found.has_more) == ([made_one.id], False)
    changed = customers.update_customer(made_one.id, patch_customer={"email": "new@example.com"})
    assert (changed.email, changed.individual_detail.given_names) == ("new@example.com", "Siti")


def test_a_business(customers):
    """A customer may be a business."""
    reference = f"c-{next(NUMBERS)}"
    detail = {"business_name": "PT Contoh", "business_type": "CORPORATION"}
    request = {"reference_id": reference, "type": "BUSINESS", "business_detail": detail}
    assert customers.create_customer(customer_request=request).business_detail.business_name == "PT Contoh"


def test_refused_customers(customers):
    """Errors are the SDK's exception, with the provider's code."""
    reference = f"c-{next(NUMBERS)}"
    create = customers.create_customer
    made_one = create(customer_request={"reference_id": reference})
    taken = (400, "DUPLICATE_END_CUSTOMER_ERROR")
    assert refusal(create, customer_request={"reference_id": reference}) == taken
    assert refusal(customers.get_customer, "cust-1") == MISSING
    assert refusal(customers.get_customer, made_one.id, for_user_id=OTHER_BUSINESS) == MISSING
    assert refusal(customers.update_customer, "cust-1", patch_customer={"email": "a"}) == MISSING
    assert customers.get_customer_by_reference_id(reference, for_user_id=OTHER_BUSINESS).data == []
