"""The testing kit's request of every provider, with one secret for all that share one, and what it is about."""

import datetime as dt
import hashlib

import msgspec

from ringback.providers import provider
from ringback.testing import keys_for, unsigned_request
from ringback.testing.keys import certificate_pem as certificate_between
from ringback.testing.keys import ed25519_key, p256_key, private_pem, public_pem, rsa_key

__all__ = ["ED25519", "NOW", "P256", "RSA", "SENDERS", "URL", "certificate_pem", "private_pem", "public_pem"]

NOW = 1_700_000_000_000
URL = "https://shop.example/hooks/in?shop=1"
EVENT = "1001"
FORM = {"content-type": "application/x-www-form-urlencoded"}
TOKEN = "an-ordinary-shared-secret"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HEX_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
BASE64_KEY = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="

ED25519, P256, RSA = ed25519_key("discord"), p256_key("plaid"), rsa_key("paypal")
ED25519_HEX = ED25519.public_key().public_bytes_raw().hex()


def certificate_pem(key, host, *, starts=dt.datetime(2020, 1, 1, tzinfo=dt.UTC), years=10):
    """Return a self-signed certificate for *host*."""
    return certificate_between(key, host, starts, starts + dt.timedelta(days=365 * years))


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's request and what is expected of it. ``covers`` are the parts a flipped bit spoils.

    The body ``instead`` stands in for the kit's; a ``secret`` of None leaves the provider its pair of keys.
    """

    name: str
    event_type: str
    event_id: str | None = EVENT
    dedupe_key: str | None = EVENT
    secret: str | None = TOKEN
    instead: bytes | None = None
    covers: tuple[str, ...] = ("body",)

    @property
    def profile(self):
        """The provider's profile."""
        return provider(self.name)

    @property
    def signing(self):
        """The secret that signs."""
        return self.secret or keys_for(self.name).signing

    @property
    def verifying(self):
        """The key that verifies, None where it is the secret that signs."""
        return None if self.secret else keys_for(self.name).verifying

    @property
    def secrets(self):
        """The secrets that verify."""
        return [self.verifying or self.signing]

    @property
    def bare(self):
        """The request before it is signed."""
        return unsigned_request(self.name, event_id=EVENT, url=URL, body=self.instead)

    @property
    def body(self):
        """The body before it is signed."""
        return self.bare.body

    def signed(self, now=NOW):
        """Return the request as the provider sends it."""
        return self.profile.scheme.sign([self.signing], self.bare, now, EVENT)


def of(name, event_type, **expected):
    """Return a sender whose scheme carries an id, or whose body or headers do."""
    return Sender(name=name, event_type=event_type, **expected)


def keyed(name, event_type, dedupe_key, **expected):
    """Return a sender without ids, whose events are told apart by a key."""
    return Sender(name=name, event_type=event_type, event_id=None, dedupe_key=dedupe_key, **expected)


def hashed(name, event_type):
    """Return a sender with a pair of keys, whose events are told apart by their bytes."""
    body = unsigned_request(name, event_id=EVENT).body
    return keyed(name, event_type, "sha256:" + hashlib.sha256(body).hexdigest(), secret=None)


BATCH = b'[{"event": "dropped", "sg_event_id": "b"}, {"event": "bounce", "sg_event_id": "a"}]'
# Without escapes: another spelling of those would be the same form, and as good.
STATUS = b"MessageSid=1001&MessageStatus=delivered"
WHATSAPP_TYPE = "whatsapp_business_account.messages"
READ = (
    b'{"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value":'
    b' {"messages": [{"id": "m1"}], "statuses": [{"id": "s1", "status": "read"}]}}]}]}'
)
READ_KEY = "message:m1,status:s1:read"
HUBSPOT_KEY = f"{EVENT}:2:1772424301000"
URL_TOO = ("body", "url")

SENDERS = {
    sender.name: sender
    for sender in (
        of("xendit", "invoice.paid", covers=()),
        of("standard-webhooks", "order.paid", secret=STANDARD),
        of("svix", "order.paid", secret=STANDARD),
        of("stripe", "payment_intent.succeeded"),
        of("github", "pull_request.opened"),
        of("gitlab", "Push Hook", covers=()),
        of("gitlab-signed", "Push Hook", secret=STANDARD),
        of("bitbucket", "repo:push"),
        of("linear", "Issue.create"),
        of("shopify", "orders/paid"),
        of("slack", "message"),
        keyed("twilio", "delivered", f"{EVENT}:delivered", instead=STATUS, covers=URL_TOO),
        of("paypal", "PAYMENT.CAPTURE.COMPLETED", secret=None),
        of("square", "payment.updated", covers=URL_TOO),
        of("paddle", "transaction.completed"),
        keyed("adyen", "AUTHORISATION", f"{EVENT}:AUTHORISATION:true", secret=HEX_KEY, covers=()),
        keyed("adyen-platform", "balancePlatform.transfer.updated", None, secret=HEX_KEY),
        of("mailgun", "delivered", covers=()),
        keyed("sendgrid", "batch", "a,b", secret=None, instead=BATCH),
        hashed("discord", "ENTITLEMENT_CREATE"),
        keyed("zoom", "meeting.started", f"meeting.started:1772424301000:{EVENT}"),
        keyed("hubspot", "contact.creation", HUBSPOT_KEY, covers=URL_TOO),
        keyed("hubspot-v2", "contact.creation", HUBSPOT_KEY, covers=URL_TOO),
        keyed("hubspot-v1", "contact.creation", HUBSPOT_KEY),
        of("intercom", "conversation.user.created"),
        of("typeform", "form_response"),
        keyed("meta", WHATSAPP_TYPE, f"message:{EVENT}"),
        keyed("whatsapp", WHATSAPP_TYPE, READ_KEY, instead=READ),
        of("sns", "Notification", secret=None, covers=()),
        keyed("midtrans", "settlement", f"{EVENT}:settlement:accept", covers=()),
        of("doku", "/hooks/in"),
        of("paymongo", "payment.paid"),
        of("razorpay", "payment.captured"),
        keyed("paystack", "charge.success", f"charge.success:{EVENT}"),
        keyed("flutterwave", "charge.completed", f"{EVENT}:successful"),
        keyed("flutterwave-v3", "charge.completed", f"{EVENT}:successful", covers=()),
        hashed("plaid", "TRANSACTIONS.SYNC_UPDATES_AVAILABLE"),
        of("message-signatures", "order.paid", secret=BASE64_KEY, covers=URL_TOO),
        of("hmac", "order.paid"),
        of("basic", "order.paid", secret="user:password", covers=()),
        of("api-key", "order.paid", covers=()),
        of("outpost", "order.paid"),
        of("hookdeck", "order.paid"),
        of("convoy", "order.paid"),
        of("convoy-advanced", "order.paid"),
    )
}
