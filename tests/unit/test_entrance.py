"""A source made ready: the options of its provider's scheme, and where its events' names stand."""

import base64
import hashlib
import hmac
from contextlib import closing

import pytest

from ringback.entrance import configured
from ringback.errors import InvalidInput
from ringback.providers import PROVIDERS, provider
from ringback.signing import Request
from ringback.testing import (
    FrozenClock,
    assert_acknowledged,
    assert_received,
    assert_refused,
    inbox_at,
    signed_request,
)

SECRET, BODY = "a shared secret", b'{"kind":"order.paid","id":"o-7"}'
DIGEST = hmac.new(SECRET.encode(), BODY, hashlib.sha256)


@pytest.fixture
def inbox(tmp_path):
    with closing(inbox_at(tmp_path)) as inbox:
        yield inbox


def posted(inbox, options, headers, body=BODY):
    inbox.source("shop", provider="hmac", secrets=[SECRET], options=options)
    named = {name.lower(): value for name, value in headers.items()}
    return inbox.accept("shop", Request("POST", "https://shop.example/in", named, body)).result()


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"header": "x-shop-signature"}, {"x-shop-signature": DIGEST.hexdigest()}),
        ({"header": "X-Shop-Signature"}, {"X-Shop-Signature": DIGEST.hexdigest()}),
        ({"header": "x-sig", "prefix": "sha256="}, {"x-sig": f"sha256={DIGEST.hexdigest()}"}),
        (
            {"header": "x-sig", "encoding": "base64"},
            {"x-sig": base64.b64encode(DIGEST.digest()).decode()},
        ),
        (
            {"header": "x-sig", "algorithm": "sha512"},
            {"x-sig": hmac.new(SECRET.encode(), BODY, hashlib.sha512).hexdigest()},
        ),
    ],
)
def test_how_a_sender_signs(inbox, options, headers):
    """Header, in any case, prefix, encoding and hash of a plain HMAC are options; anything else is refused."""
    assert_acknowledged(posted(inbox, options, headers))
    assert_refused(posted(inbox, options, {name: f"{value}0" for name, value in headers.items()}))
    assert_refused(posted(inbox, options, {}))


@pytest.mark.parametrize(
    ("options", "headers", "event_type", "event"),
    [
        ({"event_type": "order.changed"}, {}, "order.changed", None),
        ({"event_type_header": "X-Kind"}, {"x-kind": "order.paid"}, "order.paid", None),
        (
            {"event_type_header": "x-kind", "event_type": "else"},
            {},
            "else",
            None,
        ),
        (
            {"event_id_header": "X-Delivery", "event_type": "order"},
            {"x-delivery": "d-1"},
            "order",
            "d-1",
        ),
    ],
)
def test_how_a_senders_events_are_named(inbox, options, headers, event_type, event):
    """Type and id are found in the headers that the options name, and the type of whatever names none is an option."""
    options = {"header": "x-sig", **options}
    for _ in range(2):
        assert_acknowledged(posted(inbox, options, {"x-sig": DIGEST.hexdigest(), **headers}))
    if event is not None:
        message = assert_received(inbox, "shop", event)
        assert message.event_type == event_type
        assert message.inbound.event_id == event
    else:
        found = [one.event_type for held in ("unhandled",) for one in inbox.held("shop", held).result()]
        assert found == [event_type] * len(found)
        assert found


@pytest.mark.parametrize(("age", "accepted"), [(59, True), (61, False)])
def test_a_tolerance(tmp_path, age, accepted):
    """How old a signature may be is an option, written as a duration."""
    clock = FrozenClock()
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source("stripe", secrets=["whsec_x"], options={"tolerance": "1m"})
        request = signed_request("stripe", secret="whsec_x", now=clock)
        clock.advance(age)
        reply = inbox.accept("stripe", request).result()
        assert (reply.status == 200) is accepted


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"heder": "x"},
            ["heder", "header", "encoding", "tolerance", "event_type_header", "event_id_header"],
        ),
        ({"encoding": "base32"}, ["encoding", "base64"]),
        ({"tolerance": "soon"}, ["tolerance", "30s"]),
        ({"algorithm": "crc32"}, ["algorithm"]),
        ({"parts": "t"}, ["parts"]),
    ],
)
def test_an_option_that_cannot_be(inbox, options, words):
    """An unknown option is told with those there are, a wrong value with what would be right."""
    with pytest.raises(InvalidInput) as told:
        inbox.source("shop", provider="hmac", secrets=[SECRET], options=options)
    for word in words:
        assert word in str(told.value)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_takes_the_common_options(name):
    """Where events' names stand can be said for every provider, without a change to how it signs."""
    changed = configured(provider(name), {"event_type": "thing.happened", "event_id_header": "x-id"})
    assert changed.scheme == provider(name).scheme
    assert configured(provider(name), {}) is provider(name)


def test_an_unknown_provider_is_told(inbox):
    """A provider that is not known is told with those that are."""
    with pytest.raises(InvalidInput, match="stripe"):
        inbox.source("strype", secrets=["secret"])


def test_a_secret_in_another_header_is_not_kept():
    """Where an option moves a secret to another header, that one holds a secret too."""
    changed = configured(provider("api-key"), {"header": "X-Shop-Key"})
    assert {"x-api-key", "x-shop-key"} <= set(changed.secret_headers)
