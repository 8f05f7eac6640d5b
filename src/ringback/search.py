"""Long lists, searched for what few of their rows have: in short reads, between which others get their turn."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import msgspec

from ringback.model import Attempt, Delivery, Message, Standing
from ringback.store import AttemptFilter, MessageFilter, Page, Pending, Store

T = TypeVar("T")

# What one read goes through at most, where what is looked for has no index of its own.
LOOK = 5_000

Part = tuple[list[T], str | None]
Reading = Callable[[Callable[[Store], Part[T]]], Pending[Part[T]]]
Finding = Callable[[Store, Page], list[T]]
Horizon = Callable[[Store, Page], str | None]


async def messages(
    read: Reading[Message], application: str, where: MessageFilter, page: Page
) -> list[Message]:
    """Return a page of an application's messages; see ``Store.messages``."""

    def find(store: Store, page: Page) -> list[Message]:
        return store.messages(store.application(application).id, where, page)

    def horizon(store: Store, page: Page) -> str | None:
        return store.horizon(store.application(application).id, where, page, LOOK)

    return await _searched(read, find, horizon if _is_sparse(where) else _no_horizon, page)


async def addressed(
    read: Reading[tuple[Delivery, Message]],
    application: str,
    endpoint: str,
    where: MessageFilter,
    page: Page,
    *,
    standings: tuple[Standing, ...] | None,
) -> list[tuple[Delivery, Message]]:
    """Return a page of the messages that an endpoint gets or got; see ``Store.addressed``."""

    def find(store: Store, page: Page) -> list[tuple[Delivery, Message]]:
        owner = store.application(application).id
        return store.addressed(owner, store.endpoint(owner, endpoint).id, where, page, standings)

    is_sparse = _is_sparse(where) or standings is not None
    horizon = _horizon_at(application, endpoint, where) if is_sparse else _no_horizon
    return await _searched(read, find, horizon, page)


async def attempts(
    read: Reading[Attempt], application: str, endpoint: str, where: AttemptFilter, page: Page
) -> list[Attempt]:
    """Return a page of the attempts at an endpoint; see ``Store.attempts``."""

    def find(store: Store, page: Page) -> list[Attempt]:
        owner = store.application(application).id
        at = msgspec.structs.replace(where, endpoint_id=store.endpoint(owner, endpoint).id)
        return store.attempts(owner, at, page)

    is_sparse = _is_sparse(where) or where.ok is not None or where.status_class is not None
    horizon = _horizon_at(application, endpoint, where) if is_sparse else _no_horizon
    return await _searched(read, find, horizon, page)


def _is_sparse(where: MessageFilter | AttemptFilter) -> bool:
    return where.event_types is not None or where.channel is not None


def _horizon_at(application: str, endpoint: str, where: MessageFilter | AttemptFilter) -> Horizon:
    def horizon(store: Store, page: Page) -> str | None:
        owner = store.application(application).id
        return store.horizon(owner, where, page, LOOK, endpoint_id=store.endpoint(owner, endpoint).id)

    return horizon


def _no_horizon(_store: Store, _page: Page) -> None:
    return None


async def _searched(read: Reading[T], find: Finding[T], horizon: Horizon, page: Page) -> list[T]:
    found: list[T] = []
    while True:
        rows, end = await read(functools.partial(_part, find, horizon, page))
        found = [*rows, *found] if page.backwards else [*found, *rows]
        if end is None or len(rows) == page.limit:
            return found
        page = msgspec.structs.replace(page, cursor=end, limit=page.limit - len(rows))


def _part(find: Finding[T], horizon: Horizon, page: Page, store: Store) -> Part[T]:
    end = horizon(store, page)
    return find(store, msgspec.structs.replace(page, end=end)), end
