"""``python -m bench.drill``: three nodes over one PostgreSQL, under load, while all goes wrong that can be made to.

The nodes are restarted one after the other; then one is killed every few seconds, PostgreSQL crashes in the middle,
and a node is stopped for longer than its leases last and goes on as if nothing had been. Publishers and receiver
outlive everything and keep the books, from which the verdict is told. It exits with 1 if a promise was broken.
"""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import click
import msgspec
import psycopg

from bench import postgres
from bench.ledger import Acknowledged, Arrivals, Publisher
from bench.processes import (
    BenchError,
    Installation,
    Server,
    Sink,
    await_ready,
    installation,
    launched,
    sink,
)
from bench.wire import LOOPBACK, free_port

NODES = 3
PUBLISHERS = 24
KILL_EVERY = 5.0
ZOMBIE_EVERY = 40.0
DELIVERY_SECONDS = 2
LEASE_SECONDS = DELIVERY_SECONDS + 15
TAKEN_OVER_WITHIN = 60.0
# A node that is stopped in the middle of a transaction holds the others up until PostgreSQL ends that, after five
# seconds; and a publisher finds the one node that answers after it has waited for the other two.
ANSWERED_WITHIN = 30.0
# A success is on record with the commit after its answer, which a busy machine may put off this long.
SETTLED_WITHIN = 3.0
STOP_SECONDS = 35.0
START_SECONDS = 60.0
POLL_SECONDS = 0.2
UNDER_WAY = """
SELECT m.id FROM ringback_delivery d JOIN ringback_message m ON m.key = d.message_key WHERE d.due_at IS NOT NULL
"""
# Tells of every delivery that was at rest and is changed: nobody asks for that here.
AUDIT = """
CREATE TABLE drill_reopened (message_key bigint, was text, became text);
CREATE FUNCTION drill_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO drill_reopened VALUES (NEW.message_key, OLD.state, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER drill_reopened AFTER UPDATE ON ringback_delivery FOR EACH ROW WHEN (OLD.due_at IS NULL)
    EXECUTE FUNCTION drill_note();
"""


class Promise(msgspec.Struct, frozen=True):
    """What was promised, what was found, and whether that is it."""

    text: str
    found: str
    kept: bool


