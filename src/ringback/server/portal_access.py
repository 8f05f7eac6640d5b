"""What may be let into a portal: the capabilities of whoever opens a link to it, and where that leads."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Annotated

import msgspec

from ringback.access import Scope
from ringback.errors import InvalidInput

HOUR = 3600
WEEK = 7 * 24 * HOUR
MAX_FLAGS = 100

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9\-_.]+$(?!\n)", max_length=256)]
Flags = Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_FLAGS)]


class Capability(enum.StrEnum):
    """What somebody may do in a portal."""

    VIEW_BASE = "ViewBase"
    VIEW_ENDPOINT_SECRET = "ViewEndpointSecret"  # noqa: S105 - what may be done with secrets
    MANAGE_ENDPOINT_SECRET = "ManageEndpointSecret"  # noqa: S105 - as above
    MANAGE_TRANSFORMATIONS = "ManageTransformations"
    CREATE_ATTEMPTS = "CreateAttempts"
    MANAGE_ENDPOINT = "ManageEndpoint"


SCOPES = {
    Capability.VIEW_BASE: Scope.READ,
    Capability.VIEW_ENDPOINT_SECRET: Scope.VIEW_SECRETS,
    Capability.MANAGE_ENDPOINT_SECRET: Scope.ROTATE_SECRETS,
    Capability.CREATE_ATTEMPTS: Scope.REDELIVER,
    Capability.MANAGE_ENDPOINT: Scope.MANAGE_ENDPOINTS,
    Capability.MANAGE_TRANSFORMATIONS: Scope.MANAGE_TRANSFORMATIONS,
}


def scopes_of(capabilities: Collection[Capability] | None, *, read_only: bool = False) -> tuple[Scope, ...]:
    """Return the scopes of whoever has these *capabilities*, None: all of them; or may only look.

    Raises:
        InvalidInput: They do not have the one that all others need.
    """
    if capabilities is not None and Capability.VIEW_BASE not in capabilities:
        raise InvalidInput.at("body", "capabilities", msg="holds ViewBase, always")
    if read_only:
        return (Scope.READ,)
    if capabilities is None:
        return (Scope.PORTAL,)
    return tuple(dict.fromkeys(SCOPES[one] for one in capabilities if one in SCOPES))


def link_to_portal(code: str) -> str:
    """Return the address, below the server's, of a link to the portal for one use."""
    return f"/portal/enter?link={code}"
