"""Dry runs: whether an endpoint would get a message, why not, and what it would be sent.

Nothing leaves, and nothing is kept. What is secret is masked, signatures too: whoever may rehearse need not be who
may publish.
"""

from __future__ import annotations

import msgspec

from ringback import ids, letters, policy
from ringback.courier import payload_made
from ringback.credentials import NO_CREDENTIALS, OAuth
from ringback.destinations import Request
from ringback.drafts import MAX_MESSAGE_CHANNELS, Draft, Problems, caught
from ringback.errors import FieldError, InvalidInput
from ringback.model import (
    Endpoint,
    EndpointState,
    Inbound,
    Instant,
    Outcome,
    OutcomeKind,
    SkipReason,
    Transformation,
    Trigger,
)
from ringback.secrecy import MASK, SENSITIVE_HEADERS, masked
from ringback.signing.standard import FAMILIES
from ringback.store import Lease, Work
from ringback.target import parse_target
from ringback.transforming import check_code

USER_AGENT = "Ringback"
MAX_EVENT_TYPE = 256
_ENTROPY = bytes(ids.ENTROPY_BYTES)
_WHY = {
    SkipReason.EVENT_TYPE: "the endpoint does not listen to this event type",
    SkipReason.CHANNEL: "the endpoint listens to other channels",
    SkipReason.DISABLED: "the endpoint is disabled",
}
PAUSED = "paused"
HANDLER = "handler"


class DryRunDraft(Draft):
    """A message to try: nothing is kept of it."""

    event_type: str
    payload: msgspec.Raw
    channels: tuple[str, ...] | None = None

    def _problems(self) -> Problems:
        if not 1 <= len(self.event_type) <= MAX_EVENT_TYPE:
            yield FieldError(("body", "eventType"), f"has 1 to {MAX_EVENT_TYPE} characters")
        if self.channels is not None and not 1 <= len(self.channels) <= MAX_MESSAGE_CHANNELS:
            yield FieldError(("body", "channels"), f"has 1 to {MAX_MESSAGE_CHANNELS} entries")


class SimulationDraft(DryRunDraft, kw_only=True):
    """An expression to try on a message, in place of the endpoint's own."""

    code: str

    def _problems(self) -> Problems:
        yield from super()._problems()
        yield from caught(check_code, self.code)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent, with what is secret masked."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a message would be sent now; if not, for what *reason*, a word, and why; and what would be sent."""

    delivered: bool
    reason: str | None = None
    why: str | None = None
    letter: Letter | None = None


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What an expression makes of a message: nothing where it calls the delivery off."""

    url: str
    payload: bytes | None


def rehearse(endpoint: Endpoint, draft: DryRunDraft, now: Instant) -> Rehearsal:
    """Say what would become of a message at *endpoint*; raises ``InvalidInput`` where the draft is at fault."""
    draft.check()
    reason = policy.skip_reason(endpoint, draft.event_type, draft.channels)
    if reason is not None:
        return Rehearsal(delivered=False, reason=reason, why=_WHY[reason])
    if endpoint.handler is not None:
        return Rehearsal(delivered=True, reason=HANDLER, why="the endpoint is a handler: it is called")
    work = _work(endpoint, draft, now)
    made = work.payload if endpoint.transformer is None else payload_made(endpoint.transformer, work)
    if isinstance(made, Outcome):
        null = made.detail == policy.TRANSFORMED_TO_NULL
        why = "the transformation makes null of the message" if null else made.body.decode()
        return Rehearsal(delivered=False, reason=made.detail if null else made.kind, why=why)
    if endpoint.transformer is not None:
        work = letters.rewritten(work, made)
    letter = _letter(endpoint, letters.signed(work, endpoint, USER_AGENT, now, 0))
    if endpoint.state is EndpointState.PAUSED:
        return Rehearsal(
            delivered=False, reason=PAUSED, why="the endpoint is paused: it would wait", letter=letter
        )
    return Rehearsal(delivered=True, letter=letter)


def simulate(endpoint: Endpoint, draft: SimulationDraft, now: Instant) -> Simulation:
    """Say what an expression would make of a message to *endpoint*, whose variables it has.

    Raises:
        InvalidInput: The draft is at fault, or the expression fails at the message.
    """
    draft.check()
    variables = {} if endpoint.transformation is None else endpoint.transformation.variables
    made = payload_made(
        Transformation(code=draft.code, enabled=True, variables=variables), _work(endpoint, draft, now)
    )
    if isinstance(made, Outcome) and made.kind is not OutcomeKind.DISCARDED:
        raise InvalidInput.at("body", "code", msg=made.body.decode(), kind=f"value_error.{made.detail}")
    return Simulation(url=masked(endpoint.url), payload=None if isinstance(made, Outcome) else made)


def _work(endpoint: Endpoint, draft: DryRunDraft, now: Instant) -> Work:
    received = ids.is_id(ids.SOURCE, endpoint.application_id)
    return Work(
        key=(0, 0),
        message_id=ids.new_id(ids.MESSAGE, now, _ENTROPY),
        event_type=draft.event_type,
        payload=bytes(draft.payload),
        accepted_at=now,
        endpoint=endpoint,
        attempts=0,
        trigger=Trigger.SCHEDULED,
        lease=Lease(0, now),
        inbound=Inbound(headers={}) if received else None,
    )


def _letter(endpoint: Endpoint, request: Request) -> Letter:
    authorization = (endpoint.credentials or NO_CREDENTIALS).authorization
    if isinstance(authorization, OAuth):
        request = letters.authorized(request, f"Bearer {MASK}")
    elif authorization is not None:
        request = letters.authorized(request, authorization.header)
    headers = dict(request.headers)
    in_url = parse_target(endpoint.url).authorization
    if in_url is not None and "authorization" not in {name.lower() for name in headers}:
        headers["Authorization"] = in_url
    signature = FAMILIES[endpoint.header_family][2]
    return Letter(
        method="POST",
        url=masked(endpoint.url),
        headers={name: _shown(name.lower(), value, signature) for name, value in headers.items()},
        body=request.body,
    )


def _shown(name: str, value: str, signature: str) -> str:
    if name == signature:
        return " ".join(f"{one.partition(',')[0]},{MASK}" for one in value.split(" "))
    if name == "authorization" and " " in value:
        return f"{value.partition(' ')[0]} {MASK}"
    return MASK if name in SENSITIVE_HEADERS else value
