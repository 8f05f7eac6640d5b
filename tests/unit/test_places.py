"""The address of a store: what is wrong with it is said without its password."""

import pytest

from ringback.errors import ConfigurationError
from ringback.store import absence, examine_store, open_store
from ringback.vault import KEY_BYTES, Vault

VAULT = Vault(b"k" * KEY_BYTES)


@pytest.mark.parametrize("door", [absence, examine_store, lambda url: open_store(url, VAULT)])
@pytest.mark.parametrize("password", ["s3%cr3t", "s3@cr3t", "s3/cr3t", "s3?cr3t", "s3%zzcr3t", "s3%"])
def test_a_password_that_is_not_written_for_an_address_is_not_told(password, door):
    """Libpq would take a part of it for a host or a port, and say so: the advice is how to write it instead."""
    with pytest.raises(ConfigurationError, match="%40 for @") as refused:
        door(f"postgresql://ringback:{password}@db.invalid/ringback")
    assert "s3" not in str(refused.value)
    assert "cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ringback:s3%40cr3t%25@127.0.0.1:1/ringback",
        "postgresql://ringback@127.0.0.1:1,127.0.0.1:2/ringback?application_name=a@b",
        "postgres://127.0.0.1:1/ringback?user=a@b",
    ],
)
def test_what_is_written_well_is_asked(url):
    """Escapes in passwords, many hosts, and an @ among the parameters are no mistakes."""
    assert absence(url) == "nothing answers there"
