"""Where messages go after a commit that failed."""

from contextlib import closing

import pytest

from ringback import ids
from ringback.errors import StoreUnavailable
from ringback.model import Application, Endpoint
from ringback.store import Acceptance, Lease, open_store
from ringback.vault import Vault

LEASE = Lease(1, 60_000)


def new_id(kind, number):
    return ids.new_id(kind, 1_760_000_000_000, bytes([number]) * ids.ENTROPY_BYTES)


APPLICATION = Application(id=new_id(ids.APPLICATION, 0), name="acme", created_at=1, updated_at=1)


def endpoint(number):
    return Endpoint(
        id=new_id(ids.ENDPOINT, number),
        application_id=APPLICATION.id,
        url=f"https://receiver-{number}.example",
        created_at=1,
        updated_at=1,
        secrets=(),
    )


def accepted(store, number):
    """Accept a message; return the addresses that it is for."""
    acceptance = Acceptance(
        application=APPLICATION.id,
        id=new_id(ids.MESSAGE, number),
        event_type="invoice.paid",
        payload=b"{}",
        created_at=1,
    )
    (one,) = store.accept([acceptance], LEASE, lambda _: False)
    return [target.url for target in one.spilled]


def added_and_accepted_in_vain(store):
    with store.transaction():
        store.add(endpoint(1))
        accepted(store, 1)
        raise StoreUnavailable("the disk is full")


def test_an_endpoint_whose_commit_failed_gets_nothing(tmp_path):
    """What a batch that failed had added and routed to is forgotten, also when another change follows."""
    with closing(open_store(f"sqlite:///{tmp_path}/ringback.db", Vault(bytes(32)))) as store:
        with store.transaction():
            store.add(APPLICATION)
        with pytest.raises(StoreUnavailable):
            added_and_accepted_in_vain(store)
        with store.transaction():
            store.add(endpoint(2))
        with store.transaction():
            assert accepted(store, 2) == ["https://receiver-2.example"]
