"""What callers ask for, and the rules it must obey before it becomes a record.

A draft is the wire form of a request (camelCase in JSON) and the argument of the Python API at once, so that
a rule is written once. ``check`` raises ``InvalidInput`` naming every field at fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ringback import ids, operational, policy
from ringback.errors import FieldError, InvalidInput
from ringback.model import Application, Duration, Endpoint, EndpointState, EventType, HeaderFamily, Manner
from ringback.schemas import schema_problems
from ringback.signing import standard
from ringback.target import check_header, parse_target

MAX_NAME = 256
MAX_METADATA_BYTES = 4096
MAX_DESCRIPTION = 4096
MAX_MESSAGE_CHANNELS = 5
MAX_ENDPOINT_CHANNELS = 10
MAX_ENDPOINT_EVENT_TYPES = 1000
MAX_HEADERS = 50
MAX_THROTTLE_RATE = 65_535
MAX_GRACE_SECONDS = 7 * 24 * 3600
DEFAULT_GRACE_SECONDS = 24 * 3600

NAME = re.compile(r"[a-zA-Z0-9_.\-]{1,256}")
_DOT_SEGMENTS = frozenset({".", ".."})
_CONTROL = re.compile(r"[\x00-\x08]")

Problems = Iterator[FieldError]
NameProblems = Callable[[tuple[str | int, ...], str], Problems]


class Draft(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Base of all drafts.

    ``aliases`` are other names of fields on the wire, those of earlier Svix clients; what stands for None is taken, and
    does nothing.
    """

    aliases: ClassVar[Mapping[str, str | None]] = {}

    def check(self) -> None:
        """Raise ``InvalidInput`` with every field at fault; return when there is none."""
        problems = tuple(self._problems())
        if problems:
            raise InvalidInput(*problems)

    def _problems(self) -> Problems:
        """Yield what is wrong, field by field."""
        yield from ()


class ApplicationDraft(Draft):
    """An application to create or to replace another with."""

    aliases: ClassVar[Mapping[str, str | None]] = {"rateLimit": "throttleRate"}

    name: str
    uid: str | None = None
    throttle_rate: int | None = None
    metadata: dict[str, str] | None = {}

    def _problems(self) -> Problems:
        yield from text_problems("name", self.name, 1, MAX_NAME)
        yield from uid_problems("uid", self.uid, ids.APPLICATION)
        if ids.is_id(ids.SOURCE, self.uid or ""):
            yield FieldError(("body", "uid"), "has the form of a source's id")
        yield from _rate_problems(self.throttle_rate)
        yield from metadata_problems(self.metadata)


class EndpointDraft(Draft):
    """An endpoint to create or to replace another with.

    ``retry_schedule`` is in seconds; None means the server's. ``secret`` of None has one generated. With *ordered*, it
    gets its messages one at a time, in the order of acceptance.
    """

    aliases: ClassVar[Mapping[str, str | None]] = {
        "filterTypes": "eventTypes",
        "rateLimit": "throttleRate",
        "version": None,
    }

    url: str
    uid: str | None = None
    description: str = ""
    event_types: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    metadata: dict[str, str] | None = {}
    headers: dict[str, str] | None = {}
    throttle_rate: int | None = None
    disabled: bool = False
    secret: str | None = None
    retry_schedule: tuple[float, ...] | None = None
    header_family: HeaderFamily = HeaderFamily.WEBHOOK
    ordered: bool = False

    @property
    def schedule(self) -> tuple[Duration, ...] | None:
        """Its retry schedule as a record keeps it."""
        return None if self.retry_schedule is None else schedule_milliseconds(self.retry_schedule)

    def _problems(self) -> Problems:
        yield from caught(parse_target, self.url)
        yield from uid_problems("uid", self.uid, ids.ENDPOINT)
        yield from text_problems("description", self.description, 0, MAX_DESCRIPTION)
        yield from self._filter_problems()
        yield from metadata_problems(self.metadata)
        yield from header_problems(self.headers or {})
        yield from _rate_problems(self.throttle_rate)
        yield from _schedule_problems(self.retry_schedule)
        if self.secret is not None:
            yield from caught(standard.parse_signing_key, self.secret)

    def _filter_problems(self) -> Problems:
        yield from _names_problems("eventTypes", self.event_types, MAX_ENDPOINT_EVENT_TYPES)
        yield from _names_problems("channels", self.channels, MAX_ENDPOINT_CHANNELS)


