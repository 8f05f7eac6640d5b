"""A server is killed while a receiver that nobody can reach asks for its messages: nothing is lost on the way."""

import pytest
from running import ADMIN_TOKEN, ANYWHERE, MAIN_KEY, Api, running

from postgres_server import postgres_server

MESSAGES = 60
LIMIT = 7
KILLED_AFTER = {2, 5}
SETTINGS = {"admin_token": ADMIN_TOKEN, "main_key": MAIN_KEY}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path):
    """The address of an empty store, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ringback.db'}"
    return postgres_server().new_database()


def test_a_consumer_goes_on_where_it_was(tmp_path, store):
    """After each kill it asks without an iterator, gets what it had not done with again, and then all that follows."""
    numbers, answers, path = [], 0, None
    while path is None or numbers[-1] < MESSAGES - 1:
        with running("serve", folder=tmp_path, store=store, listen=ANYWHERE, **SETTINGS) as ringback:
            if path is None:
                with ringback.api() as api:
                    path, token = begin(api)
            iterator = None
            with Api(ringback.port, token) as receiver:
                while True:
                    query = f"?limit={LIMIT}" + (f"&iterator={iterator}" if iterator else "")
                    answer = receiver.get(path + query)
                    numbers += [one["payload"]["number"] for one in answer["data"]]
                    iterator, answers = answer["iterator"], answers + 1
                    if answers in KILLED_AFTER or answer["done"]:
                        break
            ringback.kill()
    firsts = list(dict.fromkeys(numbers))
    assert firsts == list(range(MESSAGES))
    assert len(numbers) == MESSAGES + LIMIT * len(KILLED_AFTER)


def begin(api):
    """Make a poller and publish; return where its consumer asks, and its token."""
    api.post("/app", {"name": "Acme", "uid": "acme"})
    poller = api.post("/app/acme/poller", {})
    for number in range(MESSAGES):
        api.post("/app/acme/msg", {"eventType": "invoice.paid", "payload": {"number": number}})
    return f"/app/acme/poller/{poller['id']}/consumer/shop", poller["token"]
