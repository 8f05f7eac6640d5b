"""The stores that real processes are run on."""

import pytest
from running import MAIN_KEY

from postgres_server import durable_server


@pytest.fixture(params=["sqlite", "postgres"])
def store(request):
    """Settings that name an empty store, of each kind in turn: a file in the folder of the test, or a database."""
    if request.param == "sqlite":
        return {}
    return {"store": durable_server().new_database(), "main_key": MAIN_KEY}
