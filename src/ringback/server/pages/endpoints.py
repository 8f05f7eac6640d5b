"""Pages about endpoints: how one fares, what was tried, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from markupsafe import Markup

from ringback import ids
from ringback.changes import event_type_for
from ringback.design.charts import Plot, Series, bars
from ringback.design.contents import weight, within
from ringback.design.writing import sentence
from ringback.drafts import MessageDraft
from ringback.errors import NoExample, NotFound
from ringback.examples import PING, PING_PAYLOAD, example_payload
from ringback.model import Application, Attempt, Delivery, Endpoint, Instant, Message, Standing
from ringback.search import LOOK
from ringback.secrecy import masked_url
from ringback.server.api.event_type import known
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.fare import Fare, Turn, fare, turn_of
from ringback.server.pages.forms import REFUSED
from ringback.server.pages.incident import summary
from ringback.server.pages.page import Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.server.pages.tracebacks import MAX_TOLD, MAX_TRACE, told
from ringback.server.pages.ways import Ways
from ringback.store import AttemptFilter, MessageFilter, Store
from ringback.store import Page as Part

LATEST = 300
SHOWN = 10
MAX_KINDS = 100
# How many bytes of a page the names of event types may take, each with what stands around it.
MAX_CHOICES = 10_000
AROUND_CHOICE = 40
CLASSES = (("200", "2xx"), ("300", "3xx"), ("400", "4xx"), ("500", "5xx"), ("0", "No answer"))
# What the buttons of an endpoint's page do, and what is said then.
STATES = {
    "pause": "Paused. What is accepted for it waits.",
    "resume": "Resumed. What waited is being delivered.",
    "enable": "Enabled.",
    "disable": "Disabled. Nothing is kept for it from now on.",
}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as it stands."""

    application: Application
    endpoint: Endpoint
    fare: Fare
    circuit_until: Instant | None
    kinds: tuple[str, ...]
    told: Mapping[str, str]


