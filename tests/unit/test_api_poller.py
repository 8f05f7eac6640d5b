"""Pollers: receivers that nobody can reach ask for their messages."""

import pytest
from management import faults, listed, made, management, walk

from postgres_server import postgres_server
from ringback.model import iso
from ringback.outbox import system_clock


@pytest.fixture(params=["sqlite", "postgres"])
def api(request, tmp_path):
    url = postgres_server().new_database() if request.param == "postgres" else None
    with management(tmp_path, url=url) as api:
        api.application(uid="acme")
        yield api


def create(api, app="acme", **fields):
    return made(api.post(f"/app/{app}/poller", fields))


def poll(api, poller, query="", *, app="acme", consumer=None, **more):
    """Ask for messages; return the ids of those that came, and the rest of the answer."""
    path = f"/app/{app}/poller/{poller['id']}" + (f"/consumer/{consumer}" if consumer else "")
    answer = api.get(path, query, **more)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json["data"]], answer.json


def publish(api, count=1, app="acme", **fields):
    return [api.message(app, **fields)["id"] for _ in range(count)]


def test_whoever_asks_goes_through_the_feed(api):
    """From the beginning on, so many at a time, until there is no more at present; and again from anywhere."""
    poller = create(api)
    assert poll(api, poller) == ([], {"data": [], "iterator": "0", "done": True})
    names = publish(api, 5, channels=["one"])
    found, first = poll(api, poller, "limit=2")
    assert (found, first["done"]) == (names[:2], False)
    shown = api.get(f"/app/acme/msg/{names[0]}").json
    assert first["data"][0] == shown | {"headers": None}
    assert poll(api, poller, f"limit=2&iterator={first['iterator']}")[0] == names[2:4]
    rest, last = poll(api, poller, f"iterator={first['iterator']}")
    assert (rest, last["done"]) == (names[2:], True)
    assert poll(api, poller, f"iterator={last['iterator']}") == ([], last | {"data": []})
    assert poll(api, poller)[0] == names
    more = publish(api)
    assert poll(api, poller, f"iterator={last['iterator']}")[0] == more


def test_some_messages_only(api):
    """By event type, channel and time, beside what the poller itself listens to."""
    api.event_type("order.made")
    poller, choosy = create(api), create(api, eventTypes=["order.made"], channels=["one"])
    first = publish(api, 2)
    ordered = publish(api, eventType="order.made", channels=["one", "two"])
    publish(api, eventType="order.made", channels=["three"])
    assert poll(api, choosy)[0] == ordered
    assert poll(api, poller, "event_type=invoice.paid")[0] == first
    assert poll(api, poller, "channel=two")[0] == ordered
    assert poll(api, poller, f"after={iso(system_clock() + 60_000)}")[0] == []
    assert len(poll(api, poller, f"after={iso(system_clock() - 60_000)}")[0]) == 4


def test_a_consumer_s_place_is_kept(api):
    """What was handed out comes again until it is asked for what comes after it; each consumer has its own."""
    poller, names = create(api), publish(api, 3)
    found, first = poll(api, poller, "limit=2", consumer="one")
    assert found == names[:2]
    assert poll(api, poller, "limit=2", consumer="one") == (found, first)
    _, second = poll(api, poller, f"iterator={first['iterator']}", consumer="one")
    assert [one["id"] for one in second["data"]] == names[2:]
    assert poll(api, poller, consumer="one")[0] == names[2:]
    assert poll(api, poller, f"iterator={second['iterator']}", consumer="one")[0] == []
    # An answer that was late leads nobody back.
    assert poll(api, poller, f"iterator={first['iterator']}", consumer="one")[0] == []
    assert poll(api, poller, consumer="two")[0] == names
    # Nor does an iterator that nobody was given leave out what is still to come.
    assert poll(api, poller, "iterator=999999", consumer="two")[0] == []
    assert poll(api, poller, consumer="two")[0] == []
    more = publish(api)
    assert poll(api, poller, consumer="one")[0] == poll(api, poller, consumer="two")[0] == more


def test_a_consumer_may_be_sent_to_a_time(api):
    """Back to what was, or on to what comes; sent again with the same key it changes nothing."""
    poller, names = create(api), publish(api, 2)
    seek = f"/app/acme/poller/{poller['id']}/consumer/one/seek"
    ahead = {"after": iso(system_clock() + 60_000)}
    assert api.post(seek, ahead).json == {"iterator": "2"}
    assert poll(api, poller, consumer="one")[0] == []
    back = {"after": iso(system_clock() - 60_000)}
    headers = {"idempotency-key": "once"}
    assert api.post(seek, back, headers=headers).json == {"iterator": "0"}
    found, answer = poll(api, poller, consumer="one")
    assert found == names
    poll(api, poller, f"iterator={answer['iterator']}", consumer="one")
    assert api.post(seek, back, headers=headers).json == {"iterator": "0"}
    assert poll(api, poller, consumer="one")[0] == []
    assert api.post(seek, ahead, headers=headers).status_code == 409


