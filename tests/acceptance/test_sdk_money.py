"""The provider's official Python SDK, unmodified, sends money and reads the books of a real sandbox process."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from running import receiving
from sandbox_process import KEY, refusal, sandbox
from xendit.apis import BalanceApi, PayoutApi, TransactionApi
from xendit.balance_and_transaction.model.channels_categories import ChannelsCategories
from xendit.balance_and_transaction.model.currency import Currency
from xendit.balance_and_transaction.model.date_range_filter import DateRangeFilter
from xendit.balance_and_transaction.model.transaction_statuses import TransactionStatuses
from xendit.balance_and_transaction.model.transaction_types import TransactionTypes
from xendit.payout.model.channel_account_type import ChannelAccountType
from xendit.payout.model.channel_category import ChannelCategory
from xendit.payout.model.create_payout_request import CreatePayoutRequest
from xendit.payout.model.digital_payout_channel_properties import DigitalPayoutChannelProperties
from xendit.payout.model.receipt_notification import ReceiptNotification

from xendit_requests import OTHER_BUSINESS

DRAFT = {
    "reference_id": "po-1",
    "channel_code": "ID_BCA",
    "channel_properties": {"account_number": "1231231231", "account_holder_name": "RINA"},
    "amount": 250_000,
    "currency": "IDR",
}
OPENING = 1_000_000_000
MISSING = (404, "DATA_NOT_FOUND")
INVALID = (400, "API_VALIDATION_ERROR")


@pytest.fixture(scope="module")
def shop():
    """Receive the webhooks of the sandbox."""
    with receiving() as shop:
        yield shop


@pytest.fixture(scope="module")
def box(tmp_path_factory, shop):
    """Return a sandbox in which time flies; whatever the tests make stays, so each looks for its own."""
    folder = tmp_path_factory.mktemp("sandbox")
    with sandbox(folder, "--webhook-url", f"{shop.url}/hooks", "--time-scale", "1000") as box:
        yield box


@pytest.fixture(scope="module")
def payouts(box):
    return PayoutApi(box.client())


@pytest.fixture(scope="module")
def transactions(box):
    return TransactionApi(box.client())


@pytest.fixture(scope="module")
def balances(box):
    return BalanceApi(box.client())


def sent(payouts, number="1231231231", **more):
    """Send money to the account of a number, under a reference and a key of its own."""
    draft = DRAFT | {"channel_properties": {"account_number": number}, "reference_id": f"po-{uuid.uuid4()}"}
    return payouts.create_payout(str(uuid.uuid4()), create_payout_request=draft | more)


def ended(shop, payouts, payout, status):
    """Wait until the webhook arrives that tells of a payout's status; return the payout as it then is."""

    def has_arrived():
        told = [json.loads(arrival.body).get("data", {}) for arrival in shop.ledger]
        return (payout.id, status) in [(data.get("id"), data.get("status")) for data in told]

    shop.until(has_arrived)
    return payouts.get_payout_by_id(payout.id)


# --- Payouts --------------------------------------------------------------------------------------------------


def test_a_payout_with_everything(payouts):
    """Whatever the SDK's model of a request can say is taken, and said again by the payout."""
    request = CreatePayoutRequest(
        reference_id="po-everything",
        channel_code="PH_GCASH",
        channel_properties=DigitalPayoutChannelProperties(
            account_number="09170000000",
            account_holder_name="Rina S",
            account_type=ChannelAccountType("MOBILE_NO"),
        ),
        amount=1.11,
        currency="PHP",
        description="Rewards",
        receipt_notification=ReceiptNotification(
            email_to=["a@shop.example"], email_cc=["b@shop.example"], email_bcc=["c@shop.example"]
        ),
        metadata={"outlet": 24},
    )
    payout = payouts.create_payout("everything", create_payout_request=request)
    assert payout.estimated_arrival_time > payout.created
    assert (payout.status, payout.amount, payout.currency) == ("ACCEPTED", 1.11, "PHP")
    assert payout.channel_properties.account_type.value == "MOBILE_NO"
    assert payout.receipt_notification.email_bcc == ["c@shop.example"]
    assert (payout.description, payout.metadata) == ("Rewards", {"outlet": 24})


def test_money_that_comes_back(shop, payouts):
    """A payout arrives and comes back, by the number that stands for it; both are told."""
    payout = sent(payouts, "654321")
    ended(shop, payouts, payout, "SUCCEEDED")
    assert ended(shop, payouts, payout, "REVERSED").status == "REVERSED"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("123456", "TEMPORARY_TRANSFER_ERROR"),
        ("999999", "REJECTED_BY_CHANNEL"),
        ("121212", "INVALID_DESTINATION"),
    ],
)
def test_payouts_that_fail(shop, payouts, number, code):
    """The documented numbers fail as documented."""
    assert ended(shop, payouts, sent(payouts, number), "FAILED").failure_code == code


