"""Opening a connection: to a judged address or through the operator's proxy, with TLS where asked for."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable

from ringback.destinations.connection import Connection, Opening
from ringback.destinations.failures import DeliveryFailed, connect_failure, name_failure, tls_failure
from ringback.destinations.routes import Door, Resolver, Route
from ringback.model import OutcomeKind
from ringback.target import Target

MAX_PROXY_HEAD = 16 * 1024


class Dialer:
    """Opens connections. Environment variables that name a proxy are never looked at."""

    def __init__(self, tls: ssl.SSLContext, resolver: Resolver, proxy: Target | None) -> None:
        """Make handshakes with *tls*, and connect through *proxy*, found with *resolver*, if there is one."""
        self._tls = tls
        self._resolver = resolver
        self._proxy = proxy

    async def dial(
        self, route: Route, opening: Opening, make_connection: Callable[[Door], Connection], expires: float
    ) -> Connection:
        """Open a connection through the first of the route's doors that works.

        A door that does not answer may use up its share of the time to *expires* (event loop's seconds), so
        that one dead address of several does not make the receiver unreachable.

        Raises:
            DeliveryFailed: No connection could be made; this is the last door's failure.
        """
        opening.enter("connect")
        door, sock = await self._first_open(route.doors, expires)
        return await self._start(sock, make_connection(door), opening)

    async def _first_open(self, doors: tuple[Door, ...], expires: float) -> tuple[Door, socket.socket]:
        loop = asyncio.get_running_loop()
        for waiting, door in zip(range(len(doors), 1, -1), doors, strict=False):
            share = (expires - loop.time()) / waiting
            with contextlib.suppress(DeliveryFailed, TimeoutError):
                async with asyncio.timeout(share):
                    return door, await self._open(door)
        return doors[-1], await self._open(doors[-1])

    async def _open(self, door: Door) -> socket.socket:
        if self._proxy is not None:
            return await self._open_through(self._proxy, door)
        sock = await _connect(door.address, door.port)
        if _peer_of(sock) != door.address:
            sock.close()
            raise DeliveryFailed(OutcomeKind.BLOCKED_ADDRESS, "peer_changed")
        return sock

    async def _open_through(self, proxy: Target, door: Door) -> socket.socket:
        """Connect to the proxy; for https, have it open a tunnel to the judged address (RFC 9110, 9.3.6)."""
        try:
            addresses = await self._resolver.resolve(proxy.host)
        except (OSError, UnicodeError) as error:
            raise DeliveryFailed(OutcomeKind.CONNECT, f"proxy_{name_failure(error).detail}") from error
        if not addresses:
            raise DeliveryFailed(OutcomeKind.CONNECT, "proxy_no_address")
        sock = await _connect(addresses[0], proxy.port)
        if door.scheme == "http":
            return sock
        try:
            await _tunnel(sock, proxy, door)
        except OSError as error:
            sock.close()
            raise DeliveryFailed(OutcomeKind.CONNECT, "proxy_failure") from error
        except BaseException:
            sock.close()
            raise
        return sock

    async def _start(self, sock: socket.socket, connection: Connection, opening: Opening) -> Connection:
        loop = asyncio.get_running_loop()
        if connection.door.scheme == "http":
            await loop.create_connection(lambda: connection, sock=sock)
            opening.enter("write")
            return connection
        opening.enter("tls")
        try:
            await loop.create_connection(
                lambda: connection, sock=sock, ssl=self._tls, server_hostname=connection.door.host
            )
        except (OSError, ssl.CertificateError) as error:
            raise tls_failure(error) from error
        opening.enter("write")
        return connection


async def _connect(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise connect_failure(error) from error
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except OSError as error:
        sock.close()
        raise connect_failure(error) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _peer_of(sock: socket.socket) -> str | None:
    try:
        return str(ipaddress.ip_address(sock.getpeername()[0].partition("%")[0]))
    except OSError:
        return None


async def _tunnel(sock: socket.socket, proxy: Target, door: Door) -> None:
    address = f"[{door.address}]" if ":" in door.address else door.address
    lines = [f"CONNECT {address}:{door.port} HTTP/1.1", f"Host: {address}:{door.port}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = await loop.sock_recv(sock, 4096)
        head += received
        if not received or len(head) > MAX_PROXY_HEAD:
            raise DeliveryFailed(OutcomeKind.CONNECT, "proxy_failure")
    if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
        raise DeliveryFailed(OutcomeKind.CONNECT, "proxy_refused")
