"""The table of routes: which resource answers at which address."""

from __future__ import annotations

from collections.abc import Iterable

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
from ringback.server.health import Health
from ringback.server.metrics import MetricsPage
from ringback.server.operation import Route, routes_of

BASE = "/api/v1"
INGEST = "/ingest/api/v1"
OPERATIONAL = f"{BASE}/operational-webhook"

# An address, the resource that answers there, and the ending of the names of its responders.
Entry = tuple[str, type, str | None]

# What the parts of addresses in braces stand for.
PARTS = {
    "app": "An application: its id or your uid.",
    "att": "An attempt: its id.",
    "ep": "An endpoint: its id or your uid.",
    "msg": "A message: its id or your event id.",
    "name": "The name of an event type.",
    "poller": "A poller: its id.",
    "consumer": "One of those who ask: a name of your choice, 1 to 256 of `a-zA-Z0-9_.-`.",
    "source": "A source: its id or your uid.",
    "task": "A background task: its id.",
    "token": "A token: its id.",
}

# What operations are about, in the order of the document.
TAGS = {
    "Application": "Tenants, usually your customers: the owners of endpoints and messages.",
    "Endpoint": "Places that the messages of an application are delivered to.",
    "Event Type": "Kinds of messages that endpoints can subscribe to.",
    "Message": "What is published to the endpoints of an application.",
    "Message Attempt": "Where messages stand at endpoints, and every try at delivering them.",
    "Background Task": "Long work, such as delivering many messages again.",
    "Message Poller": "Endpoints without an address, for receivers that nobody can reach: they ask for their messages.",
    "Operational Webhook Endpoint": "Places that operators are told at what happens to endpoints and deliveries.",
    "Operational Webhook Message": "What operators were told.",
    "Operational Webhook Message Attempt": "Where that stands, and every try at delivering it.",
    "Authentication": "Tokens for an application's own people.",
    "Api Token": "Tokens for programs that use the API.",
    "Ingest Source": "Inbound doors, one per provider and purpose.",
    "Ingest Endpoint": "Places that what a source receives is forwarded to.",
    "Ingest Message": "What sources received.",
    "Ingest Message Attempt": "Where received messages stand, and every try at delivering them.",
    "Node": "The processes that share the store.",
    "Health": "Whether this node lives and should be sent requests.",
    "Metrics": "What there is to watch.",
    "Reference": "This description of the API, for programs and for people.",
}


def entries() -> tuple[Entry, ...]:
    """Return the table."""
    return (*_management(), *_operational(), *_ingest(), *_operation())


def routes() -> tuple[Route, ...]:
    """Return every method of every address."""
    return tuple(route for entry in entries() for route in routes_of(*entry))


def _management() -> Iterable[Entry]:
    one_application = f"{BASE}/app/{{app}}"
    one_message = f"{one_application}/msg/{{msg}}"
    return (
        (f"{BASE}/app", Applications, "all"),
        (one_application, Applications, None),
        *_endpoints(one_application, Endpoints),
        (f"{one_application}/endpoint/{{ep}}/send-example", Messages, "example"),
        (f"{BASE}/event-type", EventTypes, "all"),
        (f"{BASE}/event-type/import/openapi", EventTypes, "openapi"),
        (f"{BASE}/event-type/{{name}}", EventTypes, None),
        (f"{one_application}/msg", Messages, "all"),
        (f"{one_application}/msg/batch", Messages, "batch"),
        (f"{one_application}/msg/precheck/active", Precheck, None),
        (f"{one_application}/msg/bulk-expunge", Contents, "bulk"),
        (f"{one_application}/msg/expunge-all-contents", Contents, "all"),
        (one_message, Messages, None),
        (f"{one_message}/cancel", Messages, "cancel"),
        *_deliveries(one_application),
        *_pollers(f"{one_application}/poller"),
        *_tasks(),
        *_authentication(),
    )


def _pollers(pollers: str) -> Iterable[Entry]:
    one_poller = f"{pollers}/{{poller}}"
    one_consumer = f"{one_poller}/consumer/{{consumer}}"
    return (
        (pollers, MessagePollers, "all"),
        (one_poller, MessagePollers, None),
        (f"{one_poller}/token/rotate", MessagePollers, "rotate"),
        (one_consumer, MessagePollers, "consumer"),
        (f"{one_consumer}/seek", MessagePollers, "seek"),
    )


def _tasks() -> Iterable[Entry]:
    one_task = f"{BASE}/background-task/{{task}}"
    return (
        (f"{BASE}/background-task", BackgroundTasks, "all"),
        (one_task, BackgroundTasks, None),
        (f"{one_task}/pause", BackgroundTasks, "pause"),
        (f"{one_task}/resume", BackgroundTasks, "resume"),
        (f"{one_task}/cancel", BackgroundTasks, "cancel"),
    )


