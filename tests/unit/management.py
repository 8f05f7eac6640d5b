"""A management API over a real SQLite store: a client with a token, and a hand at the deliveries."""

import contextlib
import itertools
import json
import secrets
import time

import falcon.testing

from contract_of_api import check
from ringback import ids, policy
from ringback.access import Scope
from ringback.api_keys import ApiKeyDraft, ApiKeys
from ringback.canary import Canary
from ringback.courier import Courier
from ringback.gateway import Gateway
from ringback.intake import Intake
from ringback.model import Attempt, EndpointState, Outcome, OutcomeKind, Phases
from ringback.observe import Observer
from ringback.outbox import Outbox, system_clock
from ringback.policy import DEFAULT_SCHEDULE
from ringback.probing import Probed
from ringback.server.app import create_app
from ringback.server.audit import Audit
from ringback.server.auth import Tokens
from ringback.server.metrics import Metrics
from ringback.server.pages.behind import Behind
from ringback.server.pages.live import Live
from ringback.server.pages.recent import Recent
from ringback.server.pages.site import Site
from ringback.sessions import Sessions
from ringback.sources import Sources
from ringback.store import Lease, Quota, Settlement, open_store
from ringback.store.commit import Committer
from ringback.vault import Vault

TOKEN = "ringback_test_token_of_the_administrator"
BASE = "/api/v1"
MAX_BODY = 64 * 1024
MAX_PAYLOAD = 32 * 1024
DEADLINE = 15_000
# Those of leases that are taken by hand.
_LEASES = itertools.count(1_000_000)
PHASES = Phases(900, 2_000, 6_000, 50, 3_000, 200)


class Hand:
    """Takes over every delivery, and keeps it until a test decides what comes of it."""

    def __init__(self):
        self.works = []

    def admit(self, endpoint):
        """Have room for everything that may be delivered."""
        return endpoint.state is EndpointState.ENABLED

    def receive(self, accepted):
        """Keep what was accepted."""
        self.works += [work for one in accepted for work in one.works]

    def withdraw(self):
        """Forget nothing: there is always room."""

    def catalog_changed(self):
        """Take no heed."""


class Shop:
    """Whoever receives: takes everything with 204, or comes to the *outcome* that it is told."""

    def __init__(self):
        self.outcome = Outcome(kind=OutcomeKind.SUCCESS, status=204)

    async def send(self, request):
        """See ``Destination``."""
        return self.outcome

    async def aclose(self):
        """See ``Destination``."""


def canary_of(committer, shop):
    """Return what sends canaries to a shop."""
    courier = Courier(shop, "Ringback", DEADLINE, time.monotonic)
    return Canary(
        committer,
        courier,
        DEADLINE,
        clock=system_clock,
        monotonic=time.monotonic,
        entropy=secrets.token_bytes,
    )


class Api:
    """Talks to the API as its administrator would.

    ``standing`` holds under "reason" why the node is not ready, None when it is.
    """

    def __init__(self, app, store, committer, hand, *, standing, keys, observer):
        self.app = app
        self.observer = observer
        self.store = store
        self.committer = committer
        self.standing = standing
        self.keys = keys
        self._hand = hand
        self._client = falcon.testing.TestClient(app)

    def send(self, method, path, body=None, *, token=TOKEN, headers=None, raw=None, query=""):
        """Send any request to any address; the answer is one that the OpenAPI document has."""
        sent = {} if token is None else {"authorization": f"Bearer {token}"}
        if body is not None:
            raw = json.dumps(body).encode()
            sent["content-type"] = "application/json"
        result = self._client.simulate_request(
            method, path, body=raw, headers=sent | (headers or {}), query_string=query
        )
        check(method, path, result.status_code, result.headers.get("content-type"), result.content)
        return result

    def get(self, path, query="", **more):
        """Send a GET to the API."""
        return self.send("GET", BASE + path, query=query, **more)

    def post(self, path, body=None, **more):
        """Send a POST to the API."""
        return self.send("POST", BASE + path, body, **more)

    def put(self, path, body, **more):
        """Send a PUT to the API."""
        return self.send("PUT", BASE + path, body, **more)

    def patch(self, path, body, **more):
        """Send a PATCH to the API."""
        return self.send("PATCH", BASE + path, body, **more)

    def delete(self, path, query="", **more):
        """Send a DELETE to the API."""
        return self.send("DELETE", BASE + path, query=query, **more)

    def application(self, **fields):
        """Create an application."""
        return made(self.post("/app", {"name": "Acme", **fields}))

    def endpoint(self, app, **fields):
        """Create an endpoint."""
        return made(self.post(f"/app/{app}/endpoint", {"url": "https://example.com/hook", **fields}))

    def event_type(self, name, **fields):
        """Create an event type."""
        return made(self.post("/event-type", {"name": name, "description": "", **fields}))

    def key(self, *scopes, app=None, **fields):
        """Make an API key; return its text."""
        draft = ApiKeyDraft(name="test", scopes=tuple(map(Scope, scopes)), application=app, **fields)
        return self.keys.create(draft).result()[1]

    def message(self, app, **fields):
        """Publish a message."""
        result = self.post(f"/app/{app}/msg", {"eventType": "invoice.paid", "payload": {"n": 1}, **fields})
        assert result.status_code == 202, result.text
        return result.json

    def attempt(self, status=200, body=b"thanks", *, later=0, kind=None, detail=""):
        """Make an attempt at the delivery that came first, and have it recorded, *later* milliseconds from now.

        Its outcome is as the *status* says, unless *kind* and *detail* say what else happened.
        """
        work = self._hand.works.pop(0)
        now = system_clock() + later
        usual = OutcomeKind.SUCCESS if 200 <= status < 300 else OutcomeKind.REFUSED
        outcome = Outcome(
            kind=kind or usual, status=0 if kind else status, body=body, detail=detail, phases=PHASES
        )
        attempt = Attempt(
            id=ids.new_id(ids.ATTEMPT, now, secrets.token_bytes(ids.ENTROPY_BYTES)),
            message_id=work.message_id,
            endpoint_id=work.endpoint.id,
            number=work.attempts + 1,
            trigger=work.trigger,
            url=work.endpoint.url,
            started_at=now,
            duration=12,
            outcome=outcome,
        )
        schedule = policy.schedule_of(work.endpoint, DEFAULT_SCHEDULE)
        decision = policy.decide(outcome, work.attempts + 1, schedule, now, 0.5)
        self.committer.settle(Settlement(work=work, decision=decision, attempt=attempt))
        # What is written after a settlement is written after it.
        self.committer.write(lambda store: None).result()
        return attempt

    def again(self, app, message, endpoint):
        """Have a message delivered to an endpoint again: that is what is attempted last."""
        assert self.post(f"/app/{app}/msg/{message}/endpoint/{endpoint}/resend").status_code == 202
        lease = Lease(next(_LEASES), system_clock() + 60_000)
        taken = self.committer.write(
            lambda store: store.take([Quota(endpoint, 1)], lease, system_clock() + 1_000)
        )
        self._hand.works += taken.result()


