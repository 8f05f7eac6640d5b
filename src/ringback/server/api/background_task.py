"""Background tasks: how they stand, and having them wait, go on or end."""

from __future__ import annotations

from typing import Literal

from falcon.asgi import Response

from ringback import ids
from ringback.access import Right
from ringback.errors import Conflict, Forbidden, NotFound
from ringback.outbox import Outbox, found
from ringback.server.operation import operation
from ringback.server.paging import OrderedQuery, Query, descending, listing, page_of, parse
from ringback.server.replies import reply
from ringback.server.task_wire import WIRE_STATES, BackgroundTaskOut, task_out
from ringback.server.unknown import Request
from ringback.server.wire import Listing
from ringback.store import REPLAYING, Store, Task, TaskFilter


class TaskQuery(OrderedQuery):
    """Which tasks, newest first unless asked otherwise."""

    status: Literal["running", "finished", "failed"] | None = None
    # Source: the Svix SDKs; of some of these there are none here.
    task: (
        Literal[
            "endpoint.replay",
            "endpoint.recover",
            "endpoint.bulk-replay",
            "application.stats",
            "application.purge_content",
            "message.broadcast",
            "sdk.generate",
            "event-type.aggregate",
        ]
        | None
    ) = None
    app_id: str | None = None


class BackgroundTasks:
    """Long work. Whoever is bound to an application sees only what is about that."""

    def __init__(self, outbox: Outbox) -> None:
        self._replays = outbox.replays
        self._outbox = outbox

    @operation("background-task.list", {200: Listing[BackgroundTaskOut]}, query=TaskQuery)
    async def on_get_all(self, req: Request, resp: Response) -> None:
        """List tasks, newest first unless asked otherwise."""
        query = parse(req, TaskQuery)
        page = page_of(query, ids.TASK, descending=descending(query, default=True))
        own = req.context.principal.application_id
        kinds = None if query.task is None else (query.task,)
        states = None if query.status is None else WIRE_STATES[query.status]

        def look(store: Store) -> list[Task]:
            named = own if query.app_id is None else _application(store, query.app_id)
            if query.app_id is not None and (named is None or own not in {None, named}):
                return []
            return store.tasks(TaskFilter(application_id=named, kinds=kinds, states=states), page)

        rows = await self._outbox.read(look)
        reply(resp, listing(rows, page, task_out, lambda row: row.id))

    @operation("background-task.get", {200: BackgroundTaskOut})
    async def on_get(self, req: Request, resp: Response, task: str) -> None:
        """Show a task."""
        parse(req, Query)
        reply(resp, task_out(await self._own(req, task)))

    @operation("background-task.pause", {200: BackgroundTaskOut}, raises=(Conflict,))
    async def on_post_pause(self, req: Request, resp: Response, task: str) -> None:
        """Have a task wait, and with it what it has made due and nobody has begun to deliver."""
        parse(req, Query)
        own = await self._own_to_turn(req, task)
        reply(resp, task_out(await self._replays.pause(own.id)))

    @operation("background-task.resume", {200: BackgroundTaskOut}, raises=(Conflict,))
    async def on_post_resume(self, req: Request, resp: Response, task: str) -> None:
        """Have a task that waits go on."""
        parse(req, Query)
        own = await self._own_to_turn(req, task)
        reply(resp, task_out(await self._replays.resume(own.id)))

    @operation("background-task.cancel", {200: BackgroundTaskOut}, raises=(Conflict,))
    async def on_post_cancel(self, req: Request, resp: Response, task: str) -> None:
        """End a task: what it has made due and nobody has begun to deliver stands as it did before."""
        parse(req, Query)
        own = await self._own_to_turn(req, task)
        reply(resp, task_out(await self._replays.cancel(own.id)))

    async def _own(self, req: Request, task_id: str) -> Task:
        """Return a task that the caller may know of."""
        task = await self._replays.task(task_id)
        own = req.context.principal.application_id
        if own is not None and own != task.application_id:
            raise NotFound(f"there is no task {task_id}")
        return task

    async def _own_to_turn(self, req: Request, task_id: str) -> Task:
        """Return a task that the caller may turn: what only operators begin, only they stop."""
        task = await self._own(req, task_id)
        if task.kind not in REPLAYING and Right.OPERATE not in req.context.principal.rights:
            raise Forbidden
        return task


def _application(store: Store, ref: str) -> str | None:
    """Return the id of an application or a source, None where there is none."""
    owner = found(lambda: store.application(ref))
    return None if owner is None else owner.id