def test_a_payout_beyond_the_balance(shop, payouts):
    """What the balance cannot pay for is accepted and fails."""
    payout = sent(payouts, amount=10 * OPENING)
    assert payout.status == "ACCEPTED"
    assert ended(shop, payouts, payout, "FAILED").failure_code == "INSUFFICIENT_BALANCE"


def test_cancelling(shop, payouts):
    """A payout that waits is cancelled; one that has arrived is not."""
    waiting, gone = sent(payouts, "131313"), sent(payouts)
    assert payouts.cancel_payout(waiting.id).status == "CANCELLED"
    assert payouts.get_payout_by_id(waiting.id).status == "CANCELLED"
    ended(shop, payouts, gone, "SUCCEEDED")
    assert refusal(payouts.cancel_payout, gone.id) == (403, "INELIGIBLE_TRANSACTION_STATUS")
    assert refusal(payouts.cancel_payout, "disb-none") == MISSING


def test_the_key(payouts):
    """The same key and payout again answer the first payout; another payout is refused."""
    draft = DRAFT | {"reference_id": "po-key"}
    first = payouts.create_payout("once", create_payout_request=draft)
    assert payouts.create_payout("once", create_payout_request=draft).id == first.id
    assert len(payouts.get_payouts("po-key").data) == 1
    again = refusal(payouts.create_payout, "once", create_payout_request=draft | {"amount": 10_000})
    assert again == (409, "DUPLICATE_ERROR")


def test_payouts_by_reference(payouts):
    """All payouts of a reference are found, in pages forth and back."""
    made = [sent(payouts, reference_id="po-many").id for _ in range(3)][::-1]
    first = payouts.get_payouts("po-many", limit=2.0)
    assert ([payout.id for payout in first.data], first.has_more) == (made[:2], True)
    assert made[1] in first.links.href
    last = payouts.get_payouts("po-many", after_id=made[1])
    assert ([payout.id for payout in last.data], last.has_more) == (made[2:], False)
    assert [payout.id for payout in payouts.get_payouts("po-many", before_id=made[1]).data] == made[:1]
    assert payouts.get_payouts("po-none").data == []
    assert refusal(payouts.get_payouts, "po-many", after_id="disb-none") == INVALID


def test_channels(payouts):
    """Channels come in the SDK's kinds, by each filter that it has."""
    channels = payouts.get_payout_channels()
    assert {channel.currency for channel in channels} == {"IDR", "PHP"}
    assert all(channel.amount_limits.minimum < channel.amount_limits.maximum for channel in channels)
    wallets = payouts.get_payout_channels(
        currency="IDR", channel_category=[ChannelCategory("EWALLET"), ChannelCategory("OTC")]
    )
    assert {channel.channel_category.value for channel in wallets} == {"EWALLET"}
    (one,) = payouts.get_payout_channels(channel_code="ID_BCA")
    assert one.amount_limits.minimum_increment == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"channel_code": "ID_NONE"}, "CHANNEL_CODE_NOT_SUPPORTED"),
        ({"amount": 1}, "MINIMUM_TRANSFER_LIMIT_ERROR"),
        ({"amount": 9e12}, "MAXIMUM_TRANSFER_LIMIT_ERROR"),
        ({"amount": 10_000.5}, "AMOUNT_INCREMENT_NOT_SUPPORTED"),
        ({"metadata": {"a": {"b": 1}}}, "API_VALIDATION_ERROR"),
    ],
)
def test_refused_payouts(payouts, change, code):
    """Each refusal reaches the program as the SDK's own exception, with the provider's code."""
    assert refusal(sent, payouts, **change) == (400, code)


def test_payouts_of_a_sub_account(payouts):
    """A sub-account's payouts are its own."""
    request = {"create_payout_request": DRAFT | {"reference_id": "po-sub"}, "for_user_id": OTHER_BUSINESS}
    payout = payouts.create_payout("sub", **request)
    assert payout.business_id == OTHER_BUSINESS
    assert payouts.get_payout_by_id(payout.id, for_user_id=OTHER_BUSINESS).id == payout.id
    assert len(payouts.get_payouts("po-sub", for_user_id=OTHER_BUSINESS).data) == 1
    assert refusal(payouts.get_payout_by_id, payout.id) == MISSING
    assert refusal(payouts.cancel_payout, payout.id) == MISSING


def test_a_wrong_key(box):
    """A key that is not the sandbox's is refused by each operation."""
    client = box.client("xnd_development_wrong")
    for call in (
        lambda: PayoutApi(client).get_payout_channels(),
        lambda: PayoutApi(client).create_payout("a", create_payout_request=DRAFT),
        lambda: BalanceApi(client).get_balance(),
        lambda: TransactionApi(client).get_all_transactions(),
    ):
        assert refusal(call) == (401, "INVALID_API_KEY")


# --- Balance --------------------------------------------------------------------------------------------------