@contextlib.contextmanager
def management(
    folder, monotonic=None, public_url=None, *, strict=True, url=None, signer=None, now=system_clock
):
    """Yield an ``Api`` over a store in *folder*, or at *url*; *signer* reads signed tokens, good at *now*."""
    store = open_store(url or f"sqlite:///{folder / 'ringback.db'}", Vault(bytes(32)))
    observer, hand = Observer(), Hand()
    committer = Committer(store, clock=system_clock, observer=observer, handover=hand, deadline=DEADLINE)
    committer.start()
    outbox = Outbox(committer, max_payload=MAX_PAYLOAD)
    clock = {} if monotonic is None else {"monotonic": monotonic}
    keys = ApiKeys(committer, clock=now)
    standing, shop = {"reason": None}, Shop()
    app = create_app(
        outbox=outbox,
        sources=Sources(committer),
        tokens=Tokens(keys, TOKEN, signer, **clock),
        sessions=Sessions(committer, bytes(32), admin=TOKEN, clock=now),
        metrics=Metrics(observer),
        observer=observer,
        readiness=lambda: standing["reason"],
        canary=canary_of(committer, shop).send,
        max_body=MAX_BODY,
        public_url=public_url,
        strict=strict,
    )
    try:
        yield Api(app, store, committer, hand, standing=standing, keys=keys, observer=observer)
    finally:
        committer.close()


def made(result):
    """Return what was created."""
    assert result.status_code in {200, 201}, result.text
    return result.json


def faults(result):
    """Return where the faults of a 422 are."""
    assert result.status_code == 422, result.text
    return [tuple(fault["loc"]) for fault in result.json["detail"]]


def walk(api, path, query=""):
    """Follow a list from page to page; return the pages."""
    pages, where = [], query
    while True:
        page = listed(api.get(path, where))
        pages.append(page)
        if page["done"]:
            return pages
        where = f"{query}&iterator={page['iterator']}"


def listed(result):
    """Return a page."""
    assert result.status_code == 200, result.text
    return result.json


def gateway_of(committer, observer=None):
    """Return a gateway for the sources in the committer's store."""
    intake = Intake(committer, observer or Observer(), clock=system_clock)
    return Gateway(committer, intake, clock=system_clock, max_body=MAX_PAYLOAD)


async def _refused(_endpoint):
    """Try an endpoint out where nothing listens."""
    return Probed(Outcome(kind=OutcomeKind.CONNECT, detail="refused"), 1)


def site_of(api, **settings):
    """Return the pages beside an API; *settings* are those of ``Behind``."""
    sessions = Sessions(api.committer, bytes(32), admin=TOKEN, clock=api.keys.clock)
    behind = {
        "outbox": Outbox(api.committer, clock=api.keys.clock, max_payload=MAX_PAYLOAD),
        "sources": Sources(api.committer),
        "keys": api.keys,
        "sessions": sessions,
        "audit": Audit(api.observer),
        "live": Live(api.observer),
        "recent": Recent(api.observer, api.keys.clock),
        "readiness": lambda: api.standing["reason"],
        "probe": _refused,
        "canary": canary_of(api.committer, Shop()).send,
        "clock": api.keys.clock,
    }
    return Site(Behind(**behind | settings))
