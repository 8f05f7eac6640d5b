"""What an application declares in its program: sources and handlers, and how the store comes to know them."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Sequence

import msgspec

from ringback import drafts, ids, policy
from ringback.entrance import Entrance, Reply
from ringback.errors import ConfigurationError, Conflict, InvalidInput, NotFound
from ringback.handlers import MAX_TIMEOUT, TRANSACTION, Handler
from ringback.model import HANDLER_SCHEME, CustomAck, Duration, Endpoint, Instant, Source
from ringback.providers import Profile
from ringback.store import Store


class Declarations:
    """The sources and handlers of one program, by name."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[Source, Profile | None]] = {}
        self._handlers: dict[str, Handler] = {}

    def add_source(
        self,
        name: str,
        provider: str | Profile,
        secrets: Sequence[str],
        *,
        url: str | None,
        ack: Reply | None,
        options: dict[str, str],
    ) -> None:
        """Declare a source; see ``Inbox.source``."""
        drafts.check_uid("name", name, ids.SOURCE)
        if isinstance(secrets, (str, bytes)):
            raise ConfigurationError(
                f"the secrets of the source {name} are a list: write [secret]; each character would be one otherwise"
            )
        if not secrets or not all(secrets):
            raise ConfigurationError(
                f"the source {name} has no secret; without one anybody could send to it. Is a variable empty?"
            )
        profile = provider if isinstance(provider, Profile) else None
        source = Source(
            id="",
            uid=name,
            name=name,
            provider=provider.name if isinstance(provider, Profile) else provider,
            secrets=tuple(secrets),
            url=url,
            ack=None if ack is None else _custom(ack),
            options=options,
            created_at=0,
            updated_at=0,
        )
        Entrance(source, profile)
        self._sources[name] = source, profile

    def add_handler(self, handler: Handler) -> None:
        """Declare a handler; see ``Inbox.on``."""
        drafts.check_uid("name", handler.name, ids.ENDPOINT)
        if handler.full_name in self._handlers:
            raise ConfigurationError(f"there are two handlers called {handler.full_name}; give one name=")
        if not 0 < handler.timeout <= MAX_TIMEOUT:
            raise ConfigurationError(f"a handler's timeout is up to {MAX_TIMEOUT:g} seconds")
        self._handlers[handler.full_name] = handler

    def has_source(self, name: str) -> bool:
        """Tell whether a source is declared."""
        return name in self._sources

    @property
    def sources(self) -> tuple[tuple[Source, Profile | None], ...]:
        """All sources as they are declared, with the profile of those that have one of their own."""
        return tuple(self._sources.values())

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """All handlers."""
        return tuple(self._handlers.values())

    @property
    def names(self) -> frozenset[str]:
        """The full names of all handlers."""
        return frozenset(self._handlers)

    @property
    def longest(self) -> Duration:
        """The longest that any handler may take."""
        return round(1000 * max((handler.timeout for handler in self._handlers.values()), default=0))

    def write(self, store: Store, now: Instant) -> dict[str, Entrance]:
        """Have the store know sources and handlers as they are declared; return the sources, ready to receive.

        Raises:
            ConfigurationError: A handler's source is not declared.
        """
        homeless = sorted({one.source for one in self.handlers} - self._sources.keys())
        if homeless:
            raise ConfigurationError(
                f"there are handlers for {', '.join(homeless)}, which is no source; call inbox.source() for it"
            )
        return {name: self._write_source(store, name, now) for name in self._sources}

    def _write_source(self, store: Store, name: str, now: Instant) -> Entrance:
        declared, profile = self._sources[name]
        kept = _kept_source(store, declared, now)
        for handler in self._handlers.values():
            if handler.source == name:
                _write_handler(store, kept.id, handler, now)
        # The secrets stay in the program that declares them.
        return Entrance(msgspec.structs.replace(kept, secrets=declared.secrets), profile)


