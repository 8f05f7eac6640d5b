"""Where tests keep their files, and which may run beside each other."""

import os
import tempfile
from pathlib import Path

import pytest

from turns import turn

MEMORY = Path("/dev/shm")
ACCEPTANCE = Path(__file__).parent / "acceptance"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Run a test when it is its turn, which no timeout counts."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture
def tmp_path(request, tmp_path):
    """Return an empty folder: on a disk for the acceptance tests, for all others in memory where there is some.

    Every commit waits for the disk, which takes a hundred times longer while others write to it. That commits
    outlive crashes is what the acceptance tests are about; what the others prove is the same in memory.
    """
    if ACCEPTANCE in request.path.parents or not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="ringback-", dir=MEMORY) as folder:
        yield Path(folder)
