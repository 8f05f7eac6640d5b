"""Tokens by way of the API: those of programs, and those that let an application's people into its portal."""

import re

import pytest
from management import faults, listed, made, management, walk

from ringback.model import iso
from ringback.server.auth import TRUST_SECONDS
from ringback.tokens import digest

START = 1_772_452_800_000
HOUR = 3_600_000


class Clock:
    """Stands still unless moved."""

    seconds = 0.0

    def __call__(self):
        """Return the time."""
        return self.seconds

    def now(self):
        """Return the time of day."""
        return START + round(self.seconds * 1000)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def api(tmp_path, clock):
    with management(tmp_path, clock, "https://hooks.example.com", now=clock.now) as api:
        yield api


def portal(api, app="acme", **body):
    """Return a token for an application's portal."""
    result = api.post(f"/auth/app-portal-access/{app}", body)
    assert result.status_code == 200, result.text
    return result.json["token"]


class TestApiTokens:
    def test_one_is_made_listed_and_revoked(self, api, clock):
        """It works from the answer on; it is listed without its text, and gone when it was revoked."""
        app = api.application(uid="acme")["id"]
        body = {"name": "shop", "scopes": ["read", "publish", "read"], "appId": "acme"}
        token = made(api.post("/auth/api-token", {**body, "expiresAt": iso(clock.now() + HOUR)}))
        assert (token["scopes"], token["appId"], token["lastUsedAt"]) == (["read", "publish"], app, None)
        assert api.get("/app/acme", token=token["token"]).status_code == 200
        # Nobody waits for its use to be noted; whatever is written after that has been waited for.
        api.application(uid="other")
        (shown,) = listed(api.get("/auth/api-token"))["data"]
        text = token.pop("token")
        assert shown == token | {"lastUsedAt": shown["createdAt"]}
        assert api.delete(f"/auth/api-token/{token['id']}").status_code == 204
        assert api.delete(f"/auth/api-token/{token['id']}").status_code == 404
        clock.seconds += TRUST_SECONDS
        assert api.get("/app/acme", token=text).status_code == 401

    def test_the_plainest(self, api):
        """With nothing but a name it may do everything, for ever."""
        token = made(api.post("/auth/api-token", {"name": "ops"}))
        assert (token["scopes"], token["appId"], token["expiresAt"]) == (["admin"], None, None)
        assert api.post("/app", {"name": "Acme"}, token=token["token"]).status_code == 201

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "a\nb"}, "name"),
            ({"name": "a", "scopes": []}, "scopes"),
            ({"name": "a", "scopes": ["root"]}, "scopes"),
            ({"name": "a", "scopes": ["portal"]}, "scopes"),
            ({"name": "a", "expiresAt": iso(START)}, "expiresAt"),
            ({"name": "a", "expiresAt": "soon"}, "expiresAt"),
        ],
    )
    def test_refusals(self, api, body, field):
        """What is wrong with a token is told field by field."""
        assert faults(api.post("/auth/api-token", body))[0][:2] == ("body", field)

    def test_of_no_application(self, api):
        """An application that is not there is a 404, as is a source."""
        for app in ("nobody", "src_" + "0" * 27):
            assert api.post("/auth/api-token", {"name": "a", "appId": app}).status_code == 404

    def test_pages(self, api):
        """They are listed newest first, page by page."""
        for number in range(5):
            api.key("read")
            made(api.post("/auth/api-token", {"name": f"n{number}"}))
        rows = [row["id"] for page in walk(api, "/auth/api-token", "limit=3") for row in page["data"]]
        assert len(set(rows)) == 10
        assert rows == sorted(rows, reverse=True)

    def test_only_administrators(self, api):
        """Whoever may do less than everything makes no tokens, and knows of none."""
        app = api.application()["id"]
        for key in (api.key("read"), api.key("publish"), api.key("admin", app=app), portal(api, app)):
            assert api.post("/auth/api-token", {"name": "more"}, token=key).status_code == 403
            assert api.get("/auth/api-token", token=key).status_code == 403
            assert api.post(f"/auth/app-portal-access/{app}", {}, token=key).status_code == 403


