"""Pages about delivering many messages again: what is meant, what that would be, and how it goes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from ringback import ids
from ringback.design.writing import sentence
from ringback.errors import InvalidInput, NotFound, RingbackError
from ringback.model import Application, Duration, Endpoint, Instant, Standing
from ringback.replays import PREVIEW_LOOKS, Plan, Preview
from ringback.selection import AT_REST, RECOVERABLE
from ringback.server.pages.behind import Behind
from ringback.server.pages.endpoints import latest_at, pair
from ringback.server.pages.fare import median
from ringback.server.pages.forms import REFUSED, faults, moment, names, status_of
from ringback.server.pages.page import Fields, Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.server.pages.ways import Ways
from ringback.store import REPLAYING, Store, Task, TaskFilter

HOUR: Duration = 3_600_000
# From when on, as a form offers it.
SINCE = (("1h", "the last hour"), ("1d", "the last day"), ("7d", "the last 7 days"), ("at", "the time below"))
WINDOWS = {"1h": HOUR, "1d": 24 * HOUR, "7d": 7 * 24 * HOUR}
# What is meant, as a form offers it.
WHICH = (
    ("failed", "What failed"),
    ("recover", "What failed, was cancelled, or is being tried again"),
    ("rest", "Everything that is done, also what succeeded"),
    ("missing", "What was never tried there"),
)
STANDINGS = {"failed": (Standing.FAILED,), "recover": RECOVERABLE, "rest": AT_REST}
# So many messages are looked at for a preview at first, which takes a moment; and what asks for all of them.
FEW_LOOKS = 2_000
ALL = "all"
FIELDS = ("which", "window", "since", "until", "type", "rate", "limit")
SAID = {
    "pause": "It waits.",
    "resume": "It goes on.",
    "cancel": "It is ended: what had not been sent is taken back.",
}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as it stands, whose it is, and where: None for several endpoints, or for one that is gone."""

    task: Task
    application: Application
    endpoint: Endpoint | None

    @property
    def is_of_source(self) -> bool:
        """Whether it is a source's."""
        return ids.is_id(ids.SOURCE, self.application.id)


class Found(msgspec.Struct, frozen=True):
    """An endpoint that is replayed to, and the median time that it took lately to answer well."""

    application: Application
    endpoint: Endpoint
    median: Duration | None


