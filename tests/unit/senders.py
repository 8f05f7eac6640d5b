"""One ordinary request of every provider, unsigned, with keys to sign and verify it and what it is about."""

import datetime as dt
import hashlib
import json

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from ringback.providers import provider
from ringback.signing import Request

NOW = 1_700_000_000_000
URL = "https://shop.example/hooks/in?shop=1"
FORM = {"content-type": "application/x-www-form-urlencoded"}
TOKEN = "an-ordinary-shared-secret"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HEX_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
BASE64_KEY = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="


def private_pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_pem(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def certificate_pem(key, host, *, starts=dt.datetime(2020, 1, 1, tzinfo=dt.UTC), years=10):
    """Return a self-signed certificate for *host*."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(starts)
        .not_valid_after(starts + dt.timedelta(days=365 * years))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(0x1234_5678_9ABC_DEF0, ec.SECP256R1())
RSA = rsa.generate_private_key(65_537, 2048)
ED25519_HEX = (
    ED25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
)


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's request and what is expected of it. ``covers`` are the parts a flipped bit spoils."""

    name: str
    body: bytes
    event_type: str | None
    event_id: str | None = None
    dedupe_key: str | None = None
    signing: str = TOKEN
    verifying: str | None = None
    headers: dict[str, str] = {}
    covers: tuple[str, ...] = ("body",)

    @property
    def profile(self):
        """The provider's profile."""
        return provider(self.name)

    @property
    def secrets(self):
        """The secrets that verify."""
        return [self.verifying or self.signing]

    @property
    def bare(self):
        """The request before it is signed."""
        return Request("POST", URL, self.headers, self.body)

    def signed(self, now=NOW):
        """Return the request as the provider sends it."""
        return self.profile.scheme.sign([self.signing], self.bare, now, "evt_1")


def of(name, body, event_type, **others):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Sender(name=name, body=raw, event_type=event_type, **others)


ORDER = {"id": "evt_9", "type": "order.paid"}
ITEM = {
    "pspReference": "P1",
    "merchantAccountCode": "M",
    "amount": {"value": 1, "currency": "EUR"},
    "eventCode": "AUTHORISATION",
    "success": "true",
}
HUBSPOT = [{"eventId": 1, "subscriptionId": 2, "occurredAt": 3, "subscriptionType": "contact.creation"}]
HUBSPOT_KEY = {"event_type": "contact.creation", "dedupe_key": "1:2:3"}
NOTIFICATION = {"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:orders", "Message": "paid"}
META = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "changes": [
                {
                    "field": "messages",
                    "value": {"messages": [{"id": "m1"}], "statuses": [{"id": "s1", "status": "read"}]},
                }
            ]
        }
    ],
}
WHATSAPP_TYPE = "whatsapp_business_account.messages"
META_KEY = "message:m1,status:s1:read"
CHARGE = {"event": "charge.completed", "data": {"id": 5, "status": "successful"}}
DISPUTE = {"event": "dispute.won", "id": "mi-dspt-1", "updated_at": "2026-03-02T07:00:00Z"}

ENTITLEMENT = b'{"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}'
ITEM_ERROR = b'{"webhook_type":"ITEM","webhook_code":"ERROR"}'

