"""Who may do what: scopes, what they let a caller do, and the one decision about a request.

Whoever calls is bound to one application, or to none and then sees all of them. What an application's own caller may
not see does not exist for it, whether it does for others or not.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

import msgspec


class Right(enum.StrEnum):
    """One kind of doing."""

    READ = enum.auto()  # all but what is secret
    PUBLISH = enum.auto()
    SEE_SECRETS = enum.auto()
    ROTATE_SECRETS = enum.auto()
    MANAGE_ENDPOINTS = enum.auto()
    TRANSFORM = enum.auto()  # change what is sent of messages, and try it
    REDELIVER = enum.auto()
    POLL = enum.auto()  # ask for what there is for a poller
    OPERATE = enum.auto()  # whatever is left

    # Rights are looked up with every message: an enumeration's own way is ten times as slow.
    __hash__ = str.__hash__


class Scope(enum.StrEnum):
    """What a key is for."""

    ADMIN = enum.auto()
    PUBLISH = enum.auto()
    READ = enum.auto()
    # What an application's own people may do: all about its endpoints, but neither publish nor take back.
    PORTAL = enum.auto()
    VIEW_SECRETS = "view-secrets"
    ROTATE_SECRETS = "rotate-secrets"
    MANAGE_ENDPOINTS = "manage-endpoints"
    MANAGE_TRANSFORMATIONS = "manage-transformations"
    REDELIVER = enum.auto()
    # What whoever asks for the messages of one poller may do.
    POLL = enum.auto()


RIGHTS: Mapping[Scope, frozenset[Right]] = {
    Scope.ADMIN: frozenset(Right),
    Scope.PUBLISH: frozenset({Right.PUBLISH}),
    Scope.READ: frozenset({Right.READ}),
    Scope.PORTAL: frozenset(Right) - {Right.PUBLISH, Right.OPERATE},
    Scope.VIEW_SECRETS: frozenset({Right.SEE_SECRETS}),
    Scope.ROTATE_SECRETS: frozenset({Right.SEE_SECRETS, Right.ROTATE_SECRETS}),
    # Whoever may send an endpoint's messages elsewhere may see what they are signed with.
    Scope.MANAGE_ENDPOINTS: frozenset({Right.MANAGE_ENDPOINTS, Right.TRANSFORM, Right.SEE_SECRETS}),
    Scope.MANAGE_TRANSFORMATIONS: frozenset({Right.TRANSFORM}),
    Scope.REDELIVER: frozenset({Right.REDELIVER}),
    Scope.POLL: frozenset({Right.POLL}),
}


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever calls: what it may do, in which application (None: in all), and the feature flags it has.

    With *poller_id*, it may ask for the messages of that poller alone.
    """

    rights: frozenset[Right]
    application_id: str | None = None
    feature_flags: frozenset[str] | None = None
    poller_id: str | None = None


ADMINISTRATOR = Principal(rights=RIGHTS[Scope.ADMIN])


class Place(enum.Enum):
    """Where an address is."""

    SHARED = enum.auto()  # whoever calls may know what is there
    ORGANISATION = enum.auto()  # above all applications
    APPLICATION = enum.auto()  # inside of one


class Need(msgspec.Struct, frozen=True):
    """What an address asks for: a right (None: any caller will do), in a place."""

    right: Right | None
    place: Place


class Verdict(enum.Enum):
    """What becomes of a request."""

    ALLOWED = enum.auto()
    UNKNOWN_CALLER = enum.auto()  # 401
    FORBIDDEN = enum.auto()  # 403, said without a look at what is there
    HIDDEN = enum.auto()  # 404, as for what is not there


def rights_of(scopes: Collection[Scope]) -> frozenset[Right]:
    """Return what *scopes* allow together."""
    return frozenset().union(*(RIGHTS[scope] for scope in scopes))


def decide(principal: Principal | None, need: Need, application_id: str | None) -> Verdict:
    """Decide about a request.

    Args:
        principal: Whoever calls; None when nobody known does.
        need: What the address asks for.
        application_id: The application that the address is in; None when it is in none, or in one that is not there.
    """
    if principal is None:
        return Verdict.UNKNOWN_CALLER
    if need.right is not None and need.right not in principal.rights:
        return Verdict.FORBIDDEN
    if principal.application_id is None or need.place is Place.SHARED:
        return Verdict.ALLOWED
    if need.place is Place.ORGANISATION:
        return Verdict.FORBIDDEN
    return Verdict.ALLOWED if application_id == principal.application_id else Verdict.HIDDEN
