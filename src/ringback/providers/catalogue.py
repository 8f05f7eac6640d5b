"""The events that a provider sends, each with its fields and a sample, as far as its documentation and captures tell.

Sources: see each entry's ``source``, and its ``certainty`` for how far to trust it. Every value is made up.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Literal

import msgspec

from ringback.errors import InvalidInput

CATALOGUES = ("xendit",)


class CatalogueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it is sent: a type of event has several where it comes in several forms.

    Args:
        product: What it is about, such as ``virtual_account``.
        event_type: Such as ``invoice.paid``; made up where the body does not say.
        variant: What tells this form from the ordinary one of its type, such as ``failed``; empty for the latter.
        shape: ``legacy``: a flat object; ``event``: an envelope around ``data``.
        event_in_body: Whether the body names its type.
        certainty: ``high``: official text or a captured delivery; ``medium``: several secondary sources; ``low``: one
            weak one.
        source: Where this is known from.
        fields: What kind each field is, such as ``string!``, by its dotted path; ``!`` is always there, ``?`` may be
            missing.
        sample: A body, as JSON with its order and numbers.
        url_type: What the API for webhook URLs calls its setting; empty where that is not known.
        setting: What the dashboard calls its setting; empty where that is not known.
        recognise: How to tell the event from its body, where that is not plain.
        dedupe_key: Which fields tell one event from the next.
        note: What is easily misunderstood.
    """

    product: str
    event_type: str
    variant: str = ""
    shape: Literal["legacy", "event"]
    event_in_body: bool
    certainty: Literal["high", "medium", "low"]
    source: str
    fields: dict[str, str]
    sample: msgspec.Raw
    url_type: str = ""
    setting: str = ""
    recognise: str = ""
    dedupe_key: str
    note: str = ""

    @property
    def name(self) -> str:
        """What no other entry is called: ``invoice.paid``; of a variant, ``invoice.paid:ewallet``."""
        return f"{self.event_type}:{self.variant}" if self.variant else self.event_type


@functools.cache
def catalogue(provider: str) -> tuple[CatalogueEntry, ...]:
    """Return what a provider sends, product by product; the ordinary form of an event type before its variants.

    Raises:
        InvalidInput: No catalogue of that provider is known; the message lists those that are.
    """
    if provider not in CATALOGUES:
        known = ", ".join(CATALOGUES)
        raise InvalidInput.at(
            "provider", msg=f"there is no catalogue of {provider!r}'s events; there is one of {known}"
        )
    data = (
        importlib.resources.files("ringback.providers").joinpath(f"data/{provider}_events.json").read_bytes()
    )
    entries = msgspec.json.decode(data, type=tuple[CatalogueEntry, ...])
    # What was decoded is a view into the whole file; a copy of its own is small and lasts.
    return tuple(msgspec.structs.replace(entry, sample=entry.sample.copy()) for entry in entries)
