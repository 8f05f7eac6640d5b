"""One source, made ready to receive: its provider's profile with the source's options, and its acknowledgement."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Union, get_args, get_origin

import msgspec

from ringback.errors import InvalidInput, RingbackError, Unavailable
from ringback.model import Message, Source
from ringback.policy import parse_duration
from ringback.providers import Answer, Profile, provider, recognise
from ringback.providers.recognition import Content, Recognised
from ringback.signing import Request

JSON = "application/json"
TOLERANCE = "tolerance"
HEADER = "header"
EVENT_TYPE = "event_type"
EVENT_TYPE_HEADER = "event_type_header"
EVENT_ID_HEADER = "event_id_header"
OWN_OPTIONS = (EVENT_TYPE, EVENT_TYPE_HEADER, EVENT_ID_HEADER)
SUCCESS = range(200, 300)


class Reply(msgspec.Struct, frozen=True):
    """What to answer. ``headers`` are complete but for ``content-length``."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, answer: Answer) -> Reply:
        """Return a provider's answer as a reply."""
        return cls(answer.status, answer.body, _typed(answer.content_type))


class _Fault(msgspec.Struct, frozen=True):
    code: str
    detail: str


def error_reply(error: RingbackError, *, status: int | None = None) -> Reply:
    """Return the reply to a request that was not accepted, with the error's own status or another."""
    headers = [("content-type", JSON), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")]
    if isinstance(error, Unavailable):
        headers.append(("retry-after", str(error.retry_after)))
    body = msgspec.json.encode(_Fault(error.code, error.detail))
    return Reply(status or error.status, body, tuple(headers))


class Entrance:
    """A source, ready to receive.

    Args:
        source: Its provider must be known, its options those of the provider's scheme.
        profile: The provider's profile; None to take the one that the source names.

    Raises:
        InvalidInput: There is no such provider or option, or a value is wrong.
    """

    __slots__ = ("ack", "profile", "source")

    def __init__(self, source: Source, profile: Profile | None = None) -> None:
        self.source = source
        self.profile = configured(profile or provider(source.provider), source.options)
        self.ack = _ack(source, self.profile)

    def as_registered(self, request: Request) -> Request:
        """Return *request* with the address that the provider knows, for the schemes that sign it."""
        if self.source.url is None:
            return request
        query = request.url.partition("?")[2]
        url = f"{self.source.url}?{query}" if query and "?" not in self.source.url else self.source.url
        return msgspec.structs.replace(request, url=url)

    def event_type_of(self, message: Message) -> str | None:
        """Return what a message that was verified before is about, as it is understood now."""
        if message.payload is None or message.inbound is None:
            return None
        request = Request("POST", self.source.url or "", message.inbound.headers, message.payload)
        return recognise(self.profile, request).event_type


def _ack(source: Source, profile: Profile) -> Reply:
    if source.ack is None:
        return Reply.of(profile.ack)
    if source.ack.status not in SUCCESS:
        raise InvalidInput.at("body", "ack", "status", msg="an acknowledgement is 200 to 299")
    return Reply(source.ack.status, source.ack.body.encode(), _typed(source.ack.content_type))


def _typed(content_type: str | None) -> tuple[tuple[str, str], ...]:
    return () if content_type is None else (("content-type", content_type),)


def configured(profile: Profile, options: dict[str, str]) -> Profile:
    """Return *profile* with parts changed by *options*: parameters of its scheme, or how its events are named.

    ``event_type`` is the type of whatever names none; ``event_type_header`` and ``event_id_header`` say where they
    stand. All others are the scheme's own, such as ``header`` or ``tolerance``.

    Raises:
        InvalidInput: The scheme has no such parameter, or the value is not one for it.
    """
    if not options:
        return profile
    mine = {name: value for name, value in options.items() if name in OWN_OPTIONS}
    scheme: Any = _changed(
        profile.scheme, {name: value for name, value in options.items() if name not in mine}
    )
    secret_headers = profile.secret_headers
    if getattr(profile.scheme, HEADER, None) in secret_headers:
        # The secret now comes in another header, which must not be stored either.
        secret_headers += (scheme.header,)
    return msgspec.structs.replace(
        profile, scheme=scheme, recognise=_Named(profile.recognise, mine), secret_headers=secret_headers
    )


class _Named:
    """Recognises as a profile does, with types and ids where a source's options say."""

    def __init__(self, recognise: Any, options: dict[str, str]) -> None:
        self._recognise = recognise
        self._event_type = options.get(EVENT_TYPE)
        self._type_header = options.get(EVENT_TYPE_HEADER, "").lower()
        self._id_header = options.get(EVENT_ID_HEADER, "").lower()

    def __call__(self, content: Content) -> Recognised:
        found: Recognised = self._recognise(content)
        headers = content.request.headers
        event_id = headers.get(self._id_header) or found.event_id
        return msgspec.structs.replace(
            found,
            event_type=headers.get(self._type_header) or found.event_type or self._event_type,
            event_id=event_id,
            dedupe_key=headers.get(self._id_header) or found.dedupe_key,
        )


def _changed(scheme: Any, options: dict[str, str]) -> Any:
    fields = {field.name: field.type for field in msgspec.structs.fields(scheme)}
    simple = sorted(name for name, kind in fields.items() if _is_simple(kind))
    values = {}
    for name, text in options.items():
        if name not in simple:
            known = ", ".join([*simple, *OWN_OPTIONS])
            raise InvalidInput.at("body", "options", name, msg=f"there is no such option; there are {known}")
        values[name] = _value(name, text, fields[name])
    return msgspec.structs.replace(scheme, **values)


def _is_simple(kind: Any) -> bool:
    parts = get_args(kind) if get_origin(kind) is Union or hasattr(kind, "__args__") else (kind,)
    return all(isinstance(part, type) and issubclass(part, (str, int, type(None))) for part in parts)


def _value(name: str, text: str, kind: Any) -> Any:
    try:
        if name == TOLERANCE:
            return parse_duration(text)
        if name.endswith(HEADER):
            return text.lower()
        return msgspec.convert(text, kind, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        choices = f"; it is one of {', '.join(kind)}" if issubclass(_class_of(kind), StrEnum) else ""
        raise InvalidInput.at("body", "options", name, msg=f"{error}{choices}") from None


def _class_of(kind: Any) -> type:
    return kind if isinstance(kind, type) else object
