"""Payment sessions in the sandbox."""

import pytest
from sandboxes import SITE, playing
from xendit_tables import faults

from xendit_requests import OTHERS

MINUTE = 60_000
DRAFT = {
    "reference_id": "order-1",
    "session_type": "PAY",
    "mode": "PAYMENT_LINK",
    "amount": 150_000,
    "currency": "IDR",
    "country": "ID",
    "description": "Order 1",
    "metadata": {"branch": "menteng"},
    "items": [{"name": "Kettle", "quantity": 1, "net_unit_amount": 150_000}],
    "success_return_url": "https://shop.example/ok",
    "cancel_return_url": "https://shop.example/cancel",
}
SAVING = {"session_type": "SAVE", "amount": 0, "items": None, "customer_id": "cust-1"}
DESCRIBED = {"reference_id": "c-1", "type": "INDIVIDUAL", "individual_detail": {"given_names": "TEST"}}
MISSING = (404, "NOT_FOUND")
ENDED = (422, "INVALID_SESSION_STATUS")


def made(play, **more):
    return play.ok("POST", "/sessions", DRAFT | more)


def path_of(session, verb=""):
    return f"/sessions/{session['payment_session_id']}{verb}"


def simulate(play, session, **outcome):
    return play.ok("POST", f"/sandbox{path_of(session, '/simulate')}", outcome)


def told_well(play):
    """Return the names of what was told since the last call, and the data, which must be as documented."""
    told = [(event, slot, body) for event, slot, body in play.told()]
    for event, _, body in told:
        assert faults(event, "event", body) == []
    return [event for event, _, _ in told], {event: body["data"] for event, _, body in told}


def test_a_session_waits_for_its_payer(play):
    """A new session is 201 and ACTIVE for half an hour, and leads to a page."""
    answer = play.call("POST", "/sessions", DRAFT)
    session = answer.body
    assert (answer.status, session["status"], len(session["payment_session_id"])) == (201, "ACTIVE", 27)
    assert session["payment_link_url"] == f"{SITE}/web/{session['payment_session_id']}"
    assert session["expires_at"] == play.sandbox.stamp(play.clock() + 30 * MINUTE)
    assert play.ok("GET", path_of(session)) == session
    assert play.told() == []


def test_one_payment_is_told_twice(play):
    """The payment is told as any payment, then the session; both have the payment's id, as has the API."""
    session = made(play, allowed_payment_channels=["DANA", "QRIS"])
    done = simulate(play, session, channel_code="QRIS")
    events, data = told_well(play)
    assert events == ["payment.capture", "payment_session.completed"]
    assert [slot for _, slot, _ in play.told()] == ["payments_v3", "payment_session"]
    payment, completed = data["payment.capture"], data["payment_session.completed"]
    assert (completed["status"], completed["amount"]) == ("COMPLETED", 150_000)
    for name in ("payment_id", "payment_request_id", "reference_id"):
        assert completed[name] == payment[name] == done[name]
    request = play.ok("GET", f"/v3/payment_requests/{done['payment_request_id']}")
    assert (request["status"], request["channel_code"]) == ("SUCCEEDED", "QRIS")
    assert request["request_amount"] == 150_000
    assert play.ok("GET", f"/v3/payments/{done['payment_id']}")["status"] == "SUCCEEDED"
    play.advance(60 * MINUTE)
    assert len(play.told()) == 2


def test_a_payer_fails_and_tries_again(play):
    """A payment that fails is told, and leaves the session open for the next one."""
    session = made(play)
    assert simulate(play, session, status="FAILED", channel_code="DANA")["status"] == "ACTIVE"
    simulate(play, session, status="FAILED", failure_code="STOLEN_CARD")
    simulate(play, session, channel_code="DANA")
    events, data = told_well(play)
    assert events == [
        "payment.failure",
        "payment.failure",
        "payment.capture",
        "payment_session.completed",
    ]
    assert data["payment.failure"]["failure_code"] == "STOLEN_CARD"
    assert data["payment.failure"]["payment_id"] != data["payment_session.completed"]["payment_id"]


