"""The stores and the event loops that what runs on them is tried on."""

import asyncio

import pytest
import uvloop

from postgres_server import postgres_server


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request, tmp_path):
    """The address of an empty store, of each kind in turn."""
    return (
        f"sqlite:///{tmp_path / 'ringback.db'}"
        if request.param == "sqlite"
        else postgres_server().new_database()
    )


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Return what runs a coroutine, on each of the two event loops in turn."""
    return uvloop.run if request.param == "uvloop" else asyncio.run