def _authentication() -> Iterable[Entry]:
    return (
        (f"{BASE}/auth/app-portal-access/{{app}}", Authentication, "portal"),
        (f"{BASE}/auth/dashboard-access/{{app}}", Authentication, "dashboard"),
        (f"{BASE}/auth/app/{{app}}/expire-all", Authentication, "expire"),
        (f"{BASE}/auth/logout", Authentication, "logout"),
        (f"{BASE}/auth/api-token", ApiTokens, "all"),
        (f"{BASE}/auth/api-token/{{token}}", ApiTokens, None),
    )


def _operational() -> Iterable[Entry]:
    return (
        *_endpoints(OPERATIONAL, OperationalEndpoints),
        (f"{OPERATIONAL}/msg", Messages, "published"),
        (f"{OPERATIONAL}/msg/{{msg}}", Messages, None),
        *_deliveries(OPERATIONAL),
    )


def _ingest() -> Iterable[Entry]:
    one_source = f"{INGEST}/source/{{source}}"
    one_message = f"{one_source}/msg/{{msg}}"
    return (
        (f"{INGEST}/source", SourceResource, "all"),
        (one_source, SourceResource, None),
        (f"{one_source}/token/rotate", SourceResource, "rotate"),
        (f"{one_source}/stats", SourceResource, "stats"),
        *_endpoints(one_source, SourceEndpoints),
        (f"{one_source}/msg", Received, "all"),
        (one_message, Received, None),
        (f"{one_message}/replay", Received, "replay"),
        (f"{one_source}/replay", Received, "bulk"),
        (f"{one_source}/held", Received, "held"),
        (f"{one_source}/dead-letter", Received, "dead"),
        (f"{one_source}/refusal", Received, "refusals"),
        *_deliveries(one_source),
    )


def _endpoints(owner: str, endpoints: type[Endpoints]) -> Iterable[Entry]:
    one_endpoint = f"{owner}/endpoint/{{ep}}"
    return (
        (f"{owner}/endpoint", endpoints, "all"),
        (one_endpoint, endpoints, None),
        (f"{one_endpoint}/pause", endpoints, "pause"),
        (f"{one_endpoint}/resume", endpoints, "resume"),
        (f"{one_endpoint}/canary", Canaries, None),
        (f"{one_endpoint}/recover", endpoints, "recover"),
        (f"{one_endpoint}/replay-missing", Replaying, "missing"),
        (f"{one_endpoint}/bulk-replay", Replaying, "bulk"),
        (f"{owner}/bulk-replay", Replaying, "all"),
        (f"{one_endpoint}/secret", endpoints, "secret"),
        (f"{one_endpoint}/secret/rotate", endpoints, "rotate"),
        (f"{one_endpoint}/headers", endpoints, "headers"),
        (f"{one_endpoint}/stats", endpoints, "stats"),
        (f"{one_endpoint}/attempt-stats", endpoints, "attempt_stats"),
        (f"{one_endpoint}/auth", EndpointOptions, "auth"),
        (f"{one_endpoint}/oauth", EndpointOptions, "oauth"),
        (f"{one_endpoint}/mtls", EndpointOptions, "mtls"),
        (f"{one_endpoint}/transformation", EndpointOptions, "transformation"),
        (f"{one_endpoint}/transformation/simulate", EndpointOptions, "simulate"),
        (f"{one_endpoint}/dry-run", EndpointOptions, "dry_run"),
    )


def _deliveries(owner: str) -> Iterable[Entry]:
    one_message = f"{owner}/msg/{{msg}}"
    return (
        (f"{one_message}/endpoint", Messages, "destinations"),
        (f"{one_message}/endpoint/{{ep}}/resend", Messages, "resend"),
        (f"{one_message}/endpoint/{{ep}}/attempt", Attempts, "of_delivery"),
        (f"{one_message}/attempt", Attempts, "formerly_of_message"),
        (f"{one_message}/attempt/{{att}}", Attempts, None),
        (f"{one_message}/attempt/{{att}}/content", Attempts, "content"),
        (f"{one_message}/content", Messages, "content"),
        (f"{owner}/endpoint/{{ep}}/msg", Messages, "of_endpoint"),
        (f"{owner}/attempt/endpoint/{{ep}}", Attempts, "of_endpoint"),
        (f"{owner}/attempt/msg/{{msg}}", Attempts, "of_message"),
    )


def _operation() -> Iterable[Entry]:
    return (
        (f"{BASE}/health", Health, None),
        (f"{BASE}/health/ping", Health, "ping"),
        (f"{BASE}/node", Nodes, None),
        ("/livez", Health, "alive"),
        ("/readyz", Health, None),
        ("/metrics", MetricsPage, None),
        (f"{BASE}/openapi.json", Reference, "document"),
        ("/docs", Reference, "page"),
    )