class Node:
    """One of the nodes, on a port of its own, in one process after another."""

    def __init__(self, number: int, place: Installation) -> None:
        self.name = f"node-{number}"
        self.port = free_port()
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait for it."""
        self._process = launched(
            self._place,
            self.port,
            name=self.name,
            delivery_timeout=f"{DELIVERY_SECONDS}s",
            drain_timeout="10s",
            # Nothing that it says is news while its database is gone.
            log_level="error",
        )

    def start_again(self) -> None:
        """Start it if it has ended, as what runs it would."""
        if self._running.poll() is not None:
            self.start()

    def await_ready(self) -> Server:
        """Wait until it is there; one that ended because its database was not there is started again."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                await_ready(self._running, self.port, self._place.folder / f"{self.name}.log")
            except BenchError:
                if self._running.poll() is None or time.monotonic() > end:
                    raise
                time.sleep(POLL_SECONDS)
                self.start()
            else:
                break
        return Server(self._running, self.port, self._place.token)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._running.send_signal(number)

    def kill(self) -> None:
        """Kill it and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.send(signal.SIGTERM)
        return self._running.wait(STOP_SECONDS)

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process


class Drill:
    """Three nodes, their database, and all that is done to them."""

    def __init__(self, nodes: Sequence[Node], server: postgres.Server, url: str, seed: int) -> None:
        # The messages that the database had on record as not delivered yet, right after each incident.
        self.under_way: list[frozenset[str]] = []
        self._nodes = nodes
        self._server = server
        self._url = url
        self._dice = random.Random(seed)
        self._stopped: Node | None = None
        self._begin = time.monotonic()

    def roll(self) -> list[int]:
        """Restart the nodes one after the other, as an upgrade does; return their exit codes."""
        codes = []
        for node in self._nodes:
            codes.append(node.stop())
            self._tell(f"{node.name} stopped with {codes[-1]}; it is started again")
            node.start()
            node.await_ready()
        return codes

    def torment(self, seconds: float) -> None:
        """Kill, crash and stop for so long."""
        begin = time.monotonic()
        # Beginnings that are not alike, so that it is not always the same thing that is going on.
        plans = [
            self._plan(begin, itertools.count(KILL_EVERY / 2, KILL_EVERY), seconds, self._kill),
            self._plan(begin, [seconds / 2 + 0.3], seconds, self._crash),
        ]
        for number in range(max(1, int(seconds // ZOMBIE_EVERY))):
            at = number * ZOMBIE_EVERY + 0.7
            plans.append(self._plan(begin, [at], seconds, self._stop))
            plans.append(self._plan(begin, [at + LEASE_SECONDS + 2], float("inf"), self._go_on))
        for moment, act in sorted(itertools.chain(*plans), key=lambda step: step[0]):
            time.sleep(max(0.0, moment - time.monotonic()))
            act()

    def _plan(
        self,
        begin: float,
        instants: Iterator[float] | Sequence[float],
        seconds: float,
        act: Callable[[], None],
    ) -> Iterator[tuple[float, Callable[[], None]]]:
        return ((begin + at, act) for at in itertools.takewhile(lambda at: at < seconds, instants))

    def _kill(self) -> None:
        victim = self._dice.choice([node for node in self._nodes if node is not self._stopped])
        victim.kill()
        self._note(f"{victim.name} was killed; it is started again")
        for node in self._nodes:
            node.start_again()

    def _crash(self) -> None:
        self._server.restart("immediate")
        self._note("PostgreSQL crashed, and has recovered")

    def _stop(self) -> None:
        self._stopped = self._dice.choice(self._nodes)
        self._stopped.send(signal.SIGSTOP)
        self._note(f"{self._stopped.name} was stopped, leases and all")

    def _go_on(self) -> None:
        assert self._stopped is not None
        self._stopped.send(signal.SIGCONT)
        self._tell(f"{self._stopped.name} was stopped, and goes on")
        self._stopped = None

    def _note(self, what: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            found = frozenset(name for (name,) in connection.execute(UNDER_WAY).fetchall())
        self.under_way.append(found)
        self._tell(f"{what} ({len(found)} deliveries under way)")

    def _tell(self, text: str) -> None:
        print(f"{time.monotonic() - self._begin:6.1f}s  {text}", flush=True)


@contextmanager
def stage(folder: Path) -> Iterator[tuple[list[Node], postgres.Server, str, Installation]]:
    """Run a PostgreSQL and three nodes on it; yield both, and the database's address."""
    with ExitStack() as exits:
        server = exits.enter_context(postgres.running(folder))
        url = server.url(server.new_database())
        place = msgspec.structs.replace(installation(folder / "nodes"), store=url)
        nodes = [Node(number, place) for number in range(1, NODES + 1)]
        for node in nodes:
            exits.callback(node.kill)
            node.start()
        for node in nodes:
            node.await_ready()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(AUDIT)
        yield nodes, server, url, place


def perform(folder: Path, seconds: float, seed: int) -> list[Promise]:
    """Carry out the drill and return what became of its promises."""
    with sink() as receiver, stage(folder) as (nodes, server, url, place):
        over = threading.Event()
        publishers = _publishers(nodes, receiver, place, over)
        drill = Drill(nodes, server, url, seed)
        for publisher in publishers:
            publisher.start()
        try:
            time.sleep(1.0)
            codes = drill.roll()
            rolled = time.monotonic()
            drill.torment(seconds)
            for node in nodes:
                node.await_ready()
        finally:
            over.set()
            for publisher in publishers:
                publisher.join()
        known = [one for publisher in publishers for one in publisher.acknowledged]
        arrivals = _arrivals(receiver, folder / "arrived", known)
        codes += [node.stop() for node in nodes]
        with psycopg.connect(url) as connection:
            reopened = connection.execute("SELECT * FROM drill_reopened").fetchall()
            open_still = connection.execute(
                "SELECT count(*) FROM ringback_delivery WHERE due_at IS NOT NULL"
            ).fetchall()[0][0]
    verdict = Verdict(known, arrivals, drill.under_way, rolled)
    return [
        *verdict.promises(publishers),
        Promise("no settled delivery was reopened", f"{len(reopened)} were", not reopened),
        Promise("nothing is left to do", f"{open_still} deliveries", not open_still),
        Promise("nodes that are told to stop end with 0", f"{codes}", not any(codes)),
    ]


