"""``python -m bench.pages``: how long the server's pages take where a million messages are stored.

The store is filled through its own verbs, with messages of the last day: a dozen applications, most deliveries
succeeded, some failed, some waiting. Then a server starts on it, and every page is asked for again and again.
"""

from __future__ import annotations

import http.client
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

import click
import msgspec

from bench.figures import percentile
from bench.machine import describe
from bench.processes import BenchError, installation, server
from bench.wire import LOOPBACK
from ringback import ids
from ringback.model import Application, Attempt, Endpoint, EndpointSecret, Outcome, OutcomeKind, Phases
from ringback.policy import DAY, HOUR, Decision, Step
from ringback.store import Acceptance, Accepted, Lease, Settlement, Store, Work, open_store
from ringback.store import Page as Part
from ringback.vault import parse_main_keys

APPLICATIONS = 12
ENDPOINTS = 2
BATCH = 1_000
LEASE_MS = 60_000
SECRET = "whsec_" + "QUJD" * 8
KINDS = ("invoice.paid", "invoice.expired", "user.created", "order.shipped")
# Every endpoint fails now and then, the first of all most of the time.
FAILS, FAILS_MOSTLY = 0.005, 0.5
REPETITIONS = 20
# What the project promises of every page, but for the very first look at a store that nobody has read yet.
MOST_MS, MOST_KB = 100.0, 60.0


class Page(msgspec.Struct, frozen=True):
    """A page, and how it was answered: milliseconds of the first look, of the median and of the slowest other one."""

    path: str
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
            last = Filling(store).fill(messages)
        finally:
            store.close()
        try:
            with server(place) as running:
                pages = list(looked_at(running.port, running.token, last))
        except BenchError as error:
            sys.exit(f"bench: {error}")
    print("\n".join(table(pages)))
    slow = [page.path for page in pages if page.median > MOST_MS or page.kilobytes > MOST_KB]
    if slow:
        sys.exit(f"WRONG: more than {MOST_MS:.0f} ms or {MOST_KB:.0f} kB: {', '.join(slow)}")


class Filling:
    """Fills an empty store with a day's messages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._chance = random.Random(7)
        self._tokens = itertools.count(1)
        self._now = time.time_ns() // 1_000_000
        self._applications = [self._application(number) for number in range(APPLICATIONS)]
        with store.transaction():
            for application in self._applications:
                store.add(application)
                for number in range(ENDPOINTS):
                    store.add(self._endpoint(application, number))
        self._troubled = store.endpoints(self._applications[0].id, Part(limit=1))[0].id

    def fill(self, count: int) -> tuple[str, str]:
        """Store *count* messages, evenly over the last day; return the last one's application and id."""
        last = ("", "")
        for begin in range(0, count, BATCH):
            wanted = [self._acceptance(begin + at, count) for at in range(min(BATCH, count - begin))]
            with self._store.transaction():
                lease = Lease(next(self._tokens), self._now + LEASE_MS)
                answers = self._store.accept(wanted, lease, lambda _: True)
                accepted = [answer for answer in answers if isinstance(answer, Accepted)]
                self._store.settle([self._settled(work) for one in accepted for work in one.works])
            self._store.checkpoint()
            last = (accepted[-1].message.application_id, accepted[-1].message.id)
        return last

    def _application(self, number: int) -> Application:
        name = f"Application {number}"
        return Application(
            id=self._id(ids.APPLICATION), name=name, created_at=self._now, updated_at=self._now
        )

    def _endpoint(self, owner: Application, number: int) -> Endpoint:
        return Endpoint(
            id=self._id(ids.ENDPOINT),
            application_id=owner.id,
            url=f"https://receiver.example/{number}",
            created_at=self._now,
            updated_at=self._now,
            secrets=(EndpointSecret(SECRET),),
        )

    def _acceptance(self, number: int, count: int) -> Acceptance:
        at = self._now - DAY + DAY * number // count
        payload = {
            "id": number,
            "amount": self._chance.randrange(10**6),
            "note": "x" * self._chance.randrange(400),
        }
        return Acceptance(
            application=self._chance.choice(self._applications).id,
            id=self._id(ids.MESSAGE, at),
            event_type=self._chance.choice(KINDS),
            payload=msgspec.json.encode(payload),
            created_at=at,
            event_id=f"event-{number}",
        )

    def _settled(self, work: Work) -> Settlement:
        fails = self._chance.random() < (FAILS_MOSTLY if work.endpoint.id == self._troubled else FAILS)
        kind, status = (OutcomeKind.REFUSED, 503) if fails else (OutcomeKind.SUCCESS, 200)
        attempt = Attempt(
            id=self._id(ids.ATTEMPT, work.accepted_at),
            message_id=work.message_id,
            endpoint_id=work.endpoint.id,
            number=1,
            trigger=work.trigger,
            url=work.endpoint.url,
            started_at=work.accepted_at,
            duration=self._chance.randrange(20, 400),
            outcome=Outcome(
                kind=kind, status=status, body=b"busy", phases=Phases(900, 2_000, 6_000, 50, 40_000, 200)
            ),
        )
        if not fails:
            decision = Decision(Step.SUCCEED)
        elif self._chance.random() < FAILS_MOSTLY:
            decision = Decision(Step.EXHAUST)
        else:
            decision = Decision(Step.RETRY, self._now + HOUR)
        return Settlement(work=work, decision=decision, attempt=attempt)

    def _id(self, prefix: str, at: int | None = None) -> str:
        return ids.new_id(prefix, at or self._now, self._chance.randbytes(ids.ENTROPY_BYTES))


def looked_at(port: int, token: str, last: tuple[str, str]) -> Iterator[Page]:
    """Yield how each page was answered by the server on a port; *last* is a message's application and id."""
    connection = http.client.HTTPConnection(LOOPBACK, port)
    headers = {"cookie": _signed_in(connection, token), "accept": "text/html"}
    for path in _paths(*last):
        took, size = [], 0
        for _ in range(REPETITIONS):
            begin = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            size = len(answer.read())
            took.append((time.perf_counter() - begin) * 1000)
            if answer.status != http.HTTPStatus.OK:
                raise BenchError(f"{path} was answered with {answer.status}")
        yield Page(path, took[0], percentile(took[1:], 0.5), max(took[1:]), size / 1000)


def table(pages: list[Page]) -> list[str]:
    """Return the figures as lines."""
    titles = ("first ms", "median ms", "slowest ms", "kilobytes")
    lines = ["  ".join([f"{'page':<72}", *titles])]
    for page in pages:
        figures = (page.first, page.median, page.slowest, page.kilobytes)
        cells = [f"{figure:>{len(title)}.1f}" for title, figure in zip(titles, figures, strict=True)]
        lines.append("  ".join([f"{page.path[:72]:<72}", *cells]))
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


def _paths(application: str, message: str) -> Iterator[str]:
    yield from ("/", "/?span=1h", "/?span=7d", "/watch", "/watch?show=failed")
    yield from ("/applications", f"/applications/{application}")
    yield f"/messages/{application}/{message}"
    searches: tuple[Mapping[str, str], ...] = (
        {},
        {"application": application},
        {"status": "failed"},
        {"status": "underway"},
        {"status": "waiting"},
        {"type": KINDS[0], "status": "failed"},
        {"text": "event-7"},
        {"text": "nothing has this text"},
        {"text": "nothing has this text", "application": application},
    )
    for search in searches:
        yield f"/messages?{urlencode(search)}" if search else "/messages"


if __name__ == "__main__":
    main()
