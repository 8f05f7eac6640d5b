"""Many messages delivered again: what was missed at an endpoint, and whatever a filter finds."""

from __future__ import annotations

import msgspec
from falcon import HTTP_202
from falcon.asgi import Response

from ringback.errors import Conflict, NotFound
from ringback.outbox import Outbox
from ringback.replays import Plan
from ringback.server.api.endpoint import RECOVERY
from ringback.server.bodies import Bodies
from ringback.server.operation import operation
from ringback.server.paging import Query, optional_instant, parse
from ringback.server.replies import reply
from ringback.server.task_wire import (
    ApplicationReplay,
    EndpointReplay,
    ReplayPreviewOut,
    plan_of,
    preview_out,
)
from ringback.server.unknown import Request
from ringback.server.wire import RecoverOut, instant, recover_out

BULK_REPLAY = msgspec.json.Decoder(EndpointReplay)
APPLICATION_REPLAY = msgspec.json.Decoder(ApplicationReplay)
ANSWERS = {200: ReplayPreviewOut, 202: RecoverOut}


class Replaying:
    """Begins replays, at the endpoints of applications, sources and operators alike."""

    def __init__(self, outbox: Outbox, bodies: Bodies) -> None:
        self._replays = outbox.replays
        self._bodies = bodies

    @operation("endpoint.replay-missing", {202: RecoverOut}, body=RECOVERY, keyed=True, raises=(Conflict,))
    async def on_post_missing(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Deliver what was never attempted at the endpoint and that it wants as it is now."""
        parse(req, Query)
        window = await self._bodies.decode(req, RECOVERY)
        since, until = instant(window.since), optional_instant(window.until)
        key = req.get_header("idempotency-key")
        task = await self._replays.missing(app, ep, since, until, idempotency_key=key)
        reply(resp, recover_out(task), HTTP_202)

    @operation("endpoint.bulk-replay", ANSWERS, body=BULK_REPLAY, keyed=True, raises=(Conflict,))
    async def on_post_bulk(self, req: Request, resp: Response, app: str, ep: str) -> None:
        """Deliver to the endpoint again what a filter finds, or tell how much that is."""
        parse(req, Query)
        body = await self._bodies.decode(req, BULK_REPLAY)
        key = req.get_header("idempotency-key")
        await self._begin(resp, app, plan_of(body, None), key, at=ep, preview=body.preview)

    @operation(
        "endpoint.bulk-replay-all",
        ANSWERS,
        body=APPLICATION_REPLAY,
        keyed=True,
        raises=(Conflict, NotFound),
    )
    async def on_post_all(self, req: Request, resp: Response, app: str) -> None:
        """Deliver again what a filter finds at several endpoints, or tell how much that is."""
        parse(req, Query)
        body = await self._bodies.decode(req, APPLICATION_REPLAY)
        key = req.get_header("idempotency-key")
        await self._begin(resp, app, plan_of(body, body.endpoint_ids), key, preview=body.preview)

    async def _begin(
        self, resp: Response, app: str, plan: Plan, key: str | None, *, at: str | None = None, preview: bool
    ) -> None:
        if preview:
            reply(resp, preview_out(await self._replays.preview(app, plan, at=at)))
        else:
            task = await self._replays.begin(app, plan, at=at, idempotency_key=key)
            reply(resp, recover_out(task), HTTP_202)
