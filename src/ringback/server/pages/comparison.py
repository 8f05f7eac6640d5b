"""Two of a kind side by side: two attempts at a message, or two messages."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from ringback.design.charts import duration
from ringback.design.differences import Difference, difference
from ringback.model import Application, Attempt, Message, iso
from ringback.outbox import found
from ringback.server.pages.behind import Behind
from ringback.server.pages.message import pair
from ringback.server.pages.page import Page, Visit
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import milliseconds, outcome, trigger
from ringback.store import AttemptFilter, Store
from ringback.store import Page as Part

MAX_CHOICES = 100
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


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two of a kind: their facts, and how what they hold differs, which is called *contents*."""

    facts: Sequence[Fact]
    contents: str
    difference: Difference


class Comparison:
    """The page.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Compare the two attempts that the address names, or the message with another one."""
        query = visit.query
        first, second, other = query.get("first"), query.get("second"), query.get("with")
        fault, compared = "", None

        def look_up(store: Store) -> tuple[Application, Message, list[Attempt]]:
            owner, message = pair(store, visit)
            where = AttemptFilter(message_id=message.id)
            return owner, message, store.attempts(owner.id, where, Part(limit=MAX_CHOICES))

        owner, message, attempts = await self._behind.outbox.read(look_up)
        if first and second:
            by_id = {attempt.id: attempt for attempt in attempts}
            if first in by_id and second in by_id:
                compared = of_attempts(by_id[first], by_id[second])
            else:
                fault = "this message has no such attempt"
        elif other:
            fault, compared = await self._with(owner, message, other)
        values = {
            "place": Ways(visit).messages,
            "owner": owner,
            "message": message,
            "attempts": attempts,
            "way": Ways(visit).message(owner.id, message.id),
            "first": first or (attempts[0].id if attempts else ""),
            "second": second or (attempts[-1].id if attempts else ""),
            "other": other,
            "compared": compared,
            "fault": fault,
        }
        status = HTTPStatus.NOT_FOUND if fault else HTTPStatus.OK
        return page(visit, "comparison.html", values, status=status)

    async def _with(self, owner: Application, message: Message, ref: str) -> tuple[str, Compared | None]:
        """Compare with another message of the same application, by its id or event id."""
        second = await self._behind.outbox.read(lambda store: found(lambda: store.message(owner.id, ref)))
        if second is None:
            return f"{owner.name} has no message {ref[:100]}", None
        return "", of_messages(message, second)


def of_attempts(first: Attempt, second: Attempt) -> Compared:
    """Compare two attempts."""
    return Compared(
        facts=_facts(_attempt_facts(first), _attempt_facts(second)),
        contents="What was answered",
        difference=difference(first.outcome.body, second.outcome.body),
    )


def of_messages(first: Message, second: Message) -> Compared:
    """Compare two messages."""
    return Compared(
        facts=_facts(_message_facts(first), _message_facts(second)),
        contents="Payload",
        difference=difference(first.payload or b"", second.payload or b""),
    )


def _facts(first: dict[str, str], second: dict[str, str]) -> list[Fact]:
    names = dict.fromkeys((*first, *second))
    return [Fact(name, first.get(name, NOTHING), second.get(name, NOTHING)) for name in names]


def _attempt_facts(attempt: Attempt) -> dict[str, str]:
    phases = msgspec.structs.asdict(attempt.outcome.phases)
    return {
        "Attempt": str(attempt.number),
        "Begun": iso(attempt.started_at),
        "Made": trigger(attempt.trigger),
        "URL": attempt.url,
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
