"""The scenarios over PostgreSQL: one node, three nodes, a backlog to its end, a snapshot that is held."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager

import msgspec
import psycopg

from bench import postgres, wire
from bench.backlog import TAKEN, Queue
from bench.figures import Expectation, Figures, Run, disagreement, figures, percentile
from bench.meter import Meter
from bench.processes import BenchError, Installation, Sink, installation, server, sink
from bench.scenarios import NOTHING, PAYLOAD, SAMPLE, Bench, Result, add_application
from bench.wire import Record
from ringback.store import open_store
from ringback.vault import parse_main_keys

NODES = 3
PGBENCH_SCALE = 20
POLL_SECONDS = 0.2
STUCK_SECONDS = 30.0
TENTH = 10
HELD_MESSAGES = 500_000
# What is promised of any machine, in ratios of what is measured in one run.
LAST_OF_FIRST = 0.8
HELD_OF_FREE = 2.0


class Clustered:
    """Runs the scenarios of a bench over a PostgreSQL of its own."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def pgbench(self) -> Result:
        """PostgreSQL's own measure of what this machine commits: a row changed and one added for each commit."""
        with postgres.running(self._bench.new_folder()) as database:
            url = database.url(database.new_database())
            tool = database.tool("pgbench")
            subprocess.run([tool, "-i", "-q", "-s", str(PGBENCH_SCALE), url], check=True, capture_output=True)
            clients = str(self._bench.options.connections)
            before = database.cpu_seconds()
            done = subprocess.run(
                [tool, "-N", "-n", "-c", clients, "-j", "2", "-T", str(round(self._seconds)), url],
                check=True,
                capture_output=True,
                text=True,
            )
            used = database.cpu_seconds() - before
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        count = re.search(r"actually processed: (\d+)", done.stdout)
        if found is None or count is None:
            raise BenchError(f"pgbench said nothing of its rate:\n{done.stdout}")
        return Result(
            msgspec.structs.replace(
                _nothing(),
                transactions_per_s=float(found[1]),
                cpu_us_per_message=used * 1e6 / int(count[1]),
            )
        )

    def one(self) -> Result:
        """One node, as fast as it goes."""
        return self._steady(1)

    def three(self) -> Result:
        """Three nodes that accept and deliver, each with as many of the publisher's connections as the one."""
        return self._steady(NODES)

    def drain(self) -> Result:
        """A backlog of a million, delivered to its end: is the last tenth as fast as the first?"""
        waiting = self._bench.options.messages
        with sink() as receiver, self._database() as (database, place):
            _fill(place, receiver, waiting)
            meter = Meter(database, place.store)
            before = meter.read()
            with server(place) as node:
                cpu, begun = node.cpu_seconds(), time.monotonic()
                _await(receiver, waiting)
                run = Run(
                    published=NOTHING,
                    arrived=receiver.record(self._bench.new_folder()),
                    cpu_seconds=node.cpu_seconds() - cpu,
                    rss_mb=node.peak_rss_mb(),
                )
            cost = meter.cost(before, waiting)
        moments = sorted(wire.times(run.arrived.ended))
        tenth = max(len(moments) // TENTH, 1)
        tenths = [
            _rate(moments[at : at + tenth], moments[at - 1] if at else begun)
            for at in range(0, len(moments) - tenth + 1, tenth)
        ]
        print("pg-drain, tenth by tenth: " + ", ".join(f"{rate:,.0f}/s" for rate in tenths), flush=True)
        measured = msgspec.structs.replace(
            _nothing(),
            delivered_per_s=_rate(moments, begun),
            cpu_us_per_message=run.cpu_seconds * 1e6 / waiting,
            rss_mb=run.rss_mb,
            cost=cost,
            backlog_deliveries=waiting,
            drain_seconds=moments[-1] - begun,
            drain_first_per_s=tenths[0],
            drain_last_per_s=tenths[-1],
        )
        missing = waiting - len(set(run.arrived.names()))
        fault = f"{missing} of the backlog never came" if missing else None
        if fault is None and tenths[-1] < LAST_OF_FIRST * tenths[0]:
            fault = f"the last tenth came at {tenths[-1] / tenths[0]:.2f} times the rate of the first"
        return Result(measured, fault)

    def held(self) -> Result:
        """A transaction is held open while messages pass: does it slow down taking?"""
        count = min(HELD_MESSAGES, self._bench.options.messages)
        without = self._taking(count, held=False)
        with_one = self._taking(count, held=True)
        measured = msgspec.structs.replace(
            _nothing(), held_messages=count, held_take_p99_ms=with_one, take_p99_ms=without
        )
        slowed = f"a held snapshot makes the p99 of taking {with_one / without:.1f} times what it is without"
        return Result(measured, slowed if with_one > HELD_OF_FREE * without else None)

    def _taking(self, count: int, *, held: bool) -> float:
        """Pass *count* messages through the store; return the p99 of finding and taking the last tenth, in ms."""
        with self._database() as (_, place), ExitStack() as exits:
            store = exits.enter_context(closing(open_store(place.store, parse_main_keys(place.main_key))))
            queue = Queue(store, "http://127.0.0.1:9/", SAMPLE.event_type, PAYLOAD)
            if held:
                holder = exits.enter_context(psycopg.connect(place.store))
                holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                holder.execute("SELECT count(*) FROM ringback_queue")
            seconds = [queue.pass_on() for _ in range(count // TAKEN)]
            return percentile(seconds[-max(len(seconds) // TENTH, 1) :], 0.99)

    def _steady(self, nodes: int) -> Result:
        expected = Expectation()
        with sink() as receiver, self._database() as (database, place), ExitStack() as exits:
            running = [exits.enter_context(server(place)) for _ in range(nodes)]
            add_application(running[0], "bench", [receiver.port])
            plan = msgspec.structs.replace(
                self._bench.plan(running[0], ["bench"]),
                other_ports=[node.port for node in running[1:]],
                connections=nodes * self._bench.options.connections,
            )
            meter = Meter(database, place.store)
            before = meter.read()
            run = self._bench.run(receiver, plan, running, expected)
            cost = meter.cost(before, len(run.published.names()))
        return Result(msgspec.structs.replace(figures(run), cost=cost), disagreement(run, expected))

    @contextmanager
    def _database(self) -> Iterator[tuple[postgres.Server, Installation]]:
        with postgres.running(self._bench.new_folder()) as database:
            place = installation(self._bench.new_folder())
            yield database, msgspec.structs.replace(place, store=database.url(database.new_database()))

    @property
    def _seconds(self) -> float:
        return max(self._bench.options.seconds, 1.0)


def _fill(place: Installation, receiver: Sink, waiting: int) -> None:
    with closing(open_store(place.store, parse_main_keys(place.main_key))) as store:
        url = f"http://{wire.LOOPBACK}:{receiver.port}/"
        Queue(store, url, SAMPLE.event_type, PAYLOAD).add(waiting)
    with psycopg.connect(place.store, autocommit=True) as connection:
        # What would happen by itself in the time that a backlog takes to grow.
        connection.execute("VACUUM ANALYZE")


def _await(receiver: Sink, count: int) -> None:
    came, progress = 0, time.monotonic()
    while came < count and time.monotonic() < progress + STUCK_SECONDS:
        time.sleep(POLL_SECONDS)
        before, came = came, receiver.count()
        progress = time.monotonic() if came > before else progress


def _rate(moments: Sequence[float], begin: float) -> float:
    return len(moments) / (moments[-1] - begin) if moments and moments[-1] > begin else 0.0


def _nothing() -> Figures:
    return figures(Run(published=NOTHING, arrived=Record(ids=b"", ended=b"")))


CLUSTERED: Mapping[str, Callable[[Bench], Result]] = {
    "pgbench": lambda bench: Clustered(bench).pgbench(),
    "pg-one": lambda bench: Clustered(bench).one(),
    "pg-three": lambda bench: Clustered(bench).three(),
    "pg-drain": lambda bench: Clustered(bench).drain(),
    "pg-held": lambda bench: Clustered(bench).held(),
}
# Those that take many minutes run when they are asked for.
LONG = frozenset({"pg-drain", "pg-held"})
