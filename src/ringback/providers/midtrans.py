"""Midtrans. Source: docs.midtrans.com, "Handle notifications", and its example code."""

from __future__ import annotations

from ringback.providers.profile import Profile
from ringback.providers.recognition import Field, Joined, Recogniser
from ringback.signing import FieldHash

MIDTRANS = Profile(
    name="midtrans",
    title="Midtrans",
    configured_with="the server key",
    scheme=FieldHash(fields=("order_id", "status_code", "gross_amount"), signature="signature_key"),
    recognise=Recogniser(
        event_type=Field("transaction_status"),
        dedupe_key=Joined((Field("order_id"), Field("transaction_status"), Field("fraud_status")), by=":"),
    ),
    uncovered=(
        "Midtrans's signature does not cover transaction_status or fraud_status, and joins the fields it covers "
        "without a separator: whoever has seen one notification can change them, so get the status from Midtrans's "
        "API before delivering anything of value."
    ),
)
