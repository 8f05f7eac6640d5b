"""The sending half of the demonstration: what is published, and to whom."""

from __future__ import annotations

import asyncio
import itertools

import msgspec

from ringback.demo import payloads
from ringback.demo.receiver import FLAKY, HEALTHY, Receiver
from ringback.drafts import ApplicationDraft, EndpointDraft, EventTypeDraft
from ringback.model import Application, Endpoint, Message
from ringback.outbox import Outbox, system_clock

MESSAGES = 3
PACE_SECONDS = 0.15
APPLICATION = ApplicationDraft(name="Toko Contoh", uid="toko-contoh")
EVENT_TYPES = (
    EventTypeDraft(name="invoice.paid", description="An invoice was paid in full"),
    EventTypeDraft(name="virtual_account.paid", description="Money arrived at a virtual account"),
)


class Cast(msgspec.Struct, frozen=True):
    """Who takes part: the application, the endpoint that always answers and the one that fails at first."""

    application: Application
    healthy: Endpoint
    flaky: Endpoint


async def assemble(outbox: Outbox, receiver: Receiver) -> Cast:
    """Create what the story needs, or take up what an earlier run in the same folder left."""
    application, _ = await outbox.create_application(APPLICATION, reuse=True)
    for draft in EVENT_TYPES:
        await outbox.put_event_type(draft.name, draft)
    return Cast(
        application,
        await _endpoint(outbox, application, receiver, HEALTHY),
        await _endpoint(outbox, application, receiver, FLAKY),
    )


async def publish(outbox: Outbox, cast: Cast) -> list[Message]:
    """Publish the story's messages one after the other, slowly enough to be watched."""
    messages = []
    samples = itertools.cycle(payloads.samples())
    first_order = system_clock() // 1000 % 1_000_000
    for number, sample in enumerate(itertools.islice(samples, MESSAGES)):
        body = payloads.fresh(sample, first_order + number, system_clock())
        accepted = await outbox.publish(cast.application.id, sample.event_type, body)
        messages.append(accepted.message)
        await asyncio.sleep(PACE_SECONDS)
    return messages


async def _endpoint(outbox: Outbox, application: Application, receiver: Receiver, path: str) -> Endpoint:
    # The receiver has another port in every run, so an endpoint of an earlier run is pointed at the new one.
    draft = EndpointDraft(url=receiver.url(path), description=f"The demonstration's {path} receiver")
    endpoint, _ = await outbox.put_endpoint(application.id, path.removeprefix("/"), draft)
    receiver.trust(path, tuple(secret.key for secret in endpoint.secrets))
    return endpoint