class ReplayPages:
    """Replays.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def ask(self, visit: Visit) -> Page:
        """Ask what is meant; once that is said, tell what it would be."""
        found = await self._behind.outbox.read(lambda store: _found(store, visit))
        if not visit.query.get("which"):
            return self._form(visit, found)
        try:
            plan = self._plan(found.endpoint, visit.query.get)
            looks = PREVIEW_LOOKS if visit.query.get("count") == ALL else FEW_LOOKS
            preview = await self._behind.outbox.replays.preview(found.application.id, plan, looks=looks)
            arrived = await self._arrived(found.application, plan) if preview.complete else 0
        except REFUSED as error:
            return self._form(visit, found, error=error)
        return self._form(visit, found, preview=preview, arrived=arrived)

    async def begin(self, visit: Visit) -> Page:
        """Begin it, once for each form."""
        found = await self._behind.outbox.read(lambda store: _found(store, visit))
        try:
            plan = self._plan(found.endpoint, visit.form.get)
            task = await self._behind.outbox.replays.begin(
                found.application.id, plan, idempotency_key=visit.form.get("once") or None
            )
        except REFUSED as error:
            return self._form(visit, found, visit.form, error=error)
        return see(
            visit, Ways(visit).replay(task.id), Said("It has begun. What comes of it shows here.", "wait")
        )

    async def show(self, visit: Visit) -> Page:
        """Show how one goes."""
        told = await self._behind.outbox.read(lambda store: _told(store, visit))
        return page(visit, "replay.html", {"place": Ways(visit).replays, "told": told})

    async def turn(self, visit: Visit) -> Page:
        """Have it wait, go on or end."""
        told = await self._behind.outbox.read(lambda store: _told(store, visit))
        replays, step = self._behind.outbox.replays, visit.form.get("step")
        turns = {"pause": replays.pause, "resume": replays.resume, "cancel": replays.cancel}
        if step not in turns:
            raise NotFound("there is no such step")
        there = Ways(visit).replay(told.task.id)
        try:
            await turns[step](told.task.id)
        except REFUSED as error:
            return see(visit, there, Said(sentence(error.detail), "bad"))
        return see(visit, there, Said(SAID[step]))

    async def show_all(self, visit: Visit) -> Page:
        """Show all, newest first."""
        asked = part(visit)
        where = TaskFilter(application_id=visit.parts.get("app"), kinds=REPLAYING)
        found = await self._behind.outbox.replays.tasks(where, asked)
        rows: Slice[Task] = sliced(visit, found, asked, lambda one: one.id)
        return page(visit, "replays.html", {"place": Ways(visit).replays, "tasks": rows})

    def _plan(self, endpoint: Endpoint, get: Callable[[str], str]) -> Plan:
        """Return what the form says.

        Raises:
            InvalidInput: It cannot be read.
        """
        which, window = get("which"), get("window")
        if which not in dict(WHICH):
            raise InvalidInput.at("which", msg="is one of those offered")
        length = WINDOWS.get(window)
        since = moment("since", get("since")) if length is None else self._behind.clock() - length
        if since is None:
            raise InvalidInput.at("since", msg="is needed: from when on?")
        return Plan(
            since=since,
            until=moment("until", get("until")),
            endpoints=(endpoint.id,),
            standings=STANDINGS.get(which, AT_REST),
            missing=which == "missing",
            event_types=names(get("type")),
            rate=_number("rate", get("rate")),
            limit=_number("limit", get("limit")),
        )

    async def _arrived(self, application: Application, plan: Plan) -> int:
        """Return how many of those that a plan means have arrived already."""
        if plan.missing or plan.limit is not None or Standing.SUCCEEDED not in plan.standings:
            return 0
        well = msgspec.structs.replace(plan, standings=(Standing.SUCCEEDED,))
        return (await self._behind.outbox.replays.preview(application.id, well)).count

    def _form(
        self,
        visit: Visit,
        found: Found,
        typed: Fields | None = None,
        *,
        preview: Preview | None = None,
        arrived: int = 0,
        error: RingbackError | None = None,
    ) -> Page:
        fields = visit.query if typed is None else typed
        given = {name: fields.typed(name) for name in FIELDS}
        # A field for a time holds no other text.
        given |= {name: _shown_time(given[name]) for name in ("since", "until")}
        now = self._behind.clock()
        if preview is not None and (length := WINDOWS.get(given["window"])):
            # What was previewed is what is begun, however long somebody thinks about it.
            given |= {"window": "at", "since": _written(now - length)}
        values = {
            "place": Ways(visit).place,
            "application": found.application,
            "endpoint": found.endpoint,
            "one_by_one": found.median * preview.count if found.median and preview is not None else None,
            "arrived": arrived,
            "values": {**given, "which": given["which"] or "failed", "window": given["window"] or "1d"},
            "which": WHICH,
            "windows": SINCE,
            "preview": preview,
            "can_count": visit.query.get("count") != ALL,
            "faults": {} if error is None else faults(error),
            "once": f"page.{now}.{visit.who.id}",
        }
        status = 200 if error is None else status_of(error)
        return page(visit, "endpoint_replay.html", values, status=status)


def _found(store: Store, visit: Visit) -> Found:
    application, endpoint = pair(store, visit)
    return Found(application, endpoint, median(latest_at(store, endpoint)))


def _told(store: Store, visit: Visit) -> Told:
    task = store.task(visit.parts["task"])
    # Who looks at one application sees that alone; and what is no replay is none here.
    if visit.parts.get("app", task.application_id) != task.application_id or task.kind not in REPLAYING:
        raise NotFound(f"there is no task {task.id}")
    application = store.application(task.application_id)
    place = task.lanes[0].endpoint_id if len(task.lanes) == 1 and task.breadth == 1 else ""
    try:
        endpoint = store.endpoint(application.id, place) if place else None
    except NotFound:
        endpoint = None
    return Told(task=task, application=application, endpoint=endpoint)


def _written(instant: Instant) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _shown_time(text: str) -> str:
    try:
        found = moment("time", text)
    except InvalidInput:
        return ""
    return "" if found is None else _written(found)


def _number(name: str, text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput.at(name, msg="is a whole number")
    return int(text)
