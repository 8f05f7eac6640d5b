"""The two outer forms of webhook bodies: keys as the provider's database orders them, and the envelope of events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.sandbox.xendit.calls import Owner


def by_length(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return *body* with its keys in the order of captured deliveries: shorter ones first, then by the alphabet."""
    return {key: body[key] for key in sorted(body, key=lambda key: (len(key), key))}


def envelope(
    event: str, owner: Owner, created: str, data: Mapping[str, Any], *, api_version: str | None = None
) -> dict[str, Any]:
    """Return the body of a webhook of the newer kind.

    Args:
        event: Its name, such as ``ewallet.capture``.
        owner: Whose it is.
        created: When it was made, as the provider writes times.
        data: What it tells of.
        api_version: Of the API that the call used; the older products have None.
    """
    return {
        "created": created,
        "business_id": owner.business_id,
        "event": event,
        "data": by_length(data),
        "api_version": api_version,
    }
