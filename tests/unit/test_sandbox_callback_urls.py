"""Webhook URLs set by API, as the provider's reference documents it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_receivers import HOOKS, invoice, orders, received, tell, webhooks
from sandboxes import BUSINESS, OWNER

from ringback.sandbox.xendit.calls import Owner

URL = "https://shop.example/xendit"
TYPES = (
    *("invoice", "fva_status", "fva_paid", "ro_fpc_paid", "regional_ro_paid", "ewallet", "payment_method"),
    *("payment_method_v2", "direct_debit", "qr_code", "recurring", "disbursement", "ph_disbursement"),
    *("batch_disbursement", "payout", "report", "payment_succeeded", "payment_awaiting_capture"),
    *(
        "payment_pending",
        "payment_failed",
        "capture_succeeded",
        "capture_failed",
        "payment_request_completed",
    ),
)


@pytest.fixture
def play(tmp_path):
    with webhooks(tmp_path) as play:
        yield play


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    with webhooks(tmp_path_factory.mktemp("sandbox")) as play:
        yield play


@pytest.mark.parametrize("name", TYPES)
def test_each_documented_type_can_be_set(lasting, name):
    """The answer names the business, the mode, the URL and the token; the settings have the URL from then on."""
    answer = lasting.ok("POST", f"/callback_urls/{name}", {"url": URL})
    assert list(answer.items()) == [
        ("status", "SUCCESSFUL"),
        ("user_id", BUSINESS),
        ("url", URL),
        ("environment", "TEST"),
        ("callback_token", lasting.ok("GET", f"{HOOKS}/token")["current"]),
    ]
    assert lasting.ok("GET", f"{HOOKS}/slots/{name}")["url"] == URL


def test_a_sub_account_is_set_up_by_header(play):
    """With `for-user-id` the URL is the sub-account's, and so is the token."""
    own = play.ok("POST", "/callback_urls/invoice", {"url": URL})
    other = play.ok(
        "POST", "/callback_urls/invoice", {"url": f"{URL}/sub"}, headers={"for-user-id": "c" * 24}
    )
    assert other["user_id"] == "c" * 24
    assert other["callback_token"] != own["callback_token"]
    assert play.sandbox.slots.get(OWNER, "invoice").url == URL
    assert play.sandbox.slots.get(Owner("c" * 24), "invoice").url == f"{URL}/sub"


def test_webhooks_go_to_the_url_that_was_set(tmp_path):
    """What happens next is told at the new URL, with the token that was answered."""
    with webhooks(tmp_path, worker=True) as play, received(play) as receiver:
        token = play.ok("POST", "/callback_urls/invoice", {"url": receiver.url})["callback_token"]
        tell(play, invoice())
        play.deliver()
        assert orders(receiver) == ["order-1"]
        assert receiver.requests[0].headers["x-callback-token"] == token


def test_other_settings_of_the_slot_stay(play):
    """Setting the URL leaves what else was chosen for the slot."""
    play.ok("PUT", f"{HOOKS}/slots/invoice", {"also_expired": True})
    play.ok("POST", "/callback_urls/invoice", {"url": URL})
    assert play.ok("GET", f"{HOOKS}/slots/invoice")["also_expired"] is True


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("invoice", {"url": "shop.example"}, "INVALID_URL_FORMAT"),
        ("invoice", {"url": ""}, "INVALID_URL_FORMAT"),
        ("invoice", {"url": "http://127.1/x"}, "INVALID_URL_FORMAT"),
        ("invoice", {}, "API_VALIDATION_ERROR"),
        ("invoice", {"url": None}, "API_VALIDATION_ERROR"),
        ("payouts_v3", {"url": URL}, "API_VALIDATION_ERROR"),
        ("nothing", {"url": URL}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_is_wrong_is_refused_as_documented(play, path, body, code):
    """A URL that is none has its own code; all else is a validation error, with the entries at fault."""
    answer = play.call("POST", f"/callback_urls/{path}", body)
    assert (answer.status, answer.body["error_code"]) == (400, code)
    assert answer.body["errors"]


@settings(max_examples=100, deadline=None)
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "x"]), inner),
        max_leaves=6,
    )
)
def test_no_body_is_too_odd(lasting, body):
    """Whatever JSON comes, the answer is a success or an error in the provider's shape."""
    answer = lasting.call("POST", "/callback_urls/report", body)
    assert answer.status in {200, 400}