class PollerDraft(Draft):
    """A poller to create: an endpoint without an address."""

    description: str = ""
    event_types: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    metadata: dict[str, str] | None = {}

    def _problems(self) -> Problems:
        yield from text_problems("description", self.description, 0, MAX_DESCRIPTION)
        yield from _names_problems("eventTypes", self.event_types, MAX_ENDPOINT_EVENT_TYPES)
        yield from _names_problems("channels", self.channels, MAX_ENDPOINT_CHANNELS)
        yield from metadata_problems(self.metadata)


class PlayedDraft(EndpointDraft, kw_only=True):
    """An endpoint that a sandbox delivers to, in the manner of the sender whom it plays."""

    manner: Manner

    def _problems(self) -> Problems:
        yield from super()._problems()
        # No endpoint may set this header itself, so its value is judged under another name.
        for problem in header_problems({"x-user-agent": self.manner.user_agent}):
            yield FieldError(("body", "manner", "userAgent"), problem.msg)


class ForwardDraft(EndpointDraft):
    """An endpoint of a source: somewhere that what is received is forwarded to.

    ``event_types`` are patterns, in which ``*`` stands for any characters: providers name events as they like.
    """

    def _filter_problems(self) -> Problems:
        yield from _names_problems(
            "eventTypes", self.event_types, MAX_ENDPOINT_EVENT_TYPES, _pattern_problems
        )
        if self.channels is not None:
            yield FieldError(("body", "channels"), "what a source receives is in no channel; leave it out")


class OperationalDraft(EndpointDraft):
    """An endpoint of the operators' own, for operational webhooks."""

    def _filter_problems(self) -> Problems:
        yield from _names_problems("eventTypes", self.event_types, MAX_ENDPOINT_EVENT_TYPES)
        for index, name in enumerate(self.event_types or ()):
            if name not in operational.EVENT_TYPES:
                known = ", ".join(sorted(operational.EVENT_TYPES))
                yield FieldError(("body", "eventTypes", index), f"is none of the operational ones: {known}")
        if self.channels is not None:
            yield FieldError(("body", "channels"), "operational webhooks are in no channel; leave it out")


class EventTypeDraft(Draft):
    """An event type to create or to replace another with; ``feature_flags`` take the place of ``feature_flag``."""

    name: str
    description: str
    archived: bool = False
    deprecated: bool = False
    schemas: dict[str, msgspec.Raw] | None = None
    feature_flag: str | None = None
    feature_flags: tuple[str, ...] | None = None
    group_name: str | None = None

    def _problems(self) -> Problems:
        yield from _name_problems(("body", "name"), self.name)
        yield from text_problems("description", self.description, 0, MAX_DESCRIPTION)
        for version, schema in (self.schemas or {}).items():
            yield from schema_problems(("body", "schemas", version), bytes(schema))
        if self.feature_flag is not None:
            yield from _name_problems(("body", "featureFlag"), self.feature_flag)
        for index, flag in enumerate(self.feature_flags or ()):
            yield from _name_problems(("body", "featureFlags", index), flag)
        if self.group_name is not None:
            yield from _name_problems(("body", "groupName"), self.group_name)


