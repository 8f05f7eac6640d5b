"""What the sandbox remembers, and the order in which it lets things happen."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandboxes import OWNER, playing

from ringback.errors import StoreUnavailable
from ringback.sandbox.xendit.agenda import ROOM, Agenda
from ringback.sandbox.xendit.ledger import Change, Ledger

KIND = "thing"
NAMES = st.sampled_from("abcdefgh")
INSTANTS = st.one_of(st.none(), st.integers(0, 5))
# Each makes an entry, or replaces it if there is one and it is not to be made anew.
MOVES = st.lists(st.tuples(NAMES, INSTANTS, st.booleans()), min_size=1, max_size=4)


class Papers:
    """Where documents are kept, which may fail, and during which something else may happen."""

    def __init__(self):
        self.kept = {}
        self.is_full = False
        self.meanwhile = None

    async def keep(self, documents):
        """Keep documents."""
        is_full, meanwhile = self.is_full, self.meanwhile
        self.is_full, self.meanwhile = False, None
        if meanwhile is not None:
            await meanwhile()
        if is_full:
            raise StoreUnavailable("the disk is full")
        self.kept |= {document.id: document for document in documents}

    async def documents(self, collection):
        """Return what is kept."""
        return [one for one in self.kept.values() if one.collection == collection]


def done(coroutine):
    """Run what never has to wait."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def scanned(ledger):
    """Return what is due first as a look at everything finds it."""
    waiting = [entry for entry in ledger.entries(KIND) if entry.due_at is not None]
    return min(waiting, key=lambda entry: (entry.due_at, entry.serial), default=None)


async def kept(ledger, moves):
    """Make a change of these moves."""
    change = Change(ledger, 0)
    for name, due_at, anew in moves:
        entry = ledger.get(KIND, name)
        if entry is None or anew:
            change.add(KIND, name, OWNER, {}, due_at=due_at)
        else:
            change.replace(entry, due_at=due_at)
    await ledger.keep(change.entries)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(MOVES, st.booleans(), st.none() | MOVES), max_size=30))
def test_what_is_due_first(steps):
    """Whatever is made, put off, or cannot be kept while others change it, next_due is what a scan would find."""
    papers = Papers()
    ledger = Ledger(papers)
    for moves, is_full, others in steps:
        papers.is_full = is_full
        papers.meanwhile = None if others is None else lambda others=others: kept(ledger, others)
        if is_full:
            with pytest.raises(StoreUnavailable):
                kept(ledger, moves).send(None)
        else:
            done(kept(ledger, moves))
        assert ledger.next_due() == scanned(ledger)
    again = Ledger(papers)
    done(again.load())
    assert again.next_due() == scanned(again)


def test_all_happen_in_order():
    """Called off one after the other, appointments come by their instants, those of one instant by their serials."""
    agenda = Agenda()
    turns = {("thing", str(number)): (number * 7 % 5, number) for number in range(100)}
    for place, (due_at, serial) in turns.items():
        agenda.put(place, due_at, serial)
    order = []
    while (place := agenda.first()) is not None:
        order.append(place)
        agenda.put(place, None, 0)
    assert order == sorted(turns, key=turns.get)


def test_what_is_put_off_takes_no_room():
    """However often an appointment is put off, the agenda does not grow."""
    agenda = Agenda()
    for due_at in range(100 * ROOM):
        agenda.put(("thing", "1"), 1_000_000 + due_at, 1)
    assert agenda.length <= 2 * ROOM
    assert agenda.first() == ("thing", "1")


# --- Ids -----------------------------------------------------------------------------------------------------

INVOICE = {"external_id": "order-1", "amount": 10_000}


def told_of(play):
    """Let an invoice be made and paid; return its id and the id of the webhook that tells of it."""
    invoice = play.ok("POST", "/v2/invoices", INVOICE)
    play.ok("POST", f"/sandbox/invoices/{invoice['id']}/pay")
    [row] = play.ok("GET", "/sandbox/webhooks/log", query={"limit": 1})["data"]
    return invoice["id"], play.ok("GET", f"/sandbox/webhooks/log/{row['id']}")["webhook_id"]


def test_ids_by_a_seed(tmp_path):
    """A seed makes the same ids anywhere, those of webhooks too; another seed makes others."""
    found = []
    for name, seed in {"one": 1, "again": 1, "other": 2}.items():
        (tmp_path / name).mkdir()
        with playing(tmp_path / name, seed=seed) as play:
            found.append(told_of(play))
    assert found[0] == found[1]
    assert not set(found[0]) & set(found[2])


def test_ids_after_a_restart(tmp_path):
    """Played again in one folder, the same seed makes new ids: nothing takes the place of what is there."""
    found = []
    for _ in range(3):
        with playing(tmp_path) as play:
            found += told_of(play)
            assert len(play.ok("GET", "/v2/invoices")) == len(found) // 2
    assert len(set(found)) == 6
