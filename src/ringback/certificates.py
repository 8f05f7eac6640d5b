"""Client certificates that end: what a doctor tells of those that endpoints' requests show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ringback.client_certificate import shown
from ringback.diagnosis import PAGE, Finding, Verdict, counted
from ringback.model import Endpoint, Instant, iso
from ringback.policy import DAY
from ringback.store import Page, Store

SOON = 14 * DAY
ABOUT = "certificates"
_WHY = "a receiver that asks for a certificate takes none that has ended, and nothing is delivered there"


def certified(store: Store) -> tuple[Endpoint, ...]:
    """Return the endpoints whose requests show a client certificate."""
    return tuple(one for one in _with_options(store) if one.credentials and one.credentials.certificate)


def examine_certificates(endpoints: Iterable[Endpoint], now: Instant) -> Iterator[Finding]:
    """Tell of certificates that have ended or soon will, each with its endpoint, or when the first will."""
    ends = [
        (shown(one.credentials.certificate.identity).not_after, one)
        for one in endpoints
        if one.credentials is not None and one.credentials.certificate is not None
    ]
    late = [(end, endpoint) for end, endpoint in ends if end < now + SOON]
    for end, endpoint in sorted(late, key=lambda pair: pair[0]):
        over = end <= now
        yield Finding(
            Verdict.WARNING,
            f"endpoint {endpoint.uid or endpoint.id}",
            f"its client certificate {'ended' if over else 'ends'} at {iso(end)}",
            _WHY,
            f"put a new one: PUT .../{endpoint.application_id}/endpoint/{endpoint.id}/mtls",
        )
    if ends and not late:
        first = min(end for end, _ in ends)
        yield Finding(
            Verdict.OK,
            ABOUT,
            f"{counted(len(ends), 'endpoint')} with one, of which the first ends at {iso(first)}",
        )


def _with_options(store: Store) -> Iterator[Endpoint]:
    page = store.endpoints_with_options(Page(limit=PAGE))
    while page:
        yield from page
        page = store.endpoints_with_options(Page(limit=PAGE, cursor=page[-1].id))
