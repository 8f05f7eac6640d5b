"""The table of routes, and the application that serves them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from falcon.asgi import App

from ringback.outbox import Outbox
from ringback.server.api.application import Applications
from ringback.server.api.attempt import Attempts
from ringback.server.api.endpoint import Endpoints
from ringback.server.api.event_type import EventTypes
from ringback.server.api.message import Messages
from ringback.server.auth import Guard, Tokens
from ringback.server.bodies import Bodies
from ringback.server.health import Health, Readiness
from ringback.server.metrics import Metrics, MetricsPage
from ringback.server.replies import handle_errors

BASE = "/api/v1"

Route = tuple[str, object, str | None]


def create_app(
    *, outbox: Outbox, tokens: Tokens, metrics: Metrics, readiness: Readiness, max_body: int
) -> App[Any, Any]:
    """Build the ASGI application.

    Args:
        outbox: What the API manages and publishes through.
        tokens: Who may use it.
        metrics: What ``/metrics`` shows.
        readiness: Says why this node should get no requests now; None when it should.
        max_body: The largest request body, in bytes.
    """
    app: App[Any, Any] = App(middleware=[Guard(tokens)])
    app.req_options.strip_url_path_trailing_slash = True
    handle_errors(app)
    routes = (*_management(outbox, Bodies(max_body)), *_operation(outbox, metrics, readiness))
    for path, resource, suffix in routes:
        app.add_route(path, resource, suffix=suffix)
    return app


def _management(outbox: Outbox, bodies: Bodies) -> Iterable[Route]:
    applications, event_types = Applications(outbox, bodies), EventTypes(outbox, bodies)
    endpoints, messages, attempts = Endpoints(outbox, bodies), Messages(outbox, bodies), Attempts(outbox)
    one_application = f"{BASE}/app/{{app}}"
    one_endpoint = f"{one_application}/endpoint/{{ep}}"
    one_message = f"{one_application}/msg/{{msg}}"
    return (
        (f"{BASE}/app", applications, "all"),
        (one_application, applications, None),
        (f"{one_application}/endpoint", endpoints, "all"),
        (one_endpoint, endpoints, None),
        (f"{one_endpoint}/pause", endpoints, "pause"),
        (f"{one_endpoint}/resume", endpoints, "resume"),
        (f"{one_endpoint}/recover", endpoints, "recover"),
        (f"{one_endpoint}/secret", endpoints, "secret"),
        (f"{one_endpoint}/secret/rotate", endpoints, "rotate"),
        (f"{one_endpoint}/headers", endpoints, "headers"),
        (f"{BASE}/event-type", event_types, "all"),
        (f"{BASE}/event-type/{{name}}", event_types, None),
        (f"{one_application}/msg", messages, "all"),
        (f"{one_application}/msg/batch", messages, "batch"),
        (one_message, messages, None),
        (f"{one_message}/endpoint", messages, "destinations"),
        (f"{one_message}/endpoint/{{ep}}/resend", messages, "resend"),
        (f"{one_message}/attempt/{{att}}", attempts, None),
        (f"{one_application}/attempt/endpoint/{{ep}}", attempts, "of_endpoint"),
        (f"{one_application}/attempt/msg/{{msg}}", attempts, "of_message"),
    )


def _operation(outbox: Outbox, metrics: Metrics, readiness: Readiness) -> Iterable[Route]:
    health = Health(outbox, readiness)
    return (
        (f"{BASE}/health", health, None),
        (f"{BASE}/health/ping", health, "ping"),
        ("/livez", health, "alive"),
        ("/readyz", health, None),
        ("/metrics", MetricsPage(metrics, outbox), None),
    )
