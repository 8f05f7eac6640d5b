"""How providers try an address out, and what they are answered."""

import json

import msgspec
import pytest
from senders import NOW, RSA, SENDERS, URL, certificate_pem, private_pem

from ringback.errors import SignatureInvalid
from ringback.providers import Answer, answer_challenge, provider, verify
from ringback.signing import Request

TOPIC = "arn:aws:sns:eu-west-1:1:orders"
SUBSCRIBE_URL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"


def signed(name, body, method="POST", url=URL):
    sender = SENDERS[name]
    request = Request(method, url, {}, json.dumps(body).encode())
    return sender.profile.scheme.sign([sender.signing], request, NOW, "evt_1")


def answered(name, request):
    return answer_challenge(SENDERS[name].profile, SENDERS[name].secrets, request, NOW)


@pytest.mark.parametrize("name", SENDERS)
def test_an_ordinary_event_is_no_challenge(name):
    """An event is left to verification."""
    assert answered(name, SENDERS[name].signed()) is None


def test_slack_gets_its_challenge_back():
    """A genuine url_verification is answered with its challenge; a forged one is refused."""
    body = {"type": "url_verification", "challenge": "3eZbrw1a"}
    assert answered("slack", signed("slack", body)) == Answer(
        body=b"3eZbrw1a", content_type="text/plain; charset=utf-8"
    )
    with pytest.raises(SignatureInvalid):
        answered("slack", Request("POST", URL, {}, json.dumps(body).encode()))


@pytest.mark.parametrize(
    "body", [{"type": "event_callback", "text": "url_verification"}, {"type": "url_verification"}]
)
def test_words_in_a_message_are_no_challenge(body):
    """A message that merely speaks of url_verification, or one without a challenge, is an event."""
    assert answered("slack", signed("slack", body)) is None


def test_discord_gets_an_empty_204():
    """A genuine PING is answered with an empty 204, a forged one refused, as Discord demands."""
    ping = signed("discord", {"type": 0})
    assert answered("discord", ping) == Answer(status=204)
    with pytest.raises(SignatureInvalid):
        answered("discord", ping.with_headers({"x-signature-ed25519": "00" * 64}))
    assert provider("discord").reject_status == 401


def subscription(token, challenge="1158201444", mode="subscribe"):
    query = f"hub.mode={mode}&hub.verify_token={token}&hub.challenge={challenge}"
    return Request("GET", f"https://shop.example/meta?{query}", {}, b"")


def test_meta_gets_its_challenge_back():
    """A GET that knows the verify token is answered with the challenge, as plain text."""
    secrets = ["app-secret", "verify_token:hello"]
    answer = answer_challenge(provider("meta"), secrets, subscription("hello"), NOW)
    assert answer == Answer(body=b"1158201444", content_type="text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("secrets", "request_"),
    [
        (["app-secret", "verify_token:hello"], subscription("hullo")),
        (["app-secret", "verify_token:hello"], subscription("app-secret")),
        (["app-secret", "verify_token:"], subscription("")),
        (["app-secret"], subscription("")),
        (["app-secret", "verify_token:hello"], subscription("hello", mode="unsubscribe")),
        (["app-secret", "verify_token:hello"], Request("GET", "https://[", {}, b"")),
    ],
)
def test_meta_without_the_verify_token_is_refused(secrets, request_):
    """A GET with another token, an empty one, the app secret, or another mode gets no challenge."""
    with pytest.raises(SignatureInvalid):
        answer_challenge(provider("meta"), secrets, request_, NOW)


def test_metas_verify_token_signs_nothing():
    """Whoever knows the verify token alone cannot sign an event."""
    forged = provider("github").scheme.sign(
        ["verify_token:hello"], Request("POST", URL, {}, b"{}"), NOW, "evt_1"
    )
    for secrets in (["app-secret", "verify_token:hello"], ["verify_token:hello"]):
        with pytest.raises(SignatureInvalid):
            verify(provider("meta"), secrets, forged, NOW)
    good = provider("meta").scheme.sign(["app-secret"], Request("POST", URL, {}, b"{}"), NOW, "evt_1")
    assert verify(provider("meta"), ["verify_token:hello", "app-secret"], good, NOW).key == 1


def confirmation(url=SUBSCRIBE_URL, topic=TOPIC):
    return {
        "Type": "SubscriptionConfirmation",
        "TopicArn": topic,
        "Message": "You have chosen to subscribe",
        "SubscribeURL": url,
        "Token": "t",
    }


def test_sns_hands_on_the_address_to_visit():
    """A genuine confirmation yields the address that confirms it; nothing opens it here."""
    assert answered("sns", signed("sns", confirmation())) == Answer(visit=SUBSCRIBE_URL)


def test_sns_hands_on_no_other_address():
    """An address that is not Amazon's is not handed on, even when it is signed."""
    assert answered("sns", signed("sns", confirmation("https://evil.example/"))) == Answer(visit=None)


def test_sns_topics_not_listed_are_refused():
    """With topics listed in the scheme, another topic neither confirms nor notifies."""
    profile = msgspec.structs.replace(
        provider("sns"),
        scheme=msgspec.structs.replace(provider("sns").scheme, topics=("arn:aws:sns:eu-west-1:1:other",)),
    )
    certificate = certificate_pem(RSA, "sns.amazonaws.com")
    notification = {"Type": "Notification", "TopicArn": TOPIC, "Message": "m"}
    for body, judge in ((confirmation(), answer_challenge), (notification, verify)):
        request = Request("POST", URL, {}, json.dumps(body).encode())
        genuine = profile.scheme.sign([private_pem(RSA)], request, NOW, "evt_1")
        with pytest.raises(SignatureInvalid, match="topic"):
            judge(profile, [certificate], genuine, NOW)


@pytest.mark.parametrize(
    ("name", "body", "headers"),
    [
        ("github", {"zen": "Keep it simple"}, {"x-github-event": "ping"}),
        ("intercom", {"id": "notif_1", "topic": "ping"}, {}),
        ("square", {"event_id": "1", "type": "webhooks.test_notification"}, {}),
    ],
)
def test_pings_are_flagged(name, body, headers):
    """A provider's ping is received like an event and flagged as a test."""
    sender = SENDERS[name]
    request = Request("POST", URL, headers, json.dumps(body).encode())
    genuine = sender.profile.scheme.sign([sender.signing], request, NOW, "evt_1")
    assert verify(sender.profile, sender.secrets, genuine, NOW).is_test
