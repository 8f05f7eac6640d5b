"""Invoices of the sandbox: made, checked, listed, paid, settled, expired."""

import msgspec
import pytest
from sandboxes import OWNER, SITE, playing
from xendit_tables import faults

from ringback.sandbox.xendit.invoices import INVOICE, Invoices
from ringback.sandbox.xendit.slots import Mishap, Sending, Slot
from xendit_requests import OTHERS

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MANDATORY = [
    "external_id",
    "user_id",
    "status",
    "merchant_name",
    "merchant_profile_picture_url",
    "amount",
    "expiry_date",
    "invoice_url",
    "available_banks",
    "available_retail_outlets",
    "available_ewallets",
    "available_qr_codes",
    "available_direct_debits",
    "available_paylaters",
    "should_send_email",
    "created",
    "updated",
]
FULL = {
    "external_id": "order-1",
    "amount": 250_000.0,
    "payer_email": "siti@example.com",
    "description": "Order 1",
    "invoice_duration": 7_200.0,
    "should_send_email": True,
    "customer": {
        "given_names": "Siti",
        "email": "siti@example.com",
        "addresses": [{"city": "Jakarta", "country": "ID"}],
    },
    "customer_notification_preference": {"invoice_paid": ["email", "whatsapp"]},
    "success_redirect_url": "https://shop.example/ok?a=b",
    "failure_redirect_url": "http://127.0.0.1:8000/fail",
    "payment_methods": ["BCA", "DANA", "ALFAMART", "QRIS", "CREDIT_CARD"],
    "should_authenticate_credit_card": True,
    "currency": "IDR",
    "reminder_time": 1,
    "reminder_time_unit": "hours",
    "locale": "id",
    "items": [{"name": "Kettle", "price": 125_000.0, "quantity": 2.0, "url": "https://shop.example/p/1"}],
    "fees": [{"type": "discount", "value": -5_000.0}],
    "channel_properties": {"cards": {"allowed_bins": ["41111111"]}},
    "metadata": {"branch": "menteng", "table": 4, "vip": True, "note": None},
}


def made(play, external_id="order-1", amount=10_000, **more):
    return play.ok("POST", "/v2/invoices", {"external_id": external_id, "amount": amount, **more})


def pay(play, invoice, method="BANK_TRANSFER", channel="BCA"):
    entry = play.sandbox.ledger.get(INVOICE, invoice["id"])
    return play.run(play.sandbox.product(Invoices).pay(entry, method, channel)).body


def choose(play, invoice, channel):
    entry = play.sandbox.ledger.get(INVOICE, invoice["id"])
    return play.run(play.sandbox.product(Invoices).choose(entry, channel)).body


def set_slot(play, **fields):
    slot = Slot(name="invoice", url="http://127.0.0.1:1/hook", **fields)
    play.run(play.sandbox.slots.put(OWNER, slot))


def ids(play, **query):
    return [invoice["external_id"] for invoice in play.ok("GET", "/v2/invoices", query=query)]


# --- Making --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/invoices", "/v2/invoices/"])
def test_the_least_that_makes_an_invoice(play, path):
    """An external_id and an amount are enough, by both spellings; the SDK's 17 mandatory fields are there."""
    invoice = play.ok("POST", path, {"external_id": "order-1", "amount": 10000.0})
    assert not [name for name in MANDATORY if invoice.get(name) is None]
    assert (invoice["status"], invoice["currency"], invoice["user_id"]) == (
        "PENDING",
        "IDR",
        OWNER.business_id,
    )
    assert invoice["invoice_url"] == f"{SITE}/web/{invoice['id']}"
    assert len(invoice["id"]) == 24
    assert {bank["bank_code"] for bank in invoice["available_banks"]} >= {"BCA", "MANDIRI"}
    assert not any("bank_account_number" in bank for bank in invoice["available_banks"])
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}") == invoice
    assert play.told() == []


