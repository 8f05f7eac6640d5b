"""Where tests keep their files."""

import os
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ACCEPTANCE = Path(__file__).parent / "acceptance"


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