def test_a_session_that_only_authorizes(play):
    """With MANUAL the session is completed by an authorization, which is captured like any other."""
    session = made(play, capture_method="MANUAL")
    done = simulate(play, session)
    events, _ = told_well(play)
    assert events == ["payment.authorization", "payment_session.completed"]
    play.ok("POST", f"/v3/payments/{done['payment_id']}/capture", {})
    assert told_well(play)[0][-1] == "payment.capture"


@pytest.mark.parametrize(
    ("allowed", "wanted", "kept"),
    [
        ("FORCED", False, True),
        ("OPTIONAL", True, True),
        ("OPTIONAL", False, False),
        ("DISABLED", True, False),
    ],
)
def test_saving_while_paying(play, allowed, wanted, kept):
    """What the payer pays by is saved if the session forces it, or leaves it open and the payer wants it."""
    session = made(play, allow_save_payment_method=allowed, customer=DESCRIBED)
    done = simulate(play, session, channel_code="DANA", saves=wanted)
    events, data = told_well(play)
    assert ("payment_token.activation" in events) is kept
    assert (done["payment_token_id"] is not None) is kept
    if kept:
        token = play.ok("GET", f"/v3/payment_tokens/{done['payment_token_id']}")
        assert token["customer_id"] == session["customer_id"]
        assert data["payment_session.completed"]["payment_token_id"] == token["payment_token_id"]


def test_a_session_that_only_saves(play):
    """Nothing is paid: a token is made, or fails, and the session has its id."""
    session = made(play, **SAVING)
    simulate(play, session, status="FAILED", channel_code="OVO")
    done = simulate(play, session, channel_code="OVO")
    events, data = told_well(play)
    assert events == ["payment_token.failure", "payment_token.activation", "payment_session.completed"]
    assert data["payment_token.failure"]["failure_code"] == "AUTHENTICATION_FAILED"
    assert done["payment_token_id"] == data["payment_token.activation"]["payment_token_id"]
    assert (done["payment_id"], done["capture_method"]) == (None, None)


def test_a_session_expires(play):
    """After half an hour, or when it says, a session is EXPIRED, which is told, and cannot be paid."""
    ends = play.sandbox.stamp(play.clock() + 20 * MINUTE)
    sooner, usual = made(play, expires_at=ends), made(play)
    play.advance(20 * MINUTE)
    events, data = told_well(play)
    assert events == ["payment_session.expired"]
    expired = data["payment_session.expired"]
    assert (expired["payment_session_id"], expired["status"]) == (sooner["payment_session_id"], "EXPIRED")
    assert "payment_id" not in expired
    play.advance(10 * MINUTE)
    assert len(play.told()) == 2
    for verb in ("/cancel", "/simulate"):
        path = path_of(usual, verb) if verb == "/cancel" else f"/sandbox{path_of(usual, verb)}"
        assert play.refused("POST", path) == ENDED


def test_a_session_is_canceled(play):
    """An active session can be canceled, of which nothing is told."""
    session = made(play)
    assert play.ok("POST", path_of(session, "/cancel"))["status"] == "CANCELED"
    assert play.refused("POST", path_of(session, "/cancel")) == ENDED
    assert play.refused("POST", f"/sandbox{path_of(session, '/simulate')}") == ENDED
    play.advance(60 * MINUTE)
    assert play.told() == []


