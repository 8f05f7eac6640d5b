"""Endpoints of sources: where what is received goes, to handlers of programs and to addresses it is forwarded to."""

from __future__ import annotations

import msgspec

from ringback.drafts import ForwardDraft
from ringback.server.api.endpoint import KEPT, Endpoints
from ringback.server.wire import partial

# What clients of Svix Ingest cannot send in a PUT, and so must not lose by one.
KEPT_OF_FORWARDS = KEPT | {"event_types"}


class SourceEndpoints(Endpoints):
    """Places that what a source receives is delivered to."""

    kind = ForwardDraft
    kept = KEPT_OF_FORWARDS
    draft = msgspec.json.Decoder(ForwardDraft)
    update = msgspec.json.Decoder(
        partial(ForwardDraft, "ForwardUpdate", without={"secret"}, optional=KEPT_OF_FORWARDS)
    )
    patch = msgspec.json.Decoder(partial(ForwardDraft, "ForwardPatch", without={"secret"}))
