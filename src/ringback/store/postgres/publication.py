"""Publishing in the transaction of whoever calls: one statement, which any library can run."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.errors import Conflict, NotFound
from ringback.model import Message, SkipReason
from ringback.store import Acceptance, Accepted, Pending
from ringback.store.callers import (
    POSTGRESQL,
    AsyncCaller,
    AsyncSQLAlchemy,
    Caller,
    Done,
    ToAwait,
    caller_of,
    check_database,
    check_transaction,
    explained,
)
from ringback.store.sql.records import names_text
from ringback.store.sql.tables import Row

# Each value says what it is: some libraries prepare the statement before they know them.
_ACCEPT = (
    "SELECT message_id, application_id, accepted_at, skipped, replayed, problem, detail FROM ringback.accept("
    "CAST(? AS text), CAST(? AS text), CAST(CAST(? AS text) AS bigint), CAST(? AS text), CAST(? AS bytea),"
    " CAST(? AS text), CAST(? AS text), CAST(? AS text), CAST(? AS bytea), CAST(CAST(? AS text) AS bigint),"
    " CAST(? AS text))"
)
_PROBLEMS = {"not_found": NotFound, "conflict": Conflict}
_skipped = msgspec.json.Decoder(dict[str, SkipReason])


class Publication:
    """The verb that publishes in a transaction of the application."""

    def accept_within(self, tx: Any, acceptance: Acceptance) -> Pending[Accepted]:
        """See ``Store``."""
        caller = caller_of(tx)
        if isinstance(caller, Caller):
            return Done(_accept(caller, acceptance))
        if isinstance(caller, AsyncSQLAlchemy):
            return ToAwait(caller.do(lambda lent: _accept(lent, acceptance)))
        _check(caller)
        return ToAwait(_accept_async(caller, acceptance))


def _accept(caller: Caller, acceptance: Acceptance) -> Accepted:
    _check(caller)
    with explained():
        (row,) = caller.rows(_ACCEPT, _values(acceptance))
    return _accepted(row, acceptance)


async def _accept_async(caller: AsyncCaller, acceptance: Acceptance) -> Accepted:
    with explained():
        (row,) = await caller.rows(_ACCEPT, _values(acceptance))
    return _accepted(row, acceptance)


def _check(caller: Caller | AsyncCaller) -> None:
    check_database(caller, POSTGRESQL)
    check_transaction(caller)


def _values(acceptance: Acceptance) -> Row:
    use, at = acceptance.idempotency, acceptance.deliver_at
    return (
        # PostgreSQL's texts hold every character but one.
        acceptance.application.replace("\0", "\N{SYMBOL FOR NULL}"),
        acceptance.id,
        str(acceptance.created_at),
        acceptance.event_type,
        acceptance.payload,
        acceptance.event_id,
        names_text(acceptance.channels),
        None if use is None else use.key,
        None if use is None else use.fingerprint,
        None if at is None else str(at),
        names_text(acceptance.tags or None),
    )


def _accepted(row: Row, acceptance: Acceptance) -> Accepted:
    message_id, application_id, accepted_at, skipped, replayed, problem, detail = row
    if problem is not None:
        raise _PROBLEMS[problem](detail)
    message = Message(
        id=message_id,
        application_id=application_id,
        event_type=acceptance.event_type,
        payload=acceptance.payload,
        created_at=accepted_at,
        event_id=acceptance.event_id,
        channels=acceptance.channels,
        skipped={} if skipped is None else _skipped.decode(skipped),
        tags=acceptance.tags or None,
        deliver_at=acceptance.deliver_at,
    )
    return Accepted(message, replayed=replayed)
