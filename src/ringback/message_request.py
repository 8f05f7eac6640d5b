"""What a client may say of a message besides what it is: few do, and those who do not pay nothing for it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from ringback import policy
from ringback.drafts import ApplicationDraft, MessageDraft, Problems
from ringback.errors import FieldError, InvalidInput
from ringback.model import Duration, Instant, instant_of

# Source: the Svix server, for days.
MIN_RETENTION_DAYS = 5
MAX_RETENTION_DAYS = 90
MAX_RETENTION_HOURS = 24 * MAX_RETENTION_DAYS
MAX_TAGS = 10
MAX_TAG = 128
# The SQL function ringback.check_terms has these rules, too.
MAX_AHEAD: Duration = 90 * policy.DAY
# Clocks differ, and a request takes its time: what has just been due is sent at once.
LATE: Duration = policy.MINUTE

_TAG = re.compile(r"[a-zA-Z0-9_.:/#\\\-]{1,128}")


class Transformations(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How a message's payload is to be changed: ``raw_payload`` takes its place, as a text of JSON."""

    raw_payload: str | None = None


class MessageRequest(MessageDraft):
    """A message to publish, with what clients may say besides.

    ``application`` is created where there is none that the address names. ``transformations_params`` may hold the
    payload as a text, so that it is delivered byte for byte by clients that write JSON in their own way. The payload
    is forgotten after ``payload_retention_period`` days or ``payload_retention_hours``, counted from its delivery.
    ``tags`` are names to find the message by. Nothing is delivered before ``deliver_at``; without an offset it is UTC.
    """

    application: ApplicationDraft | None = None
    transformations_params: Transformations | None = None
    payload_retention_period: int | None = None
    payload_retention_hours: int | None = None
    tags: tuple[str, ...] | None = None
    deliver_at: datetime | None = None

    def _problems(self) -> Problems:
        yield from super()._problems()
        yield from self._retention_problems()
        yield from _tag_problems(self.tags or ())

    def _retention_problems(self) -> Problems:
        days, hours = self.payload_retention_period, self.payload_retention_hours
        if days is not None and not MIN_RETENTION_DAYS <= days <= MAX_RETENTION_DAYS:
            msg = f"is {MIN_RETENTION_DAYS} to {MAX_RETENTION_DAYS} days"
            yield FieldError(("body", "payloadRetentionPeriod"), msg)
        if hours is not None and not 1 <= hours <= MAX_RETENTION_HOURS:
            yield FieldError(("body", "payloadRetentionHours"), f"is 1 to {MAX_RETENTION_HOURS} hours")

    @property
    def keep_for(self) -> Duration | None:
        """For how long the payload is kept, where that is said; hours take the place of days."""
        if self.payload_retention_hours is not None:
            return self.payload_retention_hours * policy.HOUR
        return None if self.payload_retention_period is None else self.payload_retention_period * policy.DAY

    @property
    def due_at(self) -> Instant | None:
        """The instant before which nothing is delivered, where that is said."""
        return None if self.deliver_at is None else instant_of(self.deliver_at)

    @property
    def terms(self) -> tuple[Any, ...]:
        """What a repetition must say again, beside the message itself; nothing where nothing is said."""
        said = self.tags or None, self.due_at
        return () if said == (None, None) else said

    def message(self) -> MessageDraft:
        """Return the message.

        Raises:
            InvalidInput: The text given as payload is no JSON object.
        """
        return MessageDraft(
            event_type=self.event_type,
            payload=self._payload(),
            event_id=self.event_id,
            channels=self.channels,
        )

    def resolved(self) -> MessageRequest:
        """Return it with the payload that it comes to in the place of what it came with; raises as ``message``."""
        if self.transformations_params is None:
            return self
        return msgspec.structs.replace(self, payload=self._payload(), transformations_params=None)

    def check_time(self, now: Instant) -> None:
        """Raise ``InvalidInput`` where it is to be delivered in the past or too far ahead."""
        if self.due_at is None:
            return
        if self.due_at < now - LATE:
            raise InvalidInput.at(
                "body", "deliverAt", msg="lies in the past; leave it out to deliver at once"
            )
        if self.due_at > now + MAX_AHEAD:
            raise InvalidInput.at("body", "deliverAt", msg=f"is at most {MAX_AHEAD // policy.DAY} days ahead")

    def _payload(self) -> msgspec.Raw:
        raw = None if self.transformations_params is None else self.transformations_params.raw_payload
        if raw is None:
            return self.payload
        try:
            msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            raise InvalidInput.at(
                "body", "transformationsParams", "rawPayload", msg=f"is no JSON object: {error}"
            ) from None
        return msgspec.Raw(raw.encode())


def _tag_problems(tags: tuple[str, ...]) -> Problems:
    if len(tags) > MAX_TAGS:
        yield FieldError(("body", "tags"), f"has at most {MAX_TAGS} entries")
    for index, tag in enumerate(tags):
        if not _TAG.fullmatch(tag):
            yield FieldError(
                ("body", "tags", index), rf"is 1 to {MAX_TAG} characters of a-z, A-Z, 0-9 and _ . : / # \ -"
            )
    if len(set(tags)) != len(tags):
        yield FieldError(("body", "tags"), "names something twice")