def test_whole_amounts_are_integers(play):
    """The SDK posts 10000.0; the answer and its webhook say 10000, as the provider does."""
    invoice = made(play, amount=10000.0)
    assert msgspec.json.encode(invoice["amount"]) == b"10000"


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("IDR", 10_000.99, 10_000), ("VND", 20_000.5, 20_000), ("PHP", 100.29, 100.29), ("USD", 1.999, 1.99)],
)
def test_coins_that_a_currency_has_not(play, currency, amount, shown):
    """Decimals of rupiah are cut off, and so is what is smaller than a cent elsewhere."""
    assert made(play, amount=amount, currency=currency)["amount"] == shown


def test_what_an_invoice_repeats(play):
    """All optional fields of the SDK come back as they were given."""
    invoice = play.ok("POST", "/v2/invoices", FULL)
    same = (
        "payer_email description customer_notification_preference success_redirect_url failure_redirect_url"
    )
    for name in (*same.split(), "locale", "items", "fees", "channel_properties", "customer", "metadata"):
        expected = FULL[name]
        if name == "metadata":
            expected = {"branch": "menteng", "table": 4, "vip": True, "note": None}
        assert invoice[name] == expected, name
    assert invoice["should_send_email"] is True
    assert [bank["bank_code"] for bank in invoice["available_banks"]] == ["BCA"]
    assert invoice["available_ewallets"] == [{"ewallet_type": "DANA"}]
    assert invoice["available_paylaters"] == []
    assert invoice["should_exclude_credit_card"] is False
    assert (invoice["expiry_date"], invoice["reminder_date"]) == (
        play.sandbox.stamp(play.clock() + 2 * HOUR),
        play.sandbox.stamp(play.clock() + HOUR),
    )


