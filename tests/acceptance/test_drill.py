"""The drill in short: three nodes over one PostgreSQL, killed, stopped and crashed under load."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_nodes_and_database_may_fail_in_every_way_and_nothing_is_lost():
    """Rolling restart, kills, a crash of PostgreSQL, a zombie: the outside ledgers say that every promise was kept."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.drill", "--seconds", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stdout)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    for happened in ("started again", "PostgreSQL crashed", "and goes on", "Every promise was kept."):
        assert happened in done.stdout
