from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from ringback.config import load
from ringback.keyring import key_file, open_vault


def test_processes_that_start_together_have_one_key(tmp_path):
    """Whoever makes the key beside a new database, all who start at that moment seal and open with the same."""
    starters = 16
    for number in range(20):
        settings = load({"store": f"sqlite:///{tmp_path}/{number}.db"}, {}, None)
        together = Barrier(starters)

        def start(_, settings=settings, together=together):
            together.wait()
            return open_vault(settings)

        with ThreadPoolExecutor(starters) as pool:
            vaults = list(pool.map(start, range(starters)))
        sealed = vaults[0].seal("secret", bytes(12), "context")
        assert {vault.open(sealed, "context") for vault in vaults} == {"secret"}
        assert key_file(settings.store).stat().st_mode & 0o777 == 0o600
    assert {file.suffix for file in tmp_path.iterdir()} <= {".key", ".db", ".db-wal", ".db-shm"}


def test_a_key_that_cannot_be_written_is_told_by_its_name():
    """Where nobody may write, the error names the key file, not one that is on the way to it."""
    settings = load({"store": "sqlite:////proc/ringback.db"}, {}, None)
    with pytest.raises(OSError) as refused:  # noqa: PT011 - which one depends on the system; its file is the promise
        open_vault(settings)
    assert refused.value.filename == "/proc/ringback.db.key"
