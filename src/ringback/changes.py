"""How records change: what a draft makes of the record that it replaces, and what stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from ringback import drafts, ids
from ringback.errors import Conflict, InvalidInput, LimitReached, NotFound
from ringback.model import Endpoint, EndpointSecret, EndpointState, EventType, Instant
from ringback.secrecy import unmasked_url
from ringback.store import Idempotency, Page, Store

T = TypeVar("T")
D = TypeVar("D", bound=drafts.Draft)

MAX_OLD_SECRETS = 10
MAX_ENDPOINTS = 1_000


def rotated(
    secrets_held: tuple[EndpointSecret, ...], fresh: str, now: Instant, grace: int
) -> tuple[EndpointSecret, ...]:
    """Put *fresh* in front; the one that was current signs until *grace* ends, dead ones are dropped.

    Raises:
        LimitReached: Ten old secrets are still signing.
    """
    current, *old = secrets_held
    if fresh == current.key:
        raise InvalidInput.at("body", "key", msg="is the current secret already")
    live = [secret for secret in old if secret.expires_at is not None and secret.expires_at > now]
    if grace:
        live.insert(0, EndpointSecret(current.key, now + grace))
    if len(live) > MAX_OLD_SECRETS:
        raise LimitReached(f"{MAX_OLD_SECRETS} old secrets are still signing; wait until one expires")
    return (EndpointSecret(fresh), *live)


def changed_headers(headers: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return *headers* with *changes* made: a value sets a header, None removes it, and names ignore case."""
    touched = {name.lower() for name in changes}
    kept = {name: value for name, value in headers.items() if name.lower() not in touched}
    return kept | {name: value for name, value in changes.items() if value is not None}


def check_inline(ref: str, draft: drafts.ApplicationDraft) -> None:
    """Check an application that is to be created on the way to something else, under the uid *ref* of the address.

    Raises:
        InvalidInput: It does not obey the rules, or its uid is not *ref*.
    """
    at = ("body", "application")
    if draft.uid is None:
        raise InvalidInput.at(*at, "uid", msg="is needed to create it", kind="application_uid_missing")
    if draft.uid != ref:
        raise InvalidInput.at(
            *at, "uid", msg="differs from the uid in the path", kind="application_uid_mismatch"
        )
    try:
        draft.check()
    except InvalidInput as error:
        moved = (msgspec.structs.replace(fault, loc=(*at, *fault.loc[1:])) for fault in error.fields)
        raise InvalidInput(*moved) from None


def check_uid_of_path(ref: str, uid: str | None, prefix: str) -> None:
    """Refuse to create what a PUT addresses where *ref* is an id, no good uid, or not the *uid* of the body."""
    if ids.is_id(prefix, ref):
        raise NotFound
    if uid is not None and uid != ref:
        raise InvalidInput.at("body", "uid", msg="differs from the uid in the path")
    drafts.check_uid("uid", ref, prefix)


def check_not_handler(endpoint: Endpoint) -> None:
    """Refuse to change an endpoint that a program declares; raises ``Conflict``."""
    if endpoint.handler is not None:
        raise Conflict("this endpoint is a handler: the program that declares it says what it is")


