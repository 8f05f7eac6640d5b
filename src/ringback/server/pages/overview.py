"""The first page of operators: what comes in, what of it arrives, what does not, and who does the work."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback import ids
from ringback.design.charts import bars, lines
from ringback.model import Endpoint, EndpointState, Instant, NodeState, Registration
from ringback.policy import MINUTE, SECOND, node_state
from ringback.server.pages.behind import Behind
from ringback.server.pages.course import SPANS, USUAL, Courses, Span, plots, totals
from ringback.server.pages.page import Page, Visit
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.server.pages.wording import FAILING, Badge, badge
from ringback.store import Statistics, Store
from ringback.store.survey import HandlerTrouble, JournalFilter, Trouble

TROUBLES = 8
ANYTHING = JournalFilter()
# From when on what is due counts as late. A queue that is worked off is never empty.
LATE = 30 * SECOND
VERY_LATE = 5 * MINUTE


class Node(msgspec.Struct, frozen=True):
    """A process that shares the store, and how it is now."""

    node: Registration
    state: NodeState


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """How everything is at an instant."""

    now: Instant
    statistics: Statistics
    troubles: Sequence[Trouble]
    handlers: Sequence[HandlerTrouble]
    nodes: Sequence[Node]
    is_new: bool

    @property
    def late_by(self) -> int:
        """For how long the oldest delivery has been due; 0 where none is."""
        oldest = self.statistics.oldest_due_at
        return 0 if oldest is None else max(0, self.now - oldest)

    @property
    def late_tone(self) -> str:
        """How bad that is."""
        return "bad" if self.late_by >= VERY_LATE else "wait" if self.late_by >= LATE else ""


class Overview:
    """How everything is.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind
        self._courses = Courses(behind)

    async def show(self, visit: Visit) -> Page:
        """Show how everything is now, and how it was over the while that the address names."""
        span = _span(visit.query.get("span"))
        now = self._behind.clock()
        present = await self._behind.outbox.read(lambda store: _present(store, now))
        stretches = await self._courses.of(span)
        accepted, succeeded, took = plots(span, stretches)
        values = {
            "place": "",
            "span": span,
            "spans": SPANS,
            "usual": USUAL,
            "present": present,
            "totals": totals(stretches),
            "charts": (bars(accepted), lines(succeeded), lines(took)),
            "reason": self._behind.readiness(),
            "most_troubles": TROUBLES,
            "trouble_badge": trouble_badge,
            "way": lambda one: _way(visit, one),
        }
        return page(visit, "overview.html", values)


def trouble_badge(endpoint: Endpoint) -> Badge:
    """Return how an endpoint is shown that fails: it may be paused or disabled as well."""
    return FAILING if endpoint.state is EndpointState.ENABLED else badge(endpoint.state)


def _way(visit: Visit, trouble: Trouble) -> str:
    """Return the link to a failing endpoint; that of the operators is seen by what failed there."""
    owner = trouble.application.id
    if owner == ids.OPERATOR:
        return visit.link("messages", application=owner, status="failed")
    return visit.link(Ways(visit).endpoint(trouble.endpoint))


def _span(key: str) -> Span:
    return next((span for span in SPANS if span.key == key), USUAL)


def _present(store: Store, now: Instant) -> Present:
    instant = store.now() or now
    return Present(
        now=instant,
        statistics=store.statistics(instant),
        troubles=store.troubles(TROUBLES + 1),
        handlers=store.handler_troubles(TROUBLES + 1),
        nodes=[Node(node, node_state(node, instant)) for node in store.nodes()],
        is_new=not store.journal(ANYTHING, 1).entries,
    )
