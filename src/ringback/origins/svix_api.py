"""A server that speaks the Svix API, read over HTTP: a Svix server, or a Ringback.

Some things are told to nobody over HTTP: the private half of an Ed25519 key, old secrets, and the values of headers
that hold credentials. What Ringback tells more of an endpoint (its retry schedule, its signature headers, whether it is
paused) comes along.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from ringback.errors import ConfigurationError
from ringback.model import (
    Application,
    Endpoint,
    EndpointSecret,
    EndpointState,
    EventType,
    HeaderFamily,
    Message,
)
from ringback.origins import Found, Whole
from ringback.origins.svix_records import found_application, found_endpoint, found_event_type, instant, names
from ringback.signing.standard import PUBLIC_PREFIX
from ringback.tokens import is_visible

PAGE = 250
MESSAGES = 100
TIMEOUT_SECONDS = 30.0
TRIES = 5
REST_SECONDS = 0.5
MANUALLY = "manual"
# Answers that may be others in a moment.
PASSING = frozenset({429, 500, 502, 503, 504})


class _Shape(msgspec.Struct, rename="camel", kw_only=True):
    """Base of what is read of an answer."""


class _Page(_Shape):
    data: list[msgspec.Raw]
    iterator: str | None = None
    done: bool = True


class _Application(_Shape):
    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    uid: str | None = None
    throttle_rate: int | None = None
    rate_limit: int | None = None
    metadata: dict[str, str] = {}


class _Endpoint(_Shape):
    id: str
    url: str
    created_at: datetime
    updated_at: datetime
    uid: str | None = None
    description: str = ""
    disabled: bool = False
    event_types: list[str] | None = None
    filter_types: list[str] | None = None
    channels: list[str] | None = None
    throttle_rate: int | None = None
    rate_limit: int | None = None
    metadata: dict[str, str] = {}
    state: str | None = None
    retry_schedule: list[float] | None = None
    header_family: str | None = None
    ordered: bool = False


class _EventType(_Shape):
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    archived: bool = False
    deprecated: bool = False
    schemas: dict[str, msgspec.Raw] | None = None
    feature_flag: str | None = None
    feature_flags: list[str] | None = None
    group_name: str | None = None


class _Message(_Shape):
    id: str
    event_type: str
    timestamp: datetime
    payload: msgspec.Raw
    event_id: str | None = None
    channels: list[str] | None = None
    tags: list[str] | None = None


class _Secret(_Shape):
    key: str


class _Headers(_Shape):
    headers: dict[str, str] = {}
    sensitive: list[str] = []


class _Expired(msgspec.Struct, forbid_unknown_fields=True):
    expired: bool


class SvixApi:
    """Reads the records that a token may see.

    Args:
        url: The server's address, with the path it is mounted under, if any.
        token: An organisation's token.
        family: The names of signature headers that receivers are used to, where the server does not tell.
    """

    def __init__(self, url: str, token: str, family: HeaderFamily) -> None:
        self._parts = urlsplit(url.rstrip("/"))
        if self._parts.scheme not in {"http", "https"} or not self._parts.hostname or not is_visible(url):
            raise ConfigurationError(
                f"{url!r} is no address of a server: write http://HOST:PORT or https://HOST"
            )
        if not is_visible(token):
            raise ConfigurationError(
                "a token has printable ASCII characters and no spaces: give it as it was made"
            )
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._family = family
        self._connection: http.client.HTTPConnection | None = None
        self.name = f"{self._parts.scheme}://{self._parts.netloc}{self._parts.path}"

    def check(self) -> None:
        """See ``Origin``."""
        self._page("/app", _Application, limit=1)

    def event_types(self) -> Iterator[Found[EventType]]:
        """See ``Origin``."""
        for one in self._rows("/event-type", _EventType, include_archived="true", with_content="true"):
            flags = None if one.feature_flags is None else tuple(one.feature_flags) or None
            yield found_event_type(
                EventType(
                    name=one.name,
                    description=one.description,
                    created_at=instant(one.created_at),
                    updated_at=instant(one.updated_at),
                    archived=one.archived,
                    deprecated=one.deprecated,
                    schemas=one.schemas,
                    feature_flag=None if flags else one.feature_flag,
                    feature_flags=flags,
                    group_name=one.group_name,
                )
            )

    def operators(self) -> Iterator[Found[Endpoint]]:
        """See ``Origin``: they belong to another organisation, which no token of this one is for."""
        return iter(())

    def applications(self, after: str | None) -> Iterator[Whole]:
        """See ``Origin``."""
        for one in self._rows("/app", _Application, after, order="ascending"):
            application = found_application(
                Application(
                    id=one.id,
                    uid=one.uid,
                    name=one.name,
                    created_at=instant(one.created_at),
                    updated_at=instant(one.updated_at),
                    throttle_rate=one.throttle_rate or one.rate_limit,
                    metadata=one.metadata,
                )
            )
            endpoints = () if application.obstacle else self._endpoints(one.id)
            yield Whole(application, tuple(endpoints))

    def messages(self, application_id: str, after: str) -> Iterator[list[Message]]:
        """See ``Origin``."""
        # The list begins with the newest message: backwards, it goes the way of time.
        path = f"/app/{quote(application_id)}/msg"
        while True:
            page = self._page(path, _Message, limit=MESSAGES, iterator=f"-{after}", with_content="true")
            rows = sorted(page[0], key=lambda one: one.id)
            if not rows:
                return
            yield [_message(row, application_id) for row in rows]
            after = rows[-1].id

    def close(self) -> None:
        """See ``Origin``."""
        if self._connection is not None:
            self._connection.close()

    def _endpoints(self, application_id: str) -> Iterator[Found[Endpoint]]:
        path = f"/app/{quote(application_id)}/endpoint"
        for one in self._rows(path, _Endpoint, order="ascending"):
            yield self._endpoint(application_id, one, f"{path}/{quote(one.id)}")

    def _endpoint(self, application_id: str, one: _Endpoint, path: str) -> Found[Endpoint]:
        key = _fitting(self._ask(f"{path}/secret"), _Secret).key
        own = _fitting(self._ask(f"{path}/headers"), _Headers)
        left_out = [
            f"the value of the header {name}, which is told to nobody: set it anew" for name in own.sensitive
        ]
        obstacle = None
        if key.startswith(PUBLIC_PREFIX):
            obstacle = (
                "it signs with Ed25519, and nobody is told its private key over HTTP: read the database"
            )
        state = _state(one)
        record = Endpoint(
            id=one.id,
            application_id=application_id,
            url=one.url,
            uid=one.uid,
            description=one.description,
            event_types=names(one.event_types if one.event_types is not None else one.filter_types),
            channels=names(one.channels),
            metadata=one.metadata,
            headers=own.headers,
            throttle_rate=one.throttle_rate or one.rate_limit,
            retry_schedule=_milliseconds(one.retry_schedule),
            header_family=HeaderFamily(one.header_family) if one.header_family else self._family,
            ordered=one.ordered,
            state=state,
            disabled_reason=MANUALLY if state is EndpointState.DISABLED else None,
            secrets=() if obstacle else (EndpointSecret(key),),
            created_at=instant(one.created_at),
            updated_at=instant(one.updated_at),
        )
        return found_endpoint(record, left_out, obstacle)

    def _rows(self, path: str, shape: Any, after: str | None = None, **query: Any) -> Iterator[Any]:
        while True:
            rows, iterator, done = self._page(path, shape, limit=PAGE, iterator=after, **query)
            yield from rows
            if done or not rows or iterator == after:
                return
            after = iterator

    def _page(self, path: str, shape: Any, **query: Any) -> tuple[list[Any], str | None, bool]:
        given = {name: value for name, value in query.items() if value is not None}
        page = _fitting(self._ask(f"{path}?{urlencode(given)}"), _Page)
        return [_fitting(bytes(row), shape) for row in page.data], page.iterator, page.done

    def _ask(self, path: str) -> bytes:
        """Return the answer at *path*; where it is another in a moment, that."""
        why: Exception = ConnectionError()
        for number in range(TRIES):
            if number:
                time.sleep(REST_SECONDS * 2 ** (number - 1))
            try:
                status, answer = self._exchange(f"{self._parts.path}/api/v1{path}")
            except (OSError, http.client.HTTPException) as error:
                self.close()
                self._connection = None
                why = _lost(self.name, error)
                continue
            if status == http.client.OK:
                return answer
            if status not in PASSING:
                raise _refused(status, path, answer)
            why = ConnectionError(f"{self.name} answered {status}. Run the same again")
        raise why

    def _exchange(self, path: str) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = _connection(self._parts.scheme, self._parts.hostname or "", self._parts.port)
        self._connection.request("GET", path, headers=self._headers)
        response = self._connection.getresponse()
        return response.status, response.read()


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)


def _lost(name: str, error: Exception) -> Exception:
    if isinstance(error, TimeoutError):
        return TimeoutError(f"{name} did not answer within {TIMEOUT_SECONDS:g} s. Run the same again")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return ConnectionError(f"{name} cannot be reached: {str(reason).lower()}. Run the same again")


def _refused(status: int, path: str, answer: bytes) -> ConfigurationError:
    if status in {401, 403}:
        return ConfigurationError(f"the server refused the token ({status}): give an organisation's token")
    told = answer[:200].decode(errors="replace")
    return ConfigurationError(f"the server answered {status} to {path.partition('?')[0]}: {told}")


def _fitting(answer: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(answer, type=shape)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"the answer is not what a Svix server answers: {error}") from None


def _state(one: _Endpoint) -> EndpointState:
    if one.disabled:
        return EndpointState.DISABLED
    return EndpointState.PAUSED if one.state == EndpointState.PAUSED else EndpointState.ENABLED


def _milliseconds(schedule: list[float] | None) -> tuple[int, ...] | None:
    return None if schedule is None else tuple(round(delay * 1000) for delay in schedule)


def _message(one: _Message, application_id: str) -> Message:
    payload: bytes | None = bytes(one.payload)
    try:
        msgspec.json.decode(one.payload, type=_Expired)
        payload = None
    except msgspec.MsgspecError:
        pass
    return Message(
        id=one.id,
        application_id=application_id,
        event_type=one.event_type,
        payload=payload,
        created_at=instant(one.timestamp),
        event_id=one.event_id,
        channels=names(one.channels),
        tags=names(one.tags),
    )
