"""What callers of the Svix Ingest API name the providers that are known here.

Source: the models of the official Python client, ``IngestSourceIn``. Those of its types that are not here verify in
ways that are not published, or are no webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping

# All of these send through Svix, or sign as it does.
_BY_SVIX = (
    "beehiiv",
    "brex",
    "clerk",
    "guesty",
    "incident-io",
    "lithic",
    "nash",
    "open-ai",
    "pleo",
    "psi-fi",
    "render",
    "replicate",
    "resend",
    "safebase",
    "sardine",
    "stych",
    "svix",
)
# These are called the same in both.
_SAME = ("github", "hubspot", "meta", "shopify", "slack", "stripe", "zoom")

INGEST_TYPES: Mapping[str, str] = {
    "generic-webhook": "hmac",
    **dict.fromkeys(_BY_SVIX, "svix"),
    **{name: name for name in _SAME},
}
