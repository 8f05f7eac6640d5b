"""Prefixed, time-ordered identifiers.

An id is a prefix, an underscore and a KSUID with milliseconds: 27 base-62 characters of 20 bytes, which are
4 bytes of seconds since 1400000000, 1 byte of 4 ms steps and 15 bytes of randomness. The order of ids is the
order of time to within 4 ms, so an id doubles as a page cursor and as a time bound.
"""

from __future__ import annotations

import functools
import re

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
EPOCH_MS = 1_400_000_000_000
ENTROPY_BYTES = 15
LENGTH = 27

APPLICATION = "app"
ENDPOINT = "ep"
POLLER = "poll"
MESSAGE = "msg"
ATTEMPT = "atmpt"
TASK = "qtask"
SOURCE = "src"
REFUSAL = "refusal"
NODE = "node"
TOKEN = "tok"  # noqa: S105 - the prefix of a token's id, not a token
# The whole id of the one application that operational webhooks belong to. No uid can hold a colon.
OPERATOR = "operator:webhooks"

_THREE_DIGITS = 62**3
_NINE_DIGITS = 62**9
_RANDOM_BITS = ENTROPY_BYTES * 8
_KSUID = re.compile(f"[0-9A-Za-z]{{{LENGTH}}}")


def new_id(prefix: str, now: int, entropy: bytes) -> str:
    """Return an id of the kind *prefix* for the instant *now*.

    Args:
        prefix: One of this module's prefixes, without the underscore.
        now: Milliseconds since the Unix epoch, not before May 2014.
        entropy: 15 random bytes.
    """
    number = _time_part(now) << _RANDOM_BITS | int.from_bytes(entropy, "big")
    return f"{prefix}_{_base62(number)}"


def earliest(prefix: str, now: int) -> str:
    """Return the smallest possible id of the instant *now*, for use as a bound."""
    return f"{prefix}_{_base62(_time_part(max(now, EPOCH_MS)) << _RANDOM_BITS)}"


def is_id(prefix: str, text: str) -> bool:
    """Tell whether *text* has the form of an id of the kind *prefix*."""
    head, _, tail = text.partition("_")
    return head == prefix and _KSUID.fullmatch(tail) is not None


def _time_part(now: int) -> int:
    seconds, milliseconds = divmod(now - EPOCH_MS, 1000)
    return seconds << 8 | milliseconds // 4


def _base62(number: int) -> str:
    # Ids are made on the hot path: three digits at a time, of parts small enough to divide quickly.
    upper, lower = divmod(number, _NINE_DIGITS)
    upper, middle = divmod(upper, _NINE_DIGITS)
    upper, c = divmod(upper, _THREE_DIGITS)
    a, b = divmod(upper, _THREE_DIGITS)
    middle, f = divmod(middle, _THREE_DIGITS)
    d, e = divmod(middle, _THREE_DIGITS)
    lower, i = divmod(lower, _THREE_DIGITS)
    g, h = divmod(lower, _THREE_DIGITS)
    # One text that stays in the processor's cache; a list of as many texts would not.
    triples = _triples()
    return "".join([triples[3 * part : 3 * part + 3] for part in (a, b, c, d, e, f, g, h, i)])


@functools.cache
def _triples() -> str:
    # Made when the first id is: a command that makes none need not wait for it.
    pairs = [first + second for first in ALPHABET for second in ALPHABET]
    return "".join([pair + third for pair in pairs for third in ALPHABET])
