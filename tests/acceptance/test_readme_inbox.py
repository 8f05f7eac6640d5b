"""The README's way of receiving a webhook, followed to the letter in an empty folder."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

README = (Path(__file__).parent.parent.parent / "README.md").read_text("utf-8")
PATIENCE = 30


def test_the_receiving_sample_works_as_it_stands(tmp_path):
    """The sample, its two commands and its curl line, sent ten times, book one payment; a wrong token books none."""
    section = README.partition("## Receive a webhook")[2].partition("\n## ")[0]
    code, run, curl = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    (tmp_path / "shop.py").write_text(code, "utf-8")
    assert len([line for line in code.splitlines() if line]) <= 10
    port = _free_port()
    with ExitStack() as exits:
        for command in run.replace("8000", str(port)).strip().splitlines():
            exits.enter_context(_running(command, tmp_path))
        _wait_for_port(port)
        once = curl.replace("8000", str(port)).replace("curl -i", "curl -is --noproxy '*'")
        forged = once.replace("the-callback-token", "another-token").replace("evt-1", "evt-2")
        answers = [_shell(sent, tmp_path) for sent in [forged, *[once] * 10]]
        assert [answer.split()[1] for answer in answers] == ["401", *["200"] * 10]
        rows = _rows_when_there(tmp_path / "shop.db")
    assert rows == [("order-1", 250000)]


def _running(command, folder):
    words = [sys.executable, "-m", *command.split()]
    process = subprocess.Popen(words, cwd=folder, env=_environment(), stderr=subprocess.DEVNULL)
    stop = ExitStack()
    stop.enter_context(process)
    stop.callback(process.kill)
    return stop


def _environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}


def _shell(command, folder):
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_port(port):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


def _rows_when_there(file):
    end = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as database:
        while time.monotonic() < end:
            states = dict(database.execute("SELECT state, count(*) FROM ringback_delivery GROUP BY state"))
            if states == {"succeeded": 1}:
                break
            time.sleep(0.05)
        return database.execute("SELECT invoice, amount FROM paid").fetchall()