class Endpoints:
    """The endpoints of applications.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show how one fares."""
        now = self._behind.clock()
        found = await self._behind.outbox.read(lambda store: _found(store, visit, now))
        return page(
            visit,
            "endpoint.html",
            {
                "place": Ways(visit).place_of(found.application.id),
                "application": found.application,
                "endpoint": found.endpoint,
                "fare": found.fare,
                "circuit_until": found.circuit_until,
                "kinds": found.kinds,
                "told": found.told,
                "of_source": ids.is_id(ids.SOURCE, found.application.id),
                "shown": SHOWN,
                "most": LATEST,
                "now": now,
                "chart": health(found.fare),
                "summary": summary(found.endpoint, found.fare, now),
            },
        )

    async def attempts(self, visit: Visit) -> Page:
        """Show what was tried, newest first."""
        asked, went, status_class = part(visit), visit.query.get("went"), visit.query.get("class")
        where = AttemptFilter(
            endpoint_id=visit.parts["ep"],
            ok={"well": True, "wrong": False}.get(went),
            status_class=int(status_class) if status_class in dict(CLASSES) else None,
            answers=False,
        )

        def look_up(store: Store) -> tuple[Application, Endpoint, list[Attempt], Part]:
            application, endpoint = pair(store, visit)
            is_sparse = where.ok is not None or where.status_class is not None
            bounded = _bounded(store, endpoint, where, asked) if is_sparse else asked
            return application, endpoint, store.attempts(application.id, where, bounded), bounded

        application, endpoint, found, bounded = await self._behind.outbox.read(look_up)
        rows: Slice[Attempt] = sliced(visit, found, bounded, lambda one: one.id)
        given = {"application": application, "endpoint": endpoint, "attempts": rows}
        chosen = {"went": went, "status_class": status_class, "classes": CLASSES}
        return page(
            visit,
            "endpoint_attempts.html",
            {"place": Ways(visit).place_of(application.id), **given, **chosen},
        )

    async def messages(self, visit: Visit) -> Page:
        """Show the messages that it gets or got, newest first, and how each went."""
        asked, wanted = part(visit), visit.query.get("standing")
        standings = (Standing(wanted),) if wanted in set(Standing) else None
        kind = visit.query.get("type")
        where = MessageFilter(event_types=(kind,) if kind else None)

        def look_up(store: Store) -> tuple[Application, Endpoint, list[tuple[Delivery, Message]], Part]:
            application, endpoint = pair(store, visit)
            # What failed is in an index of its own.
            is_sparse = kind or wanted not in {"", Standing.FAILED}
            bounded = _bounded(store, endpoint, where, asked) if is_sparse else asked
            found = store.addressed(application.id, endpoint.id, where, bounded, standings)
            return application, endpoint, found, bounded

        application, endpoint, found, bounded = await self._behind.outbox.read(look_up)
        rows: Slice[tuple[Delivery, Message]] = sliced(visit, found, bounded, lambda row: row[1].id)
        given = {"application": application, "endpoint": endpoint, "rows": rows}
        chosen = {"standing": wanted, "kind": kind, "standings": [one.value for one in Standing]}
        return page(
            visit,
            "endpoint_messages.html",
            {"place": Ways(visit).place_of(application.id), **given, **chosen},
        )

    async def move(self, visit: Visit) -> Page:
        """Pause, resume, enable or disable it."""
        application, endpoint = await pair_of(self._behind, visit)
        step = visit.form.get("step")
        if step not in STATES:
            raise NotFound("there is no such step")
        if step == "disable" and not visit.form.ticked("sure"):
            return confirm(visit, _whether_to_disable(visit, endpoint))
        outbox = self._behind.outbox
        if step == "pause":
            await outbox.pause_endpoint(application.id, endpoint.id)
        elif step == "resume":
            await outbox.resume_endpoint(application.id, endpoint.id)
        else:
            await outbox.change_endpoint(application.id, endpoint.id, {"disabled": step == "disable"})
        return see(
            visit,
            Ways(visit).endpoint(endpoint),
            Said(STATES[step], "wait" if step in {"pause", "disable"} else "good"),
        )

    async def send_example(self, visit: Visit) -> Page:
        """Send an example to it alone, whatever it listens to."""
        application, endpoint = await pair_of(self._behind, visit)
        kind = visit.form.get("type") or PING
        try:
            draft = MessageDraft(event_type=kind, payload=await self._example(visit, kind))
            accepted = await self._behind.outbox.publish_example(application.id, endpoint.id, draft)
        except (*REFUSED, NoExample) as error:
            return see(visit, Ways(visit).endpoint(endpoint), Said(sentence(error.detail), "bad"))
        said = Said(
            f"The example {accepted.message.id} is queued: what comes of it shows here in a moment.", "wait"
        )
        tail = "/start" if visit.form.get("next") == "start" else ""
        return see(visit, f"{Ways(visit).endpoint(endpoint)}{tail}", said)

    async def remove(self, visit: Visit) -> Page:
        """Delete it, when that is confirmed."""
        application, endpoint = await pair_of(self._behind, visit)
        if visit.form.ticked("sure"):
            await self._behind.outbox.remove_endpoint(application.id, endpoint.id)
            return see(visit, Ways(visit).application(application.id), Said("It is deleted."))
        return confirm(visit, _whether_to_delete(visit, endpoint))

    async def _example(self, visit: Visit, kind: str) -> msgspec.Raw:
        if kind == PING:
            return msgspec.Raw(PING_PAYLOAD)
        flags = visit.who.principal.feature_flags
        event_type = await self._behind.outbox.read(lambda store: event_type_for(store, kind, flags))
        return msgspec.Raw(example_payload(event_type, 0))


def health(fare: Fare) -> Markup:
    """Return the drawing of how the latest attempts went over time; empty without any."""
    if not fare.bins:
        return Markup()
    labels = [f"{_short(one.since)} UTC" for one in fare.bins]
    succeeded = Series("Succeeded", [one.succeeded for one in fare.bins], "good")
    failed = Series("Failed", [one.failed for one in fare.bins], "bad")
    return bars(Plot("Attempts over time", labels, (succeeded, failed)))


def _short(instant: Instant) -> str:
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%d %b, %H:%M:%S")


async def pair_of(behind: Behind, visit: Visit) -> tuple[Application, Endpoint]:
    """Return the application and its endpoint that an address names; raises ``NotFound``."""
    return await behind.outbox.read(lambda store: pair(store, visit))


async def receiver_of(behind: Behind, visit: Visit) -> tuple[Application, Endpoint]:
    """Return as ``pair_of`` does what requests are sent to; raises ``NotFound`` for a handler, too."""
    return await behind.outbox.read(lambda store: receiver(store, visit))


def receiver(store: Store, visit: Visit) -> tuple[Application, Endpoint]:
    """Return as ``pair`` does what requests are sent to; raises ``NotFound`` for a handler, too."""
    application, endpoint = pair(store, visit)
    if endpoint.handler is not None:
        raise NotFound("this endpoint is a handler, to which nothing is sent")
    return application, endpoint


