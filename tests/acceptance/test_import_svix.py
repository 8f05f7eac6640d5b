"""Moving in from a Svix server's database, and from one Ringback into another over HTTP, with real processes."""

import base64
import json
import re
import secrets
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from running import ADMIN_TOKEN, ANYWHERE, LOOPBACK, MAIN_KEY, PATIENCE, environment, running
from svix.webhooks import Webhook
from svix_sdk import until

from ringback.origins.svix_database import MANAGEMENT
from ringback.signed_tokens import DEFAULT_ORGANISATION
from ringback.signing.standard import asymmetric_secret
from svix_database import ED25519, HMAC, SvixDatabase, encrypted, new_id, old_key

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "migrate-from-svix.md").read_text("utf-8")
KEYS = [bytes([number]) * 24 for number in range(1, 4)]
MOVED = {"main_key": MAIN_KEY, "admin_token": ADMIN_TOKEN}
ORDER = b'{ "order":  1001 }'


def text(key):
    return "whsec_" + base64.b64encode(key).decode()


@pytest.fixture
def svix():
    database = SvixDatabase()
    yield database
    database.close()


def importing(folder, *words, settings=MOVED, **environ):
    """Run the import; return its exit code, what it printed as JSON, and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "ringback", "import", "svix", *words, "--json"],
        cwd=folder,
        env=environment({name: value for name, value in settings.items() if name != "admin_token"}) | environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def moved(folder, *words, code=0, **more):
    """Run the import, which must end with *code*; return the counts that are not 0, and what wants attention."""
    returned, printed, said = importing(folder, *words, **more)
    assert returned == code, said
    counts = {kind: {fate: n for fate, n in fates.items() if n} for kind, fates in printed["counts"].items()}
    return {kind: fates for kind, fates in counts.items() if fates}, printed["attention"]


@contextmanager
def serving(folder, settings=MOVED):
    with (
        running(
            "serve", "--listen", ANYWHERE, folder=folder, allow_subnets=f"{LOOPBACK}/32", **settings
        ) as server,
        server.api() as api,
    ):
        yield server, api


def filled(svix):
    """Fill a database with one of everything; return the ids of its application and endpoint."""
    svix.event_type("invoice.paid", schemas={"1": {"type": "object"}}, feature_flag="beta", deprecated=True)
    svix.event_type("invoice.old", deleted=True)
    svix.event_type("other.org", org="org_other")
    app = svix.application(uid="acme", rate_limit=50, metadata={"plan": "gold"})
    svix.application(uid=None, deleted=True)
    svix.application(uid="acme", org="org_other")
    endpoint = svix.endpoint(
        app,
        uid="main",
        key=bytes([HMAC]) + KEYS[0],
        old_keys=[old_key(KEYS[1], timedelta(hours=1)), old_key(bytes([HMAC]) + KEYS[2], timedelta(hours=2))],
        description="The first",
        event_types_ids=["invoice.paid"],
        channels=["b", "a"],
        headers={"X-Own": "1", "Authorization": "Basic eDp5"},
        rate_limit=5,
        metadata={"a": "b"},
    )
    svix.endpoint(app, deleted=True)
    return app, endpoint


def test_everything_comes_along(svix, tmp_path):
    """Applications, endpoints and event types are as they were, with their ids; what was deleted stays behind."""
    app, endpoint = filled(svix)
    off = svix.endpoint(app, "https://example.com/off", disabled=True)
    counts, attention = moved(tmp_path, "--dsn", svix.url)
    assert counts == {"event type": {"created": 2}, "application": {"created": 1}, "endpoint": {"created": 2}}
    assert attention == []
    with serving(tmp_path) as (_, api):
        (shown,) = api.get("/app")["data"]
        assert (shown["id"], shown["uid"], shown["throttleRate"], shown["metadata"]) == (
            app,
            "acme",
            50,
            {"plan": "gold"},
        )
        main = api.get("/app/acme/endpoint/main")
        assert main["id"] == endpoint
        expected = {
            "url": "https://example.com/hook",
            "description": "The first",
            "eventTypes": ["invoice.paid"],
            "channels": ["a", "b"],
            "throttleRate": 5,
            "metadata": {"a": "b"},
            "disabled": False,
            "headerFamily": "svix",
        }
        assert {name: main[name] for name in expected} == expected
        headers = api.get(f"/app/{app}/endpoint/{endpoint}/headers")
        assert headers == {"headers": {"X-Own": "1"}, "sensitive": ["Authorization"]}
        assert api.get(f"/app/acme/endpoint/{endpoint}/secret")["key"] == text(KEYS[0])
        assert api.get(f"/app/acme/endpoint/{off}")["disabled"] is True
        kinds = api.get("/event-type?include_archived=true&with_content=true")["data"]
        assert [(one["name"], one["archived"], one["deprecated"]) for one in kinds] == [
            ("invoice.old", True, False),
            ("invoice.paid", False, True),
        ]
        assert (kinds[1]["schemas"], kinds[1]["featureFlag"]) == ({"1": {"type": "object"}}, "beta")


def test_receivers_notice_nothing(svix, tmp_path, receiver):
    """What Ringback delivers verifies with the secret from before, and with the one that was being rotated away."""
    app = svix.application(uid="acme")
    svix.endpoint(
        app, receiver.url, key=bytes([HMAC]) + KEYS[0], old_keys=[old_key(KEYS[1], timedelta(hours=1))]
    )
    moved(tmp_path, "--dsn", svix.url)
    with serving(tmp_path) as (_, api):
        body = b'{"eventType": "invoice.paid", "payload": ' + ORDER + b"}"
        assert api.ask("POST", "/api/v1/app/acme/msg", body)[0] == 202
        receiver.until(lambda: receiver.ledger)
    (arrival,) = receiver.seen()
    assert "svix-signature" in arrival.headers
    for key in KEYS[:2]:
        assert Webhook(text(key)).verify(arrival.body, arrival.headers) in (None, {"order": 1001})


def test_what_operators_are_told(svix, tmp_path):
    """Endpoints for operational webhooks, which are another organisation's there, become the operators' own here."""
    svix.application()
    app = svix.application(uid=DEFAULT_ORGANISATION, org=MANAGEMENT)
    other = svix.application(uid="org_other", org=MANAGEMENT)
    told = svix.endpoint(app, event_types_ids=["endpoint.disabled"], key=bytes([HMAC]) + KEYS[0])
    svix.endpoint(app, event_types_ids=["no.such"])
    svix.endpoint(other)
    counts, attention = moved(tmp_path, "--dsn", svix.url, code=9)
    assert (counts["application"], counts["endpoint"]) == ({"created": 1}, {"created": 1, "skipped": 1})
    assert "none of the operational ones" in attention[0]["why"]
    svix.change("endpoint", told, deleted=True)
    with serving(tmp_path) as (_, api):
        (shown,) = api.get("/operational-webhook/endpoint")["data"]
        assert (shown["id"], shown["eventTypes"]) == (told, ["endpoint.disabled"])
        assert api.get(f"/operational-webhook/endpoint/{told}/secret")["key"] == text(KEYS[0])
        assert moved(tmp_path, "--dsn", svix.url, "--remove-gone", code=9)[0]["endpoint"]["removed"] == 1
        assert api.get("/operational-webhook/endpoint")["data"] == []


def test_again_and_again(svix, tmp_path):
    """A second run changes nothing; then what has changed there is changed here, and what was changed here stays."""
    app, endpoint = filled(svix)
    other = svix.application("Other")
    gone = svix.endpoint(app, "https://example.com/gone")
    moved(tmp_path, "--dsn", svix.url)
    counts, _ = moved(tmp_path, "--dsn", svix.url)
    assert {fate for fates in counts.values() for fate in fates} == {"unchanged"}
    with serving(tmp_path) as (server, api):
        status, _ = api.ask("PATCH", f"/api/v1/app/{app}", b'{"name": "Mine"}')
        assert status == 200
        own = b'{"retrySchedule": [7], "headerFamily": "webhook"}'
        assert api.ask("PATCH", f"/api/v1/app/{app}/endpoint/{endpoint}", own)[0] == 200
        # Beside the server that runs.
        svix.change("endpoint", endpoint, url="https://example.com/new", uid="renamed")
        svix.change("endpoint", gone, deleted=True, uid=None)
        svix.change("application", other, deleted=True, uid=None)
        counts, attention = moved(tmp_path, "--dsn", svix.url)
        assert counts["endpoint"] == {"updated": 1, "gone": 1}
        assert counts["application"] == {"unchanged": 1, "gone": 1}
        assert {one["name"] for one in attention} == {gone, other}
        assert api.get(f"/app/{app}")["name"] == "Mine"
        shown = api.get("/app/acme/endpoint/renamed")
        assert (shown["url"], shown["retrySchedule"], shown["headerFamily"]) == (
            "https://example.com/new",
            [7.0],
            "webhook",
        )
        assert api.get(f"/app/{other}")["name"] == "Other"
        counts, _ = moved(tmp_path, "--dsn", svix.url, "--remove-gone")
        assert (counts["endpoint"]["removed"], counts["application"]["removed"]) == (1, 1)
        assert api.ask("GET", f"/api/v1/app/{other}")[0] == 404
        assert api.ask("GET", f"/api/v1/app/{app}/endpoint/{gone}")[0] == 404
        assert api.ask("DELETE", f"/api/v1/app/{app}/endpoint/{endpoint}")[0] == 204
        svix.change("endpoint", endpoint, url="https://example.com/newer")
        counts, attention = moved(tmp_path, "--dsn", svix.url, code=9)
        assert (counts["endpoint"], attention[0]["why"]) == (
            {"skipped": 1},
            "it was deleted here after an earlier import",
        )
        server.stop()


def test_what_is_there_already(svix, tmp_path):
    """An application or endpoint that somebody made here under the same uid is taken for the same, and keeps its id."""
    app, endpoint = filled(svix)
    with serving(tmp_path) as (_, api):
        mine = api.post("/app", {"name": "Acme", "uid": "acme"})["id"]
        own = api.post("/app/acme/endpoint", {"url": "https://example.com/mine", "uid": "main"})["id"]
        counts, attention = moved(tmp_path, "--dsn", svix.url)
        assert (counts["application"], counts["endpoint"]) == ({"updated": 1}, {"updated": 1})
        assert [(one["name"], one["kept_as"]) for one in attention] == [(app, mine), (endpoint, own)]
        shown = api.get(f"/app/{mine}/endpoint/{own}")
        assert shown["url"] == "https://example.com/hook"
        assert api.get(f"/app/{mine}/endpoint/{own}/secret")["key"] == text(KEYS[0])


def test_a_dry_run_changes_nothing(svix, tmp_path):
    """It tells what would be, on a store that is there and where there is none."""
    app, _ = filled(svix)
    svix.message(app)
    expected = {
        "event type": {"created": 2},
        "application": {"created": 1},
        "endpoint": {"created": 1},
        "message": {"created": 1},
    }
    for _ in range(2):
        assert moved(tmp_path, "--dsn", svix.url, "--messages", "7d", "--dry-run")[0] == expected
        assert not (tmp_path / "ringback.db").exists()
    with serving(tmp_path) as (_, api):
        assert moved(tmp_path, "--dsn", svix.url, "--messages", "7d", "--dry-run")[0] == expected
        assert api.get("/app")["data"] == []


def test_recent_messages(svix, tmp_path, receiver):
    """They come as a record, byte for byte: listed, not delivered, and to be sent again by hand."""
    app = svix.application(uid="acme")
    endpoint = svix.endpoint(app, receiver.url)
    recent = svix.message(app, ORDER, timedelta(days=2), uid="order-1", channels=["a"])
    last = svix.message(app, b'{"n": 2}', timedelta(hours=1))
    svix.message(app, b"{}", timedelta(days=20))
    expired = svix.message(app, None, timedelta(days=1))
    counts, attention = moved(tmp_path, "--dsn", svix.url, "--messages", "7d", code=9)
    assert counts["message"] == {"created": 2, "skipped": 1}
    assert [(one["name"], one["why"]) for one in attention] == [(expired, "its payload has expired")]
    newest = svix.message(app, b'{"n": 3}')
    assert moved(tmp_path, "--dsn", svix.url, "--messages", "7d")[0]["message"] == {"created": 1}
    assert moved(tmp_path, "--dsn", svix.url, "--messages", "7d", "--restart", code=9)[0]["message"] == {
        "unchanged": 3,
        "skipped": 1,
    }
    with serving(tmp_path) as (_, api):
        rows = api.get("/app/acme/msg")["data"]
        assert [row["id"] for row in rows] == [newest, last, recent]
        assert (rows[2]["eventId"], rows[2]["channels"]) == ("order-1", ["a"])
        again = json.dumps({"eventType": "a", "eventId": "order-1", "payload": {}}).encode()
        assert api.ask("POST", "/api/v1/app/acme/msg", again)[0] == 409
        assert api.ask("POST", f"/api/v1/app/acme/msg/{recent}/endpoint/{endpoint}/resend", b"{}")[0] == 202
        receiver.until(lambda: receiver.ledger)
        assert [(one.headers["svix-id"], one.body) for one in receiver.seen()] == [(recent, ORDER)]


def test_encrypted_secrets(svix, tmp_path):
    """They need the old server's main secret, without which nothing at all is written."""
    app = svix.application(uid="acme")
    pair = asymmetric_secret(secrets.token_bytes(32))
    raw = base64.b64decode(pair.removeprefix("whsk_"))
    svix.endpoint(app, uid="plain", key=bytes([HMAC]) + KEYS[1])
    svix.endpoint(app, uid="hmac", key=encrypted("main", HMAC, KEYS[0]))
    svix.endpoint(app, uid="pair", key=encrypted("main", ED25519, raw))
    for secret, told in ({}, "set SVIX_MAIN_SECRET"), ({"SVIX_MAIN_SECRET": "other"}, "not the one"):
        code, printed, said = importing(tmp_path, "--dsn", svix.url, **secret)
        assert (code, set(map(str, printed["counts"]["application"].values()))) == (3, {"0"})
        assert told in said
    assert moved(tmp_path, "--dsn", svix.url, SVIX_MAIN_SECRET="main")[0]["endpoint"] == {"created": 3}
    with serving(tmp_path) as (_, api):
        assert api.get("/app/acme/endpoint/hmac/secret")["key"] == text(KEYS[0])
        assert api.get("/app/acme/endpoint/pair/secret")["key"].startswith("whpk_")


