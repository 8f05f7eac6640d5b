"""The application that serves the routes."""

from __future__ import annotations

import functools
import re
from typing import Any

from falcon.asgi import App

from ringback.canary import SendCanary
from ringback.observe import Observer
from ringback.outbox import Outbox
from ringback.server.api.api_token import ApiTokens
from ringback.server.api.application import Applications
from ringback.server.api.attempt import Attempts
from ringback.server.api.authentication import Authentication
from ringback.server.api.background_task import BackgroundTasks
from ringback.server.api.canary import Canaries
from ringback.server.api.contents import Contents
from ringback.server.api.endpoint import Endpoints
from ringback.server.api.endpoint_option import EndpointOptions
from ringback.server.api.event_type import EventTypes
from ringback.server.api.message import Messages
from ringback.server.api.node import Nodes
from ringback.server.api.operational_endpoint import OperationalEndpoints
from ringback.server.api.poller import MessagePollers
from ringback.server.api.precheck import Precheck
from ringback.server.api.received import Received
from ringback.server.api.reference import Reference
from ringback.server.api.replay import Replaying
from ringback.server.api.source import SourceResource
from ringback.server.api.source_endpoint import SourceEndpoints
from ringback.server.audit import Audit
from ringback.server.auth import Guard, Tokens
from ringback.server.bodies import Bodies
from ringback.server.cors import Sharing
from ringback.server.health import Health, Readiness
from ringback.server.metrics import Metrics, MetricsPage
from ringback.server.openapi import document
from ringback.server.owners import Owners
from ringback.server.pages.site import Site
from ringback.server.replies import handle_errors
from ringback.server.routes import entries, routes
from ringback.server.unknown import Disclosure, Request, StrictRequest
from ringback.sessions import Sessions
from ringback.sources import Sources


class Doors:
    """An ASGI application: ``/in/TOKEN`` is the gateway's, pages are the site's, and everything else the API's."""

    def __init__(self, api: Any, gateway: Any, site: Site) -> None:
        self._api = api
        self._gateway = gateway
        self._site = site

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http" or _IS_API.match(scope["path"]):
            await self._api(scope, receive, send)
        elif _INWARDS.fullmatch(scope["path"]):
            await self._gateway(scope, receive, send)
        else:
            # They may be such as can be read once (ASGI, HTTP connection scope).
            scope = {**scope, "headers": [tuple(pair) for pair in scope["headers"]]}
            await (self._site if self._site.answers(scope) else self._api)(scope, receive, send)


# The addresses that are the API's own, whoever asks.
_IS_API = re.compile(r"/(api|ingest|docs|livez|readyz|metrics)(/|$)")
_INWARDS = re.compile(r"/in/[^/]+/?")


def create_app(
    *,
    outbox: Outbox,
    sources: Sources,
    tokens: Tokens,
    sessions: Sessions,
    metrics: Metrics,
    observer: Observer,
    readiness: Readiness,
    canary: SendCanary,
    max_body: int,
    public_url: str | None = None,
    strict: bool = False,
) -> App[Any, Any]:
    """Build the ASGI application.

    Args:
        outbox: What the API manages and publishes through.
        sources: What it manages sources through.
        tokens: Who may use it.
        sessions: Makes the links that let an application's own people into their portal.
        metrics: What ``/metrics`` shows.
        observer: Is told who did what others may ask about.
        readiness: Says why this node should get no requests now; None when it should.
        canary: Sends one message that waits for a paused endpoint.
        max_body: The largest request body, in bytes.
        public_url: Where providers reach this server; None to take the address of each request.
        strict: Refuse unknown fields and parameters; otherwise they are left out and named in the answer.
    """
    app: App[Any, Any] = App(
        middleware=[Sharing(), Guard(tokens), Owners(sources, outbox), Disclosure()],
        request_type=StrictRequest if strict else Request,
    )
    app.req_options.strip_url_path_trailing_slash = True
    handle_errors(app)
    bodies, audit = Bodies(max_body), Audit(observer)
    resources: dict[type, object] = {
        ApiTokens: ApiTokens(tokens.keys, bodies, audit),
        Applications: Applications(outbox, bodies),
        Attempts: Attempts(outbox),
        Authentication: Authentication(outbox, tokens, sessions, bodies, audit=audit, public_url=public_url),
        BackgroundTasks: BackgroundTasks(outbox),
        Canaries: Canaries(canary),
        Contents: Contents(outbox, bodies),
        EndpointOptions: EndpointOptions(outbox, bodies, audit),
        Endpoints: Endpoints(outbox, bodies, audit),
        EventTypes: EventTypes(outbox, bodies),
        Health: Health(outbox, readiness),
        Messages: Messages(outbox, bodies),
        MessagePollers: MessagePollers(outbox, bodies),
        MetricsPage: MetricsPage(metrics, outbox),
        Nodes: Nodes(outbox),
        OperationalEndpoints: OperationalEndpoints(outbox, bodies, audit),
        Precheck: Precheck(outbox, bodies),
        Received: Received(sources, bodies),
        Reference: Reference(functools.partial(document, routes())),
        Replaying: Replaying(outbox, bodies),
        SourceEndpoints: SourceEndpoints(outbox, bodies, audit),
        SourceResource: SourceResource(sources, bodies, public_url),
    }
    for path, kind, suffix in entries():
        _answer_head(resources[kind], suffix)
        app.add_route(path, resources[kind], suffix=suffix)
    return app


def create_health_app(outbox: Outbox, metrics: Metrics, readiness: Readiness) -> App[Any, Any]:
    """Build what a node without an API answers those with who watch over it: whether it lives, and how it does."""
    app: App[Any, Any] = App()
    handle_errors(app)
    health = Health(outbox, readiness)
    for path, resource, suffix in (
        ("/livez", health, "alive"),
        ("/readyz", health, None),
        ("/metrics", MetricsPage(metrics, outbox), None),
    ):
        _answer_head(resource, suffix)
        app.add_route(path, resource, suffix=suffix)
    return app


def _answer_head(resource: object, suffix: str | None) -> None:
    """Have a resource answer HEAD as it does GET; the framework leaves out the body (RFC 9110, 9.3.2)."""
    ending = "" if suffix is None else f"_{suffix}"
    responder = getattr(resource, f"on_get{ending}", None)
    if responder is not None and not hasattr(resource, f"on_head{ending}"):
        setattr(resource, f"on_head{ending}", responder)