def test_a_token_is_for_its_poller_alone(api):
    """It asks, and does nothing else; a new one takes its place, and it goes with the poller."""
    poller, other = create(api), create(api)
    names, path = publish(api), f"/app/acme/poller/{poller['id']}"
    token = poller["token"]
    assert poll(api, poller, token=token)[0] == poll(api, poller, token=token, consumer="one")[0] == names
    after = {"after": iso(system_clock())}
    assert api.post(f"{path}/consumer/one/seek", after, token=token).status_code == 200
    hidden = f"/app/acme/poller/{other['id']}"
    nobody = f"/app/acme/poller/poll_{'0' * 27}"
    for below in ("", "/consumer/one"):
        refused = api.get(hidden + below, token=token), api.get(nobody + below, token=token)
        assert [one.status_code for one in refused] == [404, 404]
        assert refused[0].text.replace(other["id"], "") == refused[1].text.replace(f"poll_{'0' * 27}", "")
    assert api.post(f"{hidden}/consumer/one/seek", after, token=token).status_code == 404
    for refused in (
        api.get("/app/acme/poller", token=token),
        api.get("/app/acme/msg", token=token),
        api.delete(path, token=token),
        api.post(f"{path}/token/rotate", token=token),
    ):
        assert refused.status_code == 403
    fresh = api.post(f"{path}/token/rotate").json["token"]
    assert poll(api, poller, token=fresh)[0] == names
    kept = api.committer.read(lambda store: {one.poller_id for one in store.tokens()}).result()
    assert kept == {poller["id"], other["id"]}
    assert api.delete(path).status_code == 204
    assert api.committer.read(lambda store: {one.poller_id for one in store.tokens()}).result() == {
        other["id"]
    }


def test_pollers_are_managed_apart_from_endpoints(api):
    """Created, listed, changed, deleted; and no address of endpoints leads to one."""
    api.event_type("order.made")
    first = create(api, description="d", channels=["one"], metadata={"a": "b"})
    assert first["token"].startswith("ringback_")
    shown = {name: value for name, value in first.items() if name != "token"}
    others = [create(api)["id"] for _ in range(2)]
    rows = [row for page in walk(api, "/app/acme/poller", "limit=2") for row in page["data"]]
    assert sorted(row["id"] for row in rows) == sorted([first["id"], *others])
    assert shown in rows
    path = f"/app/acme/poller/{first['id']}"
    patched = api.patch(path, {"eventTypes": ["order.made"], "channels": None}).json
    assert (patched["eventTypes"], patched["channels"]) == (["order.made"], None)
    assert (patched["description"], patched["metadata"]) == ("d", {"a": "b"})
    assert api.patch(path, {"metadata": None}).json["metadata"] == {}
    assert listed(api.get("/app/acme/endpoint"))["data"] == []
    assert api.get(f"/app/acme/endpoint/{first['id']}").status_code == 404
    assert api.delete(f"/app/acme/endpoint/{first['id']}").status_code == 404
    assert api.delete(path).status_code == 204
    for gone in (api.get(path), api.patch(path, {}), api.delete(path), api.get(f"{path}/consumer/one")):
        assert gone.status_code == 404


def test_what_is_wrong_is_told(api):
    """Field by field, and nothing an outsider sends is an error of the server's."""
    path = f"/app/acme/poller/{create(api)['id']}"
    assert faults(api.post("/app/acme/poller", {"eventTypes": ["order.made"]}))[0][:2] == (
        "body",
        "eventTypes",
    )
    assert faults(api.post("/app/acme/poller", {"channels": []})) == [("body", "channels")]
    for iterator in ("-1", "x", "1e3", "٣", "9" * 16, ""):
        assert faults(api.get(path, f"iterator={iterator}")) == [("query", "iterator")]
        assert faults(api.get(f"{path}/consumer/one", f"iterator={iterator}")) == [("query", "iterator")]
    for limit in ("0", "251", "x"):
        assert faults(api.get(path, f"limit={limit}")) == [("query", "limit")]
    for name in ("a b", "x" * 257, "%2E"):
        assert faults(api.get(f"{path}/consumer/{name}")) == [("path", "consumer")]
        assert faults(api.post(f"{path}/consumer/{name}/seek", {"after": "2026-01-01T00:00:00Z"})) == [
            ("path", "consumer")
        ]
    assert faults(api.post(f"{path}/consumer/one/seek", {"after": "soon"})) == [("body", "after")]
    assert api.get(f"/app/nobody/poller/poll_{'0' * 27}").status_code == 404
