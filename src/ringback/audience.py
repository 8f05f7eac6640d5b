"""Who would get a message."""

from __future__ import annotations

from ringback import policy
from ringback.store import Page, Store

MAX_ENDPOINTS = 1_000


def is_wanted(store: Store, application: str, event_type: str, channels: tuple[str, ...] | None) -> bool:
    """Tell whether any endpoint of an application would be sent a message of this type, in these channels."""
    owner = store.application(application).id
    endpoints = store.endpoints(owner, Page(limit=MAX_ENDPOINTS))
    return any(policy.skip_reason(endpoint, event_type, channels) is None for endpoint in endpoints)
