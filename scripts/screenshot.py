"""Takes the picture of ``make run`` for the README: runs the demonstration in a terminal and draws what it shows.

The token and the link's code are masked, and where the checkout is. The picture is an SVG that needs no fonts from
anywhere.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import io
import os
import pty
import re
import sys
import tempfile
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "make-run.svg"
COLUMNS = 142
FONT_FACES = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def shown() -> str:
    """Return what the demonstration writes to a terminal, what is secret masked."""
    written = io.BytesIO()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65_536)
        written.write(data)
        return data

    os.environ |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ringback", "dev", "--once", "--data", ".ringback"]
        before = Path.cwd()
        os.chdir(folder)
        try:
            status = pty.spawn(command, read)
        finally:
            os.chdir(before)
    if status:
        sys.exit("the demonstration failed; see above")
    text = written.getvalue().decode().replace("\r\n", "\n")
    text = re.sub(r"ringback_[\w-]{43}", "$TOKEN", text).replace(f"{ROOT}{os.sep}", "")
    return re.sub(r"link=[\w-]{43}", "link=$CODE", text)


def picture(text: str) -> str:
    """Return *text*, with its colours, as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("$ make run\n" + text.rstrip()))
    layout = FONT_FACES.sub("", CONSOLE_SVG_FORMAT).replace(
        "font-family: Fira Code, monospace", f"font-family: {FONT}"
    )
    return console.export_svg(title="make run", code_format=layout)


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture(shown()), "utf-8")
