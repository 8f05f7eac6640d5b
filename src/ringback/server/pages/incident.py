"""What happened at an endpoint, as Markdown to pass on: to a ticket, a chat, its owner."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.design.writing import counted, span
from ringback.model import Attempt, Endpoint, Instant, iso
from ringback.secrecy import masked_url
from ringback.server.pages.fare import Fare, Trouble
from ringback.server.pages.wording import OUTCOMES, badge, failure

# What would begin something in Markdown or HTML, and would come from outside.
_MARKS = str.maketrans({letter: f"\\{letter}" for letter in "\\`*_{}[]<>()#+-!|"} | {"\n": " ", "\r": " "})


def summary(endpoint: Endpoint, fare: Fare, now: Instant) -> str:
    """Return the summary: where, since when, how often and how it fails."""
    return "\n".join(_lines(endpoint, fare, now)) + "\n"


def _lines(endpoint: Endpoint, fare: Fare, now: Instant) -> Iterator[str]:
    yield f"## Webhook endpoint {plain(masked_url(endpoint.url))}"
    yield ""
    yield f"- Endpoint: `{endpoint.id}` of application `{endpoint.application_id}`"
    yield f"- As of {iso(now)}: {badge(endpoint.state).word.lower()}"
    if fare.rate is None:
        yield "- Nothing has been sent to it that is still on record."
        return
    yield (
        f"- Of the latest {counted(len(fare.attempts), 'attempt')}, since {iso(fare.attempts[-1].started_at)}:"
        f" {fare.rate} % succeeded"
    )
    if fare.last_success is not None:
        yield f"- Last success: {iso(fare.last_success.started_at)} ({_answer(fare.last_success)})"
    if fare.since is not None:
        yield f"- First failure after it: {iso(fare.since.started_at)} ({_answer(fare.since)})"
    if fare.troubles:
        yield ""
        yield "| How it fails | Times | First | Last |"
        yield "|---|---|---|---|"
        yield from (_row(trouble) for trouble in fare.worst)
        if len(fare.worst) < len(fare.troubles):
            yield ""
            yield f"And in {counted(len(fare.troubles) - len(fare.worst), 'other way')}."


def _row(trouble: Trouble) -> str:
    what = plain(failure(trouble.kind, trouble.status, trouble.detail))
    return f"| {what} | {trouble.count} | {iso(trouble.first)} | {iso(trouble.last)} |"


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return text.translate(_MARKS)


def _answer(attempt: Attempt) -> str:
    status = attempt.outcome.status
    return f"{status} in {span(attempt.duration)}" if status else OUTCOMES[attempt.outcome.kind].lower()
