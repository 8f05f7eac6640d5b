"""How long handlers may take, and how workers and drains end."""

import asyncio
import threading
from contextlib import closing

import pytest
from runs import EVENT, PAID, XENDIT, opened, raising, run, send

from ringback import Retry
from ringback.errors import ConfigurationError
from ringback.model import OutcomeKind
from ringback.testing import (
    FrozenClock,
    assert_acknowledged,
    assert_handled,
    assert_waiting,
    drain,
    signed_request,
)

# The longest a test waits for what must happen; nothing waits so long that succeeds.
PATIENCE = 10


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def inbox(tmp_path, clock):
    """Return an inbox with one source, closed at the end."""
    with closing(opened(tmp_path, clock=clock, threads=4)) as inbox:
        yield inbox


def test_a_coroutine_that_takes_too_long_is_stopped(inbox):
    """A coroutine is cancelled at its limit and tried again later."""
    stopped = []

    async def handler(message):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    outcome = run(inbox, handler, timeout=0.05)
    assert (outcome.kind, outcome.detail) == (OutcomeKind.TIMEOUT, "handler")
    assert b"0.05 s" in outcome.body
    assert stopped == [True]
    assert_waiting(inbox, XENDIT, EVENT)


def test_a_thread_that_hangs_blocks_nobody(tmp_path, clock):
    """Handlers that hang are left behind at their limit, and others go on with as many threads as before."""
    release = threading.Event()
    with closing(opened(tmp_path, clock=clock, threads=2)) as inbox:
        inbox.on(XENDIT, PAID, name="hanging", timeout=0.05, retries="1h")(
            lambda message: release.wait(PATIENCE)
        )
        inbox.on(XENDIT, PAID, name="working")(lambda message: None)
        for number in range(6):
            send(inbox, str(number))
        try:
            drained = inbox.drain()
        finally:
            release.set()
        assert (drained.succeeded, drained.failed) == (6, 6)
        for number in range(6):
            assert_handled(inbox, XENDIT, str(number), "working", attempts=1)
            assert_waiting(inbox, XENDIT, str(number), "hanging")


def test_waiting_for_a_thread_is_not_the_handlers_time(tmp_path, clock):
    """A handler that waits for a free thread longer than its limit has not used any of it."""
    with closing(opened(tmp_path, clock=clock, threads=1)) as inbox:
        pause = threading.Event()
        inbox.on(XENDIT, PAID, name="slow", timeout=0.5)(lambda message: pause.wait(0.1) and None)
        for number in range(8):
            send(inbox, str(number))
        drained = inbox.drain()
    assert (drained.succeeded, drained.failed) == (8, 0)


def test_drain_returns_in_time(inbox):
    """After its seconds drain returns, what hangs is handled another time, and the next drain is not held up by it."""
    release, runs = threading.Event(), []

    def handler(message):
        runs.append(message.attempt)
        if len(runs) == 1:
            release.wait(PATIENCE)

    inbox.on(XENDIT, PAID, name="fulfil")(handler)
    send(inbox)
    finished = threading.Event()
    drained = []

    def work():
        drained.append(inbox.drain(0.2))
        drained.append(inbox.drain())
        finished.set()

    threading.Thread(target=work, daemon=True).start()
    try:
        assert finished.wait(PATIENCE), "drain did not return"
    finally:
        release.set()
    assert drained[0].more
    assert (drained[1].succeeded, drained[1].more) == (1, False)
    assert runs == [1, 1]
    assert_handled(inbox, XENDIT, EVENT)


def test_drain_leaves_what_is_due_later(inbox, clock):
    """Drain returns though something waits for later, whether or not time passes for its clock."""
    inbox.on(XENDIT, PAID, name="soon")(raising(Retry(after=0.1)))
    inbox.on(XENDIT, PAID, name="later")(raising(Retry(after=60)))
    send(inbox)
    drained = inbox.drain()
    assert (drained.succeeded, drained.failed) == (0, 2)
    assert_waiting(inbox, XENDIT, EVENT)


def test_a_worker_that_is_stopped_finishes_what_it_began(inbox):
    """When told to stop, a worker waits for the run under way, and what comes later is left for the next."""
    began, finish = threading.Event(), threading.Event()

    def handler(message):
        began.set()
        assert finish.wait(PATIENCE)

    inbox.on(XENDIT, PAID, name="fulfil")(handler)

    async def working():
        stop = asyncio.Event()
        work = asyncio.create_task(inbox.work(stop))
        request = signed_request(XENDIT, PAID, event_id=EVENT)
        assert_acknowledged(await inbox.accept(XENDIT, request))
        assert await asyncio.to_thread(began.wait, PATIENCE)
        stop.set()
        asyncio.get_running_loop().call_soon(finish.set)
        await asyncio.wait_for(work, PATIENCE)

    asyncio.run(working())
    send(inbox, "1002")
    assert_handled(inbox, XENDIT, EVENT, attempts=1)
    assert_waiting(inbox, XENDIT, "1002")


def test_a_worker_that_is_cancelled_gives_its_work_back(inbox):
    """Cancelling work() is stopping; the inbox goes on taking requests, and another worker handles them."""

    async def working():
        work = asyncio.create_task(inbox.work())
        await asyncio.sleep(0)
        assert_acknowledged(await inbox.accept(XENDIT, signed_request(XENDIT, PAID, event_id=EVENT)))
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    inbox.on(XENDIT, PAID, name="fulfil")(lambda message: None)
    asyncio.run(working())
    drain(inbox)
    assert_handled(inbox, XENDIT, EVENT)


def test_declaring_while_working_is_refused(inbox):
    """A source or handler declared below a running worker would not be heeded: the error says to do it before."""
    inbox.on(XENDIT, PAID, name="fulfil")(lambda message: None)

    async def working():
        stop, loop, seen = asyncio.Event(), asyncio.get_running_loop(), asyncio.Event()
        inbox.on(XENDIT, "invoice.expired", name="seen")(lambda message: loop.call_soon_threadsafe(seen.set))
        work = asyncio.create_task(inbox.work(stop))
        assert_acknowledged(await inbox.accept(XENDIT, signed_request(XENDIT, "invoice.expired")))
        await asyncio.wait_for(seen.wait(), PATIENCE)
        with pytest.raises(ConfigurationError, match="before the worker"):
            inbox.on(XENDIT, name="late")(lambda message: None)
        with pytest.raises(ConfigurationError, match="before the worker"):
            inbox.source("late", provider=XENDIT, secrets=["secret"])
        stop.set()
        await work

    asyncio.run(working())
    inbox.on(XENDIT, name="late")(lambda message: None)
