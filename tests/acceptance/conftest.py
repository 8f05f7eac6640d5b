"""Servers and clients that several files of tests have in common."""

import pytest
from running import MAIN_KEY, Answer, receiving
from svix_sdk import DATABASES, VERSIONS, driving, serving

from postgres_server import durable_server


@pytest.fixture(params=["sqlite", "postgres"])
def store(request):
    """Settings that name an empty store, of each kind in turn: a file in the folder of the test, or a database."""
    if request.param == "sqlite":
        return {}
    return {"store": durable_server().new_database(), "main_key": MAIN_KEY}


@pytest.fixture(scope="module", params=DATABASES)
def svix_server(request, tmp_path_factory):
    """A server on each database in turn."""
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as ringback:
        yield ringback


@pytest.fixture(scope="module", params=VERSIONS)
def sdk(request, svix_server):
    """Each version of the official SDK in turn, as a client of each server."""
    with driving(request.param, svix_server) as client:
        yield client


@pytest.fixture
def receiver():
    """A receiver that answers with the status in the address, such as ``/500``, or else with 204."""

    def answer(arrival):
        last = arrival.path.rpartition("/")[2]
        return Answer(int(last) if last.isdigit() else 204)

    with receiving(answer) as running:
        yield running
