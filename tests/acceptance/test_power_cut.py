"""The power is cut: every acknowledged message is there afterwards.

The store runs on a disk that forgets: a SQLite VFS that passes everything through to real files, and
remembers of each what was synced. When the power is cut, the files are put back to that. The control shows
that the disk does forget: without syncing, what was committed is lost.
"""
# ruff: noqa: D102 - methods that SQLite calls, and names

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import apsw
import pytest

from ringback import ids
from ringback.model import Application, Endpoint, EndpointSecret
from ringback.store import Acceptance, Accepted, Lease, MessageFilter, Page
from ringback.store.sqlite import SQLiteStore
from ringback.vault import Vault

MESSAGES = 300
NOW = 1_760_000_000_000
VAULT = Vault(bytes(32))
NAME = "forgetful"
SURVIVAL = 0.5


class ForgetfulDisk(apsw.VFS):
    """Real files, of which only what was synced is sure to outlive a power cut.

    Of the writes since the last sync, chance decides which ones made it. SQLite syncs the folder with a new
    log's first sync, which makes names and deletions durable; until then a deleted journal may come back.
    """

    def __init__(self) -> None:
        super().__init__(NAME, "")
        self.durable: dict[Path, bytes] = {}
        self.unsynced: dict[Path, list[tuple[int, bytes]]] = {}
        self.deleted: set[Path] = set()
        self.writes_left: int | None = None

    @property
    def on(self) -> bool:
        """Whether there is power; what happens without it happens to nothing that lasts."""
        return self.writes_left is None or self.writes_left > 0

    def xOpen(self, name, flags):  # noqa: N802 - named by SQLite
        return ForgetfulFile(self, name, flags)

    def xDelete(self, filename, syncdir):  # noqa: N802 - named by SQLite
        super().xDelete(filename, syncdir)
        if self.on:
            self.deleted.add(Path(filename))
            self.unsynced[Path(filename)] = []
            if syncdir:
                self.sync_folder()

    def sync_folder(self) -> None:
        """Make deletions durable."""
        for file in self.deleted:
            self.durable.pop(file, None)
        self.deleted.clear()

    def written(self, file: Path, offset: int, data: bytes) -> None:
        """Remember a write that may be lost; the power goes when no writes are left."""
        if self.on:
            self.unsynced[file].append((offset, bytes(data)))
        if self.writes_left:
            self.writes_left -= 1

    def synced(self, file: Path, content: bytes) -> None:
        """Remember what a file holds now."""
        if self.on:
            if file not in self.durable:
                self.deleted.discard(file)
                self.sync_folder()
            self.durable[file] = content
            self.unsynced[file] = []

    def restore(self, chance: random.Random) -> None:
        """Leave the files as a power cut leaves them."""
        for file, writes in self.unsynced.items():
            # Shared memory is not on the disk at all.
            file.with_name(f"{file.name}-shm").unlink(missing_ok=True)
            if file not in self.durable:
                file.unlink(missing_ok=True)
                continue
            content = bytearray(self.durable[file])
            for offset, data in writes:
                if chance.random() < SURVIVAL:
                    content.extend(bytes(max(0, offset - len(content))))
                    content[offset : offset + len(data)] = data
            file.write_bytes(content)


class ForgetfulFile(apsw.VFSFile):
    """A file that tells its disk what is written and when it is synced."""

    def __init__(self, disk: ForgetfulDisk, name, flags) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        # Temporary files have no name, and nothing of them matters after a power cut.
        self._file = None if name is None else Path(name if isinstance(name, str) else name.filename())
        if self._file is not None:
            disk.unsynced.setdefault(self._file, [])

    def xWrite(self, data, offset):  # noqa: N802 - named by SQLite
        super().xWrite(data, offset)
        if self._file is not None:
            self._disk.written(self._file, offset, data)

    def xSync(self, flags):  # noqa: N802 - named by SQLite
        # The real file need not be synced: what outlives the cut is what the disk remembers here.
        if self._file is not None:
            self._disk.synced(self._file, self.xRead(self.xFileSize(), 0))


