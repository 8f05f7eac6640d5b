"""Sends events of the catalogue on request, whether or not anything has happened. The provider has no such calls.

An event goes the way of all webhooks: to its slot's URL, or to one that the call names, and into the log. Its body is
the catalogue's sample with new ids and times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ringback.providers import CatalogueEntry
from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route, read_exactly
from ringback.sandbox.xendit.catalog import (
    PRODUCTS,
    details_body,
    entries,
    entry_body,
    entry_of,
    product_id,
    read_body,
    sample_of,
)
from ringback.sandbox.xendit.exact_json import decoded
from ringback.sandbox.xendit.fields import invalid
from ringback.sandbox.xendit.log_api import detail_body
from ringback.sandbox.xendit.notices import NOTICE, Notice
from ringback.sandbox.xendit.outcomes import outcome
from ringback.sandbox.xendit.overrides import overridden
from ringback.sandbox.xendit.renewal import renewed
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slot_names import slot_of

# What Ringback delivers at most is more; nothing a payment provider tells is.
MAX_BODY = 256 * 1024


class TriggerDraft(msgspec.Struct):
    """What to send.

    Args:
        set: Other values for some fields, by dotted path.
        body: The body to send instead of the catalogue's sample; its ids and times stay.
        fresh: Whether the sample gets new ids and times.
        url: Where to instead of the slot's URL.
        wait: Whether to answer after the first attempt.
    """

    set: dict[str, msgspec.Raw] = {}
    body: msgspec.Raw = msgspec.Raw()
    fresh: bool = True
    url: Annotated[str, Meta(max_length=2_048)] | None = None
    wait: bool = False


class Triggers:
    """Shows the catalogue, and sends what is in it.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        base = "/sandbox/events"
        return (
            Route("GET", base, self.overview),
            Route("GET", f"{base}/{{name}}", self.show),
            Route("POST", f"{base}/{{name}}", self.trigger),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def overview(self, call: Call) -> Answer:
        """``GET /sandbox/events``: what can be triggered, product by product: ``{"data": [...]}``."""
        del call
        return Answer({"data": [entry_body(entry) for entry in entries().values()]})

    async def show(self, call: Call) -> Answer:
        """``GET /sandbox/events/{name}``: an event with its fields, its sample, and the URL it goes to."""
        entry = entry_of(call.path["name"])
        url = self._sandbox.slots.get(call.owner, slot_of(entry.event_type)).url
        return Answer(entry_body(entry) | {"url": url} | details_body(entry))

    async def trigger(self, call: Call) -> Answer:
        """``POST /sandbox/events/{name}``: send an event (see ``TriggerDraft``).

        Answers with the ``id`` of the webhook in the log, the ``url`` it goes to, and what the log says of it, the
        ``payload`` among that.
        """
        entry, draft = entry_of(call.path["name"]), read_exactly(call, TriggerDraft)
        if draft.url is not None:
            self._sandbox.slots.check_url(call.owner, draft.url)
        changes = {path: _decoded(value, path) for path, value in draft.set.items()}
        body = overridden(entry, self._beginning(call.owner, entry, draft), changes)
        webhook = await self.send(call.owner, entry, body, url=draft.url)
        log = self._sandbox.log
        detail = await (outcome(log, call.owner, webhook) if draft.wait else log.detail(call.owner, webhook))
        url = draft.url or self._sandbox.slots.get(call.owner, detail.row.slot).url
        return Answer({"id": webhook, "url": url} | detail_body(detail))

    # --- Sending ------------------------------------------------------------------------------------------

    def fresh(self, owner: Owner, entry: CatalogueEntry) -> dict[str, Any]:
        """Return a body like an entry's sample, of an event that happens to *owner* now."""
        return renewed(sample_of(entry), self._sandbox.clock(), owner.business_id, self._sandbox.chance)

    async def send(
        self,
        owner: Owner,
        entry: CatalogueEntry,
        body: dict[str, Any],
        *,
        url: str | None = None,
        test: bool = False,
    ) -> str:
        """Send a body as an event of the catalogue; return the id of the webhook in the log.

        Args:
            owner: Whose event it is.
            entry: Which event.
            body: What to send.
            url: Where to instead of the slot's URL.
            test: Whether it is sent once only, and nothing goes wrong with it on purpose.

        Raises:
            Refused: 413: the body is too large.
        """
        notice = Notice(
            event=entry.event_type,
            product=PRODUCTS[entry.product],
            product_id=product_id(entry.event_type, body),
            body=body,
            url=url,
            test=test,
        )
        if len(msgspec.json.encode(body)) > MAX_BODY:
            raise Refused(413, "REQUEST_TOO_LARGE", f"the event's body has more than {MAX_BODY} bytes")
        change = self._sandbox.change()
        await self._sandbox.commit(change, (owner, notice))
        return next(made.id for made in change.entries if made.kind == NOTICE)

    def _beginning(self, owner: Owner, entry: CatalogueEntry, draft: TriggerDraft) -> dict[str, Any]:
        if bytes(draft.body) not in {b"", b"null"}:
            return read_body(bytes(draft.body))
        return self.fresh(owner, entry) if draft.fresh else sample_of(entry)


def _decoded(value: msgspec.Raw, path: str) -> Any:
    try:
        return decoded(value)
    except ValueError as error:
        raise invalid(f"the value of {path[:100]} cannot be sent: {error}") from None