def test_sessions_without_a_page(play):
    """A session for components has a key for them instead of a page; one for cards takes only cards."""
    configuration = {"origins": ["https://shop.example"]}
    components = made(play, mode="COMPONENTS", components_configuration=configuration)
    assert (components["payment_link_url"], len(components["components_sdk_key"])) == (None, 40)
    assert components["components_configuration"] == configuration
    cards = made(play, mode="CARDS_SESSION_JS", customer_id="cust-1")
    refused = play.refused("POST", f"/sandbox{path_of(cards, '/simulate')}", {"channel_code": "DANA"})
    assert refused == (400, "INVALID_PAYMENT_CHANNEL")
    simulate(play, cards)
    assert told_well(play)[1]["payment.capture"]["channel_code"] == "CARDS"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"session_type": None}, "API_VALIDATION_ERROR"),
        ({"session_type": "AUTHORIZATION"}, "SESSION_TYPE_NOT_SUPPORTED"),
        ({"mode": "EMAIL"}, "MODE_NOT_SUPPORTED"),
        ({"reference_id": "x" * 65}, "API_VALIDATION_ERROR"),
        ({"amount": 0}, "INVALID_AMOUNT"),
        ({"amount": 0.5}, "INVALID_AMOUNT"),
        ({"amount": 10**13}, "INVALID_AMOUNT"),
        (SAVING | {"amount": 1}, "INVALID_AMOUNT"),
        (SAVING | {"capture_method": "MANUAL"}, "DISALLOWED_CAPTURE_METHOD"),
        (SAVING | {"items": DRAFT["items"]}, "ITEMS_NOT_SUPPORTED"),
        (SAVING | {"customer_id": None}, "MISSING_CUSTOMER"),
        ({"allow_save_payment_method": "FORCED"}, "MISSING_CUSTOMER"),
        ({"mode": "CARDS_SESSION_JS"}, "MISSING_CUSTOMER"),
        ({"customer_id": "siti"}, "INVALID_CUSTOMER_ID"),
        ({"currency": "EUR"}, "INVALID_CURRENCY"),
        ({"country": "DE"}, "INVALID_COUNTRY"),
        ({"success_return_url": "javascript:alert(1)"}, "INVALID_URL"),
        ({"expires_at": "soon"}, "API_VALIDATION_ERROR"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "INVALID_EXPIRY_DATE"),
        ({"allowed_payment_channels": ["GCASH"]}, "INVALID_PAYMENT_CHANNEL"),
        ({"allowed_payment_channels": ["QRIS"], "capture_method": "MANUAL"}, "INVALID_PAYMENT_CHANNEL"),
        ({"allow_save_payment_method": "ALWAYS"}, "API_VALIDATION_ERROR"),
        ({"channel_properties": {"cards": {"card_details": {"cvn": "1"}}}}, "API_VALIDATION_ERROR"),
    ],
)
def test_what_cannot_be_a_session(play, change, code):
    """Each fault is 400 with the provider's code for it."""
    assert play.refused("POST", "/sessions", DRAFT | change) == (400, code)


def test_an_end_that_is_too_near(play):
    """A session lasts ten minutes at least."""
    ends = play.sandbox.stamp(play.clock() + 10 * MINUTE - 1)
    assert play.refused("POST", "/sessions", DRAFT | {"expires_at": ends}) == (400, "INVALID_EXPIRY_DATE")


def test_sessions_that_are_not_there(play):
    """Unknown sessions, and those of others, are 404."""
    session = made(play)
    for named, headers in (({"payment_session_id": "ps-x"}, {}), (session, OTHERS)):
        assert play.refused("GET", path_of(named), headers=headers) == MISSING
        assert play.refused("POST", path_of(named, "/cancel"), headers=headers) == MISSING
        path = f"/sandbox{path_of(named, '/simulate')}"
        assert play.refused("POST", path, headers=headers) == MISSING


def test_a_restart(tmp_path):
    """A session can be paid in the next run, and another expires there."""
    with playing(tmp_path) as play:
        paid, _ = made(play), made(play)
    with playing(tmp_path, seed=8) as play:
        simulate(play, paid)
        play.advance(30 * MINUTE)
        events, _ = told_well(play)
        assert events == ["payment.capture", "payment_session.completed", "payment_session.expired"]