def test_null_is_the_same_as_nothing(play):
    """The SDK may send null for what is not given."""
    nothing = dict.fromkeys(set(FULL) - {"external_id", "amount"})
    assert made(play, **nothing)["status"] == "PENDING"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 9_999.99}, "MINIMAL_TRANSFER_AMOUNT_ERROR"),
        ({"amount": 0}, "MINIMAL_TRANSFER_AMOUNT_ERROR"),
        ({"amount": 2_000_000_000_000}, "MAXIMUM_TRANSFER_AMOUNT_ERROR"),
        ({"amount": -1}, "API_VALIDATION_ERROR"),
        ({"amount": "10000"}, "API_VALIDATION_ERROR"),
        ({"amount": None}, "API_VALIDATION_ERROR"),
        ({"amount": 10**400}, "API_VALIDATION_ERROR"),
        ({"external_id": ""}, "API_VALIDATION_ERROR"),
        ({"external_id": "e" * 256}, "API_VALIDATION_ERROR"),
        ({"currency": "EUR"}, "UNSUPPORTED_CURRENCY"),
        ({"payer_email": "siti@"}, "EMAIL_FORMAT_ERROR"),
        ({"payment_methods": ["GCASH"]}, "UNAVAILABLE_PAYMENT_METHOD_ERROR"),
        ({"payment_methods": "BCA"}, "API_VALIDATION_ERROR"),
        ({"invoice_duration": 0}, "API_VALIDATION_ERROR"),
        ({"invoice_duration": 31_536_001}, "API_VALIDATION_ERROR"),
        ({"reminder_time": 0}, "INVALID_REMINDER_TIME"),
        ({"reminder_time": 1, "reminder_time_unit": "days"}, "INVALID_REMINDER_TIME"),
        ({"success_redirect_url": "javascript:alert(1)"}, "API_VALIDATION_ERROR"),
        ({"failure_redirect_url": "https://" + "h" * 2_000}, "API_VALIDATION_ERROR"),
        ({"items": [{"name": "Kettle", "price": 1}]}, "API_VALIDATION_ERROR"),
        ({"items": [{"name": "Kettle", "price": 1, "quantity": 0}]}, "API_VALIDATION_ERROR"),
        ({"items": [{"name": "a", "price": 1, "quantity": 1}] * 76}, "API_VALIDATION_ERROR"),
        ({"fees": [{"type": "", "value": 1}]}, "API_VALIDATION_ERROR"),
        ({"customer": "Siti"}, "API_VALIDATION_ERROR"),
        ({"customer_notification_preference": {"invoice_paid": ["pigeon"]}}, "API_VALIDATION_ERROR"),
        ({"metadata": {str(number): "" for number in range(51)}}, "API_VALIDATION_ERROR"),
        ({"metadata": {"k" * 41: ""}}, "API_VALIDATION_ERROR"),
        ({"metadata": {"k": "v" * 501}}, "API_VALIDATION_ERROR"),
        ({"metadata": {"k": {}}}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_an_invoice(play, change, code):
    """Every limit is kept, with the provider's code, and nothing is made."""
    body = {"external_id": "order-1", "amount": 10_000} | change
    assert play.refused("POST", "/v2/invoices", body) == (400, code)
    assert play.ok("GET", "/v2/invoices") == []


def test_the_widest_metadata(play):
    """50 keys of 40 characters with values of 500 are taken."""
    metadata = {f"{number:040d}": "v" * 500 for number in range(50)}
    assert made(play, metadata=metadata)["metadata"] == metadata


def test_an_invoice_that_is_not_there(play):
    """Unknown ids, and those of others, are 404 INVOICE_NOT_FOUND_ERROR."""
    missing = (404, "INVOICE_NOT_FOUND_ERROR")
    assert play.refused("GET", "/v2/invoices/0123456789abcdef01234567") == missing
    assert play.refused("POST", "/invoices/\x00/expire!") == missing
    invoice = made(play)
    assert play.refused("GET", f"/v2/invoices/{invoice['id']}", headers=OTHERS) == missing


# --- Lists ---------------------------------------------------------------------------------------------------


def test_the_newest_come_first_and_ten_at_once(play):
    """A list has ten invoices unless it asks for more, and last_invoice leads to the next page."""
    for number in range(12):
        made(play, f"order-{number}")
    first = play.ok("GET", "/v2/invoices")
    assert [invoice["external_id"] for invoice in first] == [f"order-{number}" for number in range(11, 1, -1)]
    assert ids(play, last_invoice=first[-1]["id"]) == ["order-1", "order-0"]
    assert ids(play, limit="2.0") == ["order-11", "order-10"]
    assert len(ids(play, limit=100)) == 12
    assert ids(play, last_invoice="0123456789abcdef01234567") == []


def test_each_filter_finds_its_own(play):
    """All filters that the SDK sends hold, alone and together."""
    start = play.clock()
    pending = made(play, "pending")
    play.advance(HOUR)
    paid = made(play, "paid")
    pay(play, paid, "EWALLET", "DANA")
    play.advance(HOUR)
    expired = made(play, "expired")
    play.ok("POST", f"/invoices/{expired['id']}/expire!")
    at = [play.sandbox.stamp(start + half * HOUR // 2).replace("Z", "+00:00") for half in range(6)]
    assert ids(play, external_id="paid") == ["paid"]
    assert ids(play, statuses=["PENDING", "EXPIRED"]) == ["expired", "pending"]
    assert ids(play, created_after=at[1]) == ["expired", "paid"]
    assert ids(play, created_before=at[1]) == ["pending"]
    assert ids(play, created_after=at[1], created_before=at[3]) == ["paid"]
    assert ids(play, paid_after=at[1]) == ["paid"]
    assert ids(play, paid_before=at[1]) == []
    assert ids(play, expired_after=at[3]) == ["expired"]
    assert ids(play, expired_before=at[3]) == []
    assert ids(play, client_types="API_GATEWAY") == ["expired", "paid", "pending"]
    assert ids(play, client_types=["DASHBOARD", "MOBILE"]) == []
    assert ids(play, payment_channels=["DANA", "BCA"]) == ["paid"]
    assert ids(play, on_demand_link="a") == ids(play, recurring_payment_id="b") == []
    assert ids(play, statuses="PENDING", external_id="paid") == []
    assert ids(play, unheard_of="x", limit=1) == ["expired"]
    assert pending["id"] != paid["id"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "1.5"},
        {"limit": "nan"},
        {"limit": "1e999"},
        {"limit": "two"},
        {"limit": ["1", "2"]},
        {"statuses": "GONE"},
        {"client_types": ["API_GATEWAY", ""]},
        {"created_after": "yesterday"},
        {"paid_before": "2026-13-01"},
        {"expired_after": "\x00"},
        {"external_id": ["a", "b"]},
    ],
)
def test_filters_that_mean_nothing(play, query):
    """A filter that cannot be understood is refused rather than passed over."""
    assert play.refused("GET", "/v2/invoices", query=query) == (400, "API_VALIDATION_ERROR")


# --- Payment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "channel", "particulars"),
    [
        ("BANK_TRANSFER", "BCA", {"bank_code": "BCA", "initial_amount": 250_000}),
        ("EWALLET", "DANA", {"ewallet_type": "DANA"}),
        ("RETAIL_OUTLET", "ALFAMART", {}),
        ("QR_CODE", "QRIS", {}),
        ("QRIS", "QRIS", {}),
        ("DIRECT_DEBIT", "DD_BRI", {}),
        ("PAYLATER", "KREDIVO", {}),
        ("CREDIT_CARD", "CREDIT_CARD", {}),
    ],
)
def test_a_payment_is_told(play, method, channel, particulars):
    """However an invoice is paid, invoice.paid has the documented fields and says what the API then says."""
    invoice = play.ok("POST", "/v2/invoices", FULL | {"payment_methods": None})
    play.advance(5_000)
    pay(play, invoice, method, channel)
    [(event, slot, body)] = play.told()
    assert (event, slot) == ("invoice.paid", "invoice")
    assert faults("invoice.paid", "legacy", body) == []
    said = {"status": "PAID", "payment_method": method, "payment_channel": channel, "paid_amount": 250_000}
    assert body.items() >= (said | particulars).items()
    shown = play.ok("GET", f"/v2/invoices/{invoice['id']}")
    assert all(shown[name] == value for name, value in body.items() if name != "is_high")
    assert shown["paid_at"] == play.sandbox.stamp()


