"""Requests that are sent again under the same idempotency key: what they change is changed once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from ringback.errors import InvalidInput
from ringback.model import Endpoint, EndpointSecret, Instant
from ringback.store import Idempotency, Store

MAX_KEY_LENGTH = 256
FINGERPRINT_BYTES = 16


def once(
    store: Store, use: Idempotency | None, place: Sequence[str], now: Instant, make: Callable[[], str]
) -> str:
    """Return what *make* returns, or what it returned when the key was used before at the same *place*.

    That is the ids of what the request was addressed to, the outermost first.
    """
    if use is None:
        return make()
    return store.once(msgspec.structs.replace(use, scope=":".join((use.scope, *place))), now, make)


def idempotency(scope: str, key: str | None, draft: object, *more: object) -> Idempotency | None:
    """Return the use that *draft*, or anything else asked for, makes of a caller's *key*; None without one.

    What is asked for in few requests is said as *more*, so that of the others the same is made as ever.

    Raises:
        InvalidInput: The key is empty, too long or not printable.
    """
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise InvalidInput.at(
            "header", "idempotency-key", msg=f"is 1 to {MAX_KEY_LENGTH} printable characters"
        )
    asked = msgspec.json.encode(draft)
    return Idempotency(
        scope, key, _digest(asked + b"".join(map(msgspec.json.encode, more)) if more else asked)
    )


def _digest(request: bytes) -> bytes:
    # PostgreSQL makes the same of a message that is published with SQL, so it is something that PostgreSQL has.
    return hashlib.sha256(request).digest()[:FINGERPRINT_BYTES]


def rotated_once(
    store: Store,
    use: Idempotency | None,
    endpoint: Endpoint,
    now: Instant,
    rotate: Callable[[Endpoint], Endpoint],
) -> Endpoint:
    """Return an endpoint as *rotate* leaves it; when it was done before, with the secret made then in front.

    Once that secret signs no more, the one that is current now is.
    """
    owner, ref = endpoint.application_id, endpoint.id
    name = once(
        store, use, (owner, ref), now, lambda: _name(store.change_endpoint(owner, ref, rotate).secrets[0])
    )
    after = store.endpoint(owner, ref)
    made = [secret for secret in after.secrets if _name(secret) == name]
    others = [secret for secret in after.secrets if secret not in made]
    return msgspec.structs.replace(after, secrets=(*made, *others))


def _name(secret: EndpointSecret) -> str:
    return hashlib.sha256(secret.key.encode()).hexdigest()
