"""Tenants are sealed from each other: on every route of the API, for every id, whatever the key is for."""

import re
import string

import pytest
from falcon.inspect import inspect_routes
from management import made, management

from postgres_server import postgres_server
from ringback.access import Place, Right, Scope
from ringback.model import iso
from ringback.outbox import system_clock
from ringback.server.needs import need_of
from ringback.signed_tokens import Signer

APP = "/api/v1/app/{app}"
TASKS = "/background-task"
SIGNER = Signer(secrets=("the secret that signs the tokens",))
RECENT = iso(system_clock() - 3_600_000)
# A body that each route would take, so that what is told of is the id and never the body.
BODIES = {
    "PUT /api/v1/app/{app}": {"name": "Other"},
    "PATCH /api/v1/app/{app}": {"name": "Other"},
    f"PUT {APP}/endpoint/{{ep}}": {"url": "https://example.com/other"},
    f"PATCH {APP}/endpoint/{{ep}}": {"description": "other"},
    f"POST {APP}/endpoint/{{ep}}/recover": {"since": RECENT},
    f"POST {APP}/endpoint/{{ep}}/replay-missing": {"since": RECENT},
    f"POST {APP}/endpoint/{{ep}}/bulk-replay": {"since": RECENT},
    f"POST {APP}/bulk-replay": {"since": RECENT},
    f"POST {APP}/msg/precheck/active": {"eventType": "invoice.paid"},
    f"POST {APP}/endpoint/{{ep}}/send-example": {"eventType": "invoice.paid"},
    f"PUT {APP}/endpoint/{{ep}}/headers": {"headers": {"x-other": "1"}},
    f"PATCH {APP}/endpoint/{{ep}}/headers": {"headers": {"x-other": "1"}},
    f"PATCH {APP}/poller/{{poller}}": {"description": "other"},
    f"POST {APP}/poller/{{poller}}/consumer/{{consumer}}/seek": {"after": RECENT},
    f"PUT {APP}/endpoint/{{ep}}/auth": {"kind": "bearer", "token": "t0ken"},
    f"PATCH {APP}/endpoint/{{ep}}/auth": {"kind": "bearer", "token": "t0ken"},
    f"PUT {APP}/endpoint/{{ep}}/oauth": {
        "tokenUrl": "https://example.com/token",
        "clientId": "acme",
        "clientSecret": "s3cret",
    },
    f"PUT {APP}/endpoint/{{ep}}/mtls": {"identity": "a key and its certificate"},
    f"PATCH {APP}/endpoint/{{ep}}/transformation": {"code": "payload"},
    f"POST {APP}/endpoint/{{ep}}/transformation/simulate": {
        "code": "payload",
        "eventType": "invoice.paid",
        "payload": {},
    },
    f"POST {APP}/endpoint/{{ep}}/dry-run": {"eventType": "invoice.paid", "payload": {}},
}
PREFIXES = {"app": "app", "ep": "ep", "msg": "msg", "att": "atmpt", "poller": "poll"}
NOBODY = {kind: f"{prefix}_{'0' * 27}" for kind, prefix in PREFIXES.items()}
# What an application's own people may do, by the Svix server's table of operations.
TRANSFORMING = {
    "PATCH /endpoint/{ep}/transformation",
    "POST /endpoint/{ep}/transformation/simulate",
    "POST /endpoint/{ep}/dry-run",
}
MANAGING = TRANSFORMING | {
    *(
        f"{verb} /endpoint/{{ep}}/{what}"
        for verb in ("PUT", "PATCH", "DELETE")
        for what in ("auth", "oauth", "mtls")
    ),
    "POST /endpoint",
    "PUT /endpoint/{ep}",
    "PATCH /endpoint/{ep}",
    "DELETE /endpoint/{ep}",
    "PUT /endpoint/{ep}/headers",
    "PATCH /endpoint/{ep}/headers",
    "POST /endpoint/{ep}/pause",
    "POST /endpoint/{ep}/resume",
    "POST /poller",
    "PATCH /poller/{poller}",
    "DELETE /poller/{poller}",
}
POLLING = {
    "GET /poller/{poller}",
    "GET /poller/{poller}/consumer/{consumer}",
    "POST /poller/{poller}/consumer/{consumer}/seek",
}
PORTAL = (
    MANAGING
    | POLLING
    | {
        "POST /endpoint/{ep}/canary",
        "POST /endpoint/{ep}/recover",
        "POST /endpoint/{ep}/replay-missing",
        "POST /endpoint/{ep}/bulk-replay",
        "POST /bulk-replay",
        "POST /endpoint/{ep}/secret/rotate",
        "POST /poller/{poller}/token/rotate",
        "POST /msg/{msg}/endpoint/{ep}/resend",
    }
)


