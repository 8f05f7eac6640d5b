"""What each address of the API asks of its caller: which right, and in which place."""

from __future__ import annotations

import functools

from ringback.access import Need, Place, Right

_APPLICATION = "/api/v1/app/{app}"
_EVENT_TYPES = "/api/v1/event-type"
_TASKS = "/api/v1/background-task"
_TOKENS = "/api/v1/auth/"
_LOGOUT = "/api/v1/auth/logout"
_INGEST = "/ingest/api/v1/source"
_LOOKS = frozenset({"GET", "HEAD"})

# What of an application is neither looking nor for its operator alone, by what follows the application's address.
_RIGHTS = {
    ("POST", "/msg"): Right.PUBLISH,
    ("POST", "/msg/batch"): Right.PUBLISH,
    ("POST", "/msg/precheck/active"): Right.PUBLISH,
    ("POST", "/endpoint"): Right.MANAGE_ENDPOINTS,
    ("PUT", "/endpoint/{ep}"): Right.MANAGE_ENDPOINTS,
    ("PATCH", "/endpoint/{ep}"): Right.MANAGE_ENDPOINTS,
    ("DELETE", "/endpoint/{ep}"): Right.MANAGE_ENDPOINTS,
    ("PUT", "/endpoint/{ep}/headers"): Right.MANAGE_ENDPOINTS,
    ("PATCH", "/endpoint/{ep}/headers"): Right.MANAGE_ENDPOINTS,
    ("POST", "/endpoint/{ep}/pause"): Right.MANAGE_ENDPOINTS,
    ("POST", "/endpoint/{ep}/resume"): Right.MANAGE_ENDPOINTS,
    ("PUT", "/endpoint/{ep}/auth"): Right.MANAGE_ENDPOINTS,
    ("PATCH", "/endpoint/{ep}/auth"): Right.MANAGE_ENDPOINTS,
    ("DELETE", "/endpoint/{ep}/auth"): Right.MANAGE_ENDPOINTS,
    ("PUT", "/endpoint/{ep}/oauth"): Right.MANAGE_ENDPOINTS,
    ("PATCH", "/endpoint/{ep}/oauth"): Right.MANAGE_ENDPOINTS,
    ("DELETE", "/endpoint/{ep}/oauth"): Right.MANAGE_ENDPOINTS,
    ("PUT", "/endpoint/{ep}/mtls"): Right.MANAGE_ENDPOINTS,
    ("PATCH", "/endpoint/{ep}/mtls"): Right.MANAGE_ENDPOINTS,
    ("DELETE", "/endpoint/{ep}/mtls"): Right.MANAGE_ENDPOINTS,
    ("PATCH", "/endpoint/{ep}/transformation"): Right.TRANSFORM,
    ("POST", "/endpoint/{ep}/transformation/simulate"): Right.TRANSFORM,
    ("POST", "/endpoint/{ep}/dry-run"): Right.TRANSFORM,
    ("GET", "/endpoint/{ep}/secret"): Right.SEE_SECRETS,
    ("HEAD", "/endpoint/{ep}/secret"): Right.SEE_SECRETS,
    ("POST", "/endpoint/{ep}/secret/rotate"): Right.ROTATE_SECRETS,
    ("POST", "/endpoint/{ep}/canary"): Right.REDELIVER,
    ("POST", "/endpoint/{ep}/recover"): Right.REDELIVER,
    ("POST", "/endpoint/{ep}/replay-missing"): Right.REDELIVER,
    ("POST", "/endpoint/{ep}/bulk-replay"): Right.REDELIVER,
    ("POST", "/bulk-replay"): Right.REDELIVER,
    ("POST", "/msg/{msg}/endpoint/{ep}/resend"): Right.REDELIVER,
    ("POST", "/poller"): Right.MANAGE_ENDPOINTS,
    ("PATCH", "/poller/{poller}"): Right.MANAGE_ENDPOINTS,
    ("DELETE", "/poller/{poller}"): Right.MANAGE_ENDPOINTS,
    ("POST", "/poller/{poller}/token/rotate"): Right.ROTATE_SECRETS,
    ("GET", "/poller/{poller}"): Right.POLL,
    ("HEAD", "/poller/{poller}"): Right.POLL,
    ("GET", "/poller/{poller}/consumer/{consumer}"): Right.POLL,
    ("HEAD", "/poller/{poller}/consumer/{consumer}"): Right.POLL,
    ("POST", "/poller/{poller}/consumer/{consumer}/seek"): Right.POLL,
}
# Sources are shown with their addresses, and whoever knows one may knock.
_SECRET_SOURCES = frozenset({_INGEST, f"{_INGEST}/{{source}}"})


@functools.cache
def need_of(method: str, template: str) -> Need:
    """Return what an address asks for; of one that is not known here, everything."""
    if template == _LOGOUT or template.startswith((_EVENT_TYPES, _TASKS)):
        return _need_of_shared(method, template)
    looking = Right.READ if method in _LOOKS else Right.OPERATE
    if template == _APPLICATION:
        return Need(looking, Place.APPLICATION if method in _LOOKS else Place.ORGANISATION)
    if template.startswith(f"{_APPLICATION}/"):
        right = _RIGHTS.get((method, template.removeprefix(_APPLICATION)), looking)
        return Need(right, Place.APPLICATION)
    if template.startswith(_TOKENS) or template in _SECRET_SOURCES or template.endswith("/secret"):
        return Need(Right.OPERATE, Place.ORGANISATION)
    return Need(looking, Place.ORGANISATION)


def _need_of_shared(method: str, template: str) -> Need:
    if template.startswith(_TASKS):
        # Each caller sees those of its own application: the resource looks.
        return Need(Right.READ if method in _LOOKS else Right.REDELIVER, Place.SHARED)
    if method in _LOOKS or template == _LOGOUT:
        return Need(None, Place.SHARED)
    return Need(Right.OPERATE, Place.ORGANISATION)
