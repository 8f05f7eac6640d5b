"""The threads of handlers: reused, left behind when they hang, and never two calls on one at once."""

import asyncio
import threading
import time

import pytest

from ringback import crew as crew_module
from ringback.crew import Crew

PATIENCE = 10


async def do(crew, function):
    async with crew.places:
        return await crew.do(function)


def test_a_result_and_an_error_come_back():
    """What the function returns or raises reaches whoever called, whatever it is."""

    async def calls():
        crew = Crew(1)
        assert await do(crew, lambda: 7) == 7
        for error in (ValueError("one"), SystemExit(2), KeyboardInterrupt(), GeneratorExit()):
            with pytest.raises(type(error)):
                await do(crew, raising(error))
        with pytest.raises(RuntimeError):
            await do(crew, raising(StopIteration()))
        assert await do(crew, lambda: 8) == 8
        crew.close()

    asyncio.run(calls())


def raising(error):
    def function():
        raise error

    return function


def test_as_many_at_once_as_there_are_places():
    """All places are used at once and no more than those; the threads are used again."""

    async def calls():
        crew, together, names = Crew(3), threading.Barrier(3), []
        active, most = [0], [0]
        lock = threading.Lock()

        def function():
            with lock:
                active[0] += 1
                most[0] = max(most[0], active[0])
                names.append(threading.get_ident())
            together.wait(PATIENCE)
            with lock:
                active[0] -= 1

        await asyncio.gather(*(do(crew, function) for _ in range(30)))
        crew.close()
        return most[0], len(set(names))

    most, threads = asyncio.run(calls())
    assert most == 3
    # A thread that has just answered may not be idle yet when the next call comes.
    assert threads <= 2 * 3


def test_a_call_that_hangs_takes_no_place():
    """When the caller gives up, its place is free though the thread goes on; what it returns later is dropped."""

    async def calls():
        crew, release, left = Crew(1), threading.Event(), threading.Event()

        def hanging():
            release.wait(PATIENCE)
            left.set()
            return "too late"

        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await do(crew, hanging)
        assert await asyncio.wait_for(do(crew, lambda: "in time"), PATIENCE) == "in time"
        release.set()
        assert left.wait(PATIENCE)
        assert await do(crew, lambda: "again") == "again"
        crew.close()

    asyncio.run(calls())


def test_a_caller_that_waits_for_a_place_may_give_up():
    """Giving up before there was a place runs nothing and loses no place."""

    async def calls():
        crew, release, ran = Crew(1), threading.Event(), []
        first = asyncio.create_task(do(crew, lambda: release.wait(PATIENCE)))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(do(crew, lambda: ran.append(1))) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        release.set()
        assert await first
        assert await asyncio.wait_for(do(crew, lambda: "next"), PATIENCE) == "next"
        assert ran == []
        crew.close()

    asyncio.run(calls())


def test_a_loop_that_is_gone_hears_nothing():
    """A call that ends after its loop was closed is dropped in silence, and its thread ends."""
    release, entered = threading.Event(), threading.Event()
    threads = []

    def hanging():
        threads.append(threading.current_thread())
        entered.set()
        release.wait(PATIENCE)

    async def calls():
        crew = Crew(1)
        task = asyncio.create_task(do(crew, hanging))
        assert await asyncio.to_thread(entered.wait, PATIENCE)
        task.cancel()

    asyncio.run(calls())
    release.set()
    assert threads[0].daemon


def test_idle_threads_go(monkeypatch):
    """Idle threads go at once when the crew is closed, and by themselves after a while."""

    async def calls(*, close):
        crew, threads = Crew(4), []
        together = threading.Barrier(4)

        def function():
            threads.append(threading.current_thread())
            together.wait(PATIENCE)

        await asyncio.gather(*(do(crew, function) for _ in range(4)))
        if close:
            # A thread that has just answered may not be idle yet.
            until = time.monotonic() + PATIENCE
            while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
                crew.close()
        return threads

    for thread in asyncio.run(calls(close=True)):
        thread.join(PATIENCE)
        assert not thread.is_alive()
    monkeypatch.setattr(crew_module, "IDLE_SECONDS", 0.02)
    for thread in asyncio.run(calls(close=False)):
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_calls_and_idle_threads_never_miss_each_other(monkeypatch):
    """However calls and threads that go cross each other, every call is run exactly once."""
    monkeypatch.setattr(crew_module, "IDLE_SECONDS", 0.0001)

    async def calls():
        crew, ran = Crew(4), []

        async def some(name):
            for number in range(200):
                await do(crew, lambda number=number: ran.append((name, number)))

        await asyncio.wait_for(asyncio.gather(*(some(name) for name in range(4))), PATIENCE)
        crew.close()
        return ran

    ran = asyncio.run(calls())
    assert len(ran) == len(set(ran)) == 800
