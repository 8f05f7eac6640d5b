"""Where connections come from: the usual rules of TLS and their pool, or those of one client certificate and its own.

A connection that was made with a certificate speaks for whoever owns that, so it is never shared with others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ringback.client_certificate import locked
from ringback.credentials import ClientCertificate
from ringback.destinations.dialer import Dialer
from ringback.destinations.failures import DeliveryFailed
from ringback.destinations.pool import Pool
from ringback.errors import ConfigurationError
from ringback.model import OutcomeKind

MAX_OUTLETS = 200


class Outlet(msgspec.Struct, frozen=True):
    """What opens connections, and what keeps them."""

    dialer: Dialer
    pool: Pool


class Outlets:
    """The outlets of client certificates; those that were used last are kept."""

    def __init__(self, make: Callable[[ssl.SSLContext], Outlet], ca_file: Path | None) -> None:
        """Have *make* make each; they trust what ``tls_context(ca_file)`` does unless a certificate says whom."""
        self._make = make
        self._ca_file = ca_file
        self._known: dict[ClientCertificate, Outlet] = {}
        self._coming: dict[ClientCertificate, asyncio.Task[ssl.SSLContext]] = {}

    async def find(self, certificate: ClientCertificate) -> Outlet:
        """Return the outlet of *certificate*.

        Raises:
            DeliveryFailed: The certificate cannot be used.
        """
        outlet = self._known.pop(certificate, None)
        if outlet is None:
            context = await self._context(certificate)
            outlet = self._known.pop(certificate, None) or self._make(context)
        self._known[certificate] = outlet
        if len(self._known) > MAX_OUTLETS:
            self._known.pop(next(iter(self._known))).pool.close()
        return outlet

    def close(self) -> None:
        """Close the idle connections, and forget all certificates."""
        for outlet in self._known.values():
            outlet.pool.close()
        self._known.clear()

    async def _context(self, certificate: ClientCertificate) -> ssl.SSLContext:
        """Read a certificate off the event loop, for all that wait for it at once."""
        coming = self._coming.get(certificate)
        if coming is None:
            reading = asyncio.to_thread(client_context, certificate, self._ca_file)
            coming = self._coming[certificate] = asyncio.ensure_future(reading)
            coming.add_done_callback(lambda done: self._read(certificate, done))
        try:
            return await asyncio.shield(coming)
        except (ValueError, ConfigurationError, OSError) as error:
            raise DeliveryFailed(OutcomeKind.TLS, "client_certificate") from error

    def _read(self, certificate: ClientCertificate, done: asyncio.Task[ssl.SSLContext]) -> None:
        del self._coming[certificate]
        if not done.cancelled():
            done.exception()  # looked at here, since everyone who waited may have reached their deadline


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return the rules for TLS: version 1.2 or later, a trusted certificate, and the right name in it.

    Raises:
        ConfigurationError: *ca_file*, of authorities to trust besides the system's, cannot be used.
    """
    context = _strict(ssl.create_default_context())
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            raise ConfigurationError(
                f"the file of certificate authorities {ca_file} is unusable: {error}"
            ) from error
    return context


def client_context(certificate: ClientCertificate, ca_file: Path | None) -> ssl.SSLContext:
    """Return the rules for TLS with *certificate*; for *ca_file*, see ``tls_context``.

    Raises:
        ValueError: The certificate cannot be read.
        OSError: OpenSSL does not take it.
    """
    if certificate.server_ca is None:
        context = tls_context(ca_file)
    else:
        context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        context.load_verify_locations(cadata=certificate.server_ca)
    _load(context, certificate)
    return context


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    # OpenSSL is reached through a file alone, in which the key is locked with a password that is told to nobody.
    password = secrets.token_bytes(32).hex().encode()
    with _file_with(locked(certificate.identity, password)) as path:
        context.load_cert_chain(path, password=password)


@contextlib.contextmanager
def _file_with(text: bytes) -> Iterator[str]:
    """Yield the name of a file that holds *text*: on Linux in memory, as a container may have no folder to write to."""
    memory = getattr(os, "memfd_create", None)
    if memory is not None:
        with os.fdopen(memory("certificate"), "wb", buffering=0) as file:
            file.write(text)
            yield f"/proc/self/fd/{file.fileno()}"
        return
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        yield path
    finally:
        Path(path).unlink()
