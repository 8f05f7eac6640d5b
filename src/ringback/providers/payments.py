"""Payment and commerce providers that sign a header with one HMAC.

Sources: the verification code of stripe-python, shopify-api-js, square-python-sdk, paddle-python-sdk and
razorpay-python; the webhook pages of PayMongo and DOKU; for Paystack and Flutterwave, secondary sources.
"""

from __future__ import annotations

from ringback.providers.profile import Answer, Profile
from ringback.providers.recognition import Either, Field, Header, Joined, Recogniser, UrlPath, equals
from ringback.signing import Algorithm, Encoding, Hmac, Parts, SharedToken, TimeUnit
from ringback.signing.contract import FIVE_MINUTES

_BODY_ONLY = "{} signs the body only, with no time in it: de-duplication is what stops a replay."
_FLUTTERWAVE = Recogniser(
    event_type=Either((Field("event"), Field("type"))),
    dedupe_key=Joined((Field("data.id"), Field("data.status")), by=":", strict=True),
)

# The key is the whole text of the secret, whsec_ included. stripe-python only refuses what is too old; here what
# is too new is refused as well.
STRIPE = Profile(
    name="stripe",
    title="Stripe",
    configured_with="the endpoint's whsec_ secret",
    scheme=Hmac(
        header="stripe-signature", parts=Parts(), template="{timestamp}.{body}", tolerance=FIVE_MINUTES
    ),
    recognise=Recogniser(event_id=Field("id"), event_type=Field("type")),
)
SHOPIFY = Profile(
    name="shopify",
    title="Shopify",
    configured_with="the client secret of the app",
    scheme=Hmac(header="x-shopify-hmac-sha256", encoding=Encoding.BASE64),
    recognise=Recogniser(event_id=Header("x-shopify-event-id"), event_type=Header("x-shopify-topic")),
    uncovered="Shopify signs the body only: its topic, shop, event id and time are not covered.",
)
SQUARE = Profile(
    name="square",
    title="Square",
    configured_with="the signature key of the subscription",
    scheme=Hmac(header="x-square-hmacsha256-signature", encoding=Encoding.BASE64, template="{url}{body}"),
    recognise=Recogniser(
        event_id=Field("event_id"),
        event_type=Field("type"),
        is_test=equals(Field("type"), "webhooks.test_notification"),
    ),
    uncovered=_BODY_ONLY.format("Square (beside the URL)"),
)
# The five seconds are the default of Paddle's own libraries.
PADDLE = Profile(
    name="paddle",
    title="Paddle Billing",
    scheme=Hmac(
        header="paddle-signature",
        parts=Parts(separator=";", timestamp="ts", signatures=("h1",)),
        template="{timestamp}:{body}",
        tolerance=5_000,
    ),
    recognise=Recogniser(event_id=Field("event_id"), event_type=Field("event_type")),
)
# The time is not checked: PayMongo retries for over two hours, and whether each retry is signed afresh is not
# documented. A header carries te= in test mode and li= in live mode, the other empty.
PAYMONGO = Profile(
    name="paymongo",
    title="PayMongo",
    scheme=Hmac(
        header="paymongo-signature", parts=Parts(signatures=("te", "li")), template="{timestamp}.{body}"
    ),
    recognise=Recogniser(event_id=Field("data.id"), event_type=Field("data.attributes.type")),
    ack=Answer(body=b"{}", content_type="application/json"),
)
RAZORPAY = Profile(
    name="razorpay",
    title="Razorpay",
    configured_with="the webhook secret, which is not the API secret",
    scheme=Hmac(header="x-razorpay-signature"),
    recognise=Recogniser(event_id=Header("x-razorpay-event-id"), event_type=Field("event")),
    uncovered="Razorpay signs the body only: its event id is not covered, and there is no time.",
)
PAYSTACK = Profile(
    name="paystack",
    title="Paystack",
    configured_with="the secret API key",
    scheme=Hmac(header="x-paystack-signature", algorithm=Algorithm.SHA512),
    recognise=Recogniser(
        event_type=Field("event"), dedupe_key=Joined((Field("event"), Field("data.id")), by=":", strict=True)
    ),
    uncovered=_BODY_ONLY.format("Paystack"),
)
FLUTTERWAVE = Profile(
    name="flutterwave",
    title="Flutterwave v4",
    scheme=Hmac(header="flutterwave-signature", encoding=Encoding.BASE64),
    recognise=_FLUTTERWAVE,
    uncovered=_BODY_ONLY.format("Flutterwave"),
)
FLUTTERWAVE_V3 = Profile(
    name="flutterwave-v3",
    title="Flutterwave v3",
    configured_with="the secret hash of the dashboard",
    scheme=SharedToken(header="verif-hash"),
    recognise=_FLUTTERWAVE,
    uncovered="Flutterwave v3 sends a fixed token and signs nothing: verify each transaction by its API.",
    secret_headers=("verif-hash",),
)
DOKU = Profile(
    name="doku",
    title="DOKU (non-SNAP)",
    scheme=Hmac(
        header="signature",
        prefix="HMACSHA256=",
        encoding=Encoding.BASE64,
        template=(
            "Client-Id:{header:client-id}\nRequest-Id:{id}\nRequest-Timestamp:{timestamp}\n"
            "Request-Target:{path}\nDigest:{digest}"
        ),
        timestamp_header="request-timestamp",
        timestamp_unit=TimeUnit.ISO,
        id_header="request-id",
    ),
    recognise=Recogniser(event_id=Header("request-id"), event_type=UrlPath()),
)