class Verdict:
    """What the ledgers of publishers and receiver say."""

    def __init__(
        self,
        known: Sequence[Acknowledged],
        arrivals: Arrivals,
        under_way: Sequence[frozenset[str]],
        rolled: float,
    ) -> None:
        self._known = known
        self._arrivals = arrivals
        self._under_way = frozenset[str]().union(*under_way)
        self._rolled = rolled

    def promises(self, publishers: Sequence[Publisher]) -> list[Promise]:
        """Return them with what was found."""
        known = {one.id: one for one in self._known}
        came = self._arrivals.by_id
        missing = known.keys() - came.keys()
        strangers = came.keys() - known.keys()
        waits = [came[name][0] - one.heard for name, one in known.items() if name in came]
        strange = [answer for publisher in publishers for answer in publisher.strange]
        unanswered = [key for publisher in publishers for key in publisher.unanswered]
        differing = [key for publisher in publishers for key in publisher.differing]
        doubles = len(self._known) - len(known) + len(strangers) + len(differing)
        again = sum(one.tries > 1 for one in self._known)
        longest = max((one.heard - one.begun for one in self._known), default=0.0)
        return [
            Promise(
                "messages were acknowledged", f"{len(known)}, {again} of them on trying again", bool(known)
            ),
            Promise(
                "a client that tries another node sees no error", f"{len(strange)} {strange[:1]}", not strange
            ),
            Promise(
                f"and has its answer within {ANSWERED_WITHIN:.0f} s",
                f"after {longest:.1f} s at most, {len(unanswered)} had none",
                longest < ANSWERED_WITHIN and not unanswered,
            ),
            Promise("each acknowledged message was delivered", f"{len(missing)} are missing", not missing),
            Promise("a key stands for one message", f"{doubles} were accepted twice", not doubles),
            Promise(
                "what a lost node held is taken over within 60 s",
                f"after {max(waits, default=0.0):.1f} s at most",
                max(waits, default=0.0) < TAKEN_OVER_WITHIN,
            ),
            *self._duplicates(),
        ]

    def _duplicates(self) -> list[Promise]:
        repeated = self._arrivals.repeated()
        rolled = [name for name, moments in repeated.items() if moments[0] < self._rolled - SETTLED_WITHIN]
        unexplained = repeated.keys() - self._under_way
        return [
            Promise("a rolling restart delivers nothing twice", f"{len(rolled)} were", not rolled),
            Promise(
                "twice came only what was under way at an incident",
                f"{len(repeated)} came twice, {len(unexplained)} of them not of the {len(self._under_way)} under way",
                not unexplained,
            ),
        ]


def _publishers(
    nodes: Sequence[Node], receiver: Sink, place: Installation, over: threading.Event
) -> list[Publisher]:
    first = nodes[0].await_ready()
    publishers = []
    for number in range(PUBLISHERS):
        name = f"app-{number}"
        first.call("/app", {"name": name, "uid": name})
        port = receiver.slow_port if number % 2 else receiver.port
        first.call(f"/app/{name}/endpoint", {"url": f"http://{LOOPBACK}:{port}/{name}"})
        ports = [nodes[(number + turn) % NODES].port for turn in range(NODES)]
        publishers.append(Publisher(name, ports, place.token, over))
    return publishers


def _arrivals(receiver: Sink, file: Path, known: Sequence[Acknowledged]) -> Arrivals:
    """Return what came, once all has come that was acknowledged, or nothing more does."""
    wanted, end = {one.id for one in known}, time.monotonic() + TAKEN_OVER_WITHIN
    arrivals = Arrivals(receiver.record(file))
    while wanted - arrivals.by_id.keys() and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        arrivals = Arrivals(receiver.record(file))
    # What was delivered and not settled comes again when its lease is over.
    time.sleep(LEASE_SECONDS + SETTLED_WITHIN)
    return Arrivals(receiver.record(file))


def table(promises: Sequence[Promise]) -> str:
    """Return the verdict as lines."""
    width = max(len(promise.text) for promise in promises)
    lines = [
        f"{'kept  ' if promise.kept else 'BROKEN'}  {promise.text:<{width}}  {promise.found}"
        for promise in promises
    ]
    return "\n".join(lines)


@click.command()
@click.option(
    "--seconds", default=120.0, show_default=True, type=click.FloatRange(1, 3600), help="Of torment."
)
@click.option("--seed", default=1, show_default=True, type=int, help="Plays another game.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where temporary files go.",
)
def main(seconds: float, seed: int, folder: Path | None) -> None:
    """Kill nodes and crash their database for two minutes, under load, and tell what became of the messages."""
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="ringback-drill-", dir=folder) as data:
        try:
            promises = perform(Path(data), seconds, seed)
        except BenchError as error:
            sys.exit(f"drill: {error}")
    print(f"\n{table(promises)}")
    if not all(promise.kept for promise in promises):
        sys.exit(1)
    print("\nEvery promise was kept.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