@pytest.fixture
def disk():
    forgetful = ForgetfulDisk()
    yield forgetful
    forgetful.unregister()


def open_with_endpoint(file: Path) -> SQLiteStore:
    store = SQLiteStore(str(file), VAULT, random.Random(1).randbytes, vfs=NAME)
    application = Application(id="app_1", name="Acme", created_at=NOW, updated_at=NOW)
    endpoint = Endpoint(
        id="ep_1",
        application_id=application.id,
        url="https://example.com/hook",
        created_at=NOW,
        updated_at=NOW,
        secrets=(EndpointSecret("whsec_c2VjcmV0"),),
    )
    with store.transaction():
        store.add(application)
        store.add(endpoint)
    return store


def publish(store: SQLiteStore, number: int) -> str:
    """Accept one message; return its id after the commit, which is the acknowledgement."""
    acceptance = Acceptance(
        application="app_1",
        id=ids.new_id(ids.MESSAGE, NOW + number, number.to_bytes(ids.ENTROPY_BYTES, "big")),
        event_type="invoice.paid",
        payload=b'{"number":%d,"padding":"%s"}' % (number, b"x" * 40_000),
        created_at=NOW + number,
    )
    with store.transaction():
        (accepted,) = store.accept([acceptance], Lease(number + 1, NOW + 10**6), lambda _: number % 2 == 0)
    assert isinstance(accepted, Accepted)
    return accepted.message.id


@pytest.mark.parametrize("seed", range(6))
def test_no_acknowledged_message_is_lost(tmp_path, disk, seed):
    """Whichever write the power is cut at, what was acknowledged before is there, whole and in order."""
    chance = random.Random(seed)
    file = tmp_path / "ringback.db"
    store = open_with_endpoint(file)
    disk.writes_left = chance.randrange(100, 30 * MESSAGES)
    acknowledged, in_flight = [], []
    for number in range(MESSAGES):
        message_id = publish(store, number)
        (acknowledged if disk.on else in_flight).append(message_id)
        # The riskiest moment, when it comes: the log's pages move into the file.
        store.checkpoint()
    assert in_flight, "the power was not cut while messages were coming in"
    store.close()
    disk.restore(chance)

    with contextlib.closing(SQLiteStore(str(file), VAULT, random.Random(2).randbytes)) as again:
        found = [message.id for message in again.messages("app_1", MessageFilter(), Page(limit=MESSAGES))]
        print(f"acknowledged {len(acknowledged)} of {MESSAGES}, found {len(found)}")
        # The one being committed when the power went may be there or not; none after it is.
        assert found in (acknowledged, acknowledged + in_flight[:1])
        for message_id in found:
            assert len(again.deliveries("app_1", message_id, Page())) == 1
    with contextlib.closing(apsw.Connection(str(file))) as connection:
        assert connection.pragma("integrity_check") == "ok"


def test_the_disk_does_forget(tmp_path, disk):
    """The control: the same disk loses commits that were not synced, so the test above is able to fail."""
    file = str(tmp_path / "control.db")
    with contextlib.closing(apsw.Connection(file, vfs=NAME)) as connection:
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "full")
        connection.execute("CREATE TABLE message (number INTEGER)")
        connection.pragma("synchronous", "off")
        connection.pragma("wal_autocheckpoint", 0)
        for number in range(MESSAGES):
            connection.execute("INSERT INTO message VALUES (?)", (number,))
        assert connection.execute("SELECT count(*) FROM message").get == MESSAGES
        disk.writes_left = 0
    disk.restore(random.Random(0))
    with contextlib.closing(apsw.Connection(file)) as connection:
        kept = connection.execute("SELECT count(*) FROM message").get
    print(f"committed {MESSAGES} without syncing, found {kept}")
    assert kept < MESSAGES
