"""The table of routes, and the application that serves them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from falcon.asgi import App

from ringback.outbox import Outbox
from ringback.server.api.application import Applications
from ringback.server.api.attempt import Attempts
from ringback.server.api.endpoint import Endpoints
from ringback.server.api.event_type import EventTypes
from ringback.server.api.message import Messages
from ringback.server.api.node import Nodes
from ringback.server.api.received import Received
from ringback.server.api.source import SourceResource
from ringback.server.api.source_endpoint import SourceEndpoints
from ringback.server.auth import Guard, Tokens
from ringback.server.bodies import Bodies
from ringback.server.health import Health, Readiness
from ringback.server.metrics import Metrics, MetricsPage
from ringback.server.owners import Owners
from ringback.server.replies import handle_errors
from ringback.server.unknown import Disclosure, Request, StrictRequest
from ringback.sources import Sources

BASE = "/api/v1"
INGEST = "/ingest/api/v1"

Route = tuple[str, object, str | None]


class Doors:
    """An ASGI application that leaves ``/in/TOKEN`` to the gateway and everything else to the API."""

    def __init__(self, api: Any, gateway: Any) -> None:
        self._api = api
        self._gateway = gateway

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        inwards = scope["type"] == "http" and _INWARDS.fullmatch(scope["path"])
        await (self._gateway if inwards else self._api)(scope, receive, send)


_INWARDS = re.compile(r"/in/[^/]+/?")


def create_app(
    *,
    outbox: Outbox,
    sources: Sources,
    tokens: Tokens,
    metrics: Metrics,
    readiness: Readiness,
    max_body: int,
    public_url: str | None = None,
    strict: bool = False,
) -> App[Any, Any]:
    """Build the ASGI application.

    Args:
        outbox: What the API manages and publishes through.
        sources: What it manages sources through.
        tokens: Who may use it.
        metrics: What ``/metrics`` shows.
        readiness: Says why this node should get no requests now; None when it should.
        max_body: The largest request body, in bytes.
        public_url: Where providers reach this server; None to take the address of each request.
        strict: Refuse unknown fields and parameters; otherwise they are left out and named in the answer.
    """
    app: App[Any, Any] = App(
        middleware=[Guard(tokens), Owners(sources), Disclosure()],
        request_type=StrictRequest if strict else Request,
    )
    app.req_options.strip_url_path_trailing_slash = True
    handle_errors(app)
    bodies = Bodies(max_body)
    routes = (
        *_management(outbox, bodies),
        *_ingest(outbox, sources, bodies, public_url),
        *_operation(outbox, metrics, readiness),
    )
    for path, resource, suffix in routes:
        app.add_route(path, resource, suffix=suffix)
    return app


def _management(outbox: Outbox, bodies: Bodies) -> Iterable[Route]:
    applications, event_types = Applications(outbox, bodies), EventTypes(outbox, bodies)
    endpoints, messages, attempts = Endpoints(outbox, bodies), Messages(outbox, bodies), Attempts(outbox)
    one_application = f"{BASE}/app/{{app}}"
    one_message = f"{one_application}/msg/{{msg}}"
    return (
        (f"{BASE}/app", applications, "all"),
        (one_application, applications, None),
        *_endpoints(one_application, endpoints),
        (f"{BASE}/event-type", event_types, "all"),
        (f"{BASE}/event-type/{{name}}", event_types, None),
        (f"{one_application}/msg", messages, "all"),
        (f"{one_application}/msg/batch", messages, "batch"),
        (one_message, messages, None),
        *_deliveries(one_application, messages, attempts),
    )


def _ingest(outbox: Outbox, sources: Sources, bodies: Bodies, public_url: str | None) -> Iterable[Route]:
    resource, received = SourceResource(sources, bodies, public_url), Received(sources, bodies)
    one_source = f"{INGEST}/source/{{source}}"
    one_message = f"{one_source}/msg/{{msg}}"
    return (
        (f"{INGEST}/source", resource, "all"),
        (one_source, resource, None),
        (f"{one_source}/token/rotate", resource, "rotate"),
        *_endpoints(one_source, SourceEndpoints(outbox, bodies)),
        (f"{one_source}/msg", received, "all"),
        (one_message, received, None),
        (f"{one_message}/replay", received, "replay"),
        (f"{one_source}/replay", received, "bulk"),
        (f"{one_source}/held", received, "held"),
        (f"{one_source}/dead-letter", received, "dead"),
        (f"{one_source}/refusal", received, "refusals"),
        *_deliveries(one_source, Messages(outbox, bodies), Attempts(outbox)),
    )


def _endpoints(owner: str, endpoints: Endpoints) -> Iterable[Route]:
    one_endpoint = f"{owner}/endpoint/{{ep}}"
    return (
        (f"{owner}/endpoint", endpoints, "all"),
        (one_endpoint, endpoints, None),
        (f"{one_endpoint}/pause", endpoints, "pause"),
        (f"{one_endpoint}/resume", endpoints, "resume"),
        (f"{one_endpoint}/recover", endpoints, "recover"),
        (f"{one_endpoint}/secret", endpoints, "secret"),
        (f"{one_endpoint}/secret/rotate", endpoints, "rotate"),
        (f"{one_endpoint}/headers", endpoints, "headers"),
        (f"{one_endpoint}/stats", endpoints, "stats"),
    )


def _deliveries(owner: str, messages: Messages, attempts: Attempts) -> Iterable[Route]:
    one_message = f"{owner}/msg/{{msg}}"
    return (
        (f"{one_message}/endpoint", messages, "destinations"),
        (f"{one_message}/endpoint/{{ep}}/resend", messages, "resend"),
        (f"{one_message}/endpoint/{{ep}}/attempt", attempts, "of_delivery"),
        (f"{one_message}/attempt", attempts, "of_message"),
        (f"{one_message}/attempt/{{att}}", attempts, None),
        (f"{one_message}/attempt/{{att}}/content", attempts, "content"),
        (f"{one_message}/content", messages, "content"),
        (f"{owner}/endpoint/{{ep}}/msg", messages, "of_endpoint"),
        (f"{owner}/attempt/endpoint/{{ep}}", attempts, "of_endpoint"),
        (f"{owner}/attempt/msg/{{msg}}", attempts, "of_message"),
    )


def _operation(outbox: Outbox, metrics: Metrics, readiness: Readiness) -> Iterable[Route]:
    health = Health(outbox, readiness)
    return (
        (f"{BASE}/health", health, None),
        (f"{BASE}/health/ping", health, "ping"),
        (f"{BASE}/node", Nodes(outbox), None),
        ("/livez", health, "alive"),
        ("/readyz", health, None),
        ("/metrics", MetricsPage(metrics, outbox), None),
    )
