import hashlib
import re

from ringback import tokens


def test_form():
    """A token is ``ringback_`` and 43 URL-safe characters, which hold all of its 32 random bytes."""
    seen = {tokens.new_token(bytes([n]) * 32) for n in range(256)}
    assert len(seen) == 256
    assert all(re.fullmatch(r"ringback_[A-Za-z0-9_-]{43}", token) for token in seen)


def test_digest():
    """A token is known by its SHA-256 digest; any text has one."""
    assert tokens.digest("ringback_x") == hashlib.sha256(b"ringback_x").digest()
    assert len(tokens.digest("\ud800")) == 32
