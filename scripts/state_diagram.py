"""Draws the states of a delivery, as Mermaid, from the table that is the law (``policy.TRANSITIONS``).

Run it to see the diagram; with ``--write`` it brings the documentation's copy up to date, with ``--check`` it
only tells whether that is needed.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from ringback.policy import TRANSITIONS

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "delivery-states.md"
BEGIN = "<!-- diagram: begin; generated, do not edit: python scripts/state_diagram.py --write -->"
END = "<!-- diagram: end -->"
NOT_CREATED = "[*]"


def diagram() -> str:
    """Return the Mermaid source: one arrow per pair of states, labelled with the steps that lead along it."""
    steps = defaultdict(list)
    for (before, step), after in TRANSITIONS.items():
        steps[before or NOT_CREATED, after].append(step)
    arrows = [f"    {before} --> {after}: {', '.join(labels)}" for (before, after), labels in steps.items()]
    return "\n".join(["stateDiagram-v2", "    direction LR", *arrows]) + "\n"


def updated(text: str) -> str:
    """Return the document *text* with the current diagram between its markers.

    Raises:
        ValueError: The markers are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has lost its markers; put back the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n```mermaid\n{diagram()}```\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Print, write or check the diagram; return 1 when a check finds it out of date."""
    parser = argparse.ArgumentParser(description="Draw the states of a delivery as a Mermaid diagram.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help=f"bring {DOCUMENT.name} up to date")
    mode.add_argument("--check", action="store_true", help=f"fail if {DOCUMENT.name} is out of date")
    options = parser.parse_args(arguments)
    if not (options.write or options.check):
        sys.stdout.write(diagram())
        return 0
    text = DOCUMENT.read_text(encoding="utf-8")
    current = updated(text)
    if options.write and current != text:
        DOCUMENT.write_text(current, encoding="utf-8")
    if options.check and current != text:
        sys.stderr.write("the diagram is out of date; run: python scripts/state_diagram.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
