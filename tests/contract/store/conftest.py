"""The stores that are held to the contract."""

import contextlib

import pytest
from scene import DATABASES, Scene


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    """An empty database of each kind in turn."""
    return DATABASES[request.param](tmp_path)


@pytest.fixture
def store(database):
    """A store on an empty database."""
    with contextlib.closing(database.open()) as opened:
        yield opened


@pytest.fixture
def scene(store):
    """A store with a clock, and short names for what is done to it."""
    return Scene(store)