class MessageDraft(Draft):
    """A message to publish. ``payload`` is kept byte for byte."""

    aliases: ClassVar[Mapping[str, str | None]] = {"data": "payload"}

    event_type: str
    payload: msgspec.Raw
    event_id: str | None = None
    channels: tuple[str, ...] | None = None

    def _problems(self) -> Problems:
        # The hot path: every published message comes through here once.
        if not NAME.fullmatch(self.event_type):
            yield from _name_problems(("body", "eventType"), self.event_type)
        if self.event_id is not None:
            yield from uid_problems("eventId", self.event_id, ids.MESSAGE)
        if self.channels is not None:
            yield from _names_problems("channels", self.channels, MAX_MESSAGE_CHANNELS)
        yield from _payload_problems(bytes(self.payload))


class ExampleDraft(Draft):
    """An example to send: number ``example_index`` in the event type's schema, or a ``payload`` of one's own."""

    event_type: str
    example_index: int | None = None
    payload: dict[str, Any] | None = None

    def _problems(self) -> Problems:
        yield from _name_problems(("body", "eventType"), self.event_type)
        if self.example_index is not None and self.example_index < 0:
            yield FieldError(("body", "exampleIndex"), "is counted from 0")


class SecretRotation(Draft):
    """A new secret (None: generate one) and for how long the one it replaces keeps signing."""

    key: str | None = None
    grace_period_seconds: int | None = None

    @property
    def grace(self) -> int:
        """The grace period in seconds, with its default."""
        return DEFAULT_GRACE_SECONDS if self.grace_period_seconds is None else self.grace_period_seconds

    def _problems(self) -> Problems:
        if self.key is not None:
            yield from caught(standard.parse_signing_key, self.key)
        if not 0 <= self.grace <= MAX_GRACE_SECONDS:
            yield FieldError(("body", "gracePeriodSeconds"), f"is between 0 and {MAX_GRACE_SECONDS} seconds")


def header_problems(headers: Mapping[str, str]) -> Problems:
    """Yield what is wrong with an endpoint's own headers."""
    if len(headers) > MAX_HEADERS:
        yield FieldError(("body", "headers"), f"has at most {MAX_HEADERS} entries")
    seen: set[str] = set()
    for name, value in headers.items():
        if name.lower() in seen:
            yield FieldError(("body", "headers", name), "is given twice; header names ignore case")
        seen.add(name.lower())
        try:
            check_header(name, value)
        except InvalidInput as error:
            yield from error.fields


def caught(check: Callable[[str], object], text: str) -> Problems:
    """Yield what *check* refuses *text* for."""
    try:
        check(text)
    except InvalidInput as error:
        yield from error.fields


def text_problems(field: str, text: str, shortest: int, longest: int) -> Problems:
    """Yield what is wrong with a text for people."""
    if not shortest <= len(text) <= longest:
        yield FieldError(("body", field), f"has {shortest} to {longest} characters, this one {len(text)}")
    if _CONTROL.search(text):
        yield FieldError(("body", field), "holds a control character")


def _name_problems(loc: tuple[str | int, ...], text: str) -> Problems:
    if text in _DOT_SEGMENTS:
        yield FieldError(loc, "is not . or .., which clients remove from addresses (RFC 3986, 5.2.4)")
    if not NAME.fullmatch(text):
        yield FieldError(
            loc, f"is 1 to {MAX_NAME} characters of a-z, A-Z, 0-9, underscore, full stop and hyphen"
        )


def check_name(loc: tuple[str | int, ...], text: str) -> None:
    """Refuse what is no name; raises ``InvalidInput``."""
    problems = tuple(_name_problems(loc, text))
    if problems:
        raise InvalidInput(*problems)


def uid_problems(field: str, text: str | None, prefix: str) -> Problems:
    """Yield what is wrong with a uid of something whose ids begin with *prefix*."""
    if text is None:
        return
    yield from _name_problems(("body", field), text)
    if text.startswith(f"{prefix}_"):
        yield FieldError(("body", field), f"must not start with {prefix}_, which marks Ringback's own ids")


def _pattern_problems(loc: tuple[str | int, ...], text: str) -> Problems:
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        yield FieldError(loc, f"is 1 to {MAX_NAME} printable characters, of which * stands for any")


