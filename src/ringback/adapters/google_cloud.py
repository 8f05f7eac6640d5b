"""Google Cloud Functions and Cloud Run functions: HTTP functions for intake and for a scheduled worker.

``hooks = google_intake(inbox)`` is the function to deploy; the last segment of the path names the source. Deploy
``worker = google_drain(inbox)`` as a second one, closed to the public, and have Cloud Scheduler call it: an instance
has no processor time between requests, so a thread of its own would stand still. The store has to outlive the instance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback.adapters import Door, Drain, counts, source_name
from ringback.adapters.flask import answer

if TYPE_CHECKING:
    import flask

SECONDS = 50.0


def google_intake(inbox: Door) -> Callable[[flask.Request], flask.Response]:
    """Return the HTTP function that receives webhooks for *inbox*."""

    def receive(request: flask.Request) -> flask.Response:
        # TLS ends at Google's front, which says in this header how it was called.
        scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
        return answer(inbox, source_name(request.path), request, scheme)

    return receive


def google_drain(inbox: Drain, seconds: float = SECONDS) -> Callable[[flask.Request], dict[str, int | bool]]:
    """Return the HTTP function that handles what is due, for at most *seconds*, and answers with the counts.

    *seconds* should be less than the function's own timeout, which is 60 s unless configured.
    """

    def work(request: flask.Request) -> dict[str, int | bool]:  # noqa: ARG001 - the signature of an HTTP function
        return counts(inbox.drain(seconds))

    return work
