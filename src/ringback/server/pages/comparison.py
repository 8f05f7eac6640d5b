"""Two of a kind side by side: two attempts at a message, or two messages."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from ringback.design.charts import duration
from ringback.design.contents import weight, within
from ringback.design.differences import Difference, difference
from ringback.design.writing import brief
from ringback.model import Application, Attempt, Message, iso
from ringback.outbox import found
from ringback.secrecy import masked_url
from ringback.server.pages.behind import Behind
from ringback.server.pages.message import couple, pair
from ringback.server.pages.page import Page, Visit, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import milliseconds, outcome, trigger
from ringback.store import AttemptFilter, Store
from ringback.store import Page as Part

MAX_CHOICES = 20
# How many bytes of a page the facts may take, each with what stands around it.
MAX_FACTS = 17_000
AROUND_FACT = 350
MAX_NAME, MAX_VALUE = 60, 200
NOTHING = "none"


class Fact(msgspec.Struct, frozen=True):
    """What something is in the first and in the second of two."""

    name: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Whether it is not the same."""
        return self.first != self.second

    @property
    def weight(self) -> int:
        """How many bytes of a page it takes."""
        values = weight(brief(self.first, MAX_VALUE)) + weight(brief(self.second, MAX_VALUE))
        return weight(brief(self.name, MAX_NAME)) + values + AROUND_FACT


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two of a kind: their facts, and how what they hold differs, which is called *contents*.

    ``files`` are the ways to what the first and the second of them hold, as files.
    """

    facts: Sequence[Fact]
    contents: str
    difference: Difference
    files: tuple[str, str]

    @property
    def shown(self) -> Sequence[Fact]:
        """The facts that are shown: where they are too many, those that differ come first."""
        by_worth = sorted(self.facts, key=lambda fact: not fact.differs)
        kept = within(by_worth, lambda fact: fact.weight, MAX_FACTS)
        return self.facts if len(kept) == len(self.facts) else kept


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A message, the attempts at it that are offered, newest first, and whether there are *more*.

    ``chosen`` are the two to compare, None for one that there is not.
    """

    owner: Application
    message: Message
    attempts: Sequence[Attempt]
    more: bool
    chosen: tuple[Attempt | None, Attempt | None]


class Comparison:
    """The page.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Compare the two attempts that the address names, or the message with another one."""
        first, second, other, of = (visit.query.get(name) for name in ("first", "second", "with", "of"))
        known = await self._behind.outbox.read(lambda store: _known(store, visit, first, second, of))
        owner, message = known.owner, known.message
        fault, compared = "", None
        if first and second:
            former, latter = known.chosen
            if former is not None and latter is not None:
                compared = of_attempts(former, latter, owner, Ways(visit))
            else:
                fault = "this message has no such attempt"
        elif other:
            fault, compared = await self._with(visit, owner, message, other)
        offered = couple(known.attempts)
        values = {
            "place": Ways(visit).messages,
            "owner": owner,
            "message": message,
            "attempts": known.attempts,
            "more": known.more,
            "most": MAX_CHOICES,
            "way": Ways(visit).message(owner.id, message.id),
            "first": first or (offered[0].id if offered else ""),
            "second": second or (offered[1].id if offered else ""),
            "other": other,
            "of": of,
            "compared": compared,
            "fault": fault,
            "longest": {"name": MAX_NAME, "value": MAX_VALUE},
        }
        status = HTTPStatus.NOT_FOUND if fault else HTTPStatus.OK
        return page(visit, "comparison.html", values, status=status)

    async def _with(
        self, visit: Visit, owner: Application, message: Message, ref: str
    ) -> tuple[str, Compared | None]:
        """Compare with another message of the same application, by its id or event id."""
        second = await self._behind.outbox.read(lambda store: found(lambda: store.message(owner.id, ref)))
        if second is None:
            return f"{owner.name} has no message {ref[:100]}", None
        return "", of_messages(message, second, Ways(visit))


def of_attempts(first: Attempt, second: Attempt, owner: Application, ways: Ways) -> Compared:
    """Compare two attempts at messages of the same *owner*."""
    return Compared(
        facts=_facts(_attempt_facts(first), _attempt_facts(second)),
        contents="What was answered",
        difference=difference(first.outcome.body, second.outcome.body),
        files=(_answer(first, owner, ways), _answer(second, owner, ways)),
    )


def of_messages(first: Message, second: Message, ways: Ways) -> Compared:
    """Compare two messages."""
    return Compared(
        facts=_facts(_message_facts(first), _message_facts(second)),
        contents="Payload",
        difference=difference(first.payload or b"", second.payload or b""),
        files=(
            f"{ways.message(first.application_id, first.id)}/payload",
            f"{ways.message(second.application_id, second.id)}/payload",
        ),
    )


def _answer(attempt: Attempt, owner: Application, ways: Ways) -> str:
    return f"{ways.message(owner.id, attempt.message_id)}/attempts/{segment(attempt.id)}/answer"


def _known(store: Store, visit: Visit, first: str, second: str, of: str) -> Known:
    """Look up the *first* and the *second* attempt, which may be *of* another message of the same owner."""
    owner, message = pair(store, visit)
    latest = store.attempts(
        owner.id,
        AttemptFilter(message_id=message.id, answers=False),
        Part(limit=MAX_CHOICES + 1, descending=True),
    )

    def named(message_id: str, attempt_id: str) -> Attempt | None:
        return found(lambda: store.attempt(owner.id, message_id, attempt_id)) if attempt_id else None

    chosen = (named(message.id, first), named(of or message.id, second))
    kept = (
        one for one in (*latest[:MAX_CHOICES], *chosen) if one is not None and one.message_id == message.id
    )
    return Known(
        owner=owner,
        message=message,
        attempts=sorted({one.id: one for one in kept}.values(), key=lambda one: one.id, reverse=True),
        more=len(latest) > MAX_CHOICES,
        chosen=chosen,
    )


def _facts(first: dict[str, str], second: dict[str, str]) -> list[Fact]:
    names = dict.fromkeys((*first, *second))
    return [Fact(name, first.get(name, NOTHING), second.get(name, NOTHING)) for name in names]


def _attempt_facts(attempt: Attempt) -> dict[str, str]:
    phases = msgspec.structs.asdict(attempt.outcome.phases)
    return {
        "Message": attempt.message_id,
        "Attempt": str(attempt.number),
        "Begun": iso(attempt.started_at),
        "Made": trigger(attempt.trigger),
        "Endpoint": attempt.endpoint_id,
        "URL": masked_url(attempt.url),
        "Outcome": outcome(attempt.outcome.kind),
        "Detail": attempt.outcome.detail.replace("_", " ") or NOTHING,
        "HTTP status": str(attempt.outcome.status or NOTHING),
        "Took": milliseconds(attempt.duration),
        **{f"Phase: {name}": duration(took) for name, took in phases.items()},
    }


def _message_facts(message: Message) -> dict[str, str]:
    inbound = {} if message.inbound is None else message.inbound.headers
    return {
        "Id": message.id,
        "Event id": message.event_id or NOTHING,
        "Event type": message.event_type,
        "Accepted": iso(message.created_at),
        "Channels": ", ".join(message.channels or ()) or NOTHING,
        "Tags": ", ".join(message.tags or ()) or NOTHING,
        **{f"Header: {name}": value for name, value in inbound.items()},
    }
