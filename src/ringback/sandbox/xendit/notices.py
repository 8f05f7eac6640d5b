"""Notices: what is told of a change, published through Ringback's own door, and the provider's log of it.

A notice is kept in the commit of the change that it tells of, and published right after; its id is the message's
event id, which is taken once. So a notice that a crash left unpublished is published at the next start, none twice.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.errors import Conflict
from ringback.outbox import Outbox
from ringback.sandbox.xendit.ledger import Entry, Ledger
from ringback.sandbox.xendit.slot_names import slot_of
from ringback.sandbox.xendit.slots import Slots

NOTICE = "notice"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is told: the body of a webhook and what the provider's log says of it.

    Args:
        event: The event type by which the catalogue calls it, such as ``invoice.paid``.
        product: The product, as the log shows it, such as ``Invoice``.
        product_id: The id of the object it tells of.
        body: The body; its keys are sent in their order.
        url: Where it goes instead of the URL in the settings, for the calls that name one.
        test: Whether it tries out a URL: it is sent once, and nothing goes wrong with it on purpose.
    """

    event: str
    product: str
    product_id: str
    body: dict[str, Any]
    url: str | None = None
    test: bool = False

    @property
    def slot(self) -> str:
        """The webhook setting whose URL gets it, such as ``invoice``."""
        return slot_of(self.event)

    def shown(self) -> dict[str, Any]:
        """Return what a notice's entry shows."""
        return {
            "event": self.event,
            "slot": self.slot,
            "product": self.product,
            "product_id": self.product_id,
        }

    def hidden(self) -> dict[str, Any]:
        """Return what a notice's entry does not show."""
        payload = msgspec.json.encode(self.body).decode()
        return {"payload": payload, "published": False, "url": self.url, "test": self.test}


class Publisher:
    """Publishes notices.

    Args:
        outbox: Where to.
        ledger: Where they are kept.
        slots: Where each goes.
    """

    def __init__(self, outbox: Outbox, ledger: Ledger, slots: Slots) -> None:
        self._outbox = outbox
        self._ledger = ledger
        self._slots = slots

    async def publish(self, entry: Entry) -> None:
        """Publish a notice and mark it as published, in one commit.

        Raises:
            RingbackError: It could not be published now.
        """
        await self._slots.open(entry.owner)
        channel = await self._slots.channel(
            entry.owner, entry.body["slot"], entry.hidden["url"], test=entry.hidden["test"]
        )
        published = msgspec.structs.replace(entry, due_at=None, hidden=entry.hidden | {"published": True})
        try:
            await self._outbox.publish(
                str(entry.owner),
                entry.body["event"],
                entry.hidden["payload"].encode(),
                channels=(channel,),
                event_id=entry.id,
                documents=(self._ledger.document(published),),
            )
        except Conflict:
            # It was published before, and only the mark was lost.
            await self._ledger.keep([published])
        else:
            self._ledger.adopt(published)
