"""Addresses that sources had before: good for a while, so that a provider can be told of the new one in peace."""

from __future__ import annotations

import msgspec

from ringback import tokens
from ringback.errors import LimitReached, NotFound
from ringback.model import Duration, Instant, Source
from ringback.policy import HOUR
from ringback.store import Document, Page, Store

# Source: the Svix API.
GRACE: Duration = 48 * HOUR
MOST = 3
MAX_GRACE: Duration = 7 * 24 * HOUR

# By the digest of the token; and what there is of each source, by SOURCE.INSTANT.DIGEST.
_TOKENS = "ringback.former-token"
_OF_SOURCES = "ringback.former-token.of"
_PAGE = Page(limit=100)


class _Former(msgspec.Struct, frozen=True):
    source: str
    until: Instant


def keep_former(store: Store, source: Source, now: Instant, grace: Duration) -> None:
    """Have a source's present address be good until *grace* has passed, for it is about to get another.

    Raises:
        LimitReached: Three former ones are still good.
    """
    live = 0
    for document in _of_source(store, source.id):
        _, until, digest = document.id.split(".")
        if int(until) > now:
            live += 1
        else:
            store.keep([Document(_OF_SOURCES, document.id, None), Document(_TOKENS, digest, None)])
    if not grace or source.token is None:
        return
    if live >= MOST:
        raise LimitReached(
            f"{MOST} former addresses of the source are still good; wait until one ends, or give no grace period"
        )
    former = _Former(source.id, now + grace)
    digest = tokens.digest(source.token).hex()
    store.keep(
        [
            Document(_TOKENS, digest, msgspec.json.encode(former)),
            Document(_OF_SOURCES, f"{source.id}.{former.until:013d}.{digest}", b""),
        ]
    )


def end_former(store: Store, source: Source) -> None:
    """Have no former address of a source be good any more."""
    for document in _of_source(store, source.id):
        digest = document.id.rpartition(".")[2]
        store.keep([Document(_OF_SOURCES, document.id, None), Document(_TOKENS, digest, None)])


def source_of_former(store: Store, digest: bytes, now: Instant) -> Source | None:
    """Return the source that had the address with a token of that *digest*, None where it is good no more."""
    body = store.document(_TOKENS, digest.hex())
    former = None if body is None else msgspec.json.decode(body, type=_Former)
    if former is None or former.until <= now:
        return None
    try:
        return store.source(former.source)
    except NotFound:
        return None


def _of_source(store: Store, source_id: str) -> list[Document]:
    page = msgspec.structs.replace(_PAGE, cursor=f"{source_id}.")
    return [one for one in store.documents(_OF_SOURCES, page) if one.id.startswith(f"{source_id}.")]
