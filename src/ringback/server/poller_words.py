"""What the fields mean that pollers have; see ``vocabulary``."""

from __future__ import annotations

from ringback import drafts, ids
from ringback.server.words import identifier as _id
from ringback.server.words import moment as _time
from ringback.server.words import names as _names
from ringback.server.words import plain as _word
from ringback.server.words import text as _text

_TOKEN = "ringback_cGxlYXNlLCBkbyBub3QgdXNlIHRoaXMgb25l"  # noqa: S105 - it says itself that it is none

POLLERS = {
    "Poller.id": _id("Its id.", ids.POLLER),
    "Poller.description": _text("For people.", "The shop behind the firewall", 0, drafts.MAX_DESCRIPTION),
    "Poller.eventTypes": _names(
        "Only messages of these event types are kept for it, each of which must exist; null is all.",
        ["invoice.paid"],
        drafts.MAX_ENDPOINT_EVENT_TYPES,
    ),
    "Poller.channels": _names(
        "Only messages that share one of these channels are kept for it; null is all.",
        ["project-1"],
        drafts.MAX_ENDPOINT_CHANNELS,
    ),
    "PollerCreated.token": _word("A token for this poller alone. It cannot be told again.", _TOKEN),
    "PollerToken.token": _word("The new token. It cannot be told again.", _TOKEN),
    "PollingEndpoint.data": _word("The messages, in the order of the feed."),
    "PollingEndpoint.iterator": _word("Pass it as `iterator` for what comes after these.", "42"),
    "PollingEndpoint.done": _word("Whether there is nothing more at present.", True),
    "PollingEndpointMessage.headers": _word("Always null.", None),
    "PollingEndpointConsumerSeek.after": _time("It goes on with what was accepted after this time."),
    "PollingEndpointConsumerSeek.iterator": _word("Its new place.", "41"),
    "?event_type": _word("Only messages of this event type.", "invoice.paid"),
}
