"""PayPal. Sources: "Verify webhook signature" and the validator of PayPal's Python SDK."""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import Field, Recogniser
from ringback.signing import TransmissionSignature

PAYPAL = Profile(
    name="paypal",
    title="PayPal",
    configured_with=(
        "the webhook's id, a line break, and PayPal's certificate in PEM, fetched from the URL in paypal-cert-url"
    ),
    scheme=TransmissionSignature(
        prefix="paypal",
        hosts=r"api(\.sandbox)?\.paypal\.com",
        domain=".paypal.com",
        certificate_url="https://api.sandbox.paypal.com/v1/notifications/certs/CERT-example",
    ),
    recognise=Recogniser(event_id=Field("id"), event_type=Field("event_type")),
    uncovered=(
        "PayPal signs a CRC-32 of the body, which can be forged for a chosen body by whoever has seen one signed "
        "transmission: get the payment from PayPal's API before delivering anything of value."
    ),
)
