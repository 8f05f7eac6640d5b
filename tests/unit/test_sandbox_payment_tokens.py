"""Payment tokens of the v3 API in the sandbox."""

import pytest
from sandboxes import playing
from xendit_tables import faults

from xendit_requests import OTHERS

DAY = 86_400_000
TOKENS = "/v3/payment_tokens"
DRAFT = {
    "reference_id": "token-1",
    "country": "ID",
    "currency": "IDR",
    "channel_code": "OVO",
    "channel_properties": {"success_return_url": "https://shop.example/ok"},
    "customer_id": "cust-1",
    "description": "Keep the wallet",
    "metadata": {"plan": "gold"},
}
CARD = {"card_number": "5200000000001005", "expiry_month": "12", "expiry_year": "2030"}
CARDS = {"channel_code": "CARDS", "channel_properties": {"card_details": CARD, "skip_three_ds": True}}
MISSING = (404, "DATA_NOT_FOUND")
INELIGIBLE = (400, "INELIGIBLE_TRANSACTION_STATUS")


def made(play, **more):
    return play.ok("POST", TOKENS, DRAFT | more, headers={"api-version": "2024-11-11"})


def simulate(token):
    return f"/sandbox{TOKENS}/{token['payment_token_id']}/simulate"


def cancel(token):
    return f"{TOKENS}/{token['payment_token_id']}/cancel"


def told_well(play, event):
    """Return the data of the one webhook that was sent last, which must be as documented."""
    (*named, body) = play.told()[-1]
    assert named == [event, "payment_tokens"]
    assert faults(event, "event", body) == []
    assert body["api_version"] == "v3"
    return body["data"]


def test_a_token_waits_for_consent(play):
    """A new token is 201 and says where its payer consents; consent makes it ACTIVE, which is told."""
    answer = play.call("POST", TOKENS, DRAFT)
    token = answer.body
    assert (answer.status, token["status"], len(token["payment_token_id"])) == (201, "REQUIRES_ACTION", 39)
    assert token["actions"][0]["descriptor"] == "WEB_URL"
    assert play.told() == []
    active = play.ok("POST", simulate(token))
    assert (active["status"], active["actions"]) == ("ACTIVE", [])
    assert told_well(play, "payment_token.activation")["token_details"] == active["token_details"]
    assert play.ok("GET", f"{TOKENS}/{token['payment_token_id']}") == active
    assert play.refused("POST", simulate(token)) == INELIGIBLE


def test_consent_is_refused(play):
    """A token to which its payer does not consent is FAILED, and says why."""
    token = made(play)
    play.ok("POST", simulate(token), {"status": "FAILED", "failure_code": "ACCOUNT_ALREADY_LINKED"})
    data = told_well(play, "payment_token.failure")
    assert (data["status"], data["failure_code"]) == ("FAILED", "ACCOUNT_ALREADY_LINKED")
    play.ok("POST", simulate(made(play)), {"status": "FAILED"})
    assert told_well(play, "payment_token.failure")["failure_code"] == "AUTHENTICATION_FAILED"


def test_nobody_consents(play):
    """A token that waits expires after a day; an active one when the provider ends it."""
    waiting, active = made(play), made(play)
    play.ok("POST", simulate(active))
    play.advance(DAY)
    assert told_well(play, "payment_token.expiry")["payment_token_id"] == waiting["payment_token_id"]
    play.advance(400 * DAY)
    assert len(play.told()) == 2
    play.ok("POST", simulate(active), {"status": "EXPIRED"})
    assert told_well(play, "payment_token.expiry")["status"] == "EXPIRED"
    assert play.refused("POST", simulate(active), {"status": "EXPIRED"}) == INELIGIBLE


@pytest.mark.parametrize("skips", [True, False])
def test_a_cards_token_ends_with_the_card(play, skips):
    """Without 3-D Secure a card's token is ACTIVE at once; either way it expires with the card."""
    token = made(play, **CARDS | {"channel_properties": {"card_details": CARD, "skip_three_ds": skips}})
    if not skips:
        play.ok("POST", simulate(token))
    assert told_well(play, "payment_token.activation")["channel_code"] == "CARDS"
    assert token["channel_properties"]["card_details"]["masked_card_number"] == "5200****1005"
    play.advance(7 * 366 * DAY)
    assert [event for event, _, _ in play.told()] == ["payment_token.activation", "payment_token.expiry"]


def test_a_token_is_canceled(play):
    """A token is taken back while it waits or is active, and nothing is told of it."""
    waiting, active = made(play), made(play)
    play.ok("POST", simulate(active))
    for token in (waiting, active):
        assert play.ok("POST", cancel(token))["status"] == "CANCELED"
        assert play.refused("POST", cancel(token)) == INELIGIBLE
    play.advance(2 * DAY)
    assert len(play.told()) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"channel_code": "BRI_VIRTUAL_ACCOUNT"}, "INVALID_VALUE_ERROR"),
        ({"channel_code": "GCASH"}, "INVALID_VALUE_ERROR"),
        ({"channel_properties": None}, "API_VALIDATION_ERROR"),
        ({"reference_id": None}, "API_VALIDATION_ERROR"),
        (CARDS | {"channel_properties": {"card_details": CARD | {"expiry_year": "2020"}}}, "CARD_EXPIRED"),
    ],
)
def test_what_cannot_be_a_token(play, change, code):
    """Each fault is 400 with the provider's code."""
    assert play.refused("POST", TOKENS, DRAFT | change) == (400, code)


def test_tokens_that_are_not_there(play):
    """Unknown tokens, and those of others, are 404."""
    token = made(play)
    for named, headers in (({"payment_token_id": "pt-x"}, {}), (token, OTHERS)):
        assert play.refused("POST", simulate(named), headers=headers) == MISSING
        assert play.refused("POST", cancel(named), headers=headers) == MISSING
        path = f"{TOKENS}/{named['payment_token_id']}"
        assert play.refused("GET", path, headers=headers) == MISSING


def test_a_restart(tmp_path):
    """A token that waits expires in the next run, too."""
    with playing(tmp_path) as play:
        made(play)
    with playing(tmp_path, seed=8) as play:
        play.advance(DAY)
        told_well(play, "payment_token.expiry")
