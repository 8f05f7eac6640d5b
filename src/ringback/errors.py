"""Every error Ringback raises on purpose, each with the HTTP status it deserves.

The tree::

    RingbackError                      500  internal_error
    ├── InvalidInput                   422  validation_error     (carries the fields at fault)
    ├── NotAuthenticated               401  authentication_failed
    ├── Forbidden                      403  insufficient access
    ├── NotFound                       404  not_found
    ├── Conflict                       409  conflict
    │   ├── EventTypeExists            409  event_type_exists
    │   └── MissingPayload             400  missing_payload
    ├── InProgress                     423  in_progress          (done again, it will be answered)
    ├── LimitReached                   400  limit_reached
    ├── InvalidRange                   400  invalid_range
    ├── NoExample                      400  invalid_scheme
    ├── MalformedRequest               400  malformed_request
    ├── MethodNotAllowed               405  method_not_allowed
    ├── RequestTimeout                 408  request_timeout
    ├── PayloadTooLarge                413  payload_too_large
    ├── UnsupportedMediaType           415  unsupported_media_type
    ├── SignatureInvalid               401  signature_invalid    (carries a machine-readable reason)
    ├── Unavailable                    503  unavailable          (carries how long to wait)
    │   └── StoreUnavailable           503  store_unavailable
    │       └── Raced                  503  raced                (done again, it will most likely succeed)
    ├── ConfigurationError             500  configuration_error  (the command line exits with 3)
    │   └── StoreIncompatible          500  store_incompatible
    └── IllegalTransition              500  illegal_transition   (a bug, never an outsider's doing)

A failed delivery is not here: failure to deliver is data (``model.Outcome``), not an exception.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

REQUEST_PARTS = frozenset({"body", "query", "path", "header"})


class FieldError(msgspec.Struct, frozen=True):
    """One field at fault: where it is, what is wrong with it, and the kind of fault.

    ``loc`` is a path such as ``("body", "eventType")``; ``type`` is ``value_error``,
    ``value_error.jsondecode`` or another dotted name in the same style.
    """

    loc: tuple[str | int, ...]
    msg: str
    type: str = "value_error"


class RingbackError(Exception):
    """Base of all; ``code`` is stable and machine-readable, the message is for people."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str = "") -> None:
        """Keep *detail*; without one, the class's docstring (or else its code) is the message."""
        self.detail = detail or (type(self).__doc__ or self.code).splitlines()[0]
        super().__init__(self.detail)


class InvalidInput(RingbackError):  # noqa: N818 - named for what happened, as the HTTP statuses are
    """The input is not valid."""

    status = 422
    code = "validation_error"

    def __init__(self, *fields: FieldError) -> None:
        """Keep the *fields* at fault, at least one."""
        self.fields = fields
        super().__init__("; ".join(f"{'.'.join(map(str, f.loc))}: {f.msg}" for f in fields))

    @property
    def typed(self) -> str:
        """The message for whoever typed what is at fault, and knows nothing of a request and its parts."""
        return "; ".join(f"{'.'.join(map(str, _inside(f.loc)))}: {f.msg}" for f in self.fields)

    @classmethod
    def at(cls, *loc: str | int, msg: str, kind: str = "value_error") -> InvalidInput:
        """Build the error for one field at path *loc*."""
        return cls(FieldError(loc=loc, msg=msg, type=kind))


def _inside(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    return loc[1:] if len(loc) > 1 and loc[0] in REQUEST_PARTS else loc


class NotAuthenticated(RingbackError):  # noqa: N818 - as InvalidInput
    """Invalid token."""

    status = 401
    code = "authentication_failed"


class Forbidden(RingbackError):  # noqa: N818 - as InvalidInput
    """This token may not do that."""

    status = 403
    code = "insufficient access"  # as Svix clients know it


class NotFound(RingbackError):  # noqa: N818 - as InvalidInput
    """Entity not found."""

    status = 404
    code = "not_found"


class Conflict(RingbackError):  # noqa: N818 - as InvalidInput
    """The entity already exists."""

    status = 409
    code = "conflict"


class EventTypeExists(Conflict):
    """There is an event type of that name."""

    code = "event_type_exists"


class MissingPayload(Conflict):
    """The message's payload has been removed, so it cannot be sent again."""

    status = 400
    code = "missing_payload"


class InProgress(RingbackError):  # noqa: N818 - as InvalidInput
    """A transaction that is still open uses this; repeat the request when it has ended."""

    status = 423
    code = "in_progress"


class LimitReached(RingbackError):  # noqa: N818 - as InvalidInput
    """A limit is reached."""

    status = 400
    code = "limit_reached"


class InvalidRange(RingbackError):  # noqa: N818 - as InvalidInput
    """The range of time is not one that can be asked for."""

    status = 400
    code = "invalid_range"


class NoExample(RingbackError):  # noqa: N818 - as InvalidInput
    """The event type has no example that could be sent."""

    status = 400
    code = "invalid_scheme"


class MalformedRequest(RingbackError):  # noqa: N818 - as InvalidInput
    """The request is not well-formed HTTP."""

    status = 400
    code = "malformed_request"


class MethodNotAllowed(RingbackError):  # noqa: N818 - as InvalidInput
    """This address does not answer that method."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(RingbackError):  # noqa: N818 - as InvalidInput
    """The request took too long to arrive."""

    status = 408
    code = "request_timeout"


class PayloadTooLarge(RingbackError):  # noqa: N818 - as InvalidInput
    """The request body is too large."""

    status = 413
    code = "payload_too_large"


class UnsupportedMediaType(RingbackError):  # noqa: N818 - as InvalidInput
    """The request body must be application/json."""

    status = 415
    code = "unsupported_media_type"


class SignatureInvalid(RingbackError):  # noqa: N818 - as InvalidInput
    """The signature does not verify."""

    status = 401
    code = "signature_invalid"

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep the machine-readable *reason*, such as ``timestamp_too_old``."""
        self.reason = reason
        super().__init__(detail or reason.replace("_", " "))


class Unavailable(RingbackError):  # noqa: N818 - as InvalidInput
    """Too busy to accept this now; try again shortly."""

    status = 503
    code = "unavailable"

    def __init__(self, detail: str = "", retry_after: int = 1) -> None:
        """Keep *retry_after*, the seconds a caller should wait before trying again."""
        self.retry_after = retry_after
        super().__init__(detail)


class StoreUnavailable(Unavailable):
    """The store cannot be written; whether the last change was kept is unknown, so repeat it with its key."""

    code = "store_unavailable"


class Raced(StoreUnavailable):
    """Another node changed the same at the same moment, so nothing was changed here; it can be done again."""

    code = "raced"


class ConfigurationError(RingbackError):
    """A setting is wrong."""

    code = "configuration_error"


class StoreIncompatible(ConfigurationError):  # noqa: N818 - as InvalidInput
    """The database was written by another version of Ringback."""

    code = "store_incompatible"


class IllegalTransition(RingbackError):  # noqa: N818 - as InvalidInput
    """A delivery was asked to change state in a way the law does not allow."""

    code = "illegal_transition"
