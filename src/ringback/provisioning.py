"""Having the store hold the sources that a configuration file declares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from ringback.drafts import ForwardDraft, SecretRotation, endpoint_draft
from ringback.errors import ConfigurationError, Conflict, InvalidInput
from ringback.model import Source
from ringback.outbox import Outbox, found
from ringback.source_drafts import DeclaredSource
from ringback.sources import Sources
from ringback.store import Page, Store

ALL = 250
T = TypeVar("T")


class Provisioned(msgspec.Struct, frozen=True):
    """The sources that are new, and what is in the store but declared no more: each a few words for people."""

    new: tuple[Source, ...]
    stray: tuple[str, ...]


async def provision(
    declared: Sequence[DeclaredSource], sources: Sources, outbox: Outbox, mark: tuple[str, str]
) -> Provisioned:
    """Write what is declared to the store. What is declared no more stays there.

    Args:
        declared: Sources, each with its uid.
        sources: Writes them.
        outbox: Writes their endpoints.
        mark: The entry in the metadata of what was declared once.

    Raises:
        ConfigurationError: A source cannot be as it is declared.
    """
    for one in declared:
        if one.missing:
            raise ConfigurationError(
                f"{one.where}: the environment has no {' and no '.join(one.missing)}; set it, or give another value"
            )
    new = []
    for one in declared:
        try:
            source, is_new = await sources.put(str(one.draft.uid), one.draft)
            for forward in one.forwards:
                await _again(partial(_keep, outbox, source, forward))
        except InvalidInput as error:
            raise ConfigurationError(f"{one.where}: {error.typed}") from None
        except Conflict as error:
            raise ConfigurationError(f"{one.where}: {error}") from None
        if is_new:
            new.append(source)
    return Provisioned(tuple(new), await sources.read(lambda store: tuple(_stray(store, declared, mark))))


async def _again(write: Callable[[], Awaitable[T]]) -> T:
    """Do it, and once more where another node that starts at the same moment has been faster."""
    try:
        return await write()
    except Conflict:
        return await write()


async def _keep(outbox: Outbox, source: Source, forward: ForwardDraft) -> None:
    uid = str(forward.uid)
    kept = await outbox.read(lambda store: found(lambda: store.endpoint(source.id, uid)))
    wanted = msgspec.structs.replace(forward, secret=None)
    if kept is None:
        await outbox.create_endpoint(source.id, forward)
        return
    # Whether it is disabled, and how it is described, is no business of the declaration.
    unasked = {"disabled": endpoint_draft(kept).disabled, "description": kept.description}
    if endpoint_draft(kept) != msgspec.structs.replace(wanted, **unasked):
        await outbox.put_endpoint(source.id, uid, msgspec.structs.replace(wanted, **unasked))
    if forward.secret is not None and forward.secret != kept.secrets[0].key:
        await outbox.rotate_secret(source.id, uid, SecretRotation(key=forward.secret))


def _stray(store: Store, declared: Sequence[DeclaredSource], mark: tuple[str, str]) -> Iterator[str]:
    forwards = {one.draft.uid: {forward.uid for forward in one.forwards} for one in declared}
    for source in _all_sources(store):
        if mark not in source.metadata.items():
            continue
        if source.uid not in forwards:
            yield f"the source {source.uid}"
            continue
        for endpoint in store.endpoints(source.id, Page(limit=1_000)):
            if mark in endpoint.metadata.items() and endpoint.uid not in forwards[source.uid]:
                yield f"the forward of {source.uid} to {endpoint.url}"


def _all_sources(store: Store) -> Iterator[Source]:
    page = store.sources(Page(limit=ALL))
    while page:
        yield from page
        page = store.sources(Page(limit=ALL, cursor=page[-1].id))