def test_what_cannot_come_along(svix, tmp_path):
    """It is skipped or left out with the reason, everything else comes; the report has a line for each."""
    svix.event_type("good", schemas={"1": {"$ref": "https://example.com/x"}, "2": {"type": "object"}})
    app = svix.application("Acme", uid="acme")
    svix.application("Odd", id="app_odd")
    svix.endpoint(app, uid="host", headers={"Host": "inner.example", "X-Fine": "1"})
    svix.endpoint(app, "ftp://example.com", uid="ftp")
    svix.endpoint(app, uid="short", key=b"short")
    counts, attention = moved(tmp_path, "--dsn", svix.url, "--report", "report.jsonl", code=9)
    assert counts == {
        "event type": {"created": 1},
        "application": {"created": 1, "skipped": 1},
        "endpoint": {"created": 1, "skipped": 2},
    }
    told = {one["name"]: one.get("why") or one["left_out"][0] for one in attention}
    assert "its schema" in told["good"]
    assert "its id" in told["app_odd"]
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert sorted(line["fate"] for line in lines) == ["created"] * 3 + ["skipped"] * 3
    with serving(tmp_path) as (_, api):
        assert api.get("/app/acme/endpoint/host/headers")["headers"] == {"X-Fine": "1"}
        assert api.get("/event-type/good")["schemas"] == {"2": {"type": "object"}}


