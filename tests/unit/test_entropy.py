"""Random bytes for ids."""

import subprocess
import sys

WITHOUT_FORK = (
    "import os; del os.register_at_fork; from ringback.entropy import entropy; print(len(entropy(10)))"
)


def test_there_is_entropy_where_there_is_no_fork():
    """On Windows, ``os`` has no ``register_at_fork``, and the package is usable nevertheless."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_FORK], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "10"