class Tenant:
    """An application with one of everything, a key of each scope and a signed token."""

    def __init__(self, api, uid):
        app = api.application(uid=uid)["id"]
        endpoint = api.endpoint(app, uid="main")["id"]
        message = api.message(app, eventId="order-1")["id"]
        attempt = api.attempt(500).id
        poller = made(api.post(f"/app/{app}/poller", {}))["id"]
        self.ids = {"app": app, "ep": endpoint, "msg": message, "att": attempt, "poller": poller}
        self.uid = uid
        self.keys = {scope.value: api.key(scope, app=app) for scope in Scope}
        self.keys["signed"] = SIGNER.make(system_clock(), 60_000, app)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def api(request, tmp_path_factory):
    url = postgres_server().new_database() if request.param == "postgres" else None
    with management(tmp_path_factory.mktemp("tenants"), url=url, signer=SIGNER) as api:
        yield api


@pytest.fixture(scope="module")
def acme(api):
    api.event_type("invoice.paid", schemas={"1": {"type": "object", "examples": [{"n": 1}]}})
    return Tenant(api, "acme")


@pytest.fixture(scope="module")
def globex(api, acme):
    return Tenant(api, "globex")


def routes(api):
    """Return method and path of every route that asks for a token."""
    return sorted(
        f"{method.method} {route.path}"
        for route in inspect_routes(api.app)
        for method in route.methods
        if not method.internal and method.method != "HEAD" and need(method.method, route.path) is not None
    )


def need(method, path):
    """Return what a route asks for; None where it asks for nothing."""
    open_ones = ("/livez", "/readyz", "/metrics", "/api/v1/health", "/api/v1/openapi", "/docs")
    return None if path.startswith(open_ones) else need_of(method, path)


def placed(api, place):
    """Return the routes of one place."""
    return [route for route in routes(api) if need(*route.split(" ")).place is place]


def ask(api, route, ids, key, query=""):
    """Send a request to a route with these ids; return the answer."""
    method, template = route.split(" ")
    path = template.format_map(
        {
            **NOBODY,
            "source": "src",
            "name": "invoice.paid",
            "token": "tok",
            "task": "qtask",
            "consumer": "one",
        }
        | ids
    )
    body = BODIES.get(route, {}) if method in {"POST", "PUT", "PATCH"} else None
    return api.send(method, path, body, token=key, query=query)


def told(answer, ids):
    """Return the status and body of an answer, without the ids that were sent."""
    text = answer.text
    for name in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(name, "ID")
    return answer.status_code, text


def test_another_application_is_not_there(api, acme, globex):
    """In another's address every key is told what it is told in that of nobody: 404 wherever it may do something."""
    theirs = [globex.ids, globex.ids | {"app": globex.uid}]
    nobodys = [NOBODY, NOBODY | {"app": "nobody"}]
    for route in placed(api, Place.APPLICATION):
        for scope, key in acme.keys.items():
            for their, nobody in zip(theirs, nobodys, strict=True):
                hidden = told(ask(api, route, their, key), their)
                assert hidden == told(ask(api, route, nobody, key), nobody), (route, scope)
                assert hidden[0] in ({404} if scope == "admin" else {403, 404}), (route, scope)


def test_another_application_s_ids_are_not_there(api, acme, globex):
    """In one's own address, any id of another's is a 404 with the body of an id that nobody has."""
    for route in placed(api, Place.APPLICATION):
        for place in [name for name in _places(route) if name not in {"app", "consumer"}]:
            for key in (acme.keys["admin"], acme.keys["signed"]):
                their, nobody = acme.ids | {place: globex.ids[place]}, acme.ids | {place: NOBODY[place]}
                hidden = told(ask(api, route, their, key), {place: their[place]})
                assert hidden == told(ask(api, route, nobody, key), {place: nobody[place]}), (route, place)
                assert hidden[0] in ({404} if key is acme.keys["admin"] else {403, 404}), (
                    route,
                    place,
                    hidden,
                )


