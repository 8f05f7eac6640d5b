"""Turning what the system refuses at the start of a server into a sentence with advice."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping

from ringback.config import Address, Settings
from ringback.errors import ConfigurationError

LISTEN = "--listen"


@contextlib.contextmanager
def explained(
    settings: Settings, *, place: str = "--store", flags: Mapping[Address, str] | None = None
) -> Iterator[None]:
    """Raise ``ConfigurationError`` in place of an ``OSError`` from inside.

    Args:
        settings: What was being started.
        place: The flag that says where files go.
        flags: The flags that say where to listen, where those are others than ``--listen``.
    """
    try:
        yield
    except BrokenPipeError:  # whoever read what was told has seen enough
        raise
    except OSError as error:
        address: Address = getattr(error, "address", settings.listen)
        flag = (flags or {}).get(address, LISTEN)
        raise ConfigurationError(_sentence(error, address, flag, place)) from None


def _sentence(error: OSError, address: Address, flag: str, place: str) -> str:
    # asyncio words some of these at length; the system's own words say it.
    known = error.errno is not None and error.errno in errno.errorcode
    reason = (os.strerror(error.errno or 0) if known else error.strerror or str(error)).lower()
    if error.filename is not None:
        return f"cannot write to {error.filename}: {reason}. Choose another place with {place}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{address} is taken: another program listens there. "
            f"Stop it, or choose another port with {flag} HOST:PORT"
        )
    return f"cannot listen on {address}: {reason}. Choose another address with {flag} HOST:PORT"
