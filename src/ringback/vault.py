"""Keeps secrets unreadable at rest: authenticated encryption under a main key.

A sealed secret is one byte of format, four bytes naming the key, a 12-byte nonce and the ChaCha20-Poly1305
ciphertext (RFC 8439). Several keys may open; the first one seals, so a main key is changed by putting a new
one in front.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ringback.errors import ConfigurationError

FORMAT = b"\x01"
KEY_BYTES = 32
NONCE_BYTES = 12
NAME_BYTES = 4


class Vault:
    """Seals and opens secrets. *keys* are 32 bytes each, the sealing one first."""

    def __init__(self, *keys: bytes) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ConfigurationError("a main key is 32 bytes, written as 44 characters of base64")
        self._ciphers = {_name(key): ChaCha20Poly1305(key) for key in keys}
        self._sealing = _name(keys[0])
        self._first = keys[0]

    def seal(self, secret: str, nonce: bytes, context: str) -> bytes:
        """Encrypt *secret* with 12 random bytes, bound to *context* (what it belongs to)."""
        sealed = self._ciphers[self._sealing].encrypt(nonce, secret.encode(), context.encode())
        return FORMAT + self._sealing + nonce + sealed

    def derived(self, purpose: str) -> bytes:
        """Return 32 secret bytes for *purpose*, the same wherever the sealing key is."""
        return hmac.digest(self._first, f"ringback {purpose}".encode(), hashlib.sha256)

    def open(self, sealed: bytes, context: str) -> str:
        """Decrypt what ``seal`` made.

        Raises:
            ConfigurationError: None of the keys is the one it was sealed with, or it was tampered with.
        """
        name, rest = sealed[1 : 1 + NAME_BYTES], sealed[1 + NAME_BYTES :]
        cipher = self._ciphers.get(name)
        if cipher is None or sealed[:1] != FORMAT:
            raise ConfigurationError(
                "a stored secret was sealed with another main key; add that key to the main_key setting"
            )
        try:
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], context.encode()).decode()
        except (InvalidTag, ValueError):  # ValueError: it was cut short
            raise ConfigurationError(
                "a stored secret does not open: it was changed outside Ringback"
            ) from None


def parse_main_keys(text: str) -> Vault:
    """Read main keys: base64 of 32 bytes each, separated by commas, the sealing one first.

    Raises:
        ConfigurationError: A part is not such a key.
    """
    try:
        return Vault(*(base64.b64decode(part.strip(), validate=True) for part in text.split(",")))
    except ValueError:
        raise ConfigurationError("a main key is 32 bytes, written as 44 characters of base64") from None


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"ringback main key " + key).digest()[:NAME_BYTES]
