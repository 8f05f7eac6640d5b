"""Turning what the system refuses at the start of a server into a sentence with advice."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from ringback.config import Settings
from ringback.errors import ConfigurationError


@contextlib.contextmanager
def explained(settings: Settings, *, place: str = "--store") -> Iterator[None]:
    """Raise ``ConfigurationError`` in place of an ``OSError`` from inside.

    Args:
        settings: What was being started.
        place: The flag that says where files go.
    """
    try:
        yield
    except OSError as error:
        raise ConfigurationError(_sentence(error, settings, place)) from None


def _sentence(error: OSError, settings: Settings, place: str) -> str:
    # asyncio words some of these at length; the system's own words say it.
    known = error.errno is not None and error.errno in errno.errorcode
    reason = (os.strerror(error.errno or 0) if known else error.strerror or str(error)).lower()
    if error.filename is not None:
        return f"cannot write to {error.filename}: {reason}. Choose another place with {place}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{settings.listen} is taken: another program listens there. "
            "Stop it, or choose another port with --listen HOST:PORT"
        )
    return f"cannot listen on {settings.listen}: {reason}. Choose another address with --listen HOST:PORT"
