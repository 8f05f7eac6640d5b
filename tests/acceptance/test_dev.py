"""`ringback dev` as a person meets it: what it tells, and what it says when it cannot start."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from socket import create_server

import pytest

DEV = [sys.executable, "-m", "ringback", "dev"]
FLAGS = ("--listen", "--sandbox", "--shop")
ANYWHERE = [word for flag in FLAGS for word in (flag, "127.0.0.1:0")]
MESSAGES = 3
WITHOUT_SETTINGS = {name: value for name, value in os.environ.items() if not name.startswith("RINGBACK_")}
LAST = "# Send it again to one endpoint\n"
PATIENCE = 60
BROWSER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


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


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory):
    """Run `ringback dev` for several tests, each of which reads on where the one before has stopped."""
    folder = tmp_path_factory.mktemp("demonstration")
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {folder}/opened\n')
    browser.chmod(0o700)
    with running(folder, "--open", browser=f"{browser} %s") as (process, told):
        yield process, told, folder


def told_by(process):
    """Return what is told until all is: the command under the last title is followed by an empty line."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        assert "went wrong" not in line, "".join(lines)
        if line == "\n" and LAST in lines:
            return "".join(lines)
    pytest.fail("".join([*lines, process.stderr.read()]))


@contextlib.contextmanager
def running(folder=None, *more, browser="false"):
    """Run `ringback dev`; yield the process and all it told until the story was over."""
    with subprocess.Popen(
        [*DEV, *ANYWHERE, *more],
        cwd=folder,
        env=WITHOUT_SETTINGS | {"BROWSER": browser},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, told_by(process)
        finally:
            process.kill()
            process.communicate()


def of_order(out, what):
    """Return what is told of orders under a heading such as `paid`, as pairs of the order and the text."""
    return re.findall(rf"^(order-\d+|webhook) +{what} +(.+)$", out, re.MULTILINE)


def booked(folder):
    """Return the payments that the shop has written."""
    with contextlib.closing(sqlite3.connect(folder / ".ringback" / "shop.db")) as database:
        return database.execute("SELECT reference, status, amount FROM payments ORDER BY 1").fetchall()


def page(url):
    with BROWSER.open(url, timeout=PATIENCE) as answer:
        assert answer.status == 200
        return answer.read().decode()


def until_page_has(url, words):
    """Look at a page until the words are in it, as its reader does by reloading it."""
    deadline = time.monotonic() + PATIENCE
    while words not in (content := page(url)):
        assert time.monotonic() < deadline, content
        time.sleep(0.05)
    return content


# --- The story ---------------------------------------------------------------------------------------------


def test_an_order_is_told_from_its_invoice_to_its_fulfilment(first_run):
    """The SDK's invoice, the payment, the redirect, the acknowledgement and the handler are told with their latency."""
    folder, done = first_run
    assert done.returncode == 0, done.stdout + done.stderr
    out = done.stdout
    order, made = of_order(out, "invoiced")[0]
    assert re.fullmatch(r"by xendit-python, the official SDK, in [\d.]+ ms: PENDING, Rp 250,000", made)
    assert of_order(out, "page")[0][0] == order
    assert re.fullmatch(r"by transfer to BCA on that page, in [\d.]+ ms", dict(of_order(out, "paid"))[order])
    assert re.search(r"in [\d.]+ ms", dict(of_order(out, "came back"))[order])
    received = dict(of_order(out, "received"))[order]
    assert re.fullmatch(r"invoice\.paid on disk and acknowledged with 200 in [\d.]+ ms", received)
    fulfilled = r"by the handler in [\d.]+ ms, attempt 1, [\d.]+ m?s after the payment"
    assert re.fullmatch(fulfilled, dict(of_order(out, "fulfilled"))[order])
    assert (order, "PAID", 250_000) in booked(folder)
    assert "\x1b" not in out
    assert "127.0.0.0/8" in out


def test_a_handler_that_fails_is_tried_again_and_writes_once(first_run):
    """The second order's handler fails after it has written; the next attempt fulfils the order, written once."""
    folder, done = first_run
    order, failed = of_order(done.stdout, "failed")[0]
    assert re.fullmatch(
        r"the handler raised WarehouseClosedError after \d+ ms, attempt 1; next in \d\.\d s",
        failed,
    )
    recovered = r"by the handler in [\d.]+ ms, attempt 2, [\d.]+ m?s after the payment"
    assert re.fullmatch(recovered, dict(of_order(done.stdout, "fulfilled"))[order])
    assert booked(folder).count((order, "PAID", 85_000)) == 1


def test_duplicates_are_absorbed_and_forgeries_refused(first_run):
    """The same webhook again is acknowledged and not handled; a guessed token gets 401; neither writes anything."""
    folder, done = first_run
    resent = of_order(done.stdout, "resent")[0][0]
    ((order, repeated),) = of_order(done.stdout, "repeated")
    assert order == resent
    known = r"its webhook-id is known: acknowledged with 200 in [\d.]+ ms, not handled again"
    assert re.fullmatch(known, repeated)
    ((_, forged),) = of_order(done.stdout, "forged")
    guessed = r"invoice\.paid with a guessed x-callback-token: answered with 401 in [\d.]+ ms"
    assert re.fullmatch(guessed, forged)
    assert of_order(done.stdout, "refused") == [
        ("webhook", "by the inbox, and nothing is stored: token mismatch")
    ]
    assert len(booked(folder)) == 2


def test_the_sending_half_is_told_from_acceptance_to_recovery(first_run):
    """Each published message's acceptance, delivery, refusal, retry and recovery is told."""
    _, done = first_run
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
    assert f"all {MESSAGES} messages reached both endpoints." in out


def test_a_second_run_in_the_same_folder_works(first_run):
    """What the first run left is taken up: the token and the old orders with their steps; new ones are fulfilled."""
    folder, _ = first_run
    token, before = (folder / ".ringback" / "token").read_text(), booked(folder)
    with running(folder) as (process, told):
        shop = re.search(r"The shop is on (http://\S+),", told)[1]
        order = page(f"{shop}/orders/{before[1][0]}")
        assert "WarehouseClosedError" in order
        assert "Fulfilled: written once" in order
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert (folder / ".ringback" / "token").read_text() == token
    after = booked(folder)
    assert after[: len(before)] == before
    assert len({reference for reference, _, _ in after}) == len(after) == len(before) + 2


def test_secret_files_are_for_their_owner_only(first_run):
    """Nobody else on the machine can read the token, or the keys of the databases."""
    folder, _ = first_run
    files = [folder / ".ringback" / "token", *(folder / ".ringback").glob("*.key")]
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_story_that_goes_wrong_leaves_with_1(first_run, tmp_path):
    """Where an order is not written exactly once, that is said and the exit code is 1."""
    folder, _ = first_run
    shutil.copytree(folder / ".ringback", tmp_path / ".ringback")
    with contextlib.closing(sqlite3.connect(tmp_path / ".ringback" / "shop.db")) as database, database:
        database.execute(
            "CREATE TRIGGER twice AFTER INSERT ON payments WHEN (SELECT count(*) FROM payments "
            "WHERE reference = new.reference) = 1 BEGIN INSERT INTO payments "
            "SELECT new.reference, new.status, new.amount, new.written_at, new.message; END"
        )
    done = dev("--once", *ANYWHERE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(
        r"^Something went wrong: 2 payments are written for order-\d+ ", done.stdout, re.MULTILINE
    )


# --- What to try next --------------------------------------------------------------------------------------


def test_the_pages_it_names_open_and_an_order_paid_there_is_fulfilled(demonstration):
    """Each page opens; who pays on the one of the last order sees it fulfilled in the terminal and on its page."""
    process, told, _ = demonstration
    named = told.split("Open in a browser")[1].split("Or in another terminal")[0]
    shop, checkout, dashboard = re.findall(r"http://\S+", named)
    front = page(shop)
    assert "Orders" in front
    assert front.count("Fulfilled: written once") == 2
    assert "not handled again" in front
    assert "WarehouseClosedError" in front
    assert "Webhook" in page(dashboard)
    order = re.search(r"Pay (order-\d+) yourself", named)[1]
    assert "Pending" in page(f"{shop}orders/{order}")
    form = urllib.parse.urlencode({"way": "EWALLET/OVO", "outcome": "success"}).encode()
    with BROWSER.open(f"{checkout}/pay", form, timeout=PATIENCE) as paid:
        leads_to = re.search(r'content="\d+;url=([^"]+)"', paid.read().decode())[1]
    assert leads_to == f"{shop}orders/{order}?returned=1"
    fulfilled = next(line for line in process.stdout if "fulfilled" in line)
    assert order in fulfilled
    assert "Fulfilled: written once" in until_page_has(leads_to, "came back from the checkout")


def test_the_live_view_is_opened_and_shows_what_the_shop_received(demonstration):
    """The link that is told and opened leads to the live view: the shop's webhooks with both times, and the steps."""
    _, told, folder = demonstration
    link = re.search(r"http://\S+/login\?link=\S+&next=watch", told)[0]
    assert (folder / "opened").read_text().split() == [link]
    site, code = re.fullmatch(r"(http://\S+)/login\?link=(\S+)&next=watch", link).groups()
    form = urllib.parse.urlencode({"link": code, "next": "watch"})
    own = {"content-type": "application/x-www-form-urlencoded", "origin": site}
    connection = http.client.HTTPConnection(site.removeprefix("http://"), timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", "/login", form, own)
        answer = connection.getresponse()
        answer.read()
        assert answer.getheader("location").endswith("next=watch")
        connection.request("GET", "/watch", headers={"cookie": answer.getheader("set-cookie").split(";")[0]})
        shown = connection.getresponse().read().decode()
    assert "4 of 4 of receiving, 3 of 3 of publishing are done" in shown
    assert {"Came again", "Refused", "Delivered", "attempt 2"} <= set(re.findall(r"[A-Za-z][\w ]+", shown))
    assert ">not here<" not in shown


def test_a_new_order_leads_to_its_checkout_page(demonstration):
    """The shop's button makes an invoice, and sends the browser to the page where it is paid."""
    _, told, _ = demonstration
    shop = re.search(r"The shop is on (http://\S+),", told)[1]
    request = urllib.request.Request(f"{shop}/orders?item=coffee", b"", method="POST")
    with BROWSER.open(request, timeout=PATIENCE) as checkout:
        assert re.search(r"/web/[0-9a-f]{24}$", checkout.url)
        assert "Kopi Gayo" in checkout.read().decode()
    for wrong in ("item=nothing", "item=tea&trouble=99", "trouble=1"):
        request = urllib.request.Request(f"{shop}/orders?{wrong}", b"", method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            BROWSER.open(request, timeout=PATIENCE)
        assert refused.value.code in {404, 422}
        refused.value.close()


def test_the_commands_it_suggests_work_as_they_stand():
    """Each command it prints, pasted into a shell, does what its title says; what happens is told."""
    with running() as (process, told):
        titled = dict(re.findall(r"^# (.+)\n(curl (?:.+\\\n)*.+)\n", told, re.MULTILINE))
        answers = {}
        for title, command in titled.items():
            there = command.replace("curl -sS", "curl -sS --noproxy '*'")
            done = subprocess.run(
                ["bash", "-c", there], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            assert done.returncode == 0, done.stderr
            answers[title] = done.stdout
        pay, trigger, forge, publish, listing, resend = answers
        order = pay.removeprefix("Pay ")
        assert json.loads(answers[pay])["status"] == "PAID"
        assert json.loads(answers[trigger])["transaction"]["status"] == "Completed"
        assert answers[forge].startswith("HTTP/1.1 401")
        message = json.loads(answers[publish])["id"]
        assert [one["responseStatusCode"] for one in json.loads(answers[listing])["data"]].count(204) == 2
        assert json.loads(answers[resend]) == {}
        wanted = {f"{order} fulfilled", "transfer-1 fulfilled", "webhook    refused", message}
        for line in process.stdout:
            wanted = {words for words in wanted if words not in line}
            if not wanted:
                break


# --- Starting and stopping ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_told_to(number):
    """Ctrl-C and SIGTERM end it in order: exit code 0 and no traceback."""
    with running() as (process, _):
        process.send_signal(number)
        _, talk = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in talk) == (0, False)


def test_the_api_needs_the_token(demonstration):
    """The API it starts refuses whoever does not have the folder's token."""
    _, told, _ = demonstration
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


@pytest.mark.parametrize("flag", FLAGS)
def test_a_taken_port_is_said_in_one_line(flag):
    """A port that another program has is named, with the flag that chooses another."""
    with create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_one_line(dev("--once", *ANYWHERE, flag, address), address, "taken", f"{flag} HOST:PORT")


@pytest.mark.parametrize("flag", FLAGS)
def test_what_is_no_address_is_said(flag):
    """A flag whose value is no address is refused before anything is made."""
    done = dev("--once", *ANYWHERE, flag, "nowhere")
    assert done.returncode in {2, 3}
    assert "an address is HOST:PORT" in done.stderr
    assert not Path(".ringback").exists()


def test_a_missing_package_is_said_in_one_line(tmp_path):
    """Without what the shop is made of, it says what to install."""
    (tmp_path / "without.py").write_text(
        "import sys\n"
        "sys.modules['xendit'] = None\n"
        "from ringback.cli import main\n"
        "sys.argv[1:] = ['dev', '--once']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "without.py"],
        env=WITHOUT_SETTINGS,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert_one_line(done, "xendit", "pip install 'ringback[demo]'")


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
    with sqlite3.connect(folder / "sandbox.db") as connection:
        connection.execute("create table recipe (name text)")
    connection.close()
    before = (folder / "sandbox.db").read_bytes()
    assert_one_line(dev("--once", *ANYWHERE), "sandbox.db")
    assert (folder / "sandbox.db").read_bytes() == before


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path):
    """A file that is not a database at all is refused, and stays as it was."""
    folder = tmp_path / ".ringback"
    folder.mkdir()
    (folder / "shop.db").write_bytes(b"not a database " * 1000)
    assert_one_line(dev("--once", *ANYWHERE), "shop.db")
    assert (folder / "shop.db").read_bytes() == b"not a database " * 1000


def test_a_database_of_a_newer_ringback_is_said_in_one_line(first_run, tmp_path):
    """A database that a later version wrote is refused, with what to do, and stays as it was."""
    folder, _ = first_run
    shutil.copytree(folder / ".ringback", tmp_path / ".ringback")
    file = tmp_path / ".ringback" / "shop.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO ringback_migration VALUES (9999, 'of the future', 0)")
    before = file.read_bytes()
    assert_one_line(dev("--once", *ANYWHERE), "shop.db", "newer", "upgrade")
    assert file.read_bytes() == before
