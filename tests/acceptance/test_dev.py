"""`ringback dev` as a person meets it: what it tells, and what it says when it cannot start."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import urllib.request
from socket import create_server

import pytest

DEV = [sys.executable, "-m", "ringback", "dev"]
ANYWHERE = ["--listen", "127.0.0.1:0"]
MESSAGES = 6
WITHOUT_SETTINGS = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """Return a folder that was empty, and what the first run of `ringback dev --once` in it told."""
    folder = tmp_path_factory.mktemp("first")
    return folder, dev("--once", *ANYWHERE, folder=folder)


def dev(*arguments, folder=None):
    """Run `ringback dev` to its end, in *folder* or the test's own."""
    return subprocess.run(
        [*DEV, *arguments],
        cwd=folder,
        env=WITHOUT_SETTINGS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def running():
    """Run `ringback dev`; yield the process and all it told until the story was over."""
    with subprocess.Popen(
        [*DEV, *ANYWHERE], env=WITHOUT_SETTINGS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, "".join(iter(process.stdout.readline, "# Send it again to one endpoint\n"))
        finally:
            process.kill()
            process.communicate()


def test_the_story_is_told_from_acceptance_to_recovery(first_run):
    """`dev --once` tells of each acceptance, delivery, refusal, retry and recovery, and leaves with 0."""
    _, done = first_run
    assert done.returncode == 0, done.stdout + done.stderr
    out = done.stdout
    accepted = re.findall(r"^#(\d+) +accepted +\S+ (msg_\w{27}): durable in \d+\.\d ms$", out, re.MULTILINE)
    assert [number for number, _ in accepted] == [str(n) for n in range(1, MESSAGES + 1)]
    assert len(re.findall(r"^#\d+ +delivered healthy  204 in ", out, re.MULTILINE)) == MESSAGES
    refused = re.findall(
        r"^#1 +refused +flaky +500 in .*, attempt (\d), next in \d\.\d s$", out, re.MULTILINE
    )
    assert refused == ["1", "2"]
    assert re.search(
        r"^#1 +recovered flaky +204 in .*, attempt 3, \d\.\d s after acceptance$", out, re.MULTILINE
    )
    assert f"All {MESSAGES} messages reached both endpoints." in out
    assert "\x1b" not in out
    assert "127.0.0.0/8" in out


def test_a_second_run_in_the_same_folder_works(first_run):
    """What the first run left is taken up: the same token, and nothing is in the way."""
    folder, _ = first_run
    token = (folder / ".ringback" / "token").read_text()
    done = dev("--once", *ANYWHERE, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / ".ringback" / "token").read_text() == token


def test_the_token_s_file_is_for_its_owner_only(first_run):
    """Nobody else on the machine can read the token."""
    folder, _ = first_run
    assert stat.S_IMODE((folder / ".ringback" / "token").stat().st_mode) == 0o600


def test_the_commands_it_suggests_work_as_they_stand():
    """Each command it prints, pasted into a shell, succeeds; what it publishes is told of."""
    with running() as (process, told):
        resend = "".join(iter(process.stdout.readline, "\n"))
        publish, listing = told.split("# Publish a message\n")[1].split("# List a message's attempts\n")
        answers = []
        for command in (publish, listing, resend):
            fails_loudly = command.replace("curl -sS", "curl -sSf --noproxy '*'")
            done = subprocess.run(
                ["bash", "-c", fails_loudly], capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
            answers.append(done.stdout)
        message = json.loads(answers[0])["id"]
        assert [attempt["responseStatusCode"] for attempt in json.loads(answers[1])["data"]].count(204) == 2
        line = next(line for line in process.stdout if message in line)
        assert "accepted" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_told_to(number):
    """Ctrl-C and SIGTERM end it in order: exit code 0 and no traceback."""
    with running() as (process, _):
        process.send_signal(number)
        _, talk = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in talk) == (0, False)


def test_the_api_needs_the_token():
    """The API it starts refuses whoever does not have the folder's token."""
    with running() as (_, told):
        url = re.search(r"listens on (http://\S+)", told)[1]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/api/v1/app", timeout=30)
        assert refused.value.code == 401
        refused.value.close()


def assert_one_line(done, *words):
    """Check that a start was refused with exit code 3 and one line that holds *words*."""
    assert done.returncode == 3, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_a_taken_port_is_said_in_one_line():
    """A port that another program has is named, with the flag that chooses another."""
    with create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_one_line(dev("--once", "--listen", address), address, "taken", "--listen")


def test_an_address_that_is_not_this_machine_s_is_said_in_one_line():
    """An address this machine does not have is named, with the flag that chooses another."""
    assert_one_line(dev("--once", "--listen", "192.0.2.1:8400"), "192.0.2.1:8400", "--listen")


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path):
    """Where the data folder cannot be, its name and the flag that chooses another are told."""
    (tmp_path / ".ringback").write_text("a file where the folder should be")
    assert_one_line(dev("--once", *ANYWHERE), ".ringback", "--data")


def test_a_folder_on_a_read_only_file_system_is_said_in_one_line():
    """A folder that nobody may write to, not even root, is named with the flag that chooses another."""
    assert_one_line(dev("--once", *ANYWHERE, "--data", "/proc/ringback"), "/proc/ringback", "--data")


def test_a_database_of_something_else_is_left_alone(tmp_path):
    """A database that another program made is refused, and stays as it was."""
    folder = tmp_path / ".ringback"
    folder.mkdir()
    with sqlite3.connect(folder / "ringback.db") as connection:
        connection.execute("create table recipe (name text)")
    connection.close()
    before = (folder / "ringback.db").read_bytes()
    assert_one_line(dev("--once", *ANYWHERE), "ringback.db")
    assert (folder / "ringback.db").read_bytes() == before


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path):
    """A file that is not a database at all is refused, and stays as it was."""
    folder = tmp_path / ".ringback"
    folder.mkdir()
    (folder / "ringback.db").write_bytes(b"not a database " * 1000)
    assert_one_line(dev("--once", *ANYWHERE), "ringback.db")
    assert (folder / "ringback.db").read_bytes() == b"not a database " * 1000


def test_a_database_of_a_newer_ringback_is_said_in_one_line(first_run, tmp_path):
    """A database that a later version wrote is refused, with what to do, and stays as it was."""
    folder, _ = first_run
    shutil.copytree(folder / ".ringback", tmp_path / ".ringback")
    file = tmp_path / ".ringback" / "ringback.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO ringback_migration VALUES (9999, 'of the future', 0)")
    before = file.read_bytes()
    assert_one_line(dev("--once", *ANYWHERE), "ringback.db", "newer", "upgrade")
    assert file.read_bytes() == before