def test_keys_come_as_in_captured_webhooks(play):
    """A webhook's keys are in the order of real ones: the shorter first, those alike by the alphabet."""
    pay(play, made(play))
    [(_, _, body)] = play.told()
    assert list(body) == sorted(body, key=lambda key: (len(key), key))
    assert list(body)[:3] == ["id", "amount", "status"]


def test_a_chosen_bank_has_a_number(play):
    """Once a bank is chosen its account number is shown, is the same every time, and is what is paid to."""
    invoice = made(play)
    chosen = choose(play, invoice, "BNI")
    [number] = [
        bank.get("bank_account_number") for bank in chosen["available_banks"] if bank["bank_code"] == "BNI"
    ]
    assert number.isdigit()
    assert choose(play, invoice, "BNI") == chosen
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}") == chosen
    assert pay(play, invoice, "BANK_TRANSFER", "BNI")["payment_destination"] == number


def test_a_chosen_outlet_has_a_code(play):
    """A retail outlet gets a payment code when it is chosen; a wallet needs nothing."""
    invoice = made(play)
    [code] = [
        outlet["payment_code"]
        for outlet in choose(play, invoice, "ALFAMART")["available_retail_outlets"]
        if "payment_code" in outlet
    ]
    assert pay(play, invoice, "RETAIL_OUTLET", "ALFAMART")["payment_destination"] == code
    other = made(play)
    assert choose(play, other, "DANA") == other


def test_choosing_does_not_lengthen_life(play):
    """An invoice whose bank was chosen expires when it would have."""
    invoice = made(play, invoice_duration=60)
    choose(play, invoice, "BCA")
    play.advance(MINUTE)
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"


@pytest.mark.parametrize(
    ("method", "channel"),
    [("BANK_TRANSFER", "DANA"), ("EWALLET", "GCASH"), ("BARTER", "GOAT"), ("CREDIT_CARD", "CREDIT_CARD")],
)
def test_only_ways_on_offer_pay(play, method, channel):
    """A way to pay that the invoice does not offer is refused, and it stays pending."""
    invoice = made(play, payment_methods=["BCA"])
    body = {"payment_method": method, "payment_channel": channel}
    answer = play.refused("POST", f"/sandbox/invoices/{invoice['id']}/pay", body)
    assert answer == (400, "UNAVAILABLE_PAYMENT_METHOD_ERROR")
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}") == invoice


def test_an_invoice_is_paid_once(play):
    """A second payment and an expiry afterwards are refused, and told of neither."""
    invoice = made(play)
    pay(play, invoice)
    refused = (404, "INVOICE_NOT_FOUND_ERROR")
    assert play.refused("POST", f"/sandbox/invoices/{invoice['id']}/pay", {}) == refused
    answer = play.call("POST", f"/invoices/{invoice['id']}/expire!")
    assert "Could not find and update PENDING invoice" in answer.body["message"]
    assert len(play.told()) == 1