@pytest.mark.parametrize("parameter", ["iterator", "endpoint_id"])
def test_another_application_s_ids_in_queries(api, acme, globex, parameter):
    """An id of another's in a query finds nothing that an id nobody has would not find."""
    for route in [one for one in placed(api, Place.APPLICATION) if one.startswith("GET ")]:
        for kind in ("ep", "msg", "att"):
            answers = {
                told(ask(api, route, acme.ids, acme.keys["admin"], f"{parameter}={ids[kind]}"), ids)
                for ids in (globex.ids, NOBODY)
            }
            statuses = {status for status, _ in answers}
            assert len(statuses) == 1, (route, parameter, kind)
            if parameter == "endpoint_id":
                assert len(answers) == 1, (route, kind)
            assert not any(name in text for _, text in answers for name in globex.ids.values()), (route, kind)


def test_another_application_s_ids_in_bodies(api, globex):
    """An id of another's in a body is what an id that nobody has is, and what it is of stays as it was."""
    app = api.application()["id"]
    endpoint, message, admin = api.endpoint(app)["id"], api.message(app)["id"], api.key("admin", app=app)
    for path, body in (
        ("bulk-replay", lambda ids: {"since": RECENT, "endpointIds": [ids["ep"]]}),
        ("bulk-replay", lambda ids: {"since": RECENT, "endpointIds": [endpoint, ids["ep"]], "preview": True}),
        ("msg/bulk-expunge", lambda ids: {"ids": [message, ids["msg"]]}),
    ):
        answers = {
            told(api.post(f"/app/{app}/{path}", body(ids), token=admin), ids) for ids in (globex.ids, NOBODY)
        }
        assert len(answers) == 1, answers
        assert {status for status, _ in answers} == ({404} if path == "bulk-replay" else {200})
    assert api.get(f"/app/globex/msg/{globex.ids['msg']}").json["payload"] == {"n": 1}
    assert api.get(f"/app/{app}/msg/{message}").json["payload"] == {"expired": True}


def test_what_is_shown_is_one_s_own(api, acme, globex):
    """Every list and every record that a key can see tells of its application alone, also under names both have."""
    shared = acme.ids | {"ep": "main", "msg": "order-1"}
    for route in placed(api, Place.APPLICATION):
        if not route.startswith("GET "):
            continue
        for ids in (acme.ids, shared, acme.ids | {"app": acme.uid}):
            answer = ask(api, route, ids, acme.keys["admin"])
            assert answer.status_code in {200, 404}, (route, answer.text)
            assert not any(name in answer.text for name in globex.ids.values()), route
    mine = api.send("GET", f"/api/v1/app/{acme.uid}/msg", token=acme.keys["read"])
    assert [one["id"] for one in mine.json["data"]] == [acme.ids["msg"]]


def test_above_the_applications(api, acme):
    """An application's key is refused whatever is above applications, whether it is there or not."""
    for route in placed(api, Place.ORGANISATION):
        for scope, key in acme.keys.items():
            for ids in (acme.ids, NOBODY):
                answer = ask(api, route, ids, key)
                assert (answer.status_code, answer.json["code"]) == (403, "insufficient access"), (
                    route,
                    scope,
                )


def test_event_types_are_shared(api, acme):
    """Whoever has a token may know the event types, and only an administrator changes them."""
    shared = {one for one in placed(api, Place.SHARED) if TASKS not in one} - {"POST /api/v1/auth/logout"}
    assert shared == {"GET /api/v1/event-type", "GET /api/v1/event-type/{name}"}
    for route in shared:
        for key in (*acme.keys.values(), api.key("publish")):
            assert ask(api, route, {}, key).status_code == 200, route


def test_tasks_are_one_s_own(api, acme, globex):
    """Another application's task is told of as one that there is none of, and is in no list."""
    body = {"since": RECENT, "limit": 1}
    task = api.post("/app/globex/bulk-replay", body).json["id"]
    own = api.post("/app/acme/bulk-replay", body, token=acme.keys["redeliver"]).json["id"]
    nobody = f"qtask_{'0' * 27}"
    for route in [one for one in placed(api, Place.SHARED) if f"{TASKS}/" in one]:
        for scope, key in acme.keys.items():
            hidden = told(ask(api, route, {"task": task}, key), {"task": task})
            assert hidden == told(ask(api, route, {"task": nobody}, key), {"task": nobody}), (route, scope)
            assert hidden[0] in ({404} if scope == "admin" else {403, 404}), (route, scope)
    for scope in ("read", "portal", "admin", "signed"):
        listed = api.get("/background-task", token=acme.keys[scope]).json["data"]
        assert [one["id"] for one in listed] == [own]
        assert listed == api.get("/background-task", "app_id=acme", token=acme.keys[scope]).json["data"]
        assert api.get(f"/background-task/{own}", token=acme.keys[scope]).status_code == 200
        for other in ("globex", globex.ids["app"], "nobody"):
            answer = api.get("/background-task", f"app_id={other}", token=acme.keys[scope])
            assert (answer.status_code, answer.json["data"]) == (200, [])
    for scope, status in {"read": 403, "publish": 403, "redeliver": 200}.items():
        assert api.post(f"/background-task/{own}/cancel", token=acme.keys[scope]).status_code == status


