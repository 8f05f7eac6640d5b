"""Finds the object that a call is about."""

from __future__ import annotations

from ringback.sandbox.xendit.calls import Call, Refused
from ringback.sandbox.xendit.ledger import Entry, Ledger


def asked_for(ledger: Ledger, call: Call, kind: str, code: str, entry_id: str | None = None) -> Entry:
    """Return the entry of a *kind* that a call names.

    Args:
        ledger: Where it is looked for, among those of the call's owner.
        call: The call.
        kind: Such as ``invoice``.
        code: The provider's error code for one that is not there.
        entry_id: Its id, if that is not the ``id`` in the call's path.

    Raises:
        Refused: 404 with the *code*: there is none.
    """
    named = call.path["id"] if entry_id is None else entry_id
    entry = ledger.get(kind, named, call.owner)
    if entry is None:
        raise missing(kind, code, named)
    return entry


def missing(kind: str, code: str, named: str) -> Refused:
    """Return the answer to a call that names what is not there."""
    return Refused(404, code, f"there is no {kind.replace('_', ' ')} {named[:100]}")