def test_a_paid_invoice_is_settled_silently(play):
    """A day after its payment the invoice is SETTLED, of which nothing is told."""
    invoice = made(play)
    pay(play, invoice)
    play.advance(DAY - 1)
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "PAID"
    play.advance(1)
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "SETTLED"
    assert len(play.told()) == 1


# --- Expiry --------------------------------------------------------------------------------------------------


def test_time_ends_an_invoice(play):
    """An invoice expires by itself at its expiry_date, a day later unless it says otherwise."""
    invoice, short = made(play), made(play, invoice_duration=60)
    play.advance(DAY - 1)
    assert play.ok("GET", f"/v2/invoices/{short['id']}")["status"] == "EXPIRED"
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "PENDING"
    play.advance(1)
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"


def test_time_passes_as_fast_as_asked(tmp_path):
    """With a time scale, a day's invoice expires a thousand times as soon, and says so."""
    with playing(tmp_path, sending=Sending(time_scale=1_000)) as play:
        invoice = made(play)
        assert invoice["expiry_date"] == play.sandbox.stamp(play.clock() + DAY // 1_000)
        play.advance(DAY // 1_000)
        assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"


def test_expiry_by_call(play):
    """A call of expire! ends a pending invoice at once, and for good."""
    invoice = made(play)
    assert play.ok("POST", f"/invoices/{invoice['id']}/expire!")["status"] == "EXPIRED"
    assert play.refused("POST", f"/invoices/{invoice['id']}/expire!") == (404, "INVOICE_NOT_FOUND_ERROR")
    play.advance(2 * DAY)
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"


@pytest.mark.parametrize("asked", [False, True])
def test_expiry_is_told_where_it_is_asked_for(play, asked):
    """invoice.expired is sent only with the settings' switch on."""
    set_slot(play, also_expired=asked)
    play.ok("POST", f"/invoices/{made(play)['id']}/expire!")
    made(play, invoice_duration=1)
    play.advance(1_000)
    events = [event for event, _, _ in play.told()]
    assert events == ["invoice.expired"] * (2 if asked else 0)
    assert [fault for _, _, body in play.told() for fault in faults("invoice.expired", "legacy", body)] == []


@pytest.mark.parametrize("asked", [False, True])
def test_money_that_comes_too_late(play, asked):
    """With the mishap, an expired invoice is paid later: told only with the switch on, and it stays EXPIRED."""
    set_slot(play, also_late=asked, mishaps=frozenset({Mishap.LATE_PAYMENT}))
    invoice = made(play)
    play.advance(DAY + DAY)
    assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"
    told = play.told()
    assert [event for event, _, _ in told] == ["invoice.paid"] * asked
    for _, _, body in told:
        assert faults("invoice.paid", "legacy", body) == []
        assert (body["status"], body["id"]) == ("PAID", invoice["id"])
        assert body["paid_at"] > invoice["expiry_date"]


# --- Persistence ---------------------------------------------------------------------------------------------


def test_invoices_outlive_the_process(tmp_path):
    """After a restart an invoice is as it was, and still expires."""
    with playing(tmp_path) as play:
        invoice = made(play)
        now = play.clock()
    with playing(tmp_path) as play:
        assert play.clock() == now
        assert play.ok("GET", f"/v2/invoices/{invoice['id']}") == invoice
        play.advance(DAY)
        assert play.ok("GET", f"/v2/invoices/{invoice['id']}")["status"] == "EXPIRED"


def test_a_seed_and_a_clock_make_the_same_story(tmp_path):
    """Two runs with one seed end in the same invoices and the same webhooks, ids and numbers included."""

    def story(folder):
        with playing(folder) as play:
            for number in range(5):
                invoice = made(play, f"order-{number}")
                if number % 2:
                    pay(play, invoice)
                play.advance(HOUR)
            play.advance(7 * DAY)
            return play.ok("GET", "/v2/invoices"), play.told()

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert story(tmp_path / "a") == story(tmp_path / "b")
