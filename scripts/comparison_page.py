"""Measures the comparison of polling and webhooks for the documentation: its chart, and the table of its page.

Run it with ``make comparison``. It takes about a minute, and the times differ a little from run to run.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "explanation" / "polling-or-webhooks.md"
CHARTS = (DOCS / "images" / "compare-xendit.svg", DOCS / "images" / "compare-xendit.png")
TABLE = re.compile(r"(<!-- table: begin; [^>]*-->\n).*(<!-- table: end -->)", re.DOTALL)
INVOICES = 500


def measured() -> str:
    """Run the command, which draws the charts, and return its table."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.md"
        charts = [part for chart in CHARTS for part in ("--chart", str(chart))]
        command = [sys.executable, "-m", "ringback", "compare", "xendit", "--invoices", str(INVOICES)]
        subprocess.run([*command, *charts, "--markdown", str(table)], check=True)  # noqa: S603 - this program, with its own words
        return table.read_text("utf-8")


def main() -> None:
    """Write the charts and the table."""
    table = measured()
    page = PAGE.read_text("utf-8")
    PAGE.write_text(TABLE.sub(lambda found: found[1] + table + found[2], page), "utf-8")


if __name__ == "__main__":
    main()
