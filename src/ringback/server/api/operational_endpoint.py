"""Endpoints of the operators' own: where operational webhooks go."""

from __future__ import annotations

import msgspec

from ringback.drafts import OperationalDraft
from ringback.server.api.endpoint import KEPT, Endpoints
from ringback.server.wire import partial


class OperationalEndpoints(Endpoints):
    """Places that operators are told at what happens to endpoints and deliveries."""

    kind = OperationalDraft
    draft = msgspec.json.Decoder(OperationalDraft)
    update = msgspec.json.Decoder(
        partial(OperationalDraft, "OperationalUpdate", without={"secret"}, optional=KEPT)
    )
    patch = msgspec.json.Decoder(partial(OperationalDraft, "OperationalPatch", without={"secret"}))
