"""The forms of a source: what it is, the secrets that it verifies with, and its address made anew."""

from __future__ import annotations

from typing import Any

from ringback.errors import RingbackError
from ringback.former_addresses import GRACE
from ringback.model import Source
from ringback.policy import HOUR
from ringback.providers import PROVIDERS
from ringback.server.pages.behind import Behind
from ringback.server.pages.forms import REFUSED, faults, pairs, status_of, written_pairs
from ringback.server.pages.page import Page, Said, Visit, see, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import SOURCES
from ringback.source_drafts import SourceDraft

FIELDS = ("name", "provider", "uid", "url", "options", "metadata")
# For how long the address before is good: what is offered, in hours.
GRACES = ((0, "Not at all"), (1, "1 hour"), (48, "2 days"), (168, "7 days"))
USUAL_GRACE = GRACE // HOUR


class SourceSettings:
    """What a source is told to be.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def draft(self, visit: Visit) -> Page:
        """Ask for a new one."""
        return _form(visit, None, {"provider": "xendit"})

    async def create(self, visit: Visit) -> Page:
        """Make it."""
        try:
            typed = {**_typed(visit, None), "provider": visit.form.get("provider")}
            source = await self._behind.sources.create(
                SourceDraft(**{**typed, "secrets": _secrets(visit) or ()})
            )
        except REFUSED as error:
            return _form(visit, None, _written(visit), error)
        return see(visit, _way(source), Said("The source is there. Give its address to the provider."))

    async def edit(self, visit: Visit) -> Page:
        """Ask for the settings."""
        source = await self._source(visit)
        values = {
            "name": source.name,
            "uid": source.uid or "",
            "url": source.url or "",
            "options": written_pairs(source.options),
            "metadata": written_pairs(source.metadata),
        }
        return _form(visit, source, values)

    async def change(self, visit: Visit) -> Page:
        """Change them; secrets only where new ones are typed."""
        source = await self._source(visit)
        try:
            changes, secrets = _typed(visit, source), _secrets(visit)
            if secrets is not None:
                changes["secrets"] = secrets
            await self._behind.sources.change(source.id, changes)
        except REFUSED as error:
            return _form(visit, source, _written(visit), error)
        return see(visit, _way(source), Said("The source is changed."))

    async def ask_for_address(self, visit: Visit) -> Page:
        """Ask for how long the address that it has is to stay good."""
        return self._address(visit, await self._source(visit))

    async def rotate(self, visit: Visit) -> Page:
        """Give it another address, once for each form."""
        source, hours = await self._source(visit), visit.form.number("grace")
        grace = GRACE if hours is None else hours * HOUR
        try:
            await self._behind.sources.rotate_token(
                source.id, grace=grace, idempotency_key=visit.form.get("once") or None
            )
        except REFUSED as error:
            return self._address(visit, source, error)
        until = "is good no more" if not grace else "is good for a while"
        said = f"The source has another address: give it to the provider. The one before {until}."
        return see(visit, _way(source), Said(said))

    async def _source(self, visit: Visit) -> Source:
        return await self._behind.sources.read(lambda store: store.source(visit.parts["source"]))

    def _address(self, visit: Visit, source: Source, error: RingbackError | None = None) -> Page:
        given = {
            "place": SOURCES,
            "source": source,
            "graces": [(str(hours), name) for hours, name in GRACES],
            "usual": str(USUAL_GRACE),
            "once": f"page.{self._behind.clock()}.{visit.who.id}",
            "faults": {} if error is None else faults(error),
        }
        return page(visit, "source_address.html", given, status=200 if error is None else status_of(error))


def _typed(visit: Visit, source: Source | None) -> dict[str, Any]:
    """Return what the form says but for secrets, about a *source* or a new one; raises ``InvalidInput``."""
    form = visit.form
    options, metadata = (None, None) if source is None else (source.options, source.metadata)
    return {
        "name": form.get("name"),
        "uid": form.get("uid") or None,
        "url": form.get("url") or None,
        "options": pairs("options", form.get("options"), options),
        "metadata": pairs("metadata", form.get("metadata"), metadata),
    }


def _secrets(visit: Visit) -> tuple[str, ...] | None:
    """Return the secrets in the form, one on each line; None for an empty field."""
    lines = (line.strip() for line in visit.form.get("secrets").splitlines())
    return tuple(line for line in lines if line) or None


def _written(visit: Visit) -> dict[str, str]:
    # What is secret is typed again.
    return {name: visit.form.typed(name) for name in FIELDS}


def _way(source: Source) -> str:
    return f"{SOURCES}/{segment(source.id)}"


def _form(
    visit: Visit, source: Source | None, values: dict[str, str], error: RingbackError | None = None
) -> Page:
    given = {
        "place": SOURCES,
        "source": source,
        "providers": sorted(PROVIDERS),
        "values": {**dict.fromkeys(FIELDS, ""), **values},
        "faults": {} if error is None else faults(error),
    }
    return page(visit, "source_form.html", given, status=200 if error is None else status_of(error))
