"""A server whose customers' endpoints are well, slow, broken, paused and gone, with messages of the last minutes."""

from __future__ import annotations

import contextlib
import http.client
import http.cookies
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from running import ADMIN_TOKEN, ANYWHERE, LOOPBACK, PATIENCE, Api, Ringback, receiving, running
from running_site import HANGS, Site, folder, shop

from ringback.demo.payloads import fresh, samples
from ringback.handlers import Message
from ringback.inbox import Inbox
from ringback.outbox import system_clock

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
PUBLISHED = 40
CALLBACK_TOKEN = "the callback token"
HANDLER = "ring-up"


@contextlib.contextmanager
def new_server() -> Iterator[Site]:
    """Run a server that nobody has used."""
    with folder() as place, running("serve", "--listen", ANYWHERE, folder=place, **SETTINGS) as node:
        yield Site(address(node), {}, {"operator": signed_in(node.port)})


@contextlib.contextmanager
def used_server() -> Iterator[Site]:
    """Run a server that has been used."""
    with (
        folder() as place,
        receiving(shop) as receiver,
        running("serve", "--listen", ANYWHERE, folder=place, **SETTINGS) as node,
        node.api() as api,
    ):
        places = _used(api, receiver.url, place)
        receiver.until(lambda: receiver.succeeded.total() >= 2 * PUBLISHED)
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
        yield Site(address(node), places, sessions)


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


def _used(api: Api, shop_url: str, folder: Path) -> dict[str, str]:
    """Let things happen; return what the pages about them are called."""
    kinds = list({sample.event_type: sample for sample in samples()}.values())
    for sample in kinds:
        schemas = {"1": {"type": "object", "required": sorted(sample.body)[:2]}}
        api.post(
            "/event-type", {"name": sample.event_type, "description": sample.description, "schemas": schemas}
        )
    for uid, name in APPLICATIONS.items():
        api.post("/app", {"uid": uid, "name": name, "metadata": {"plan": "team"}})
    for name, (path, description) in ENDPOINTS.items():
        only = (
            {"filterTypes": [kinds[-1].event_type]} if name == "picky" else {"disabled": name == "disabled"}
        )
        api.post(
            "/app/northwind/endpoint",
            {"uid": name, "url": shop_url + path, "description": description} | only,
        )
    api.post("/app/kopi-tiga/endpoint", {"uid": "till", "url": f"{shop_url}/till"})
    api.post("/app/northwind/endpoint/paused/pause", {})
    messages = []
    for number in range(PUBLISHED):
        sample = kinds[number % len(kinds)]
        body = {
            "eventType": sample.event_type,
            "eventId": f"order-{1000 + number}-{sample.event_type}",
            "payload": fresh(sample, 1000 + number, system_clock()),
            "tags": ["checkout"],
        }
        messages.append(api.post("/app/northwind/msg", body)["id"])
        api.post("/app/kopi-tiga/msg", {name: body[name] for name in ("eventType", "payload")})
    day = {"since": datetime.fromtimestamp(system_clock() / 1000 - 86_400, UTC).isoformat()}
    replay = api.post("/app/northwind/endpoint/healthy/bulk-replay", day | {"rate": 1})
    unheard = api.post("/app/quiet/msg", {"eventType": kinds[0].event_type, "payload": {"order": 1}})["id"]
    source = _received(api, shop_url, folder)
    return {
        "source": source,
        "handler": HANDLER,
        "replay": replay["id"],
        "kind": kinds[0].event_type,
        "message": messages[-1],
        "first": messages[0],
        "unheard": unheard,
        "app": "northwind",
        "quiet": "quiet",
    } | {name: name for name in ENDPOINTS}


def _received(api: Api, shop_url: str, folder: Path) -> str:
    """Let a provider send what verifies, what does so again, and what does not; return the source's id.

    One endpoint books it, another gives up at once, and a handler fails.
    """
    made = json.dumps(
        {"name": "Payments", "uid": "payments", "type": "xendit", "config": {"secret": CALLBACK_TOKEN}}
    )
    _, source = api.ask("POST", "/ingest/api/v1/source", made.encode())
    for forward in (
        {"url": f"{shop_url}/orders/payments", "description": "Books each payment"},
        {"url": f"{shop_url}/broken", "description": "Gives up at once", "retrySchedule": []},
    ):
        path = f"/ingest/api/v1/source/{source['id']}/endpoint"
        api.ask("POST", path, json.dumps(forward).encode())
    place = urllib.parse.urlsplit(source["ingestUrl"]).path
    with contextlib.closing(_till(folder)) as till:
        for sample in samples():
            body = json.dumps(fresh(sample, 2000, system_clock())).encode()
            for token in (CALLBACK_TOKEN, CALLBACK_TOKEN, "an older token"):
                api.ask("POST", place, body, x_callback_token=token)
        _drain(till)
    return str(source["id"])


def _till(folder: Path) -> Inbox:
    """Return an inbox beside the server, whose handler fails at all that comes; the store knows of it."""
    inbox = Inbox(f"sqlite:///{folder / 'ringback.db'}")
    inbox.source("payments", secrets=[CALLBACK_TOKEN], provider="xendit")

    @inbox.on("payments", name=HANDLER)
    def ring_up(message: Message) -> None:
        raise KeyError(f"no till for {message.event_type}")

    _drain(inbox)
    return inbox


def _drain(inbox: Inbox) -> None:
    """Handle what is due, on a thread of its own: what steers a browser has a loop on this one."""
    with ThreadPoolExecutor(1) as apart:
        apart.submit(inbox.drain).result()
