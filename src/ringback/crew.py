"""The threads that functions run on. One that does not come back is written off, and another takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")

IDLE_SECONDS = 30.0


class _Call:
    """One function to run, and whom to tell."""

    __slots__ = ("function", "future", "loop")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[tuple[Any, BaseException | None]] = self.loop.create_future()

    def run(self) -> None:
        result, error = None, None
        try:
            result = self.function()
        except BaseException as raised:  # noqa: BLE001 - it is handed to whoever waits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(self._tell, result, error)

    def _tell(self, result: Any, error: BaseException | None) -> None:
        if not self.future.done():
            # As a result: some exceptions, such as GeneratorExit, mean something else to whoever awaits a future.
            self.future.set_result((result, error))


class Crew:
    """Up to *size* threads at work at once. They are daemons: a function that hangs does not keep the process.

    Attributes:
        places: One is to be held while a function runs. It is apart from ``do`` so that time spent waiting for one is
            not taken for the function's.
    """

    def __init__(self, size: int) -> None:
        self.places = asyncio.Semaphore(size)
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    async def do(self, function: Callable[[], T]) -> T:
        """Run *function* on a thread and return what it returns, or raise what it raises.

        Cancelling this does not stop the thread, which goes on by itself and is no longer counted.
        """
        call = _Call(function)
        if not self._claim():
            threading.Thread(target=self._work, name="ringback-handler", daemon=True).start()
        self._calls.put(call)
        result, error = await call.future
        if error is not None:
            raise error
        return cast("T", result)

    def close(self) -> None:
        """Let idle threads go."""
        while self._claim():
            self._calls.put(None)

    def _claim(self) -> bool:
        """Bind an idle thread to the next call; tell whether there was one."""
        with self._lock:
            claimed = self._idle > 0
            self._idle -= claimed
            return claimed

    def _work(self) -> None:
        call = self._calls.get()
        while call is not None:
            call.run()
            with self._lock:
                self._idle += 1
            call = self._next()

    def _next(self) -> _Call | None:
        try:
            return self._calls.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            # Unless a call has been bound to this thread at the last moment, it goes.
            return None if self._claim() else self._calls.get()
