"""The first steps with Ringback: which are done, and the very commands for those that are not."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import msgspec

from ringback.access import Right
from ringback.model import Application, Refusal, Source, Standing
from ringback.providers import CATALOGUES
from ringback.server.pages.behind import Behind
from ringback.server.pages.page import Visit, segment
from ringback.store import Page as Part
from ringback.store import Store
from ringback.store.survey import JournalEntry, JournalFilter

RECEIVING = ("source", "came", "verified", "handled")
SENDING = ("endpoint", "published", "delivered")
FEW = 10
# Where a program's own inbox receives is not known here: the address that the guides use.
OWN = "http://127.0.0.1:8000/hooks/"
EXAMPLES = {"xendit": "invoice.paid"}
HOOK = "https://example.com/hook"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is there: the steps that are done, and what commands for the others are about."""

    done: frozenset[str]
    source: Source | None = None
    application: Application | None = None
    refusal: Refusal | None = None


class Commands(msgspec.Struct, frozen=True, kw_only=True):
    """What to type for each step; empty where that is not known to whoever asks."""

    create_source: str
    trigger: str
    address: str
    create_endpoint: str
    publish: str


class Checklist:
    """Finds out what is done. What was done once stays so, and is not looked for again.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._done: frozenset[str] = frozenset()

    async def show(self, visit: Visit) -> dict[str, Any]:
        """Return what a template shows of it."""
        known = self._done
        found = await self._behind.outbox.read(lambda store: _look_up(store, known))
        self._done |= found.done
        return {
            "steps": found,
            "commands": _commands(found, visit.base, may_see=visit.may(Right.OPERATE)),
            "receiving": [step in found.done for step in RECEIVING],
            "sending": [step in found.done for step in SENDING],
        }


def _look_up(store: Store, known: frozenset[str]) -> Found:
    few = Part(limit=FEW, descending=True)
    # The way that is walked to its end is not looked at again.
    sources = [] if known.issuperset(RECEIVING) else store.sources(few)
    applications = [] if known.issuperset(SENDING) else store.applications(few)
    refusals = [
        one for source in sources for one in store.refusals(source.id, Part(limit=1, descending=True))
    ]
    has_endpoint = [one for one in applications if store.endpoints(one.id, Part(limit=1))]
    done = {
        *known,
        *(["source"] if sources else []),
        *(["came"] if refusals else []),
        *(["endpoint"] if has_endpoint else []),
    }
    for owner in [*(one.id for one in sources), *(one.id for one in applications)]:
        done.update(_reached(store.journal(JournalFilter(application_id=owner), FEW).entries))
    return Found(
        done=frozenset(done),
        source=next((one for one in sources if one.token), sources[0] if sources else None),
        application=next(iter([*has_endpoint, *applications]), None),
        refusal=max(refusals, key=lambda one: one.at, default=None),
    )


def _reached(entries: tuple[JournalEntry, ...]) -> Iterator[str]:
    """Yield the steps that messages prove."""
    for entry in entries:
        succeeded = Standing.SUCCEEDED in entry.standings
        if entry.message.inbound is not None:
            yield from ("came", "verified", *(["handled"] if succeeded else []))
        else:
            yield from ("published", *(["delivered"] if succeeded else []))


def _commands(found: Found, base: str, *, may_see: bool) -> Commands:
    source, application = found.source, found.application
    provider = "xendit" if source is None else source.provider
    # Whoever knows the address may knock: it is shown to those who could change it.
    address = f"{base}/in/{source.token}" if may_see and source is not None and source.token else ""
    name = segment("first" if application is None else application.uid or application.id)
    return Commands(
        create_source=(
            "ringback source create xendit \\\n  --secret env:XENDIT_CALLBACK_TOKEN \\\n"
            f"  --url {shlex.quote(base)}"
        ),
        trigger=_trigger(provider, address or f"{OWN}{segment(provider)}"),
        address=address,
        create_endpoint="\n".join(
            [
                *(
                    [_curl(f"{base}/api/v1/app", '{"name": "First", "uid": "first"}')]
                    if application is None
                    else []
                ),
                _curl(f"{base}/api/v1/app/{name}/endpoint", f'{{"url": "{HOOK}"}}'),
            ]
        ),
        publish=_curl(f"{base}/api/v1/app/{name}/msg", '{"eventType": "user.created", "payload": {"id": 1}}'),
    )


def _trigger(provider: str, address: str) -> str:
    """Return the command that sends a provider's event; empty for providers whose events nobody plays."""
    if provider not in CATALOGUES or provider not in EXAMPLES:
        return ""
    return (
        f"ringback trigger {provider} {EXAMPLES[provider]} \\\n  --token env:XENDIT_CALLBACK_TOKEN \\\n"
        f"  --to {shlex.quote(address)}"
    )


def _curl(url: str, body: str) -> str:
    parts = (
        f"curl {shlex.quote(url)}",
        '-H "Authorization: Bearer $RINGBACK_TOKEN"',
        f"--json {shlex.quote(body)}",
    )
    return " \\\n  ".join(parts)