class TestPortal:
    @pytest.fixture(autouse=True)
    def acme(self, api):
        """Have an application with an endpoint."""
        app = api.application(uid="acme")["id"]
        api.endpoint(app, uid="main")

    def test_what_it_opens(self, api):
        """The address is for one use; the token is good for its application and nothing else; no key is listed."""
        result = api.post("/auth/app-portal-access/acme", {})
        token = result.json["token"]
        assert re.fullmatch(r"https://hooks\.example\.com/portal/enter\?link=[\w-]{43}", result.json["url"])
        assert token not in result.json["url"]
        assert api.get("/app/acme/endpoint/main/secret", token=token).status_code == 200
        assert api.post("/app/acme/endpoint", {"url": "https://example.com"}, token=token).status_code == 201
        assert api.get("/app", token=token).status_code == 403
        assert listed(api.get("/auth/api-token"))["data"] == []

    def test_without_a_body(self, api):
        """No body will do; and the way that clients of old ask."""
        for path in ("app-portal-access", "dashboard-access"):
            token = api.post(f"/auth/{path}/acme").json["token"]
            assert api.get("/app/acme", token=token).status_code == 200
            assert api.post(f"/auth/{path}/nobody").status_code == 404

    def test_an_application_on_the_way(self, api):
        """An application that is not there is created with it; one that is there stays as it is."""
        new = {"application": {"name": "New", "uid": "new"}}
        assert api.get("/app/new", token=portal(api, "new", **new)).json["name"] == "New"
        other = {"application": {"name": "Other", "uid": "other"}}
        assert api.get("/app/new", token=portal(api, "new", **other)).json["name"] == "New"
        for application, kind in (({"name": "X"}, "missing"), ({"name": "X", "uid": "y"}, "mismatch")):
            refused = api.post("/auth/app-portal-access/x", {"application": application})
            assert refused.status_code == 422
            assert refused.json["detail"][0]["type"] == f"application_uid_{kind}"

    @pytest.mark.parametrize(
        ("body", "allowed"),
        [
            ({"readOnly": True}, set()),
            ({"readOnly": True, "capabilities": ["ViewBase", "ManageEndpoint"]}, set()),
            ({"capabilities": ["ViewBase", "ManageTransformations"]}, {"transform"}),
            ({"capabilities": ["ViewBase", "ViewEndpointSecret"]}, {"secret"}),
            ({"capabilities": ["ViewBase", "ManageEndpointSecret"]}, {"secret", "rotate"}),
            ({"capabilities": ["ViewBase", "ManageEndpoint"]}, {"secret", "endpoint", "transform"}),
            ({"capabilities": ["ViewBase", "CreateAttempts"]}, {"recover"}),
            ({}, {"secret", "rotate", "endpoint", "transform", "recover"}),
        ],
    )
    def test_capabilities(self, api, clock, body, allowed):
        """A token may look, and beyond that do what its capabilities say."""
        token = portal(api, **body)
        assert api.get("/app/acme/endpoint/main", token=token).status_code == 200
        one = "/app/acme/endpoint/main"
        doings = {
            "secret": api.get(f"{one}/secret", token=token),
            "rotate": api.post(f"{one}/secret/rotate", {}, token=token),
            "endpoint": api.patch(one, {"description": "new"}, token=token),
            "transform": api.patch(f"{one}/transformation", {"code": "payload"}, token=token),
            "recover": api.post(f"{one}/recover", {"since": iso(clock.now())}, token=token),
        }
        assert {name for name, result in doings.items() if result.status_code != 403} == allowed

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"capabilities": ["ManageEndpoint"]}, "capabilities"),
            ({"capabilities": ["Everything"]}, "capabilities"),
            ({"expiry": 3599}, "expiry"),
            ({"expiry": 604_801}, "expiry"),
            ({"featureFlags": ["a b"]}, "featureFlags"),
            ({"featureFlags": ["beta\n"]}, "featureFlags"),
            ({"sessionId": ""}, "sessionId"),
        ],
    )
    def test_refusals(self, api, body, field):
        """What is wrong is told field by field."""
        assert faults(api.post("/auth/app-portal-access/acme", body))[0][:2] == ("body", field)

    def test_it_expires(self, api, clock):
        """It is good for an hour if an hour was asked for, else for a week; the store forgets those that have ended."""
        short, long = portal(api, expiry=3600), portal(api)
        clock.seconds += 3600
        assert api.get("/app/acme", token=short).status_code == 401
        assert api.get("/app/acme", token=long).status_code == 200
        clock.seconds += 7 * 24 * 3600
        assert api.get("/app/acme", token=long).status_code == 401
        portal(api)
        held = api.committer.read(lambda store: store.tokens_of([digest(short), digest(long)])).result()
        assert held == []

    def test_logging_out(self, api, clock):
        """Whoever logs out is out at once, and nobody else; other tokens are not for logging out."""
        first, second = portal(api), portal(api)
        assert api.get("/app/acme", token=first).status_code == 200
        assert api.post("/auth/logout", token=first).status_code == 204
        assert api.get("/app/acme", token=first).status_code == 401
        assert api.get("/app/acme", token=second).status_code == 200
        for token in (api.key("admin"), api.key("read", app="acme")):
            assert api.post("/auth/logout", token=token).status_code == 403
            assert api.get("/app/acme", token=token).status_code == 200

    def test_all_are_logged_out(self, api, clock):
        """All tokens of an application's portal end, or those of some sessions; keys and others' tokens stay."""
        api.application(uid="globex")
        bare, one, two = portal(api), portal(api, sessionId="one"), portal(api, sessionId="two")
        key, other = api.key("read", app="acme"), portal(api, "globex")
        assert api.post("/auth/app/acme/expire-all", {"sessionIds": ["one"], "expiry": 60}).status_code == 204
        clock.seconds += 59
        assert [works(api, token) for token in (bare, one, two)] == [True, True, True]
        clock.seconds += 1
        assert [works(api, token) for token in (bare, one, two)] == [True, False, True]
        assert api.post("/auth/app/acme/expire-all").status_code == 204
        clock.seconds += TRUST_SECONDS
        assert [works(api, token) for token in (bare, one, two, key)] == [False, False, False, True]
        assert works(api, other, "globex")
        assert api.post("/auth/app/nobody/expire-all", {}).status_code == 404

    def test_a_pollers_token_knows_no_more_than_its_maker(self, api):
        """It is told of the event types that whoever made it may know of: by flags, or of all."""
        api.event_type("plain")
        api.event_type("hidden", featureFlag="beta", schemas={"1": {"type": "object"}})

        def known(token):
            return [one["name"] for one in listed(api.get("/event-type", token=token))["data"]]

        for maker, names in (
            ({"token": portal(api)}, ["plain"]),
            ({"token": portal(api, featureFlags=["beta"])}, ["hidden", "plain"]),
            ({}, ["hidden", "plain"]),
        ):
            poller = made(api.post("/app/acme/poller", {}, **maker))
            assert known(poller["token"]) == names
            again = api.post(f"/app/acme/poller/{poller['id']}/token/rotate", **maker).json
            assert known(again["token"]) == names

    def test_pollers_tokens_end_with_the_portal(self, api, clock):
        """Those that were made in it end with all, or with their session; they are listed, and do not log out."""
        makers = {"none": None, "bare": portal(api), "one": portal(api, sessionId="one")}
        pollers = {
            name: made(api.post("/app/acme/poller", {}, **({"token": token} if token else {})))
            for name, token in makers.items()
        }

        def working():
            clock.seconds += TRUST_SECONDS
            path = "/app/acme/poller/{id}"
            good = (
                api.get(path.format(**poller), token=poller["token"]).status_code == 200
                for poller in pollers.values()
            )
            return {name for name, works in zip(pollers, good, strict=True) if works}

        assert len(listed(api.get("/auth/api-token"))["data"]) == 3
        assert api.post("/auth/logout", token=pollers["one"]["token"]).status_code == 403
        assert working() == {"none", "bare", "one"}
        assert api.post("/auth/app/acme/expire-all", {"sessionIds": ["one"]}).status_code == 204
        assert working() == {"none", "bare"}
        assert api.post("/auth/app/acme/expire-all").status_code == 204
        assert working() == {"none"}
        portal(api)
        assert len(listed(api.get("/auth/api-token"))["data"]) == 1


def works(api, token, app="acme"):
    """Tell whether a token opens an application."""
    return api.get(f"/app/{app}", token=token).status_code == 200
