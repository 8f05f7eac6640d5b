"""The stores and the event loops that what runs on them is tried on, and a sandbox to play with."""

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


@pytest.fixture
def play(tmp_path):
    """A Xendit sandbox that is played on a clock of its own; see ``sandboxes``."""
    from sandboxes import playing  # noqa: PLC0415 - only who plays waits for what it imports

    with playing(tmp_path) as play:
        yield play


@pytest.fixture
def browser(play):
    """A browser at the pages of ``play``."""
    from browser import Browser  # noqa: PLC0415 - as above

    return Browser(play)


@pytest.fixture
def place(tmp_path):
    """The server's API, and what makes visitors of its pages; see ``visitors``."""
    from visitors import visiting  # noqa: PLC0415 - as above

    with visiting(tmp_path) as place:
        yield place


@pytest.fixture
def api(place):
    """The API of ``place``."""
    return place[0]


@pytest.fixture
def operator(place):
    """Somebody who is signed in at the pages of ``place`` and may do everything."""
    guest = place[1]()
    guest.login()
    return guest
