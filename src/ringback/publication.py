"""From what is asked for to what the store accepts: a message is checked, and its terms become instants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ringback.drafts import MessageDraft, checked_json
from ringback.errors import FieldError, InvalidInput, PayloadTooLarge
from ringback.message_request import MessageRequest
from ringback.model import Instant
from ringback.repetition import idempotency
from ringback.store import Acceptance, Idempotency

D = TypeVar("D")
T = TypeVar("T")

# The scope of its keys, which the SQL function ringback.publish has, too.
PUBLISHING = "message"


def acceptance_of(
    application: str,
    draft: MessageDraft,
    key: str | None,
    operation: str,
    *,
    now: Instant,
    message_id: str,
    max_payload: int,
) -> Acceptance:
    """Return what the store is to accept for a draft; each *operation* has its own idempotency keys.

    Raises:
        InvalidInput: Something does not obey the rules.
        PayloadTooLarge: The payload has more than *max_payload* bytes.
    """
    draft.check()
    if isinstance(draft, MessageRequest):
        plain = draft.message()
        acceptance = acceptance_of(
            application, plain, None, operation, now=now, message_id=message_id, max_payload=max_payload
        )
        return _on_terms(acceptance, draft, idempotency(operation, key, plain, *draft.terms))
    payload = bytes(draft.payload)
    if len(payload) > max_payload:
        raise PayloadTooLarge(f"the payload has {len(payload)} bytes, the limit is {max_payload}")
    return Acceptance(
        application=application,
        id=message_id,
        event_type=draft.event_type,
        payload=payload,
        created_at=now,
        event_id=draft.event_id,
        channels=draft.channels,
        idempotency=idempotency(operation, key, draft),
    )


def _on_terms(acceptance: Acceptance, request: MessageRequest, use: Idempotency | None) -> Acceptance:
    now, due_at, keep_for = acceptance.created_at, request.due_at, request.keep_for
    request.check_time(now)
    # What is delivered later is kept for as long as if it had been published then.
    kept_until = None if keep_for is None else max(now, due_at or 0) + keep_for
    return msgspec.structs.replace(
        acceptance,
        idempotency=use,
        tags=request.tags or None,
        deliver_at=due_at,
        payload_until=kept_until,
    )


def of_each(batch: Sequence[D], act: Callable[[D], T]) -> list[T]:
    """Return what *act* makes of each message of a batch.

    Raises:
        InvalidInput: It refuses some; what is at fault is told for all of them, with the index of each.
    """
    made: list[T] = []
    faults: list[FieldError] = []
    for index, draft in enumerate(batch):
        try:
            made.append(act(draft))
        except InvalidInput as error:
            faults += [
                msgspec.structs.replace(fault, loc=("body", "messages", index, *fault.loc[1:]))
                for fault in error.fields
            ]
    if faults:
        raise InvalidInput(*faults)
    return made


def draft_of(
    event_type: str,
    payload: bytes | Mapping[str, Any],
    *,
    event_id: str | None,
    channels: tuple[str, ...] | None,
    tags: tuple[str, ...] | None,
    deliver_at: datetime | None,
) -> MessageDraft:
    """Return the draft of a message that a program publishes: bytes are kept as given, a mapping is encoded.

    Raises:
        InvalidInput: The payload is no JSON.
    """
    raw = msgspec.Raw(checked_json(payload if isinstance(payload, bytes) else msgspec.json.encode(payload)))
    if tags is None and deliver_at is None:
        return MessageDraft(event_type=event_type, payload=raw, event_id=event_id, channels=channels)
    return MessageRequest(
        event_type=event_type,
        payload=raw,
        event_id=event_id,
        channels=channels,
        tags=tags,
        deliver_at=deliver_at,
    )
