"""Event types with feature flags are known to those of an application's own people who have one of them."""

import pytest
from management import faults, listed, management


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        yield api


def access(api, *flags):
    return api.post("/auth/app-portal-access/acme", {"featureFlags": list(flags)}).json["token"]


def test_flags(api):
    """They know of event types without a flag and of those with theirs, in lists of any size and one by one."""
    for number in range(9):
        api.event_type(f"t.{number}", featureFlag=[None, "beta", "gamma"][number % 3])
    plain, beta = access(api), access(api, "beta")

    def names(token, query=""):
        return [row["name"] for row in listed(api.get("/event-type", query, token=token))["data"]]

    assert names(plain) == ["t.0", "t.3", "t.6"]
    assert names(beta) == ["t.0", "t.1", "t.3", "t.4", "t.6", "t.7"]
    first = listed(api.get("/event-type", "limit=2", token=plain))
    assert ([row["name"] for row in first["data"]], first["done"]) == (["t.0", "t.3"], False)
    assert names(plain, f"limit=2&iterator={first['iterator']}") == ["t.6"]
    assert names(plain, "limit=2&iterator=-t.6") == ["t.0", "t.3"]
    assert [api.get(f"/event-type/t.{number}", token=beta).status_code for number in range(3)] == [
        200,
        200,
        404,
    ]
    assert len(listed(api.get("/event-type"))["data"]) == 9


def test_many_hidden_ones_are_passed_over_at_once(api, monkeypatch):
    """A short page costs few queries, however many event types lie hidden before it."""
    for number in range(30):
        api.event_type(f"hidden.{number}", featureFlag="beta")
    api.event_type("shown")
    asked = []

    class Counting:
        def __init__(self, store):
            self._store = store

        def event_types(self, *page, **which):
            asked.append(page)
            return self._store.event_types(*page, **which)

    token = access(api)
    api.get("/event-type", token=token)
    asked.clear()
    read = api.committer.read
    monkeypatch.setattr(api.committer, "read", lambda query: read(lambda store: query(Counting(store))))
    found = listed(api.get("/event-type", "limit=1", token=token))
    assert ([row["name"] for row in found["data"]], found["done"], len(asked)) == (["shown"], True, 1)


def test_flags_of_both_generations(api):
    """The single flag of earlier clients and the list of later ones are two ways of saying the same."""
    assert api.event_type("one", featureFlag="beta")["featureFlags"] == ["beta"]
    made = api.event_type("two", featureFlags=["beta", "gamma"], groupName="billing")
    assert (made["featureFlag"], made["groupName"]) == ("beta", "billing")
    token = access(api, "gamma")
    assert api.get("/event-type/one", token=token).status_code == 404
    assert api.get("/event-type/two", token=token).status_code == 200
    patched = api.patch("/event-type/two", {"featureFlag": "delta"}).json
    assert (patched["featureFlag"], patched["featureFlags"]) == ("delta", ["delta"])
    assert api.patch("/event-type/two", {"featureFlags": None}).json["featureFlag"] is None
    assert faults(api.patch("/event-type/two", {"featureFlags": ["no spaces"]})) == [
        ("body", "featureFlags", 0)
    ]


def test_what_one_may_not_know_of_cannot_be_listened_to(api):
    """Endpoints and pollers are refused an event type of others as one that is not there, in the same words."""
    api.event_type("beta.one", featureFlag="beta")
    endpoint = api.endpoint("acme", uid="hook")["id"]
    poller = api.post("/app/acme/poller", {}).json["id"]
    token = access(api)

    def refused(kind):
        tries = [
            api.post("/app/acme/endpoint", {"url": "https://a.example/", "eventTypes": [kind]}, token=token),
            api.put("/app/acme/endpoint/x", {"url": "https://a.example/", "eventTypes": [kind]}, token=token),
            api.put(
                "/app/acme/endpoint/hook", {"url": "https://a.example/", "eventTypes": [kind]}, token=token
            ),
            api.patch(f"/app/acme/endpoint/{endpoint}", {"eventTypes": [kind]}, token=token),
            api.post("/app/acme/poller", {"eventTypes": [kind]}, token=token),
            api.patch(f"/app/acme/poller/{poller}", {"eventTypes": [kind]}, token=token),
            api.get(f"/event-type/{kind}", token=token),
        ]
        assert [one.status_code for one in tries] == [422] * 6 + [404]
        return [one.text.replace(kind, "KIND") for one in tries]

    assert refused("beta.one") == refused("none.one")
    insider = access(api, "beta")
    assert (
        api.patch(f"/app/acme/endpoint/{endpoint}", {"eventTypes": ["beta.one"]}, token=insider).status_code
        == 200
    )


def test_what_an_endpoint_listens_to_stays_when_others_change_it(api):
    """Operators may have it listen to more than its owners know of: these can change what else it listens to."""
    api.event_type("open.one")
    api.event_type("beta.one", featureFlag="beta")
    api.endpoint("acme", uid="hook", eventTypes=["beta.one"])
    both = {"eventTypes": ["beta.one", "open.one"]}
    assert api.patch("/app/acme/endpoint/hook", both, token=access(api)).status_code == 200


def test_only_who_may_creates_applications(api):
    """A key for publishing creates no application on the way, whatever it sends."""
    body = {"eventType": "a", "payload": {}, "application": {"name": "New", "uid": "new"}}
    assert api.post("/app/new/msg", body, token=api.key("publish")).status_code == 404
    assert api.get("/app/new").status_code == 404
    assert api.post("/app/new/msg", body).status_code == 202
