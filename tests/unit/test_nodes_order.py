"""Workers of one application on several nodes: messages of one key go one after the other, whoever handles them."""

import asyncio
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress

from postgres_server import postgres_server
from ringback.errors import NotFound
from ringback.inbox import Inbox
from ringback.store import Page, open_store
from ringback.store.postgres import PostgresStore
from ringback.testing import assert_acknowledged, secret_for, signed_request
from ringback.vault import Vault

XENDIT, PAID = "xendit", "invoice.paid"
NODES, MESSAGES = 3, 60
KEYS = "abcd"
PATIENCE = 30


class Handling:
    """What the handlers of all nodes do, together: each run takes a moment, and the books are kept."""

    def __init__(self):
        self.done = threading.Event()
        self.by_node = Counter()
        self.seen = {key: [] for key in KEYS}
        self.overlaps = 0
        self._active = Counter()
        self._lock = threading.Lock()

    def of(self, node):
        """Return the handler of a node."""

        def fulfil(message):
            key = message.data["external_id"]
            with self._lock:
                self._active[key] += 1
                self.overlaps += self._active[key] > 1
                self.seen[key].append(message.event_id or message.data["id"])
                self.by_node[node] += 1
            time.sleep(0.005)
            with self._lock:
                self._active[key] -= 1
                if sum(map(len, self.seen.values())) >= MESSAGES:
                    self.done.set()

        return fulfil


def work_until(done, inbox):
    """Work on a thread of its own until told to stop."""

    async def working():
        stop = asyncio.Event()
        work = asyncio.create_task(inbox.work(stop))
        await asyncio.to_thread(done.wait, PATIENCE)
        stop.set()
        await work

    asyncio.run(working())


def test_processes_that_start_at_once_declare_the_same(monkeypatch):
    """Of several that declare one source and one handler at the same moment, one makes them and all have them."""
    url, gate = postgres_server().new_database(), threading.Barrier(NODES)
    ask, waited = PostgresStore.source, set()

    def source(store, ref):
        """Return a source; whoever asks and finds none goes on when another process has made it."""
        with suppress(NotFound):
            return ask(store, ref)
        if threading.current_thread() not in waited:
            waited.add(threading.current_thread())
            if gate.wait(PATIENCE):
                wait_for_source(ask, url)
        raise NotFound(ref)

    monkeypatch.setattr(PostgresStore, "source", source)
    with ExitStack() as stack:
        inboxes = [stack.enter_context(closing(declared(url))) for _ in range(NODES)]
        for inbox in inboxes:
            inbox.on(XENDIT, PAID, name="fulfil")(lambda _: None)
        with ThreadPoolExecutor(NODES) as threads:
            request = signed_request(XENDIT, PAID, event_id="1")
            for answer in threads.map(lambda one: one.accept(XENDIT, request).result(), inboxes):
                assert_acknowledged(answer)
        with opened(url) as store:
            (kept,) = store.sources(Page())
            (endpoint,) = store.endpoints(kept.id, Page())
            assert (kept.uid, endpoint.uid) == (XENDIT, "fulfil")


def wait_for_source(ask, url):
    """Wait until a process has made the source."""
    with opened(url) as store:
        for _ in range(PATIENCE * 100):
            with suppress(NotFound):
                ask(store, XENDIT)
                return
            time.sleep(0.01)
    raise AssertionError("nobody has made the source")


@contextmanager
def opened(url):
    with closing(open_store(url, Vault(bytes(32)))) as store:
        yield store


def declared(url):
    inbox = Inbox(url, main_key="A" * 43 + "=", poll_interval="20ms")
    inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
    return inbox


def test_messages_of_one_key_keep_their_order_on_all_nodes():
    """Three workers share the messages; of those with one key no two are handled at once, and none out of order."""
    url, handling = postgres_server().new_database(), Handling()
    with ExitStack() as stack:
        inboxes = [stack.enter_context(closing(declared(url))) for _ in range(NODES)]
        for node, inbox in enumerate(inboxes):
            inbox.on(XENDIT, PAID, name="fulfil", key=lambda message: message.data["external_id"])(
                handling.of(node)
            )
        sent = [(f"{number}", KEYS[number % len(KEYS)]) for number in range(MESSAGES)]
        workers = [threading.Thread(target=work_until, args=(handling.done, inbox)) for inbox in inboxes]
        for worker in workers:
            worker.start()
        for place, (event_id, key) in enumerate(sent):
            request = signed_request(XENDIT, PAID, event_id=event_id, fields={"external_id": key})
            assert_acknowledged(inboxes[place % NODES].accept(XENDIT, request).result())
        for worker in workers:
            worker.join()
    assert handling.overlaps == 0
    assert handling.seen == {key: [event_id for event_id, its in sent if its == key] for key in KEYS}
    assert len(handling.by_node) > 1
