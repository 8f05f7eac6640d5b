"""A real server keeps the promises of its own OpenAPI document, whatever is sent to it.

Schemathesis makes requests of the document that the server serves: some that it allows and some that it does not.
"""

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running import ADMIN_TOKEN, ANYWHERE, LOOPBACK, running
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ringback.server.openapi import operation_id
from ringback.server.routes import routes

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
EXAMPLES = 8
PATIENCE = 20
SINCE = {"since": "2026-01-01T00:00:00Z"}
ALLOWED, REFUSED = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


def modes(operation):
    """Return what may be sent to an operation: something wrong only where it takes anything."""
    takes = operation.keyed or operation.body or (operation.query and operation.query.__struct_fields__)
    return (ALLOWED, REFUSED) if takes else (ALLOWED,)


CASES = [
    pytest.param(f"{route.method.upper()} {route.path}", mode, id=f"{operation_id(route)}-{mode.value}")
    for route in routes()
    for mode in modes(route.operation)
]

bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


class Scene:
    """A server in which there is one of everything, and requests to it."""

    def __init__(self, port):
        self.base = f"http://{LOOPBACK}:{port}"
        self.session = requests.Session()
        self.session.headers["authorization"] = f"Bearer {ADMIN_TOKEN}"
        described = self.session.get(f"{self.base}/api/v1/openapi.json", timeout=PATIENCE).json()
        for path in described["paths"].values():
            for operation in path.values():
                # What comes without its token is refused before anything else is looked at: other tests see to that.
                operation["security"] = []
                # With an answer for everything else, no status would be unknown.
                del operation["responses"]["default"]
        schema = schemathesis.openapi.from_dict(described)
        operations = (result.ok() for result in schema.get_all_operations())
        self.operations = {operation.label: operation for operation in operations}
        self.refill()

    def refill(self):
        """Make what the last requests may have removed, and learn the ids that servers give."""
        self._put("/api/v1/app/acme", {"name": "Acme", "uid": "acme"})
        self._put("/api/v1/event-type/invoice.paid", {"description": ""})
        endpoint = self._put("/api/v1/app/acme/endpoint/shop", {"url": "http://127.0.0.1:1/", "uid": "shop"})
        body = {"eventType": "invoice.paid", "payload": {"n": 1}, "eventId": "first"}
        self._send("POST", "/api/v1/app/acme/msg", body)
        config = {"secret": "s3cret"}
        self._put(
            "/ingest/api/v1/source/pay", {"name": "Pay", "type": "xendit", "uid": "pay", "config": config}
        )
        self._put("/ingest/api/v1/source/pay/endpoint/shop", {"url": "http://127.0.0.1:1/", "uid": "shop"})
        self._receive(self._send("GET", "/ingest/api/v1/source/pay").json()["ingestUrl"])
        attempts = self._rows("/api/v1/app/acme/attempt/msg/first")
        received = self._rows("/ingest/api/v1/source/pay/msg")
        retried = self._rows("/ingest/api/v1/source/pay/attempt/endpoint/shop")
        self.known = {
            "app": ["acme"],
            "att": [attempt["id"] for attempt in (*attempts, *retried)],
            "ep": ["shop", endpoint["id"]],
            "msg": ["first", *(message["id"] for message in received[:1])],
            "name": ["invoice.paid"],
            "source": ["pay"],
            "poller": [self._poller()],
            "consumer": ["one"],
            "task": [
                self._send("POST", "/api/v1/app/acme/bulk-replay", {"since": "2026-01-01T00:00:00Z"}).json()[
                    "id"
                ]
            ],
            "token": [self._send("POST", "/api/v1/auth/api-token", {"name": "spare"}).json()["id"]],
        }
        self.known_of_operators = self.known | self._operators()

    def _poller(self):
        """Return the id of a poller, of which an application has so many and no more."""
        held = self._rows("/api/v1/app/acme/poller")
        return (held or [self._send("POST", "/api/v1/app/acme/poller", {}).json()])[0]["id"]

    def _operators(self):
        """Return the ids of what operators have: their endpoint, and a message that it was sent."""
        path = "/api/v1/operational-webhook/endpoint/ops"
        endpoint = self._put(path, {"url": "http://127.0.0.1:1/", "uid": "ops"})["id"]
        self._put("/api/v1/app/acme/endpoint/shop", {"url": "http://127.0.0.1:1/", "uid": "shop"})
        messages = self._rows("/api/v1/operational-webhook/msg")
        attempts = self._rows(f"/api/v1/operational-webhook/attempt/endpoint/{endpoint}")
        return {
            "ep": ["ops", endpoint],
            "msg": [message["id"] for message in messages[:2]],
            "att": [attempt["id"] for attempt in attempts[:2]] or ["none"],
        }

    def _rows(self, path):
        return self._send("GET", path).json().get("data", [])

    def _receive(self, address):
        """Send to the source as the provider does."""
        invoice = {"id": "inv_1", "external_id": "order-1", "status": "PAID", "amount": 1000}
        answer = requests.post(
            address, json=invoice, headers={"x-callback-token": "s3cret"}, timeout=PATIENCE
        )
        assert answer.ok, answer.text

    def _put(self, path, body):
        answer = self._send("PUT", path, body)
        assert answer.ok, answer.text
        return answer.json()

    def _send(self, method, path, body=None):
        return self.session.request(method, f"{self.base}{path}", json=body, timeout=PATIENCE)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A server that delivers, to an address at which nobody listens."""
    local = {"admin_token": ADMIN_TOKEN, "allow_subnets": "127.0.0.0/8", "poll_interval": "50ms"}
    with running("serve", "--listen", ANYWHERE, folder=tmp_path_factory.mktemp("serve"), **local) as server:
        yield Scene(server.port)
        assert not [line for line in server.lines if "Traceback" in line]


@pytest.mark.parametrize(("label", "mode"), CASES)
def test_operation(scene, label, mode):
    """No 500; no status, header, media type or shape that the document does not have for it."""
    operation = scene.operations[label]
    scene.refill()

    @bounded
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def hold(case, data):
        known_here = scene.known_of_operators if "/operational-webhook/" in label else scene.known
        for name in case.path_parameters or ():
            if known := known_here.get(name):
                given_one = case.path_parameters[name]
                case.path_parameters[name] = data.draw(st.sampled_from([*known, *known, given_one]))
        response = case.call(base_url=scene.base, session=scene.session, timeout=PATIENCE)
        case.validate_response(response, checks=list(CHECKS))

    hold()
