"""Transactions of a Django database: a handler's ORM writes and "done" are committed together.

    DATABASE = settings.DATABASES["default"]["NAME"]
    inbox = Inbox(f"sqlite:///{DATABASE}", effects=DjangoEffects())

    @inbox.on("xendit", "invoice.paid")
    def fulfil(message, tx):
        Order.objects.filter(reference=message.data["external_id"]).update(paid=True)

Whatever the handler does through Django's default connection is in the transaction: ``tx`` is that connection, and a
handler that needs nothing of it still asks for it. ``transaction.atomic`` inside the handler makes savepoints, and
``transaction.on_commit`` waits for the whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from ringback.adapters import missing
from ringback.store import Statement
from ringback.store.effects import CLAIM, TransactionOver

try:
    from asgiref.sync import async_to_sync
    from django.db import close_old_connections, connections, transaction
except ModuleNotFoundError as error:
    raise missing("Django 5.2", "django") from error


class DjangoTransaction:
    """One block of ``transaction.atomic`` on the present thread's connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._given_up = False

    @property
    def tx(self) -> Any:
        """Django's connection."""
        return self._connection

    def execute(self, statement: Statement) -> int:
        """See ``Effect``."""
        with self._connection.cursor() as cursor:
            cursor.execute(_in_django(statement.text), statement.values)
            changed: int = cursor.rowcount
        return changed

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """See ``Effect``. Django's asynchronous ORM comes back to this thread for its connection."""

        async def handle() -> Any:
            return await coroutine

        return async_to_sync(handle)()

    def give_up(self) -> None:
        """See ``Effect``. On databases that are neither of these, the block's end undoes it."""
        self._given_up = True
        connection = self._connection.connection
        if connection is None:
            return
        if self._connection.vendor == "sqlite":
            connection.interrupt()
            connection.rollback()
        elif self._connection.vendor == "postgresql":
            connection.cancel()
            connection.rollback()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Refuse statements once it has been given up, and on SQLite take the right to write before the first.

        There, a transaction that reads first and writes later fails when another has written in between. The right
        is not taken sooner, so that a handler which calls an API first does not keep others from writing meanwhile.
        """
        claimed = self._connection.vendor != "sqlite"

        def guard(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: Any) -> Any:
            nonlocal claimed
            if self._given_up:
                raise TransactionOver
            if not claimed:
                execute(_in_django(CLAIM.text), CLAIM.values, False, context)
                claimed = True
            return execute(sql, values, many, context)

        with self._connection.execute_wrapper(guard):
            yield


class DjangoEffects:
    """Transactions of one of a project's databases, which is the one that the inbox's store is in.

    Args:
        using: The database's alias in ``settings.DATABASES``.
    """

    def __init__(self, using: str = "default") -> None:
        self._using = using

    @contextlib.contextmanager
    def transaction(self) -> Iterator[DjangoTransaction]:
        """See ``Effects``."""
        # What a request's beginning and end do in Django: a connection that is broken or too old is replaced.
        close_old_connections()
        try:
            connection = connections[self._using]
            effect = DjangoTransaction(connection)
            with transaction.atomic(self._using, durable=True), effect.guarded():
                yield effect
        finally:
            close_old_connections()

    def close(self) -> None:
        """See ``Effects``: the connections are given back after each."""


def _in_django(text: str) -> str:
    return text.replace("%", "%%").replace("?", "%s")
