"""Does every operation of the Svix API with every SDK on every database, and writes the table of the documentation.

Run it with ``make compatibility``. It takes about a minute.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "acceptance")]

from running import receiving  # noqa: E402 - what tests use, too
from svix_operations import PAGE, TABLE, Results, Walk, table  # noqa: E402 - as above
from svix_sdk import DATABASES, VERSIONS, driving, serving  # noqa: E402 - as above


def measured() -> dict[tuple[str, str], Results]:
    """Return what came of each operation, by version and database."""
    results: dict[tuple[str, str], Results] = {}
    for database in DATABASES:
        with tempfile.TemporaryDirectory() as folder, serving(database, Path(folder)) as ringback:
            for version in VERSIONS:
                with driving(version, ringback) as sdk, receiving() as receiver:
                    walk = Walk(sdk, ringback, receiver)
                    results[version, database] = walk.results()
                    print(version, database, walk.failures or "works", file=sys.stderr)  # noqa: T201 - progress
    return results


def main() -> None:
    """Write the table."""
    made = table(measured())
    page = PAGE.read_text("utf-8")
    PAGE.write_text(TABLE.sub(lambda found: found[1] + made + found[2], page), "utf-8")


if __name__ == "__main__":
    main()