SENDERS = {
    sender.name: sender
    for sender in (
        of("xendit", DISPUTE, "dispute.won", event_id="evt_1", dedupe_key="evt_1", covers=()),
        of(
            "standard-webhooks",
            ORDER,
            "order.paid",
            signing=STANDARD,
            event_id="evt_1",
            dedupe_key="evt_1",
        ),
        of("svix", ORDER, "order.paid", signing=STANDARD, event_id="evt_1", dedupe_key="evt_1"),
        of("stripe", ORDER, "order.paid", event_id="evt_9", dedupe_key="evt_9"),
        of(
            "github",
            {"action": "opened"},
            "pull_request.opened",
            headers={"x-github-event": "pull_request", "x-github-delivery": "d1"},
            event_id="d1",
            dedupe_key="d1",
        ),
        of(
            "gitlab",
            {"object_kind": "push"},
            "Push Hook",
            headers={"x-gitlab-event": "Push Hook", "idempotency-key": "k1"},
            event_id="k1",
            dedupe_key="k1",
            covers=(),
        ),
        of(
            "gitlab-signed",
            {"object_kind": "push"},
            "Push Hook",
            signing=STANDARD,
            headers={"x-gitlab-event": "Push Hook", "idempotency-key": "not signed"},
            event_id="evt_1",
            dedupe_key="evt_1",
        ),
        of(
            "bitbucket",
            {"push": {}},
            "repo:push",
            headers={"x-event-key": "repo:push", "x-request-uuid": "u1"},
            event_id="u1",
            dedupe_key="u1",
        ),
        of(
            "linear",
            {"type": "Issue", "action": "create"},
            "Issue.create",
            headers={"linear-delivery": "l1"},
            event_id="l1",
            dedupe_key="l1",
        ),
        of(
            "shopify",
            {"id": 1},
            "orders/create",
            headers={"x-shopify-topic": "orders/create", "x-shopify-event-id": "s1"},
            event_id="s1",
            dedupe_key="s1",
        ),
        of(
            "slack",
            {"type": "event_callback", "event_id": "Ev1", "event": {"type": "message"}},
            "message",
            event_id="Ev1",
            dedupe_key="Ev1",
        ),
        of(
            "twilio",
            b"MessageSid=SM1&MessageStatus=delivered",
            "delivered",
            headers=FORM,
            dedupe_key="SM1:delivered",
            covers=("body", "url"),
        ),
        of(
            "paypal",
            {"id": "WH-1", "event_type": "PAYMENT.SALE.COMPLETED"},
            "PAYMENT.SALE.COMPLETED",
            signing="WEBHOOK-1\n" + private_pem(RSA),
            verifying="WEBHOOK-1\n" + certificate_pem(RSA, "messageverificationcerts.paypal.com"),
            event_id="WH-1",
            dedupe_key="WH-1",
        ),
        of(
            "square",
            {"event_id": "q1", "type": "payment.created"},
            "payment.created",
            event_id="q1",
            dedupe_key="q1",
            covers=("body", "url"),
        ),
        of(
            "paddle",
            {"event_id": "p1", "event_type": "customer.created"},
            "customer.created",
            event_id="p1",
            dedupe_key="p1",
        ),
        of(
            "adyen",
            {"live": "false", "notificationItems": [{"NotificationRequestItem": ITEM}]},
            "AUTHORISATION",
            signing=HEX_KEY,
            dedupe_key="P1:AUTHORISATION:true",
            covers=(),
        ),
        of("adyen-platform", {"type": "merchant.created"}, "merchant.created", signing=HEX_KEY),
        of(
            "mailgun",
            {"event-data": {"event": "delivered"}},
            "delivered",
            event_id="evt_1",
            dedupe_key="evt_1",
            covers=(),
        ),
        of(
            "sendgrid",
            [{"event": "dropped", "sg_event_id": "b"}, {"event": "bounce", "sg_event_id": "a"}],
            "batch",
            signing=private_pem(P256),
            verifying=public_pem(P256),
            dedupe_key="a,b",
        ),
        of(
            "discord",
            ENTITLEMENT,
            "ENTITLEMENT_CREATE",
            signing=private_pem(ED25519),
            verifying=ED25519_HEX,
            dedupe_key="sha256:" + hashlib.sha256(ENTITLEMENT).hexdigest(),
        ),
        of(
            "zoom",
            {"event": "meeting.started", "event_ts": 7, "payload": {"object": {"uuid": "u"}}},
            "meeting.started",
            dedupe_key="meeting.started:7:u",
        ),
        of("hubspot", HUBSPOT, covers=("body", "url"), **HUBSPOT_KEY),
        of("hubspot-v2", HUBSPOT, covers=("body", "url"), **HUBSPOT_KEY),
        of("hubspot-v1", HUBSPOT, **HUBSPOT_KEY),
        of(
            "intercom",
            {"id": "notif_1", "topic": "contact.created"},
            "contact.created",
            event_id="notif_1",
            dedupe_key="notif_1",
        ),
        of(
            "typeform",
            {"event_id": "t1", "event_type": "form_response"},
            "form_response",
            event_id="t1",
            dedupe_key="t1",
        ),
        of("meta", META, WHATSAPP_TYPE, dedupe_key=META_KEY),
        of("whatsapp", META, WHATSAPP_TYPE, dedupe_key=META_KEY),
        of(
            "sns",
            NOTIFICATION,
            "Notification",
            signing=private_pem(RSA),
            verifying=certificate_pem(RSA, "sns.amazonaws.com"),
            event_id="evt_1",
            dedupe_key="evt_1",
            covers=(),
        ),
        of(
            "midtrans",
            {
                "order_id": "o1",
                "status_code": "200",
                "gross_amount": "10.00",
                "transaction_status": "settlement",
            },
            "settlement",
            dedupe_key="o1:settlement",
            covers=(),
        ),
        of(
            "doku",
            {"order": {"invoice_number": "INV-1"}},
            "/hooks/in",
            headers={"client-id": "MCH-1"},
            event_id="evt_1",
            dedupe_key="evt_1",
        ),
        of(
            "paymongo",
            {"data": {"id": "evt_2", "attributes": {"type": "payment.paid", "livemode": False}}},
            "payment.paid",
            event_id="evt_2",
            dedupe_key="evt_2",
        ),
        of(
            "razorpay",
            {"event": "payment.authorized"},
            "payment.authorized",
            headers={"x-razorpay-event-id": "r1"},
            event_id="r1",
            dedupe_key="r1",
        ),
        of(
            "paystack",
            {"event": "charge.success", "data": {"id": 1}},
            "charge.success",
            dedupe_key="charge.success:1",
        ),
        of("flutterwave", CHARGE, "charge.completed", dedupe_key="5:successful"),
        of("flutterwave-v3", CHARGE, "charge.completed", dedupe_key="5:successful", covers=()),
        of(
            "plaid",
            ITEM_ERROR,
            "ITEM.ERROR",
            signing=private_pem(P256),
            verifying=public_pem(P256),
            dedupe_key="sha256:" + hashlib.sha256(ITEM_ERROR).hexdigest(),
        ),
        of("message-signatures", ORDER, "order.paid", signing=BASE64_KEY, covers=("body", "url")),
        of("hmac", ORDER, "order.paid"),
        of("basic", ORDER, "order.paid", signing="user:password", covers=()),
        of("api-key", ORDER, "order.paid", covers=()),
        of("outpost", ORDER, "order.paid"),
        of("hookdeck", ORDER, "order.paid"),
        of("convoy", ORDER, "order.paid"),
        of("convoy-advanced", ORDER, "order.paid"),
    )
}
