"""Ringback: a complete webhook system."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringback.entrance import Reply
    from ringback.handlers import Discard, Message, Retry
    from ringback.inbox import Inbox
    from ringback.publisher import Publisher
    from ringback.signing import Request

__version__ = "0.1.0"

__all__ = ["Discard", "Inbox", "Message", "Publisher", "Reply", "Request", "Retry"]

_HOMES = {
    "Discard": "ringback.handlers",
    "Inbox": "ringback.inbox",
    "Message": "ringback.handlers",
    "Publisher": "ringback.publisher",
    "Reply": "ringback.entrance",
    "Request": "ringback.signing",
    "Retry": "ringback.handlers",
}


def __getattr__(name: str) -> Any:
    # Looked up when asked for: the command line must not wait for what it does not use.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
