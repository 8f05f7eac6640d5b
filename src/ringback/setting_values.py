"""Readers of settings: from text to a value; each raises ``ValueError`` that says why not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from ringback.errors import ConfigurationError
from ringback.model import Duration
from ringback.policy import parse_duration
from ringback.tokens import is_visible
from ringback.vault import parse_main_keys

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MIN_TOKEN_LENGTH = 16
KIB = 1024
MIB = 1024 * KIB

_ORGANISATION = re.compile(r"org_[0-9A-Za-z]{1,64}")


_SIZE = re.compile(r"(\d{1,12})\s*(B|KiB|MiB)?")
_SIZE_UNITS = {None: 1, "B": 1, "KiB": KIB, "MiB": MIB}


def parse_size(text: str) -> int:
    """Read a number of bytes such as ``1048576``, ``512KiB`` or ``1MiB``.

    Raises:
        ValueError: *text* is not a size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("a size is a number of bytes, or a number and KiB or MiB")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read networks in CIDR notation, separated by commas.

    Raises:
        ValueError: A part is not a network.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write networks in CIDR notation") from None


def duration(shortest: str, longest: str) -> Callable[[str], Duration]:
    """Return what reads a duration within bounds."""

    def read(text: str) -> Duration:
        duration = parse_duration(text)
        if not parse_duration(shortest) <= duration <= parse_duration(longest):
            raise ValueError(f"it is between {shortest} and {longest}")
        return duration

    return read


def number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number within bounds."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not least <= int(text[:20]) <= most:
            raise ValueError(f"it is a whole number from {least} to {most}")
        return int(text)

    return read


def choice(*names: str) -> Callable[[str], str]:
    """Return what reads one of *names*, in whatever case."""

    def read(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"it is one of {', '.join(names)}")
        return text.lower()

    return read


def payload_size(text: str) -> int:
    """Read the size that payloads may have."""
    size = parse_size(text)
    if not KIB <= size <= 16 * MIB:
        raise ValueError("it is between 1KiB and 16MiB")
    return size


def unicode(text: str) -> str:
    """Read text as it is; bytes of an environment that are no text are refused."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it is not UTF-8") from None
    return text


def token(text: str) -> str:
    """Read a token of the API."""
    if len(text) < MIN_TOKEN_LENGTH or not is_visible(text):
        raise ValueError(f"a token has at least {MIN_TOKEN_LENGTH} printable ASCII characters and no spaces")
    return text


def jwt_secrets(text: str) -> tuple[str, ...]:
    """Read the secrets that sign JSON Web Tokens, separated by commas."""
    secrets = tuple(part.strip() for part in text.split(","))
    if any(len(secret) < MIN_TOKEN_LENGTH or not secret.isprintable() for secret in secrets):
        raise ValueError(f"a secret has at least {MIN_TOKEN_LENGTH} printable characters, and no comma")
    return secrets


def organisation(text: str) -> str:
    """Read an organisation's id."""
    if not _ORGANISATION.fullmatch(text):
        raise ValueError("an organisation is org_ and 1 to 64 letters and digits")
    return text


def main_key(text: str) -> str:
    """Check a main key, and return it as it was."""
    try:
        parse_main_keys(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return text


def url(*schemes: str) -> Callable[[str], str]:
    """Return what reads a URL of one of *schemes*, without slashes at its end."""

    def read(text: str) -> str:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError where the port is not one
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"it is a URL that begins with {' or '.join(f'{name}://' for name in schemes)}")
        if not is_visible(text):
            raise ValueError("a URL has printable ASCII characters and no spaces")
        return text.rstrip("/")

    return read


def readable_file(text: str) -> Path:
    """Read the name of a file that can be read."""
    try:
        with Path(text).open("rb"):
            return Path(text)
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None


def colour(text: str) -> tuple[int, int, int]:
    """Read a colour such as ``#2b3fd0``."""
    digits = text.removeprefix("#")
    if len(digits) != 6 or not text.startswith("#"):  # noqa: PLR2004 - two for each part
        raise ValueError("a colour is # and six hexadecimal digits")
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def origins(text: str) -> tuple[str, ...]:
    """Read origins, with commas between them, as Content-Security-Policy has them."""
    found = tuple(filter(None, (part.strip().rstrip("/") for part in text.split(","))))
    for origin in found:
        parts = urlsplit(origin)
        _ = parts.port  # raises ValueError where the port is not one
        plain = f"{parts.scheme}://{parts.netloc}"
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or origin != plain
            or set(" ;'") & set(origin)
        ):
            raise ValueError(
                f"an origin is a scheme and a host, such as https://app.acme.example, not {origin}"
            )
    return found
