"""The catalogue: every event there is, what is known of it, and a form that sends it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from ringback.design.highlighting import highlighted
from ringback.providers import CatalogueEntry
from ringback.sandbox.xendit.calls import Answer, Call, Refused
from ringback.sandbox.xendit.catalog import PRODUCTS, by_product, entries, entry_of, sample_of
from ringback.sandbox.xendit.field_kinds import kind_of
from ringback.sandbox.xendit.log_rows import Detail
from ringback.sandbox.xendit.outcomes import outcome
from ringback.sandbox.xendit.overrides import overridden, paths_of, read_changes
from ringback.sandbox.xendit.pages.forms import asked, field
from ringback.sandbox.xendit.pages.frame import Frame
from ringback.sandbox.xendit.pages.rendering import link_of, see, viewed
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slot_names import SLOTS, slot_of
from ringback.sandbox.xendit.trigger import Triggers

PLACE = "/dashboard/events"
# For how long the page that follows waits for the receiver, in seconds; after that it says so.
PATIENCE = 2.0
# How a form names the field for a path.
SET = "set:"
CERTAINTY = {
    "high": "from official text or a captured delivery",
    "medium": "from several secondary sources",
    "low": "from one weak source: names and fields may differ",
}

# What stands between values and names that a remark lists.
_LISTED = re.compile(r"\||,(?! )")


class Row(msgspec.Struct, frozen=True):
    """A line of the field table: what may be there, what is in the sample, and what was typed."""

    path: str
    kind: str
    required: bool
    remark: str
    value: str
    typed: str


class Events:
    """The list, the page of each event, and its form.

    Args:
        sandbox: What sends them.
        frame: Makes the pages.
    """

    def __init__(self, sandbox: Sandbox, frame: Frame) -> None:
        self._sandbox = sandbox
        self._frame = frame

    async def overview(self, call: Call) -> Answer:
        """List the events, product by product."""
        products = by_product()
        values = {
            "place": PLACE,
            "products": products,
            "slots": {name: _slots(some) for name, some in products.items()},
            "count": len(entries()),
            "certainty": CERTAINTY,
            "page_of": page_of,
        }
        return self._frame.page(call, "events.html", values)

    async def show(self, call: Call) -> Answer:
        """Show one event, and what came of the one that was just sent."""
        return await self._page(call, entry_of(call.path["name"]))

    async def trigger(self, call: Call) -> Answer:
        """Send an event with what was typed."""
        entry, owner = entry_of(call.path["name"]), viewed(call)
        triggers, url = self._sandbox.product(Triggers), field(call, "url") or None
        try:
            if url is not None:
                self._sandbox.slots.check_url(owner, url)
            body = triggers.fresh(owner, entry)
            body = overridden(entry, body, read_changes(entry, body, _typed_changes(call, entry)))
            webhook = await triggers.send(owner, entry, body, url=url)
        except Refused as refused:
            return await self._page(call, entry, refused.message)
        await outcome(self._sandbox.log, owner, webhook, patience=PATIENCE)
        return see(link_of(call)(page_of(entry), sent=webhook))

    async def _page(self, call: Call, entry: CatalogueEntry, fault: str | None = None) -> Answer:
        slot, sample = slot_of(entry.event_type), sample_of(entry)
        values = {
            "place": PLACE,
            "entry": entry,
            "product": PRODUCTS[entry.product],
            "certainty": CERTAINTY,
            "page": page_of(entry),
            "rows": _rows(call, entry, sample),
            "sample": highlighted(sample),
            "deeper": next((f"{path}={_text(value)}" for path, value in _deeper(entry, sample)), None),
            "slot": slot,
            "slot_label": SLOTS[slot],
            "slot_url": self._sandbox.slots.get(viewed(call), slot).url,
            "typed_url": field(call, "url"),
            "typed_more": field(call, "more"),
            "sent": await self._sent(call),
            "fault": fault,
        }
        return self._frame.page(call, "event.html", values, status=400 if fault else 200)

    async def _sent(self, call: Call) -> Detail | None:
        try:
            return await self._sandbox.log.detail(viewed(call), asked(call, "sent"))
        except Refused:
            return None


def page_of(entry: CatalogueEntry) -> str:
    """Return where the page of an event is."""
    return f"{PLACE}/{quote(entry.name, safe=':')}"


def _slots(some: Iterable[CatalogueEntry]) -> list[str]:
    return list(dict.fromkeys(slot_of(entry.event_type) for entry in some))


def _rows(call: Call, entry: CatalogueEntry, sample: Mapping[str, Any]) -> list[Row]:
    values = dict(paths_of(sample))
    rows = []
    for path, written in entry.fields.items():
        kind = kind_of(written)
        value = _text(values[path]) if path in values else ""
        remark = _LISTED.sub(", ", kind.remark)
        rows.append(Row(path, str(kind), kind.required, remark, value, field(call, SET + path)))
    return rows


def _deeper(entry: CatalogueEntry, sample: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the places of a sample, and what is there, that the field table does not list."""
    for path, value in paths_of(sample):
        if path not in entry.fields and not isinstance(value, dict | list):
            yield path, value


def _typed_changes(call: Call, entry: CatalogueEntry) -> list[str]:
    """Return what was typed, a ``path=value`` each: in the table, then in the lines for more."""
    typed = {path: field(call, SET + path) for path in entry.fields}
    more = [line.strip() for line in field(call, "more").splitlines()]
    return [*(f"{path}={text}" for path, text in typed.items() if text), *filter(None, more)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
