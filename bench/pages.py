"""``python -m bench.pages``: how long the server's pages take where a million messages are stored.

The store is filled through its own verbs (see ``filling``). Then a server starts on it, and every page is asked for
again and again, as operators see it and as an application's own people do.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import click
import msgspec

from bench.figures import percentile
from bench.filling import KINDS, Filled, Filling
from bench.machine import describe
from bench.processes import BenchError, Server, installation, server
from bench.wire import LOOPBACK
from ringback.store import open_store
from ringback.vault import parse_main_keys

REPETITIONS = 20
# What the project promises of every page, but for the very first look at a store that nobody has read yet.
MOST_MS, MOST_KB = 100.0, 60.0
WIDTH = 48
_ENDPOINT = "/applications/{application}/endpoints"
# The pages of operators and of an application's own people, by what they are called; names stand for ids.
OPERATORS: Mapping[str, str] = {
    "overview, a day": "/",
    "overview, an hour": "/?span=1h",
    "overview, a week": "/?span=7d",
    "live view": "/watch",
    "live view, failed": "/watch?show=failed",
    "messages": "/messages",
    "messages of an application": "/messages?application={application}",
    "messages that failed": "/messages?status=failed",
    "messages under way": "/messages?status=underway",
    "messages that wait": "/messages?status=waiting",
    "messages of a type that failed": f"/messages?type={KINDS[0]}&status=failed",
    "messages by event id": "/messages?text=event-7",
    "messages with a text that none has": "/messages?text=nothing+has+this+text",
    "the same in one application": "/messages?text=nothing+has+this+text&application={application}",
    "a message": "/messages/{application}/{message}",
    "two messages compared": "/messages/{application}/{message}/compare?with={earlier}",
    "applications": "/applications",
    "an application": "/applications/{application}",
    "an endpoint that fails often": f"{_ENDPOINT}/{{troubled}}",
    "an endpoint that has failed for long": f"{_ENDPOINT}/{{broken}}",
    "its attempts": f"{_ENDPOINT}/{{broken}}/attempts",
    "its attempts that succeeded": f"{_ENDPOINT}/{{broken}}/attempts?went=well",
    "its attempts without an answer": f"{_ENDPOINT}/{{broken}}/attempts?class=0",
    "its messages": f"{_ENDPOINT}/{{broken}}/messages",
    "its messages that failed": f"{_ENDPOINT}/{{broken}}/messages?standing=failed",
    "its messages of a type that failed": f"{_ENDPOINT}/{{broken}}/messages?standing=failed&type={KINDS[0]}",
    "its messages of a type that there is not": f"{_ENDPOINT}/{{broken}}/messages?type=none",
    "its messages of a type, delivered": f"{_ENDPOINT}/{{broken}}/messages?standing=succeeded&type={KINDS[0]}",
    "its settings": f"{_ENDPOINT}/{{broken}}/edit",
    "how to make it work": f"{_ENDPOINT}/{{broken}}/start",
    "replay, previewed": f"{_ENDPOINT}/{{broken}}/replay?which=failed&window=1d",
    "replay of everything, previewed": f"{_ENDPOINT}/{{troubled}}/replay?which=rest&window=7d",
    "replays": "/replays",
    "sources": "/sources",
    "a source": "/sources/{source}",
    "its refused requests": "/sources/{source}/refused",
    "its dead letters": "/sources/{source}/dead",
    "dead letters of all sources": "/dead-letters",
    "what nothing handles": "/sources/{source}/unhandled",
    "event types": "/event-types",
    "an event type": f"/event-types/{KINDS[0]}",
    "API keys": "/keys",
    "server": "/settings",
}
OWNERS: Mapping[str, str] = {
    "portal": "/portal",
    "portal: messages": "/portal/messages",
    "portal: messages of a type": f"/portal/messages?type={KINDS[0]}",
    "portal: messages of a type that there is not": "/portal/messages?type=none",
    "portal: a message": "/portal/messages/{message}",
    "portal: an endpoint": "/portal/endpoints/{broken}",
    "portal: its messages that failed": "/portal/endpoints/{broken}/messages?standing=failed",
    "portal: replays": "/portal/replays",
    "portal: event types": "/portal/event-types",
    "portal: an event type": f"/portal/event-types/{KINDS[0]}",
}


class Page(msgspec.Struct, frozen=True):
    """A page, and how it was answered: milliseconds of the first look, of the median and of the slowest other one."""

    name: str
    first: float
    median: float
    slowest: float
    kilobytes: float


@click.command()
@click.option(
    "--messages", default=1_000_000, show_default=True, type=click.IntRange(1_000, 10_000_000), help="Stored."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where temporary files go.",
)
def main(messages: int, folder: Path | None) -> None:
    """Measure the server's pages on this machine. Filling the store takes some minutes."""
    with tempfile.TemporaryDirectory(prefix="ringback-bench-", dir=folder) as data:
        print(describe(Path(data)), flush=True)
        place = installation(Path(data) / "server")
        store = open_store(place.store, parse_main_keys(place.main_key))
        try:
            filled = Filling(store).fill(messages)
        finally:
            store.close()
        try:
            with server(place) as running:
                pages = list(looked_at(running, filled))
        except BenchError as error:
            sys.exit(f"bench: {error}")
    print("\n".join(table(pages)))
    slow = [page.name for page in pages if page.median > MOST_MS or page.kilobytes > MOST_KB]
    if slow:
        sys.exit(f"WRONG: more than {MOST_MS:.0f} ms or {MOST_KB:.0f} kB: {', '.join(slow)}")


