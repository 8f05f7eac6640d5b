"""Which endpoints of applications are in trouble: findings about what is sent.

``look_up`` reads, from the store; ``examine_recipients`` judges what it has found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

import msgspec

from ringback.diagnosis import PAGE, Finding, Verdict, counted
from ringback.model import Application, Attempt, Endpoint, EndpointState, Instant, iso
from ringback.policy import FAILING
from ringback.store import AttemptFilter, DueEndpoint, Page, Store

SHOWN = 10  # of each kind of trouble; the others are counted

T = TypeVar("T", Application, Endpoint)


class Recipient(msgspec.Struct, frozen=True):
    """An endpoint in trouble, whose it is, since when, and the last attempt that failed, where there is one."""

    application: Application
    endpoint: Endpoint
    since: Instant
    failed: Attempt | None

    @property
    def names(self) -> tuple[str, str]:
        """What the API calls the application and the endpoint: the uid, or the id without one."""
        return self.application.uid or self.application.id, self.endpoint.uid or self.endpoint.id


class Trouble(msgspec.Struct, frozen=True):
    """Endpoints with the same trouble: the longest troubled ones, and how many there are besides."""

    shown: tuple[Recipient, ...] = ()
    more: int = 0


class Troubles(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with endpoints of applications.

    Args:
        failing: Of those that are enabled: no success since a failure.
        disabled: Disabled by Ringback after failing for too long. One that answered 410 wanted it so.
        behind: Neither, and with deliveries that were due a while ago.
    """

    failing: Trouble
    disabled: Trouble
    behind: Trouble


# --- Looking -----------------------------------------------------------------------------------------------


def look_up(store: Store, due: Iterable[DueEndpoint]) -> Troubles:
    """Read which endpoints of applications are in trouble; *due* are those with deliveries that nobody has taken.

    Raises:
        ConfigurationError: A secret in the store does not open with its key.
        StoreUnavailable: The database cannot be read.
    """
    waiting = {one.endpoint_id: one.oldest_due_at for one in due}
    failing, disabled, behind = [], [], []
    for application, endpoint in _endpoints(store):
        since = endpoint.failing_since
        if endpoint.state is EndpointState.DISABLED and endpoint.disabled_reason == FAILING:
            disabled.append((endpoint.updated_at if since is None else since, application, endpoint))
        elif endpoint.state is EndpointState.ENABLED and since is not None:
            failing.append((since, application, endpoint))
        elif endpoint.id in waiting:
            behind.append((waiting[endpoint.id], application, endpoint))
    return Troubles(
        failing=_trouble(store, failing), disabled=_trouble(store, disabled), behind=_trouble(store, behind)
    )


def _endpoints(store: Store) -> Iterator[tuple[Application, Endpoint]]:
    for application in _all(store.applications):
        for endpoint in _all(partial(store.endpoints, application.id)):
            yield application, endpoint


def _all(read: Callable[[Page], list[T]]) -> Iterator[T]:
    page = read(Page(limit=PAGE))
    while page:
        yield from page
        page = read(Page(limit=PAGE, cursor=page[-1].id))


def _trouble(store: Store, found: list[tuple[Instant, Application, Endpoint]]) -> Trouble:
    found.sort(key=lambda one: (one[0], one[2].id))
    shown = [
        Recipient(application, endpoint, since, _last_failure(store, endpoint))
        for since, application, endpoint in found[:SHOWN]
    ]
    return Trouble(tuple(shown), len(found) - len(shown))


def _last_failure(store: Store, endpoint: Endpoint) -> Attempt | None:
    where = AttemptFilter(endpoint_id=endpoint.id, ok=False)
    found = store.attempts(endpoint.application_id, where, Page(limit=1, descending=True))
    return found[0] if found else None


# --- Judging -----------------------------------------------------------------------------------------------


def examine_recipients(troubles: Troubles) -> list[Finding]:
    """Tell of each endpoint in trouble, up to ten of each kind, and how many there are besides."""
    return [
        *map(_failing, troubles.failing.shown),
        *_others(troubles.failing, "without success"),
        *map(_disabled, troubles.disabled.shown),
        *_others(troubles.disabled, "disabled after failing"),
        *map(_behind, troubles.behind.shown),
        *_others(troubles.behind, "with deliveries that are due"),
    ]


def _failing(one: Recipient) -> Finding:
    application, endpoint = one.names
    return _finding(
        one,
        f"no success since {iso(one.since)}: {one.endpoint.url}{_told(one.failed)}",
        "each message is tried again by its schedule, and given up at its end",
        f"see GET /api/v1/app/{application}/attempt/endpoint/{endpoint}?status=2; when its receiver works again, "
        f"what was given up is sent by: POST /api/v1/app/{application}/endpoint/{endpoint}/recover",
    )


def _disabled(one: Recipient) -> Finding:
    application, endpoint = one.names
    address = f"/api/v1/app/{application}/endpoint/{endpoint}"
    return _finding(
        one,
        f"disabled, without a success since {iso(one.since)}: {one.endpoint.url}{_told(one.failed)}",
        "what is published is not kept for it",
        f'when its receiver works again: PATCH {address} with {{"disabled": false}}, then POST {address}/recover; '
        f"if it is gone for good: DELETE {address}",
    )


def _behind(one: Recipient) -> Finding:
    return _finding(
        one,
        f"what it is to get is due since {iso(one.since)}: {one.endpoint.url}",
        "no server and no worker runs on this store, or they cannot keep up",
        "start ringback serve or ringback worker; if one runs, look at its log and its metrics",
    )


def _finding(one: Recipient, what: str, why: str, advice: str) -> Finding:
    return Finding(Verdict.WARNING, f"endpoint {'/'.join(one.names)}", what, why, advice)


def _told(failed: Attempt | None) -> str:
    if failed is None:
        return ""
    outcome = failed.outcome
    words = [outcome.kind.value, outcome.detail, str(outcome.status or "")]
    return f"; last: {' '.join(word for word in words if word)}"


def _others(trouble: Trouble, how: str) -> list[Finding]:
    if not trouble.more:
        return []
    return [Finding(Verdict.WARNING, "endpoints", f"{counted(trouble.more, 'other')} {how}")]
