"""Run a module as ``python -m`` does, in a process that kills itself (SIGKILL) at one exact step of its work.

``python dying.py STEP COUNT MODULE [ARGUMENTS]``: the process ends at the COUNT-th time that it comes to STEP. The
steps are moments between two of Ringback's actions. Apart from that, a run of a handler may take less long than it
usually may, so that what a killed worker leaves behind is taken over sooner; nothing else is changed.
"""

from __future__ import annotations

import functools
import inspect
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from ringback.handlers import Handlers
from ringback.inbox import Inbox
from ringback.intake import Intake
from ringback.store.postgres.connection import Connection
from ringback.store.postgres.effects import PostgresTransaction
from ringback.store.sqlite.database import Database
from ringback.store.sqlite.effects import SQLiteTransaction

# What a handler may take in seconds; with the margin of a lease, this is when others take over.
HANDLER_SECONDS = 5
LAST_STATEMENT = "INSERT INTO ringback_attempt"


class Fuse:
    """Counts how often the step was come to, from any thread, and ends the process when it is time."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()

    def burn(self) -> None:
        """Come to the step once more."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def before_commit(fuse: Fuse) -> None:
    """A webhook has been taken in; its transaction is written but not committed."""
    _around_accepting_commit(before=fuse.burn, after=lambda: None)


def after_commit(fuse: Fuse) -> None:
    """It is committed, and nobody has been told: the provider gets no answer."""
    _around_accepting_commit(before=lambda: None, after=fuse.burn)


def _around_accepting_commit(before, after) -> None:
    accepted = threading.Event()
    accept = Intake.accept

    def accept_and_note(self, entrance, request):
        accepted.set()
        return accept(self, entrance, request)

    def with_fuse(run):
        def run_with_fuse(self, statement):
            if statement != "COMMIT" or not accepted.is_set():
                return run(self, statement)
            before()
            answer = run(self, statement)
            after()
            return answer

        return run_with_fuse

    Intake.accept = accept_and_note
    Database._run = with_fuse(Database._run)
    Connection.simple = with_fuse(Connection.simple)


def in_handler(fuse: Fuse) -> None:
    """The handler has begun and written nothing."""
    _around_handlers(before=fuse.burn, after=lambda: None)


def after_effect(fuse: Fuse) -> None:
    """The handler has written all it has to; "done" has not been written."""
    _around_handlers(before=lambda: None, after=fuse.burn)


def _around_handlers(before, after) -> None:
    on = Inbox.on

    def on_with_fuse(self, *arguments, **options):
        declare = on(self, *arguments, **options)

        def wrap(function):
            @functools.wraps(function)
            def wrapped(*values, **named):
                before()
                result = function(*values, **named)
                after()
                return result

            @functools.wraps(function)
            async def wrapped_coroutine(*values, **named):
                before()
                result = await function(*values, **named)
                after()
                return result

            return declare(wrapped_coroutine if inspect.iscoroutinefunction(function) else wrapped)

        return wrap

    Inbox.on = on_with_fuse


def before_done(fuse: Fuse) -> None:
    """Effect and "done" are written, in a transaction that is not committed."""
    kinds = [SQLiteTransaction, PostgresTransaction]
    if Path("manage.py").exists():
        from ringback.adapters.django.effects import DjangoTransaction  # noqa: PLC0415 - needs a Django project

        kinds.append(DjangoTransaction)
    for kind in kinds:
        kind.execute = _burning_after_last_statement(kind.execute, fuse)


def _burning_after_last_statement(execute, fuse: Fuse):
    def execute_with_fuse(self, statement, *values):
        result = execute(self, statement, *values)
        if getattr(statement, "text", "").startswith(LAST_STATEMENT):
            fuse.burn()
        return result

    return execute_with_fuse


def after_done(fuse: Fuse) -> None:
    """Effect and "done" are committed, and the worker has not heard of it."""
    call = Handlers._call_within

    def call_with_fuse(self, *arguments):
        ran = call(self, *arguments)
        fuse.burn()
        return ran

    Handlers._call_within = call_with_fuse


def shorten_runs() -> None:
    """Give all handlers less time."""
    Inbox.on = functools.partialmethod(Inbox.on, timeout=HANDLER_SECONDS)


STEPS = {
    step.__name__: step
    for step in (before_commit, after_commit, in_handler, after_effect, before_done, after_done)
}

if __name__ == "__main__":
    step, count, module, *arguments = sys.argv[1:]
    shorten_runs()
    if step != "never":
        STEPS[step](Fuse(int(count)))
    sys.argv = [module, *arguments]
    if module.endswith(".py"):
        runpy.run_path(module, run_name="__main__")
    else:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
