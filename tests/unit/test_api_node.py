"""The API's nodes: which processes share the store."""

import pytest
from management import faults, management

from ringback.model import Registration
from ringback.outbox import system_clock


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def beat(api, name, age, silence=0, **fields):
    now = system_clock()
    facts = {"roles": ("worker",), "version": "1.0", "started_at": now - age, "seen_at": now - silence}
    node = Registration(id=f"node_{name}", name=name, **facts | fields)
    api.committer.write(lambda store: store.beat(node)).result()


def test_nodes_are_listed_with_their_states(api):
    """Each node is shown with what it does and whether it lives, the oldest first."""
    beat(api, "new", 0, roles=("api", "worker"))
    beat(api, "lost", 90_000, 60_000)
    beat(api, "gone", 80_000, 60_000, stopped=True)
    rows = api.get("/node").json["data"]
    assert [(row["name"], row["state"], row["roles"]) for row in rows] == [
        ("lost", "silent", ["worker"]),
        ("gone", "stopped", ["worker"]),
        ("new", "alive", ["api", "worker"]),
    ]
    assert (rows[2]["id"], rows[2]["version"], rows[2]["startedAt"]) == ("node_new", "1.0", rows[2]["seenAt"])


def test_nodes_need_a_token(api):
    """The list tells machines' names, so it is not for everybody; and it takes no parameters."""
    assert api.get("/node", token=None).status_code == 401
    assert faults(api.get("/node", "limit=1")) == [("query", "limit")]
    assert api.get("/node").json == {"data": []}
