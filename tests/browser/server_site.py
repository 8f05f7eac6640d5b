"""A server whose customers' endpoints are well, slow, broken, paused and gone, with or without a past."""

from __future__ import annotations

import contextlib
import http.client
import http.cookies
import json
import secrets
import urllib.parse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orders import COURSE, KINDS, event
from past import Past
from provider import TOKEN, Provider, add_source
from running import ADMIN_TOKEN, ANYWHERE, LOOPBACK, PATIENCE, Api, Ringback, receiving, running
from running_site import HANGS, Site, folder, shop, unhurried

from ringback import ids
from ringback.config import load
from ringback.demo.payloads import fresh, samples
from ringback.engine import open_checked_store
from ringback.model import Attempt, Endpoint, Outcome, OutcomeKind
from ringback.outbox import system_clock
from ringback.policy import MINUTE, Decision, Step
from ringback.store import Lease, Quota, Settlement, Work

SETTINGS = {
    "admin_token": ADMIN_TOKEN,
    "allow_subnets": "127.0.0.0/8",
    "poll_interval": "50ms",
    "delivery_timeout": "1s",
    "retry_schedule": "30s,5m,1h,1d",
}
APPLICATIONS = {"northwind": "Northwind Traders", "kopi-tiga": "Kopi Tiga", "quiet": "Quiet Bookshop"}
# Endpoints of the first application, by the name of the page that shows each: where it is, and what it is for.
ENDPOINTS: Mapping[str, tuple[str, str]] = {
    "healthy": ("/orders/webhooks", "Orders: books each payment"),
    "broken": ("/broken", "Old warehouse system"),
    "stranger": ("/stranger", "Data team's collector"),
    "slow": (HANGS, "Spreadsheet export"),
    "paused": ("/loyalty", "Loyalty points, paused for the move"),
    "disabled": ("/old", "The shop before this one"),
    "picky": ("/refunds", "Refunds only"),
}
PAYMENT, REFUNDED = "invoice.paid", "refund.paid"
# What some of the endpoints have of their own.
MORE = {
    "disabled": {"disabled": True},
    "picky": {"filterTypes": [REFUNDED]},
    "stranger": {"retrySchedule": [60, 300]},
}
# With what the one that is disabled would ask for tokens.
CLIENT = {
    "tokenUrl": "https://auth.example.com/oauth/token",
    "clientId": "northwind",
    "clientSecret": "the client's secret",
    "scopes": ["webhooks:write"],
}
# How many messages are published while the server runs: whole courses, whose last one goes to two places that are well.
PUBLISHED = 3 * len(COURSE)
LATELY = len(COURSE)
HANDLER = "ring-up"
TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/till.py", line 41, in ring_up
    till = TILLS[message.data["branch"]]