def _names_problems(
    field: str, names: Sequence[str] | None, most: int, problems: NameProblems = _name_problems
) -> Problems:
    if names is None:
        return
    if not 1 <= len(names) <= most:
        yield FieldError(("body", field), f"has 1 to {most} entries; leave it out to match everything")
    for index, name in enumerate(names):
        yield from problems(("body", field, index), name)
    if len(set(names)) != len(names):
        yield FieldError(("body", field), "names something twice")


def _rate_problems(rate: int | None) -> Problems:
    if rate is not None and not 1 <= rate <= MAX_THROTTLE_RATE:
        yield FieldError(("body", "throttleRate"), f"is 1 to {MAX_THROTTLE_RATE} messages per second")


def metadata_problems(metadata: Mapping[str, str] | None) -> Problems:
    """Yield what is wrong with metadata; null is none."""
    if metadata is None:
        return
    size = len(msgspec.json.encode(metadata))
    if size > MAX_METADATA_BYTES:
        yield FieldError(("body", "metadata"), f"is at most {MAX_METADATA_BYTES} bytes as JSON, this {size}")


def _schedule_problems(seconds: Iterable[float] | None) -> Problems:
    if seconds is None:
        return
    try:
        policy.custom_schedule(schedule_milliseconds(seconds))
    except ValueError as error:
        yield FieldError(("body", "retrySchedule"), str(error))


def schedule_milliseconds(seconds: Iterable[float]) -> tuple[int, ...]:
    """Return a draft's schedule as a record keeps it; what is out of its bounds stays so."""
    return tuple(round(max(-1, min(delay * 1000, policy.MAX_DELAY + 1))) for delay in seconds)


def checked_json(payload: bytes) -> bytes:
    """Return *payload*; raises ``InvalidInput`` where it is no JSON."""
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput.at(
            "body", "payload", msg=f"is not JSON: {error}", kind="value_error.jsondecode"
        ) from None
    return payload


def _payload_problems(payload: bytes) -> Problems:
    if payload.lstrip()[:1] != b"{":
        yield FieldError(("body", "payload"), "is a JSON object")
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        yield FieldError(("body", "payload"), f"is not UTF-8: {error.reason} at byte {error.start}")


def check_uid(field: str, text: str, prefix: str) -> None:
    """Refuse a uid that does not obey the rules, or that could be taken for an id."""
    problems = tuple(uid_problems(field, text, prefix))
    if problems:
        raise InvalidInput(*problems)


# --- From records back to drafts ----------------------------------------------------------------------------


def application_draft(record: Application) -> ApplicationDraft:
    """Return the draft that would make *record*."""
    return ApplicationDraft(
        name=record.name, uid=record.uid, throttle_rate=record.throttle_rate, metadata=record.metadata
    )


def endpoint_draft(record: Endpoint) -> EndpointDraft:
    """Return the draft that would make *record*, without its secret."""
    kind = EndpointDraft
    if record.application_id == ids.OPERATOR:
        kind = OperationalDraft
    elif ids.is_id(ids.SOURCE, record.application_id):
        kind = ForwardDraft
    schedule = record.retry_schedule
    return kind(
        url=record.url,
        uid=record.uid,
        description=record.description,
        event_types=record.event_types,
        channels=record.channels,
        metadata=record.metadata,
        headers=record.headers,
        throttle_rate=record.throttle_rate,
        disabled=record.state is EndpointState.DISABLED,
        retry_schedule=None if schedule is None else tuple(delay / 1000 for delay in schedule),
        header_family=record.header_family,
        ordered=record.ordered,
    )


def event_type_draft(record: EventType) -> EventTypeDraft:
    """Return the draft that would make *record*."""
    return EventTypeDraft(
        name=record.name,
        description=record.description,
        archived=record.archived,
        deprecated=record.deprecated,
        schemas=record.schemas,
        feature_flag=record.feature_flag,
        feature_flags=record.feature_flags,
        group_name=record.group_name,
    )
