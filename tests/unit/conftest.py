"""The stores that what runs on one is tried on."""

import pytest

from postgres_server import postgres_server


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request, tmp_path):
    """The address of an empty store, of each kind in turn."""
    return (
        f"sqlite:///{tmp_path / 'ringback.db'}"
        if request.param == "sqlite"
        else postgres_server().new_database()
    )
