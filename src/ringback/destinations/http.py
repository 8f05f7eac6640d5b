"""Delivering over HTTP/1.1, to receivers that may be slow, broken, hostile or not what they seem.

A delivery resolves the host once, judges every address, connects to the judged one with the right name in SNI
and ``Host``, never follows a redirect, reads a bounded answer and never outlives its deadline.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ringback.credentials import ClientCertificate
from ringback.destinations import Request
from ringback.destinations.connection import Connection, Opening
from ringback.destinations.dialer import Dialer
from ringback.destinations.envelope import Envelopes
from ringback.destinations.failures import DeliveryFailed
from ringback.destinations.guard import Network
from ringback.destinations.outlets import Outlet, Outlets, tls_context
from ringback.destinations.pool import Pool
from ringback.destinations.routes import Door, Resolver, Routes, SystemResolver
from ringback.errors import ConfigurationError, InvalidInput
from ringback.model import Outcome, OutcomeKind
from ringback.target import Target, parse_target


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator may choose.

    ``allow`` opens networks that are refused otherwise. ``proxy`` is the URL of an HTTP proxy that all
    deliveries go through. ``ca_file`` holds certificate authorities to trust besides the system's.
    ``name_lifetime`` and ``idle_timeout`` are in seconds: how long a resolved name is remembered (0: not at
    all), and how long an idle connection is kept. ``idle_per_receiver`` and ``idle_total`` bound how many of
    those there are.
    """

    allow: tuple[Network, ...] = ()
    proxy: str | None = None
    ca_file: Path | None = None
    name_lifetime: float = 10.0
    idle_timeout: float = 15.0
    idle_per_receiver: int = 512
    idle_total: int = 2_000


class HttpDestination:
    """The destination for http and https URLs.

    A request is sent at most once, with one exception: when it went out on a connection that had been idle,
    and the receiver closed that without a single byte of an answer, it is sent again once, on a new
    connection. Such a close nearly always crossed the request on its way. A POST is not idempotent by itself
    (RFC 9112, 9.3.1), but every webhook carries an id that makes a duplicate harmless.

    With a proxy, https goes through a tunnel to the judged address. Plain http names the host in the request
    line, so the proxy resolves it again and needs rules of its own; the judgement made here still comes
    first.

    What shows a client certificate goes over connections of that certificate alone.
    """

    def __init__(
        self,
        settings: HttpSettings | None = None,
        *,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.perf_counter,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepare, without connecting to anything.

        Args:
            settings: The operator's choices.
            resolver: What to ask for addresses instead of the operating system.
            tls: The rules for TLS instead of ``tls_context(settings.ca_file)``.
            monotonic: The clock for measuring, in seconds.
            now: The wall clock, in seconds since the Unix epoch; only ``Retry-After`` needs it.

        Raises:
            ConfigurationError: The proxy's URL or the file of authorities is unusable.
        """
        settings = settings or HttpSettings()
        resolver = resolver or SystemResolver()
        proxy = _proxy_target(settings.proxy)
        self._monotonic = monotonic
        self._now = now
        self._envelopes = Envelopes(proxy)
        self._routes = Routes(resolver, settings.allow, settings.name_lifetime, monotonic)
        make_pool = functools.partial(
            Pool,
            per_door=settings.idle_per_receiver,
            total=settings.idle_total,
            idle_timeout=settings.idle_timeout,
            monotonic=monotonic,
        )

        def outlet(context: ssl.SSLContext) -> Outlet:
            return Outlet(Dialer(context, resolver, proxy), make_pool())

        self._usual = outlet(tls or tls_context(settings.ca_file))
        self._outlets = Outlets(outlet, settings.ca_file)

    async def send(self, request: Request) -> Outcome:
        """Deliver *request* and return what came of it, within ``request.deadline``.

        The outcome's ``detail`` is empty, or ``truncated`` when more than 64 KiB of body came; otherwise it
        refines the kind: a guard's reason, ``port``, ``invalid_url`` or ``invalid_header`` (BLOCKED_ADDRESS),
        ``not_found`` (DNS), ``refused`` (CONNECT), ``expired`` or ``client_certificate_refused`` (TLS), the
        phase (TIMEOUT), ``before_response`` or ``in_response`` (RESET), and so on; see ``failures`` and ``answer``.
        """
        expires = asyncio.get_running_loop().time() + request.deadline / 1000
        try:
            target, head = self._envelopes.seal(request)
            outlet = (
                self._usual if request.certificate is None else await self._shown(request.certificate, target)
            )
        except DeliveryFailed as failure:
            return Outcome(kind=failure.kind, detail=failure.detail)
        route = self._routes.known(target)
        connection = outlet.pool.take(route) if route is not None else None
        if connection is not None:
            outcome = await connection.exchange(head, request.body, expires)
            outlet.pool.give(connection)
            if outcome.kind is not OutcomeKind.RESET or not connection.stale:
                return outcome
        return await self._send_anew(outlet, target, head, request.body, expires)

    async def aclose(self) -> None:
        """Close the idle connections and forget all names. Requests under way are left to finish."""
        self._usual.pool.close()
        self._outlets.close()
        self._routes.forget()

    async def _shown(self, certificate: ClientCertificate, target: Target) -> Outlet:
        if target.scheme != "https":
            raise DeliveryFailed(OutcomeKind.TLS, "https_required")
        return await self._outlets.find(certificate)

    async def _send_anew(
        self, outlet: Outlet, target: Target, head: bytes, body: bytes, expires: float
    ) -> Outcome:
        opening = Opening(self._monotonic)
        try:
            async with asyncio.timeout_at(expires):
                connection = await self._open(outlet, target, opening, expires)
        except TimeoutError:
            return Outcome(kind=OutcomeKind.TIMEOUT, detail=opening.phase, phases=opening.phases())
        except DeliveryFailed as failure:
            return Outcome(kind=failure.kind, detail=failure.detail, phases=opening.phases())
        outcome = await connection.exchange(head, body, expires, opening.phases())
        outlet.pool.give(connection)
        return outcome

    async def _open(self, outlet: Outlet, target: Target, opening: Opening, expires: float) -> Connection:
        def make_connection(door: Door) -> Connection:
            return Connection(door, outlet.pool.discard, self._monotonic, self._now)

        route = self._routes.known(target) or await self._routes.find(target)
        return await outlet.dialer.dial(route, opening, make_connection, expires)


def _proxy_target(url: str | None) -> Target | None:
    if url is None:
        return None
    try:
        target = parse_target(url)
    except InvalidInput as error:
        raise ConfigurationError(f"the proxy's URL is not valid: {error.fields[0].msg}") from error
    if target.scheme != "http":
        raise ConfigurationError(
            "the proxy's URL must start with http://; TLS to the proxy itself is not supported"
        )
    return target
