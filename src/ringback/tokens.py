"""API tokens: what they look like, and the digest that stands for one at rest."""

from __future__ import annotations

import base64
import hashlib

PREFIX = "ringback_"
ENTROPY_BYTES = 32


def new_token(entropy: bytes) -> str:
    """Return a new token: ``ringback_`` and 43 URL-safe characters, made of 32 random bytes."""
    return PREFIX + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """Return the SHA-256 digest of a token; a token holds 256 random bits, so no salt is needed."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
