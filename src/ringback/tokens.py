"""Tokens of the API and of sources' addresses: what they look like, and the digest that stands for one at rest."""

from __future__ import annotations

import base64
import hashlib

PREFIX = "ringback_"
# Of the token in a source's address, so that one that leaked can be told from one of the API.
SOURCE_PREFIX = "ringback_in_"
ENTROPY_BYTES = 32


def new_token(entropy: bytes, prefix: str = PREFIX) -> str:
    """Return a new token: *prefix* and 43 URL-safe characters, made of 32 random bytes."""
    return prefix + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """Return the SHA-256 digest of a token; a token holds 256 random bits, so no salt is needed."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def is_visible(text: str) -> bool:
    """Tell whether *text* is visible ASCII alone (VCHAR, RFC 5234, B.1), so that a request can carry it as it is."""
    return text.isascii() and text.isprintable() and " " not in text