def looked_at(running: Server, filled: Filled) -> Iterator[Page]:
    """Yield how each page was answered by a server that has what was *filled* in."""
    connection = http.client.HTTPConnection(LOOPBACK, running.port)
    ids = msgspec.structs.asdict(filled)
    operator = _signed_in(connection, running.token)
    owner = _signed_in(connection, _portal_token(connection, running.token, filled.application))
    for session, pages in ((operator, OPERATORS), (owner, OWNERS)):
        headers = {"cookie": session, "accept": "text/html"}
        for name, path in pages.items():
            yield _looked_at(connection, name, path.format(**ids), headers)


def _looked_at(connection: http.client.HTTPConnection, name: str, path: str, headers: dict[str, str]) -> Page:
    took, size = [], 0
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        size = len(answer.read())
        took.append((time.perf_counter() - begin) * 1000)
        if answer.status != http.HTTPStatus.OK:
            raise BenchError(f"{path} was answered with {answer.status}")
    return Page(name, took[0], percentile(took[1:], 0.5), max(took[1:]), size / 1000)


def table(pages: list[Page]) -> list[str]:
    """Return the figures as lines."""
    titles = ("first ms", "median ms", "slowest ms", "kilobytes")
    lines = ["  ".join([f"{'page':<{WIDTH}}", *titles])]
    for page in pages:
        figures = (page.first, page.median, page.slowest, page.kilobytes)
        cells = [f"{figure:>{len(title)}.1f}" for title, figure in zip(titles, figures, strict=True)]
        lines.append("  ".join([f"{page.name:<{WIDTH}}", *cells]))
    return lines


def _signed_in(connection: http.client.HTTPConnection, token: str) -> str:
    connection.request(
        "POST", "/login", urlencode({"token": token}), {"content-type": "application/x-www-form-urlencoded"}
    )
    answer = connection.getresponse()
    answer.read()
    cookie = answer.getheader("set-cookie")
    if cookie is None:
        raise BenchError(f"signing in was answered with {answer.status}")
    return cookie.partition(";")[0]


def _portal_token(connection: http.client.HTTPConnection, token: str, application: str) -> str:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request("POST", f"/api/v1/auth/app-portal-access/{application}", b"{}", headers)
    return str(json.loads(connection.getresponse().read())["token"])


if __name__ == "__main__":
    main()
