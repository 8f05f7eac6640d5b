"""State machines over a store: what they have in common, and how much each kind of database is tried."""
# ruff: noqa: D102 - rules and invariants are named for what they do

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from scene import DATABASES, Scene

# The order of events is searched where that is cheapest. The statements are the same everywhere, so what another
# kind could do differently with them needs fewer of the same orders to show.
SHARES = {"sqlite": 1, "shared": 4, "postgres": 3}


class Machine(RuleBasedStateMachine):
    """Drives a store on an empty database of one kind."""

    def __init__(self, kind, folder):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self.database = DATABASES[kind](self.folder)
        self.scene = Scene(self.database.open())

    def teardown(self):
        self.scene.store.close()
        shutil.rmtree(self.folder)


def drive(machine, kind, folder, *, examples, steps):
    """Try *examples* runs of a machine on a kind of database, or the share that is that kind's, of *steps* each."""
    run_state_machine_as_test(
        lambda: machine(kind, folder),
        settings=settings(deadline=None, max_examples=examples // SHARES[kind], stateful_step_count=steps),
    )