KeyError: 'bandung'
"""


@contextlib.contextmanager
def new_server() -> Iterator[Site]:
    """Run a server that nobody has used."""
    with folder() as place, running("serve", "--listen", ANYWHERE, folder=place, **SETTINGS) as node:
        yield Site(address(node), {}, {"operator": signed_in(node.port)})


@contextlib.contextmanager
def used_server() -> Iterator[Site]:
    """Run a server that has been used within the last moments."""
    with folder() as place, receiving(shop) as receiver, _serving(place) as (node, api):
        open_up(api, receiver.url)
        places = _used(api, place, PUBLISHED)
        receiver.until(lambda: receiver.succeeded.total() >= 2 * PUBLISHED)
        yield _site(node, api, places)


@contextlib.contextmanager
def old_server() -> Iterator[Site]:
    """Run a server that has been used for days."""
    with folder() as place, receiving(unhurried) as receiver:
        Past(place, SETTINGS).live(lambda api: open_up(api, receiver.url))
        with _serving(place) as (node, api):
            yield _site(node, api, _used(api, place, LATELY))


@contextlib.contextmanager
def _serving(place: Path) -> Iterator[tuple[Ringback, Api]]:
    with (
        running("serve", "--listen", ANYWHERE, folder=place, **SETTINGS) as node,
        node.api() as api,
    ):
        yield node, api


def _site(node: Ringback, api: Api, places: Mapping[str, str]) -> Site:
    customer = api.post("/auth/app-portal-access/northwind", {})["token"]
    onlooker = api.post("/auth/app-portal-access/northwind", {"readOnly": True})["token"]
    newcomer = api.post("/auth/app-portal-access/quiet", {})["token"]
    reader = api.post("/auth/api-token", {"name": "On call", "scopes": ["read"]})["token"]
    sessions = {
        "operator": signed_in(node.port),
        "reader": signed_in(node.port, reader),
        "customer": signed_in(node.port, customer),
        "onlooker": signed_in(node.port, onlooker),
        "newcomer": signed_in(node.port, newcomer),
    }
    return Site(address(node), places, sessions)


def address(node: Ringback) -> str:
    """Return where a server is reached."""
    return f"http://{LOOPBACK}:{node.port}"


def signed_in(port: int, token: str = ADMIN_TOKEN) -> tuple[Mapping[str, Any], ...]:
    """Sign in with *token*; return the cookies of the session."""
    site = f"http://{LOOPBACK}:{port}"
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    with contextlib.closing(connection):
        form = urllib.parse.urlencode({"token": token, "next": ""})
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": site,
            "sec-fetch-site": "same-origin",
        }
        connection.request("POST", "/login", form, headers)
        answer = connection.getresponse()
        answer.read()
    set_cookies = answer.headers.get_all("set-cookie") or []
    assert answer.status == 303, f"signing in is answered with {answer.status}"
    jar = http.cookies.SimpleCookie()
    for one in set_cookies:
        jar.load(one)
    return tuple(
        {
            "name": name,
            "value": kept.value,
            "url": f"https://{LOOPBACK}:{port}",
            "secure": True,
            "httpOnly": True,
        }
        for name, kept in jar.items()
    )


def open_up(api: Api, shop_url: str) -> None:
    """Make event types, applications, endpoints and a source."""
    for name, kind in KINDS.items():
        schemas = {"1": {"type": "object", "required": list(kind.told)}}
        api.post("/event-type", {"name": name, "description": kind.description, "schemas": schemas})
    for uid, name in APPLICATIONS.items():
        api.post("/app", {"uid": uid, "name": name, "metadata": {"plan": "team"}})
    for name, (path, description) in ENDPOINTS.items():
        draft = {"uid": name, "url": shop_url + path, "description": description}
        api.post("/app/northwind/endpoint", draft | MORE.get(name, {}))
    api.ask("PUT", "/api/v1/app/northwind/endpoint/disabled/oauth", json.dumps(CLIENT).encode())
    api.post("/app/kopi-tiga/endpoint", {"uid": "till", "url": f"{shop_url}/till"})
    add_source(api, shop_url)


def _used(api: Api, place: Path, published: int) -> dict[str, str]:
    """Let things happen; return what the pages about them are called."""
    api.post("/app/northwind/endpoint/paused/pause", {})
    messages = []
    for number in range(published):
        body = event(COURSE[number % len(COURSE)], 4711 + number, system_clock())
        messages.append(api.post("/app/northwind/msg", body)["id"])
        api.post("/app/kopi-tiga/msg", {name: body[name] for name in ("eventType", "payload")})
    hour = {"since": datetime.fromtimestamp(system_clock() / 1000 - 3_600, UTC).isoformat()}
    replay = api.post("/app/northwind/endpoint/healthy/bulk-replay", hour | {"rate": 1})
    unheard = api.post("/app/quiet/msg", event(PAYMENT, 1, system_clock()))["id"]
    example = api.post("/app/northwind/endpoint/healthy/send-example", {"eventType": "svix.ping"})
    elsewhere = api.post("/auth/app-portal-access/quiet", {})["url"]
    return {
        "source": _received(api, place),
        "handler": HANDLER,
        "replay": replay["id"],
        "kind": PAYMENT,
        "message": messages[-1],
        "first": messages[0],
        "unheard": unheard,
        "example": example["id"],
        "elsewhere": elsewhere.partition("link=")[2],
        "app": "northwind",
        "quiet": "quiet",
    } | {name: name for name in ENDPOINTS}


def _received(api: Api, place: Path) -> str:
    """Let a provider send what verifies, what does so again, and what does not; return the source's id.

    One endpoint books it, another gives up at once, and a handler fails.
    """
    provider = Provider(api)
    with _failing_handler(place, provider.source_id):
        for sample in samples():
            body = fresh(sample, 2000, system_clock())
            for token in (TOKEN, TOKEN, "an older token"):
                provider.send(body, token)
    return provider.source_id


@contextlib.contextmanager
def _failing_handler(folder: Path, source_id: str) -> Iterator[None]:
    """Have the source know of a handler, and at the end a traceback of it for all that came: no program is run."""
    now = system_clock()
    handler = Endpoint(
        id=_new_id(ids.ENDPOINT),
        uid=HANDLER,
        application_id=source_id,
        url=f"handler:payments/{HANDLER}",
        created_at=now,
        updated_at=now,
        secrets=(),
    )
    settings = load({"store": f"sqlite:///{folder / 'ringback.db'}"}, {}, None)
    with contextlib.closing(open_checked_store(settings)) as store:
        with store.transaction():
            store.add(handler)
        yield
        with store.transaction():
            now = system_clock()
            works = store.take([Quota(handler.id, 100)], Lease(1, now + MINUTE), now)
            store.settle([_raised(work, now) for work in works])


def _raised(work: Work, now: int) -> Settlement:
    attempt = Attempt(
        id=_new_id(ids.ATTEMPT),
        message_id=work.message_id,
        endpoint_id=work.endpoint.id,
        number=1,
        trigger=work.trigger,
        url=work.endpoint.url,
        started_at=now,
        duration=6,
        outcome=Outcome(kind=OutcomeKind.RAISED, detail="KeyError", body=TRACEBACK.encode()),
    )
    return Settlement(work=work, decision=Decision(Step.RETRY, now + MINUTE), attempt=attempt)


def _new_id(prefix: str) -> str:
    return ids.new_id(prefix, system_clock(), secrets.token_bytes(ids.ENTROPY_BYTES))
