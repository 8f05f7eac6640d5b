"""Which URLs webhooks may be sent to: what a URL is, and what the provider asks of one beyond that."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ringback.drafts import EndpointDraft
from ringback.errors import InvalidInput

_LOCAL_NAMES = (".localhost", ".local", ".internal")


def url_problem(url: str) -> str | None:
    """Return why nothing can be sent to *url*; None where it can."""
    try:
        EndpointDraft(url=url).check()
    except InvalidInput as error:
        return error.fields[0].msg
    return None


def strict_url_problem(url: str) -> str | None:
    """Return what the provider has against a URL that is one (its help pages on webhook URLs); None: nothing."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return "it must begin with https://"
    if parts.port is not None:
        return "it must name no port"
    if _is_address(host):
        return "it must name a host, not an IP address"
    if "." not in host or host.endswith(_LOCAL_NAMES):
        return "its host must be reachable from the internet"
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