def test_a_balance(payouts, balances):
    """A sub-account begins with the opening balance; what it sends is held, then gone."""
    options = {"for_user_id": "a" * 24}
    assert balances.get_balance(**options).balance == OPENING
    before = datetime.now(UTC) - timedelta(days=1)
    request = DRAFT | {"channel_properties": {"account_number": "131313"}}
    payout = payouts.create_payout("held", create_payout_request=request, **options)
    assert balances.get_balance(account_type="CASH", currency="IDR", **options).balance == OPENING - 250_000
    assert balances.get_balance(account_type="HOLDING", **options).balance == 250_000
    assert balances.get_balance(account_type="TAX", **options).balance == 0
    assert balances.get_balance(currency="PHP", **options).balance > 0
    assert balances.get_balance(at_timestamp=before, **options).balance == OPENING
    payouts.cancel_payout(payout.id, **options)
    assert balances.get_balance(**options).balance == OPENING
    assert balances.get_balance(account_type="HOLDING", **options).balance == 0


def test_a_balance_that_cannot_be(balances):
    """A currency that no balance has is refused."""
    assert refusal(balances.get_balance, currency="JPY") == INVALID


# --- Transactions ---------------------------------------------------------------------------------------------


def paid_invoice(box, business):
    made = box.ok("POST", "/v2/invoices", {"external_id": "order-1", "amount": 75_000}, for_user_id=business)
    way = {"payment_method": "EWALLET", "payment_channel": "DANA"}
    return box.ok("POST", f"/sandbox/invoices/{made['id']}/pay", way, for_user_id=business)


def test_a_transaction(box, transactions):
    """A paid invoice is a transaction in the SDK's kinds, found by its id, by nobody but its own business."""
    business = "b" * 24
    paid = paid_invoice(box, business)
    (one,) = transactions.get_all_transactions(for_user_id=business).data
    assert (one.product_id, one.reference_id) == (paid["payment_id"], "order-1")
    assert (one.status.value, one.channel_category.value, one.currency.value) == ("SUCCESS", "EWALLET", "IDR")
    assert (one.amount, one.cashflow, one.business_id) == (75_000, "MONEY_IN", business)
    assert (one.fee.xendit_fee, one.fee.status) == (0, "NOT_APPLICABLE")
    assert one.estimated_settlement_time > one.created
    # The SDK's own kind of ids, which it returns, is not one that it takes.
    wanted = one.id.value
    assert transactions.get_transaction_by_id(wanted, for_user_id=business).product_id == one.product_id
    assert refusal(transactions.get_transaction_by_id, wanted) == MISSING


def test_transactions_with_every_filter(box, payouts, transactions):
    """Each filter that the SDK sends is heeded, alone and with the others."""
    business = "c" * 24
    draft = DRAFT | {"channel_properties": {"account_number": "131313"}}
    payout = payouts.create_payout("filters", create_payout_request=draft, for_user_id=business)
    paid = paid_invoice(box, business)
    now = datetime.now(UTC)
    out, come = ["po-1"], ["order-1"]

    def found(**filters):
        page = transactions.get_all_transactions(for_user_id=business, **filters)
        return [one.reference_id for one in page.data]

    assert found() == come + out
    assert found(types=[TransactionTypes("PAYMENT"), TransactionTypes("REFUND")]) == come
    assert found(statuses=[TransactionStatuses("PENDING"), TransactionStatuses("FAILED")]) == out
    assert found(channel_categories=[ChannelsCategories("BANK")]) == out
    assert found(reference_id="po-1") == found(product_id=payout.id) == out
    assert found(account_identifier="131313") == out
    assert found(amount=75_000.0) == found(product_id=paid["payment_id"]) == come
    assert found(currency=Currency("PHP")) == []
    day = DateRangeFilter(gte=now - timedelta(days=1), lte=now + timedelta(days=1))
    assert found(created=day, updated=day, currency=Currency("IDR")) == come + out
    assert found(created=DateRangeFilter(lte=now - timedelta(days=1))) == []
    assert found(updated=DateRangeFilter(gte=now + timedelta(days=1))) == []


def test_pages_of_transactions(payouts, transactions):
    """The list is walked by ids, forth and back, and says whether it goes on."""
    options = {"for_user_id": "d" * 24}
    for number in range(3):
        request = DRAFT | {"reference_id": f"po-{number}"}
        payouts.create_payout(f"pages-{number}", create_payout_request=request, **options)
    first = transactions.get_all_transactions(limit=2.0, **options)
    assert ([one.reference_id for one in first.data], first.has_more) == (["po-2", "po-1"], True)
    assert (first.links[0].rel, first.links[0].method) == ("next", "GET")
    middle = first.data[1].id.value
    after = transactions.get_all_transactions(after_id=middle, **options)
    assert ([one.reference_id for one in after.data], after.has_more) == (["po-0"], False)
    before = transactions.get_all_transactions(before_id=middle, **options)
    assert [one.reference_id for one in before.data] == ["po-2"]
    assert refusal(transactions.get_all_transactions, after_id=middle) == INVALID


def test_the_key_is_sent_as_documented(box):
    """A call without the SDK works the same: HTTP Basic, the key as the user."""
    assert box.ok("GET", "/balance", key=KEY, for_user_id="e" * 24) == {"balance": OPENING}
