"""Holding payloads to the schemas of their event types, for who asks for it when publishing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from ringback.drafts import MessageDraft
from ringback.errors import FieldError, InvalidInput
from ringback.model import EventType
from ringback.outbox import Outbox, found
from ringback.schemas import check_payload
from ringback.server.paging import ContentQuery
from ringback.store import Store


class PublishQuery(ContentQuery):
    """Whether to show the content, and whether to refuse what does not obey its event type's schema."""

    validate: bool = False


async def check_draft(outbox: Outbox, draft: MessageDraft) -> None:
    """Refuse a message whose payload does not obey the newest schema of its event type.

    Raises:
        InvalidInput: It does not, each place being named; or there is no such event type, or it has no schema.
    """
    draft.check()
    known = await _known(outbox, (draft,))
    # A large payload would hold up all other requests.
    await asyncio.to_thread(_check, known, draft)


async def check_drafts(outbox: Outbox, batch: Sequence[MessageDraft]) -> None:
    """Refuse a batch in which one is refused by ``check_draft``, naming the places in all of them."""
    known = await _known(outbox, batch)
    faults: list[FieldError] = []
    for index, draft in enumerate(batch):
        try:
            await asyncio.to_thread(_check, known, draft)
        except InvalidInput as error:
            faults += [
                msgspec.structs.replace(fault, loc=("body", "messages", index, *fault.loc[1:]))
                for fault in error.fields
            ]
    if faults:
        raise InvalidInput(*faults)


async def _known(outbox: Outbox, batch: Sequence[MessageDraft]) -> dict[str, EventType]:
    names = {draft.event_type for draft in batch}

    def look_up(store: Store) -> dict[str, EventType]:
        rows = ((name, found(lambda name=name: store.event_type(name))) for name in names)  # type: ignore[misc] # bound
        return {name: row for name, row in rows if row is not None}

    return await outbox.read(look_up)


def _check(known: Mapping[str, EventType], draft: MessageDraft) -> None:
    event_type = known.get(draft.event_type)
    if event_type is None or not event_type.schemas:
        state = "does not exist" if event_type is None else "has no schema"
        raise InvalidInput.at(
            "body", "eventType", msg=f"the event type {draft.event_type} {state}, so nothing can be validated"
        )
    check_payload(event_type.schemas, bytes(draft.payload))