def check_handler(handler: Handler) -> None:
    """Refuse now what would otherwise fail at the first message.

    Raises:
        ConfigurationError: What is wrong, and what to write instead.
    """
    if not callable(handler.function):
        raise ConfigurationError("a handler is a function: write @inbox.on(SOURCE, EVENT_TYPES…) above one")
    name = handler.name
    if not isinstance(handler.source, str):
        raise ConfigurationError(f"the handler {name} names no source: write @inbox.on(SOURCE, EVENT_TYPES…)")
    wrong = [one for one in handler.event_types if not isinstance(one, str)]
    if wrong:
        raise ConfigurationError(
            f"the handler {name} has {wrong[0]!r} for an event type; give each as a text of its own,"
            ' such as @inbox.on("xendit", "invoice.paid", "invoice.expired")'
        )
    if handler.key is not None and not callable(handler.key):
        raise ConfigurationError(
            f"the key of the handler {name} is a function of a message, such as a lambda"
        )
    if isinstance(handler.model, str):
        raise ConfigurationError(f"the model of the handler {name} is a type, not its name")
    try:
        arguments = {TRANSACTION: None} if handler.wants_transaction else {}
        inspect.signature(handler.function, follow_wrapped=False).bind(None, **arguments)
    except TypeError:
        raise ConfigurationError(
            f"the handler {name} is called with one argument, the message, and with tx= if it has that; its own are"
            f" {inspect.signature(handler.function)}"
        ) from None
    except ValueError:
        return  # written in C, where nothing can be told


def _kept_source(store: Store, declared: Source, now: Instant) -> Source:
    def renewed(old: Source) -> Source:
        return msgspec.structs.replace(
            old, provider=declared.provider, url=declared.url, ack=declared.ack, options=declared.options
        )

    try:
        kept = store.source(declared.name)
    except NotFound:
        source_id = ids.new_id(ids.SOURCE, now, os.urandom(ids.ENTROPY_BYTES))
        kept = msgspec.structs.replace(declared, id=source_id, secrets=(), created_at=now, updated_at=now)
        try:
            store.add_source(kept)
        except Conflict:
            # Another process that declares it has been faster, between the question and the answer.
            kept = store.source(declared.name)
        return kept
    if renewed(kept) == kept:
        return kept
    return store.change_source(kept.id, lambda old: msgspec.structs.replace(renewed(old), updated_at=now))


def _write_handler(store: Store, owner: str, handler: Handler, now: Instant) -> None:
    def renewed(old: Endpoint) -> Endpoint:
        return msgspec.structs.replace(
            old,
            url=HANDLER_SCHEME + handler.full_name,
            event_types=None if "*" in handler.event_types else handler.event_types,
            ordered=handler.key is not None,
            retry_schedule=None if handler.schedule is None else handler.schedule.delays,
        )

    try:
        kept = store.endpoint(owner, handler.name)
    except NotFound:
        bare = Endpoint(
            id=ids.new_id(ids.ENDPOINT, now, os.urandom(ids.ENTROPY_BYTES)),
            application_id=owner,
            uid=handler.name,
            url="",
            created_at=now,
            updated_at=now,
            secrets=(),
        )
        # Another process that declares it may have been faster, between the question and the answer.
        with contextlib.suppress(Conflict):
            store.add(renewed(bare))
        return
    if renewed(kept) != kept:
        store.change_endpoint(
            owner, handler.name, lambda old: msgspec.structs.replace(renewed(old), updated_at=now)
        )


def _custom(reply: Reply) -> CustomAck:
    headers = {name.lower(): value for name, value in reply.headers}
    content_type = headers.pop("content-type", None)
    if headers:
        raise InvalidInput.at("ack", "headers", msg=f"an acknowledgement cannot have {', '.join(headers)}")
    try:
        return CustomAck(status=reply.status, body=reply.body.decode(), content_type=content_type)
    except UnicodeDecodeError:
        raise InvalidInput.at("ack", "body", msg="an acknowledgement's body is text in UTF-8") from None


def schedule_of(text: str) -> policy.RetrySchedule:
    """Read when a failed run is tried again; raises ``ConfigurationError``."""
    try:
        return policy.parse_schedule(text)
    except ValueError as error:
        raise ConfigurationError(f"retries: {error}") from None
