"""From a target to the addresses it may be delivered at: resolve once, judge all, remember briefly."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from ringback.destinations.failures import DeliveryFailed, name_failure
from ringback.destinations.guard import Address, Network, judge, judge_port
from ringback.model import OutcomeKind
from ringback.target import Target

MAX_ROUTES = 10_000
MAX_ADDRESSES = 8


class Resolver(Protocol):
    """Turns a host name into addresses."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Return the IP addresses of *host* in order of preference.

        Raises:
            OSError: The name does not resolve; ``socket.gaierror`` says why.
        """
        ...


class SystemResolver:
    """The operating system's resolver, in the event loop's threads."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Return the addresses ``getaddrinfo`` gives, without their IPv6 zones."""
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


class Door(msgspec.Struct, frozen=True):
    """One judged address of a target. Connections through the same door may be shared."""

    address: str
    port: int
    scheme: str
    host: str


class Route(msgspec.Struct, frozen=True):
    """The doors of a target, in order of preference, and until when they may be used (clock's seconds)."""

    doors: tuple[Door, ...]
    expires: float


class Routes:
    """Finds routes, and remembers them for a few seconds so that a busy receiver costs few lookups.

    Every address of a name is judged, and one bad address refuses them all: a name that points at both a
    public and a private address is an attack, or will be taken for one. What connects later uses the judged
    address and never resolves again, so an answer that changes in between (DNS rebinding) has no effect.
    """

    def __init__(
        self,
        resolver: Resolver,
        allow: tuple[Network, ...],
        lifetime: float,
        monotonic: Callable[[], float],
    ) -> None:
        """Resolve with *resolver*, open the networks *allow*, remember for *lifetime* seconds (0: not)."""
        self._resolver = resolver
        self._allow = allow
        self._lifetime = lifetime
        self._monotonic = monotonic
        self._routes: dict[tuple[str, str, int], Route] = {}
        self._lookups: dict[str, asyncio.Task[Sequence[str]]] = {}

    def known(self, target: Target) -> Route | None:
        """Return the remembered route to *target*, if it has not expired."""
        route = self._routes.get((target.scheme, target.host, target.port))
        return route if route is not None and route.expires > self._monotonic() else None

    async def find(self, target: Target) -> Route:
        """Resolve and judge *target*.

        Raises:
            DeliveryFailed: The name does not resolve, or an address may not be delivered to.
        """
        try:
            literal: Address | None = ipaddress.ip_address(target.host)
        except ValueError:
            literal = None
        addresses = [literal] if literal is not None else await self._resolve(target.host)
        self._judge_all(addresses, target.port)
        doors = tuple(
            Door(str(address), target.port, target.scheme, target.host)
            for address in addresses[:MAX_ADDRESSES]
        )
        route = Route(doors, self._monotonic() + self._lifetime)
        if self._lifetime:
            self._remember(target, route)
        return route

    def forget(self) -> None:
        """Forget every route."""
        self._routes.clear()

    def _judge_all(self, addresses: Sequence[Address], port: int) -> None:
        for address in addresses:
            reason = judge(address, self._allow) or judge_port(port, address, self._allow)
            if reason is not None:
                raise DeliveryFailed(OutcomeKind.BLOCKED_ADDRESS, reason)

    def _remember(self, target: Target, route: Route) -> None:
        if len(self._routes) >= MAX_ROUTES:
            del self._routes[next(iter(self._routes))]
        self._routes[target.scheme, target.host, target.port] = route

    async def _resolve(self, host: str) -> list[Address]:
        try:
            answers = await (self._shared_lookup(host) if self._lifetime else self._resolver.resolve(host))
            addresses = [ipaddress.ip_address(answer) for answer in answers]
        except (OSError, UnicodeError) as error:
            raise name_failure(error) from error
        except ValueError as error:
            raise DeliveryFailed(OutcomeKind.DNS, "failure") from error
        if not addresses:
            raise DeliveryFailed(OutcomeKind.DNS, "no_address")
        return addresses

    async def _shared_lookup(self, host: str) -> Sequence[str]:
        """Join the lookup of *host* under way, so that a burst to one receiver asks only once."""
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = asyncio.ensure_future(self._resolver.resolve(host))
            self._lookups[host] = lookup
            lookup.add_done_callback(lambda done: self._lookup_ended(host, done))
        return await asyncio.shield(lookup)

    def _lookup_ended(self, host: str, lookup: asyncio.Task[Sequence[str]]) -> None:
        del self._lookups[host]
        if not lookup.cancelled():
            lookup.exception()  # looked at here, since everyone who waited may have reached their deadline