def test_forgetting_is_not_stopped_by_those_who_may_not_begin_it(api, acme):
    """A task that forgets contents is begun by operators: others may see it, and neither pause nor end it."""
    task = api.post("/app/acme/msg/expunge-all-contents").json["id"]
    for key in (acme.keys["portal"], api.key("redeliver", "read")):
        assert api.get(f"{TASKS}/{task}", token=key).status_code == 200
        for step in ("pause", "resume", "cancel"):
            assert api.post(f"{TASKS}/{task}/{step}", token=key).status_code == 403
    assert api.post(f"{TASKS}/{task}/cancel").status_code == 200


def test_scopes(api, acme):
    """A key does what it is for, and nothing else is as much as looked at."""
    for route in placed(api, Place.APPLICATION):
        method, template = route.split(" ")
        below = template.removeprefix(APP)
        secret = below.endswith("/secret")
        allowed = {
            "admin": True,
            "publish": method == "POST" and below in {"/msg", "/msg/batch", "/msg/precheck/active"},
            "read": method == "GET" and not secret and f"{method} {below}" not in POLLING,
            "portal": method == "GET" or f"{method} {below}" in PORTAL,
            "view-secrets": method == "GET" and secret,
            "rotate-secrets": secret or below.endswith(("/secret/rotate", "/token/rotate")),
            "poll": f"{method} {below}" in POLLING,
            "manage-transformations": f"{method} {below}" in TRANSFORMING,
            "manage-endpoints": secret or f"{method} {below}" in MANAGING,
            "redeliver": below.endswith(
                ("/canary", "/recover", "/resend", "/replay-missing", "/bulk-replay")
            ),
        }
        allowed["signed"] = allowed["portal"]
        for scope, key in acme.keys.items():
            # An id that nobody has keeps what is allowed from being done.
            answer = ask(api, route, NOBODY | {"app": acme.uid}, key)
            assert (answer.status_code != 403) is allowed[scope], (route, scope, answer.text)


def test_a_reader_of_all_sees_no_addresses(api):
    """A key to read everything sees no secret, and no source's address, which is one."""
    key = api.key("read")
    assert api.get("/app", token=key).status_code == 200
    assert api.send("GET", "/ingest/api/v1/source", token=key).status_code == 403
    assert api.send("GET", "/ingest/api/v1/source/x/msg", token=key).status_code == 404
    assert api.send("GET", "/ingest/api/v1/source/x/endpoint/e/secret", token=key).status_code == 403


def test_an_unknown_address_asks_for_everything():
    """A route that nothing is said of is for administrators, and for those of the whole organisation."""
    assert need_of("POST", "/api/v1/new") == need_of("PUT", "/api/v1/app")
    unknown = need_of("POST", f"{APP}/new")
    assert (unknown.right, unknown.place) == (Right.OPERATE, Place.APPLICATION)


def test_a_removed_application_s_keys(api):
    """They are gone with it, and its signed tokens find nothing."""
    app = api.application(uid="passing")["id"]
    key, signed = api.key("read", app=app), SIGNER.make(system_clock(), 60_000, app)
    assert api.get(f"/app/{app}", token=key).status_code == 200
    assert api.delete(f"/app/{app}").status_code == 204
    assert not api.committer.read(
        lambda store: [t for t in store.tokens() if t.application_id == app]
    ).result()
    assert api.get(f"/app/{app}", token=signed).status_code == 404


def test_a_uid_that_passes_on(api):
    """A uid that another application takes over leads the first one's key nowhere, not even while it is remembered."""
    first = api.application(uid="shared-name")["id"]
    key = api.key("admin", app=first)
    assert api.get("/app/shared-name", token=key).json["id"] == first
    assert api.patch(f"/app/{first}", {"uid": "old-name"}).status_code == 200
    second = api.application(uid="shared-name")["id"]
    answer = api.get("/app/shared-name", token=key)
    assert second not in answer.text
    assert api.get("/app/old-name", token=key).json["id"] == first


def _places(route):
    return [name for _, name, _, _ in string.Formatter().parse(re.sub(r"^\S+ ", "", route)) if name]
