"""Receiving: a source that verifies, with a handler that its messages wait for, prepared straight in the store."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from bench import wire
from bench.generator import PLACE, Plan
from bench.processes import Installation
from bench.wire import Record
from ringback import ids, tokens
from ringback.model import HANDLER_SCHEME, Endpoint, Source
from ringback.store import MessageFilter, Page, Store, open_store
from ringback.testing import unsigned_request
from ringback.vault import parse_main_keys

CALLBACK_TOKEN = "bench-callback-token"
BODY = unsigned_request("xendit", "invoice.paid").body
PAGE = 1_000


def add_source(place: Installation) -> str:
    """Add a Xendit source with one handler to a new store; return the token in its address."""
    now = time.time_ns() // 1_000_000
    token = tokens.new_token(secrets.token_bytes(tokens.ENTROPY_BYTES))
    source = Source(
        id=_new_id(ids.SOURCE, now),
        uid="xendit",
        name="xendit",
        provider="xendit",
        secrets=(CALLBACK_TOKEN,),
        token=token,
        created_at=now,
        updated_at=now,
    )
    handler = Endpoint(
        id=_new_id(ids.ENDPOINT, now),
        application_id=source.id,
        uid="fulfil",
        url=f"{HANDLER_SCHEME}xendit/fulfil",
        event_types=("invoice.*",),
        secrets=(),
        created_at=now,
        updated_at=now,
    )
    with _opened(place) as store, store.transaction():
        store.add_source(source)
        store.add(handler)
    return token


def plan(port: int, path: str, seconds: float, connections: int) -> Plan:
    """Return what the provider sends: one event after the other, each with an id and an invoice of its own."""
    headers = {"x-callback-token": CALLBACK_TOKEN, "webhook-id": PLACE.decode()}
    invoice = {**msgspec.json.decode(BODY), "id": PLACE.decode()}
    request = wire.request(path, port, headers, msgspec.json.encode(invoice))
    return Plan(
        port=port, requests=[request], seconds=seconds, connections=connections, direct=True, status=200
    )


def fault(published: Record, place: Installation) -> str | None:
    """Say how what is stored, handler's deliveries included, differs from what was acknowledged."""
    if published.refused or published.unanswered:
        return (
            f"{published.refused} webhooks were refused and {published.unanswered} got no answer. "
            f"The first refusal: {published.refusal or 'none'}"
        )
    acknowledged = Counter(name.decode() for name in published.names())
    with _opened(place) as store:
        stored = Counter(_stored(store))
    missing, surplus = (acknowledged - stored).total(), (stored - acknowledged).total()
    if acknowledged and not missing and not surplus:
        return None
    return f"acknowledged {acknowledged.total()}: {missing} are not stored, {surplus} twice or from nowhere"


def _stored(store: Store) -> Iterator[str]:
    owner = store.source("xendit").id
    page = Page(limit=PAGE)
    while messages := store.messages(owner, MessageFilter(), page):
        yield from (message.inbound.event_id or "" for message in messages if message.inbound)
        page = Page(limit=PAGE, cursor=messages[-1].id)


@contextmanager
def _opened(place: Installation) -> Iterator[Store]:
    store = open_store(place.store, parse_main_keys(place.main_key))
    try:
        yield store
    finally:
        store.close()


def _new_id(prefix: str, now: int) -> str:
    return ids.new_id(prefix, now, secrets.token_bytes(ids.ENTROPY_BYTES))
