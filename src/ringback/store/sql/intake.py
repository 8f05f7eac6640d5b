"""The rows of one batch of acceptances, as they gather."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ringback import policy
from ringback.model import Endpoint, Instant, Message, Trigger
from ringback.policy import Step, next_state
from ringback.selection import ADDRESSED
from ringback.store import NOBODY, Acceptance, Accepted, Admit, Document, Lease, Work
from ringback.store.sql.catalog import UNNAMED
from ringback.store.sql.records import inbound_record, names_text, skipped_text, terms_record
from ringback.store.sql.routes import Route
from ringback.store.sql.tables import Row

LEASED = next_state(None, Step.ACCEPT).value
WAITING = next_state(None, Step.SPILL).value
SCHEDULED = Trigger.SCHEDULED.value


class Intake:
    """What one batch stores.

    Args:
        new_key: Returns the key of a message that was accepted at an instant.
        lease: That deliveries are born with where there is room.
        admit: Tells whether there is.
    """

    def __init__(self, new_key: Callable[[Instant], int], lease: Lease, admit: Admit) -> None:
        self.messages: list[Row] = []
        self.deliveries: list[Row] = []
        self.documents: list[Document] = []
        self.terms: list[Row] = []
        self.tags: list[Row] = []
        self.accepted: dict[str, Message] = {}
        self._new_key = new_key
        self._lease = lease
        self._admit = admit

    def add(self, acceptance: Acceptance, route: Route) -> Accepted:
        """Gather the rows of one message and its deliveries."""
        if acceptance.only is None:
            targets, skipped = route.fan(acceptance.event_type, acceptance.channels)
        else:
            targets = (route.endpoint(acceptance.only),) if acceptance.only != NOBODY else ()
            skipped = ADDRESSED
        held = None if acceptance.inbound is None else policy.held(acceptance.inbound, matched=bool(targets))
        if held is not None:
            targets = ()
        message = Message(
            id=acceptance.id,
            application_id=route.application_id,
            event_type=acceptance.event_type,
            payload=acceptance.payload,
            created_at=acceptance.created_at,
            event_id=acceptance.event_id,
            channels=acceptance.channels,
            skipped=skipped,
            inbound=acceptance.inbound,
            held=held,
        )
        if acceptance.tags or acceptance.deliver_at is not None:
            message = msgspec.structs.replace(
                message, tags=acceptance.tags or None, deliver_at=acceptance.deliver_at
            )
        key = self._new_key(message.created_at)
        self.messages.append(
            (
                key,
                route.key,
                message.id,
                message.event_type,
                message.event_id,
                names_text(message.channels),
                message.created_at,
                skipped_text(skipped),
                message.payload,
                inbound_record(message.inbound),
                None if held is None else held.value,
            )
        )
        self.accepted[message.id] = message
        record = terms_record(message)
        if record is not None:
            self.terms.append((key, record))
            self.tags += [(key, tag, route.key, message.id) for tag in message.tags or ()]
            if message.deliver_at is not None and message.deliver_at > message.created_at:
                return self._schedule(message, message.deliver_at, key, targets)
        return self._deliver(message, acceptance.payload, key, targets)

    def _schedule(
        self, message: Message, at: Instant, key: int, targets: Sequence[tuple[int, Endpoint]]
    ) -> Accepted:
        # Without an ordering key: until its time has come, it stands in the way of nothing that comes later.
        self.deliveries += [
            (key, endpoint_key, WAITING, 0, at, None, SCHEDULED, None) for endpoint_key, _ in targets
        ]
        return Accepted(message, scheduled=len(targets))

    def _deliver(
        self, message: Message, payload: bytes, key: int, targets: Sequence[tuple[int, Endpoint]]
    ) -> Accepted:
        works: list[Work] = []
        spilled: list[Endpoint] = []
        for endpoint_key, endpoint in targets:
            if self._admit(endpoint):
                self.deliveries.append(
                    (
                        key,
                        endpoint_key,
                        LEASED,
                        0,
                        self._lease.until,
                        self._lease.token,
                        SCHEDULED,
                        _unnamed(endpoint),
                    )
                )
                works.append(
                    Work(
                        key=(key, endpoint_key),
                        message_id=message.id,
                        event_type=message.event_type,
                        payload=payload,
                        accepted_at=message.created_at,
                        endpoint=endpoint,
                        attempts=0,
                        trigger=Trigger.SCHEDULED,
                        lease=self._lease,
                        inbound=message.inbound,
                    )
                )
            else:
                self.deliveries.append(
                    (
                        key,
                        endpoint_key,
                        WAITING,
                        0,
                        message.created_at,
                        None,
                        SCHEDULED,
                        _unnamed(endpoint),
                    )
                )
                spilled.append(endpoint)
        return Accepted(message, tuple(works), tuple(spilled))


def _unnamed(endpoint: Endpoint) -> str | None:
    return UNNAMED if endpoint.ordered else None