def pair(store: Store, visit: Visit) -> tuple[Application, Endpoint]:
    """Return the application and its endpoint that an address names."""
    application = store.application(visit.parts["app"])
    return application, store.endpoint(application.id, visit.parts["ep"])


def _bounded(store: Store, endpoint: Endpoint, where: MessageFilter | AttemptFilter, asked: Part) -> Part:
    """Return what to ask for so that no more is looked through than one look may take."""
    end = store.horizon(endpoint.application_id, where, asked, LOOK, endpoint_id=endpoint.id)
    return msgspec.structs.replace(asked, end=end)


def latest_at(store: Store, endpoint: Endpoint) -> list[Attempt]:
    """Return the latest attempts at an endpoint, newest first, without what was answered."""
    where = AttemptFilter(endpoint_id=endpoint.id, answers=False)
    return store.attempts(endpoint.application_id, where, Part(limit=LATEST, descending=True))


def turned(store: Store, endpoint: Endpoint, latest: Sequence[Attempt]) -> Turn | None:
    """Return when things turned at an endpoint, however long that is ago; *latest* are its latest attempts."""
    turn = turn_of(latest)
    if turn is not None or len(latest) < LATEST:
        return turn
    where = AttemptFilter(endpoint_id=endpoint.id, answers=False)
    # It has failed at least since then: what is later need not be looked through.
    since = latest[-1].id
    if endpoint.failing_since is not None:
        since = min(since, ids.earliest(ids.ATTEMPT, endpoint.failing_since))
    asked = Part(limit=1, cursor=since, descending=True)
    well = msgspec.structs.replace(where, ok=True)
    for last_success in store.attempts(endpoint.application_id, well, asked):
        after = store.attempts(endpoint.application_id, where, Part(limit=1, cursor=last_success.id))
        return Turn(last_success, after[0] if after else None)
    return None


def _found(store: Store, visit: Visit, now: Instant) -> Found:
    application, endpoint = pair(store, visit)
    latest = latest_at(store, endpoint)
    flags = visit.who.principal.feature_flags
    kinds = known(store, Part(limit=MAX_KINDS), flags, archived=False)
    fares = fare(latest, now, turned(store, endpoint, latest))
    return Found(
        application=application,
        endpoint=endpoint,
        fare=fares,
        told=_told(store, endpoint, fares),
        circuit_until=store.circuits().get(endpoint.id),
        kinds=within([PING, *(kind.name for kind in kinds if kind.schemas)], _weight, MAX_CHOICES),
    )


def _told(store: Store, endpoint: Endpoint, fares: Fare) -> Mapping[str, str]:
    """Return what a handler said at the latest attempt of each kind of failure, by the attempt's id."""
    latest = [trouble.latest for trouble in fares.worst[: MAX_TOLD // MAX_TRACE]]
    return {one.id: said for one in latest if (said := told(store, endpoint.application_id, one))}


def _weight(kind: str) -> int:
    return AROUND_CHOICE + 2 * weight(kind)


def _whether_to_delete(visit: Visit, endpoint: Endpoint) -> Question:
    name = endpoint.handler
    comes_back = (
        () if name is None else ("A program that still has this function makes it anew when it starts.",)
    )
    return Question(
        title="Delete the endpoint" if name is None else "Forget the handler",
        question=f"Delete the endpoint {masked_url(endpoint.url)}?" if name is None else f"Forget {name}?",
        points=(
            "What waits for it is cancelled.",
            "What was sent to it stays on record until its retention ends.",
            *comes_back,
        ),
        action=visit.link(f"{Ways(visit).endpoint(endpoint)}/delete"),
        button="Delete the endpoint" if name is None else "Forget the handler",
        back=visit.link(Ways(visit).endpoint(endpoint)),
        tone="bad",
        hidden={"sure": "yes"},
    )


def _whether_to_disable(visit: Visit, endpoint: Endpoint) -> Question:
    return Question(
        title="Disable the endpoint",
        question=f"Disable {masked_url(endpoint.url)}?",
        points=(
            "What is accepted from now on is not kept for it; the record says why.",
            "What waits for it is cancelled. To keep messages for later, pause it instead.",
        ),
        action=visit.link(f"{Ways(visit).endpoint(endpoint)}/state"),
        button="Disable the endpoint",
        back=visit.link(Ways(visit).endpoint(endpoint)),
        tone="bad",
        hidden={"step": "disable", "sure": "yes"},
    )
