"""Signing secrets as the Svix server keeps them in its database.

Source: the Svix server. A key is one byte for its kind (1 HMAC-SHA256, 2 Ed25519; 128 more where it is encrypted) and
the key; one of exactly 24 bytes is an HMAC key from before there were kinds. Encrypted ones are a nonce of 24 bytes and
XChaCha20-Poly1305 under a key derived from the server's ``main_secret``. Old keys are base64 of the same, or ``whsec_``
texts.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from ringback.errors import ConfigurationError
from ringback.signing import standard

ENCRYPTED = 0x80
PLAIN_BYTES = 24
NONCE_BYTES = 24
PREFIXES = {1: standard.SYMMETRIC_PREFIX, 2: standard.PRIVATE_PREFIX}

_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
_WORD = 0xFFFF_FFFF


class SvixSecrets:
    """Reads the secrets of a server whose *main_secret* this is, None where it has none."""

    def __init__(self, main_secret: str | None) -> None:
        derived = None if main_secret is None else hmac.digest(main_secret.encode(), b"main", "sha256")
        self._key = derived

    def text(self, kept: bytes) -> str:
        """Return a secret in its text form, such as ``whsec_…``.

        Raises:
            ValueError: It is none.
            ConfigurationError: It is encrypted, and the main secret is missing or another.
        """
        if len(kept) < PLAIN_BYTES:
            raise ValueError("the secret is shorter than any can be")
        kind, key = (1, kept) if len(kept) == PLAIN_BYTES else (kept[0], kept[1:])
        prefix = PREFIXES.get(kind & ~ENCRYPTED)
        if prefix is None:
            raise ValueError(f"the secret is of kind {kind & ~ENCRYPTED}, which is not known")
        if kind & ENCRYPTED:
            key = self._opened(key)
        return prefix + base64.b64encode(key).decode()

    def old_text(self, kept: str) -> str:
        """Return a secret that was rotated away in its text form; raises as ``text`` does."""
        if kept.startswith(standard.SYMMETRIC_PREFIX):
            return kept
        try:
            return self.text(base64.b64decode(kept, validate=True))
        except binascii.Error as error:
            raise ValueError(f"an old secret is no base64: {error}") from None

    def _opened(self, sealed: bytes) -> bytes:
        if self._key is None:
            raise ConfigurationError(
                "the secrets in this database are encrypted: set SVIX_MAIN_SECRET to what the Svix server has"
            )
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        cipher = ChaCha20Poly1305(subkey(self._key, nonce[:16]))
        try:
            return cipher.decrypt(bytes(4) + nonce[16:], ciphertext, None)
        except (InvalidTag, ValueError):  # ValueError: it was cut short
            raise ConfigurationError(
                "SVIX_MAIN_SECRET is not the one that the secrets in this database were encrypted with"
            ) from None


def subkey(key: bytes, nonce: bytes) -> bytes:
    """Return HChaCha20 of a key and the first 16 bytes of a nonce (draft-irtf-cfrg-xchacha-03, 2.2)."""
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    # A block of the key stream is the permuted state plus the state; only the former is wanted.
    before = (*_CONSTANTS, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce))
    after = struct.unpack("<16I", block)
    permuted = [(there - here) & _WORD for there, here in zip(after, before, strict=True)]
    return struct.pack("<8I", *permuted[:4], *permuted[12:])