def one_way_of_flags(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return changes to an event type in which feature flags given one way clear those given the other way."""
    ways = {"feature_flag", "feature_flags"}
    given = ways.intersection(changes)
    return {**changes, **dict.fromkeys(ways - given)} if given else changes


def patched(draft: D, changes: Mapping[str, Any]) -> D:
    """Return *draft* with *changes*; raises ``InvalidInput`` where that breaks a rule."""
    changed = msgspec.structs.replace(draft, **changes)
    changed.check()
    return changed


def renewed(old: T, record: T) -> T:
    """Return *record* as what *old* becomes: with its id, and made when that was."""
    kept = {name: getattr(old, name) for name in ("id", "created_at") if hasattr(old, name)}
    return msgspec.structs.replace(record, **kept)  # type: ignore[type-var]


def addressed(ref: str, old: T, record: T) -> T:
    """Return *record* with the uid *ref* by which a PUT addresses *old*, where it brings none of its own."""
    kept = (
        {} if getattr(record, "uid", None) is not None or getattr(old, "uid", None) != ref else {"uid": ref}
    )
    return msgspec.structs.replace(record, **kept)  # type: ignore[type-var]


def replaced(old: Endpoint, record: Endpoint) -> Endpoint:
    """Return *record* as what an endpoint becomes, which keeps what has an address of its own.

    A URL that comes back with its password masked keeps that. Health stays as well, unless it is enabled or disabled
    by this.
    """
    try:
        url = unmasked_url(record.url, old.url)
    except ValueError as error:
        raise InvalidInput.at("body", "url", msg=str(error)) from None
    unmoved = (record.state is EndpointState.DISABLED) == (old.state is EndpointState.DISABLED)
    return msgspec.structs.replace(
        record,
        id=old.id,
        url=url,
        application_id=old.application_id,
        created_at=old.created_at,
        secrets=old.secrets,
        credentials=old.credentials,
        transformation=old.transformation,
        state=old.state if unmoved else record.state,
        disabled_reason=old.disabled_reason if unmoved else record.disabled_reason,
        failing_since=old.failing_since if unmoved else None,
    )


def looking_twice(change: Callable[[Store], T]) -> Callable[[Store], T]:
    """Return *change*, which makes what it does not find, as one that looks again where its look has been outdated.

    Between its look and what it does then, another node may have made the same, or removed it.
    """

    def twice(store: Store) -> T:
        try:
            with store.transaction():
                return change(store)
        except (Conflict, NotFound):
            return change(store)

    return twice


def event_type_for(store: Store, name: str, flags: frozenset[str] | None) -> EventType:
    """Return an event type for one with these feature *flags* (None: all), for whom those of others are not there.

    Raises:
        NotFound: There is none that this one may know of.
    """
    event_type = store.event_type(name)
    if not event_type.is_known_to(flags):
        raise NotFound
    return event_type


def check_subscription(
    store: Store,
    owner: str,
    record: Endpoint,
    flags: frozenset[str] | None = None,
    before: Endpoint | None = None,
) -> None:
    """Refuse an endpoint that listens to event types which are not there for one with these feature *flags*.

    What it has listened to *before*, it may go on to, whoever changes it.

    Raises:
        InvalidInput: One is not there, or is archived.
    """
    if ids.is_id(ids.SOURCE, owner) or owner == ids.OPERATOR:
        return  # its event types are its provider's, or Ringback's, which nobody registers
    kept = set() if before is None else set(before.event_types or ())
    for index, name in enumerate(record.event_types or ()):
        try:
            kind = event_type_for(store, name, None if name in kept else flags)
            state = "is archived" if kind.archived else None
        except NotFound:
            state = "does not exist"
        if state is not None:
            raise InvalidInput.at("body", "eventTypes", index, msg=f"the event type {name} {state}")


def add_endpoint(
    store: Store, application: str, record: Endpoint, key: Idempotency | None, flags: frozenset[str] | None
) -> Endpoint:
    """Add an endpoint to an application, once for a *key*; for the feature *flags* see ``check_subscription``.

    Raises:
        InvalidInput: It listens to an event type that is not there.
        LimitReached: There are as many endpoints as there may be.
    """
    owner = store.application(application).id
    check_subscription(store, owner, record, flags)
    if len(store.endpoints(owner, Page(limit=MAX_ENDPOINTS))) == MAX_ENDPOINTS:
        raise LimitReached(f"an application has at most {MAX_ENDPOINTS} endpoints")
    use = None if key is None else msgspec.structs.replace(key, scope=f"{key.scope}:{owner}")
    return store.endpoint(owner, store.add(msgspec.structs.replace(record, application_id=owner), use))


def add_event_type(store: Store, record: EventType, key: Idempotency | None) -> EventType:
    """Add an event type, or revive an archived one of its name, once for a *key*."""
    try:
        is_archived = store.event_type(record.name).archived
    except NotFound:
        is_archived = False
    if not is_archived:
        return store.event_type(store.add(record, key))
    if key is not None:
        store.once(key, record.created_at, lambda: record.name)
    return store.change_event_type(record.name, lambda old: renewed(old, record))
