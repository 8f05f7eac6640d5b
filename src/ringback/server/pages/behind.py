"""What is behind the pages: the doors that they show and steer things through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from ringback.api_keys import ApiKeys
from ringback.canary import SendCanary
from ringback.model import Endpoint
from ringback.outbox import Outbox
from ringback.probing import Probed
from ringback.server.audit import Audit
from ringback.server.health import Readiness
from ringback.server.pages.brand import PLAIN, Brand
from ringback.server.pages.live import Live
from ringback.server.pages.recent import Recent
from ringback.sessions import Sessions
from ringback.sources import Sources


class SettingShown(msgspec.Struct, frozen=True):
    """A setting: its value as a person would write it, secrets masked, and where that was found."""

    name: str
    value: str
    origin: str
    description: str


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """The doors.

    Args:
        outbox: What is published, to whom, and what came of it; its ``read`` asks the store anything.
        sources: Where webhooks come in.
        keys: The API keys.
        sessions: Who is signed in.
        probe: Tries an endpoint out; raises ``Conflict`` or ``Unavailable`` where that is not to be done now.
        canary: Sends one message that waits for a paused endpoint.
        brand: How the portal looks.
        settings: How this node is set, for people to read.
        audit: Tells what people did that others may ask about.
        live: Tells open pages that something happened.
        recent: Remembers what no store keeps of the requests that came in lately.
        readiness: Says why this node should get no requests now; None when it should.
        clock: Returns the present instant.
        public_url: Where this server is reached; None where the address of each request says it.
        plain_http: Whether people may sign in over plain HTTP from other machines.
        max_form: The largest form, in bytes.
    """

    outbox: Outbox
    sources: Sources
    keys: ApiKeys
    sessions: Sessions
    audit: Audit
    live: Live
    recent: Recent
    readiness: Readiness
    probe: Callable[[Endpoint], Awaitable[Probed]]
    canary: SendCanary
    clock: Callable[[], int]
    brand: Brand = PLAIN
    settings: tuple[SettingShown, ...] = ()
    public_url: str | None = None
    plain_http: bool = False
    max_form: int = 4 * 1024 * 1024