def test_the_wrong_place(svix, tmp_path):
    """No database, one of something else, another organisation, no source at all: each is told in a sentence."""
    svix.application(org="org_other")
    for words, code, told in (
        (("--dsn", "postgresql://127.0.0.1:9/none"), 3, "cannot be read"),
        (("--dsn", svix.url), 3, "choose with --organisation: org_other (1 applications)"),
        ((), 2, "say where from"),
        (("--dsn", svix.url, "--api", "http://127.0.0.1:9"), 2, "one of the two"),
        (("--api", "http://127.0.0.1:9"), 2, "SVIX_TOKEN"),
        (("--api", "nowhere", "--token", "x"), 3, "no address"),
        (("--dsn", svix.url, "--messages", "400d"), 2, "90d"),
    ):
        returned, _, said = importing(tmp_path, *words)
        assert (returned, told in said) == (code, True), said


def test_stopped_and_gone_on_with(svix, tmp_path):
    """A run that is killed goes on where it was; nothing is there twice, and nothing is missing."""
    apps = [svix.application(f"A{n}", id=new_id("app", timedelta(seconds=200 - n))) for n in range(160)]
    for app in apps:
        svix.endpoint(app)
        svix.message(app)
    command = [sys.executable, "-m", "ringback", "import", "svix", "--dsn", svix.url, "--messages", "7d"]
    with subprocess.Popen(
        [*command, "--report", "report.jsonl"],
        cwd=tmp_path,
        env=environment({"main_key": MAIN_KEY}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        log = tmp_path / "ringback.db-wal"
        until(lambda: process.poll() is not None or (log.exists() and log.stat().st_size > 500_000))
        process.kill()
    counts, _ = moved(tmp_path, "--dsn", svix.url, "--messages", "7d")
    assert sum(counts["application"].values()) <= len(apps)
    again, _ = moved(tmp_path, "--dsn", svix.url, "--messages", "7d")
    assert again["application"] == again["endpoint"] == {"unchanged": len(apps)}
    assert "message" not in again
    with serving(tmp_path) as (_, api):
        assert [row["id"] for row in api.get("/app?limit=250")["data"]] == apps
        for app in apps[:: len(apps) // 8]:
            assert len(api.get(f"/app/{app}/msg")["data"]) == 1


def test_from_one_ringback_to_another(tmp_path, store, receiver):
    """Over HTTP everything comes along that is told; what is told to nobody is named, and not guessed."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    with serving(there) as (old, api):
        api.post("/event-type", {"name": "invoice.paid", "description": "Paid", "featureFlags": ["a", "b"]})
        api.post("/app", {"name": "Acme", "uid": "acme"})
        api.post("/app", {"name": "Empty"})
        fields = {
            "headers": {"x-a": "1", "x-api-key": "2"},
            "retrySchedule": [1, 2],
            "headerFamily": "webhook",
        }
        main = api.post("/app/acme/endpoint", {"url": receiver.url, "uid": "main", **fields})["id"]
        pair = asymmetric_secret(secrets.token_bytes(32))
        api.post("/app/acme/endpoint", {"url": receiver.url, "uid": "pair", "secret": pair, "disabled": True})
        key = api.get("/app/acme/endpoint/main/secret")["key"]
        for number in range(205):
            api.post("/app/acme/msg", {"eventType": "invoice.paid", "payload": {"n": number}, "tags": ["t"]})
        receiver.until(lambda: len(receiver.ledger) == 205)
        words = ("--api", f"http://{LOOPBACK}:{old.port}", "--messages", "1d")
        settings = MOVED | store
        counts, attention = moved(here, *words, code=9, settings=settings, SVIX_TOKEN=ADMIN_TOKEN)
        assert counts == {
            "event type": {"created": 1},
            "application": {"created": 2},
            "endpoint": {"created": 1, "skipped": 1},
            "message": {"created": 205},
        }
        told = {one["name"]: one.get("why") or one["left_out"][0] for one in attention}
        assert "x-api-key" in told.pop(main)
        assert "Ed25519" in told.popitem()[1]
        again, _ = moved(here, *words, code=9, settings=settings, SVIX_TOKEN=ADMIN_TOKEN)
        assert again["application"] == {"unchanged": 2}
        assert "message" not in again
        ids = [row["id"] for row in api.get("/app/acme/msg?limit=250")["data"]]
        returned, _, said = importing(here, *words, "--token", "wrong", settings=settings)
        assert (returned, "refused the token" in said) == (3, True)
    with serving(here, settings) as (_, api):
        shown = api.get("/app/acme/endpoint/main")
        assert (shown["id"], shown["retrySchedule"], shown["headerFamily"]) == (main, [1.0, 2.0], "webhook")
        assert api.get("/app/acme/endpoint/main/secret")["key"] == key
        assert api.get("/event-type/invoice.paid")["featureFlags"] == ["a", "b"]
        rows = api.get("/app/acme/msg?limit=250")["data"]
        assert ([row["id"] for row in rows], rows[0]["tags"]) == (ids, ["t"])
    assert len(receiver.seen()) == 205


def test_the_guide(svix, tmp_path, receiver):
    """Every command of the guide succeeds, in its order, from a database and over an API."""
    app = svix.application(uid="acme")
    endpoint = svix.endpoint(app, receiver.url, key=encrypted("main", HMAC, KEYS[0]))
    message = svix.message(app, ORDER)
    blocks = [re.sub("(?m)^ {3}", "", block) for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)]
    commands = [block for block in blocks if "ringback serve" not in block]
    assert sum(block.count("ringback import svix") for block in commands) == 6
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serving(tmp_path) as (server, _), serving(elsewhere) as (other, api):
        api.post("/app", {"name": "Globex"})
        meant = {
            "postgresql://svix:secret@db.internal/svix": svix.url,
            "the main_secret of the Svix server": "main",
            "the token of the organisation": ADMIN_TOKEN,
            "http://127.0.0.1:8400": f"http://{LOOPBACK}:{server.port}",
            "https://svix.internal": f"http://{LOOPBACK}:{other.port}",
            "/APP": f"/{app}",
            "/ENDPOINT": f"/{endpoint}",
            "/MESSAGE": f"/{message}",
            "curl -sS": "curl -sSf --noproxy '*'",
        }
        script = "\n".join(["set -eu", f'ringback() {{ "{sys.executable}" -m ringback "$@"; }}', *commands])
        for words, meaning in meant.items():
            script = script.replace(words, meaning)
        settings = environment({"main_key": MAIN_KEY, "token": ADMIN_TOKEN})
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=settings,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        receiver.until(lambda: len(receiver.ledger) == 2)
        assert {one.body for one in receiver.seen()} == {b'{"success": true}', ORDER}
