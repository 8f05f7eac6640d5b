"""The drill's outside ledger: publishers that repeat what was not answered, and what came of it at the receiver."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from bench.wire import LOOPBACK, Record, times

ACCEPTED, BUSY = 202, 503
# A node that was stopped keeps its connections and answers none: its clients try another before long.
ANSWER_SECONDS = 2.0
AGAIN_SECONDS = 0.02
PATIENCE_SECONDS = 60.0


class Acknowledged(msgspec.Struct, frozen=True):
    """A message that has been answered for: its id, when it was first sent, when answered, after how many tries."""

    id: str
    begun: float
    heard: float
    tries: int


class Publisher(threading.Thread):
    """Publishes one message after the other, each with a key, and to another node whenever one does not answer.

    ``strange`` are answers that are neither success nor "not now"; ``differing`` are keys that two answers named
    different messages for. ``unanswered`` are those given up after a minute of trying.
    """

    def __init__(self, name: str, ports: Sequence[int], token: str, over: threading.Event) -> None:
        super().__init__(name=name)
        self.acknowledged: list[Acknowledged] = []
        self.strange: list[str] = []
        self.differing: list[str] = []
        self.unanswered: list[str] = []
        self._ports = itertools.cycle(ports)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        self._over = over
        self._connection = self._next_node()

    def run(self) -> None:
        """Publish until told to stop; what is on its way then is seen to its end."""
        for number in itertools.count():
            if self._over.is_set():
                return
            self._publish(f"{self.name}-{number}")
            if number % 10 == 0:
                self._repeat(f"{self.name}-{number}")

    def _publish(self, key: str) -> None:
        begun = time.monotonic()
        for tries in itertools.count(1):
            found = self._ask(key)
            if found is not None:
                self.acknowledged.append(Acknowledged(found, begun, time.monotonic(), tries))
                return
            self._connection.close()
            self._connection = self._next_node()
            if time.monotonic() > begun + PATIENCE_SECONDS:
                self.unanswered.append(key)
                return
            time.sleep(AGAIN_SECONDS)

    def _repeat(self, key: str) -> None:
        """Send what was acknowledged once more, to another node: the answer must be the same."""
        self._connection.close()
        self._connection = self._next_node()
        found = self._ask(key)
        if self.acknowledged and found not in {None, self.acknowledged[-1].id}:
            self.differing.append(key)

    def _ask(self, key: str) -> str | None:
        """Return the id of the message that was accepted; None where there was no answer, or "not now"."""
        body = json.dumps({"eventType": "invoice.paid", "payload": {"key": key}})
        with suppress(OSError, http.client.HTTPException):
            self._connection.request(
                "POST", f"/api/v1/app/{self.name}/msg", body, self._headers | {"idempotency-key": key}
            )
            answer = self._connection.getresponse()
            content = answer.read()
            if answer.status == ACCEPTED:
                return str(json.loads(content)["id"])
            if answer.status != BUSY:
                self.strange.append(f"{answer.status} {content[:200]!r}")
        return None

    def _next_node(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(LOOPBACK, next(self._ports), timeout=ANSWER_SECONDS)


class Arrivals:
    """When each message came, by its id, in the order of time."""

    def __init__(self, record: Record) -> None:
        self.by_id: dict[str, list[float]] = defaultdict(list)
        for name, moment in sorted(zip(record.names(), times(record.ended), strict=True), key=_moment):
            self.by_id[name.decode()].append(moment)

    def repeated(self) -> dict[str, list[float]]:
        """Return what came more than once."""
        return {name: moments for name, moments in self.by_id.items() if len(moments) > 1}


def _moment(entry: tuple[bytes, float]) -> float:
    return entry[1]
