"""What went wrong, as a page that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import msgspec

from ringback.errors import InvalidInput, MethodNotAllowed, RingbackError, Unavailable
from ringback.server.pages.page import Header, Page, Visit
from ringback.server.pages.rendering import page

HEADINGS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "You are signed out",
    HTTPStatus.FORBIDDEN: "This is not allowed",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not do that",
    HTTPStatus.CONFLICT: "This cannot be done now",
    HTTPStatus.SERVICE_UNAVAILABLE: "This does not work just now",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong",
}
ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Sign in, then send the form again.",
    HTTPStatus.FORBIDDEN: "Ask whoever runs this server for a token that may do this.",
    HTTPStatus.NOT_FOUND: "It may have been removed, or its address is misspelt. Messages are kept for as long as the "
    "retention setting says.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Open the page again, and use its forms.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Wait a moment, then load the page again. Nothing that was accepted is lost.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The fault is in Ringback, and its log says what it is. Load the page again; if "
    "that does not help, look into the log.",
}
# And to customers, who have links instead of tokens, and no log.
IN_PORTAL: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "Open this page again from where you came from: the link there signs you in.",
    HTTPStatus.FORBIDDEN: "Ask whoever gave you the link for one that does.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The fault is on our side. Load the page again; if that does not help, tell "
    "whoever gave you the link.",
}
OTHERWISE = "Go back, change what was asked for, and try again."
UNSAID = "an error that nobody foresaw"


def problem(visit: Visit, error: Exception) -> Page:
    """Return the page about an error, without anything of the program's insides."""
    status, told = HTTPStatus.INTERNAL_SERVER_ERROR, UNSAID
    if isinstance(error, RingbackError) and (error.status < status or isinstance(error, Unavailable)):
        # What a form or an address held that cannot be, is to pages a plain bad request.
        status = HTTPStatus.BAD_REQUEST if isinstance(error, InvalidInput) else HTTPStatus(error.status)
        told = error.detail
    values = {
        "status": int(status),
        "heading": HEADINGS.get(status, "This did not work"),
        "told": told,
        "faults": list(_faults(error)),
        "advice": (ADVICE if visit.brand is None else ADVICE | IN_PORTAL).get(status, OTHERWISE),
    }
    shown = page(visit, "problem.html", values, status=status)
    return msgspec.structs.replace(shown, headers=(*shown.headers, *_told_to_programs(error)))


def _faults(error: Exception) -> Iterator[tuple[str, str]]:
    for fault in error.fields if isinstance(error, InvalidInput) else ():
        yield ".".join(str(part) for part in fault.loc if part not in {"body", "query"}), fault.msg


def _told_to_programs(error: Exception) -> tuple[Header, ...]:
    if isinstance(error, Unavailable):
        return (("retry-after", str(error.retry_after)),)
    return (("allow", "GET, HEAD, POST"),) if isinstance(error, MethodNotAllowed) else ()
