"""``ringback inbox``: what was received, shown without letting it reach the terminal, and handled again."""

import base64
import json
import os
import sqlite3
from contextlib import closing

import pytest
from cli_inboxes import ESCAPED, HOSTILE, STORE, fill, never, receive, shop, wait

from ringback.cli import run
from ringback.cli.output import print_json, printable
from ringback.testing import FrozenClock


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run every test in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RINGBACK_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def filled():
    """An inbox that has received something of everything, closed."""
    inbox = shop()
    fill(inbox)
    return inbox


def inbox(verb, *options, store=STORE):
    return run(["inbox", verb, "xendit", *options, "--store", store])


def shown(capsys, verb, *options):
    """Run a command with --json and return what it printed."""
    capsys.readouterr()
    assert inbox(verb, *options, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_messages_are_listed_newest_first(filled, capsys):
    """`messages` prints what was received; patterns and times narrow it down."""
    assert inbox("messages") == 0
    heading, *rows = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "RECEIVED", "TYPE", "EVENT", "HELD"]
    ids = [row.split()[0] for row in rows]
    assert ids == sorted(ids, reverse=True)
    assert {row.split()[2] for row in rows} == {"unrecognised", "payout.failed", "invoice.paid"}
    assert [row["eventType"] for row in shown(capsys, "messages", "--event-type", "invoice.*")] == [
        "invoice.paid"
    ]
    assert [row["eventType"] for row in shown(capsys, "messages", "--event-type", "payout.failed")] == [
        "payout.failed"
    ]
    assert len(shown(capsys, "messages", "--since", "1h", "--limit", "2")) == 2
    assert shown(capsys, "messages", "--until", "2026-01-01T00:00:00Z", "--since", "2025-12-31") == []


def test_dead_letters_tell_who_gave_up_and_why(filled, capsys):
    """`dead` names the handler and what its last attempt came to."""
    (row,) = shown(capsys, "dead")
    assert (row["to"], row["state"], row["attempts"]) == ("xendit/fulfil", "failed", 1)
    assert row["last"].startswith("raised ValueError, ")
    assert inbox("dead") == 0
    assert "xendit/fulfil" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "types"),
    [
        ((), {"unrecognised", "payout.failed"}),
        (("--quarantined",), {"unrecognised"}),
        (("--unhandled",), {"payout.failed"}),
    ],
)
def test_held_messages_are_listed_by_reason(filled, capsys, options, types):
    """`held` lists what nothing handles, of one kind or of both."""
    assert {row["eventType"] for row in shown(capsys, "held", *options)} == types


def test_refusals_tell_the_reason_and_no_secret(filled, capsys):
    """`refusals` prints reason and headers, and neither the token that came nor the one expected."""
    assert inbox("refusals") == 0
    out = capsys.readouterr().out
    assert "token_mismatch" in out
    assert "x-callback-token" in out
    assert "not it" not in out
    (refusal,) = shown(capsys, "refusals")
    assert (refusal["reason"], refusal["method"]) == ("token_mismatch", "POST")


def test_a_message_is_shown_with_its_deliveries_and_the_last_traceback(filled, capsys):
    """`show` prints headers, payload, and per handler the attempts with the application's traceback."""
    message = shown(capsys, "dead")[0]["id"]
    assert inbox("show", message) == 0
    out = capsys.readouterr().out
    assert "content-type: application/json" in out
    assert "xendit/audit: succeeded after 1 attempt\n" in out
    assert "xendit/fulfil: failed after 1 attempt\n" in out
    assert "Traceback (most recent call last):" in out
    assert r"ValueError: no stock \x1b[31m" in out
    attempts = shown(capsys, "show", message)["attempts"]
    assert {attempt["to"] for attempt in attempts} == {"xendit/fulfil", "xendit/audit"}


def test_a_hostile_payload_never_reaches_the_terminal_raw(filled, capsys):
    """Escape sequences, C1 controls, letters that turn text around and broken UTF-8 are shown as escapes."""
    message = shown(capsys, "held", "--quarantined")[0]["id"]
    assert inbox("show", message) == 0
    out = capsys.readouterr().out
    assert ESCAPED in out
    assert all(one.isprintable() or one == "\n" for one in out)


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b31m", "\u202e", "\x7f", "\U000e0041", "a\r\nb\n"])
def test_json_is_harmless_to_a_terminal_and_exact(text, capsys):
    """What --json prints reads back as it was, and holds nothing but printable characters and line breaks."""
    print_json({"text": text})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": text}
    assert all(one.isprintable() or one == "\n" for one in out)


def test_printable_text_keeps_lines_only_when_asked_to():
    """A line break is an escape within a line, and stays where lines are shown."""
    assert printable("a\r\nb\tc") == r"a\r\nb\tc"
    assert printable("a\r\nb\tc\rd", lines=True) == "a\nb\tc\\rd"
    assert printable("naïve ☂ 漢字") == "naïve ☂ 漢字"
    assert printable("\ud800") == r"\ud800"


def test_the_payload_in_json_is_exact(filled, capsys):
    """A payload that is no UTF-8 is printed in base64, one that is as text."""
    message = shown(capsys, "held", "--quarantined")[0]["id"]
    assert base64.b64decode(shown(capsys, "show", message)["payloadBase64"]) == HOSTILE
    dead = shown(capsys, "dead")[0]["id"]
    assert json.loads(shown(capsys, "show", dead)["payload"])["status"] == "PAID"


def test_replay_has_one_message_handled_again(filled, capsys):
    """`replay SOURCE MESSAGE` makes its deliveries due again, those that had succeeded too."""
    message = shown(capsys, "dead")[0]["id"]
    assert inbox("replay", message) == 0
    captured = capsys.readouterr()
    assert captured.out == "1 message handled again, in 2 deliveries\n"
    assert captured.err == "1 message matches.\n"
    drained = filled.drain()
    filled.close()
    assert (drained.succeeded, drained.failed) == (1, 1)


def test_replay_says_how_many_and_a_dry_run_does_nothing(filled, capsys):
    """`--dry-run` counts what matches and changes nothing."""
    assert inbox("replay", "--since", "1h", "--dry-run") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "3 messages match.\n")
    assert not filled.drain().succeeded
    filled.close()


def test_replay_by_what_matches_now_reaches_a_new_handler(filled, capsys):
    """`--rematch` gives what was unhandled to a handler that was added since; without it, nobody has it."""
    assert inbox("replay", "--since", "1h", "--event-type", "payout.*") == 0
    assert "1 that nobody handles" in capsys.readouterr().out
    handled = []
    filled.on("xendit", "payout.*", name="payouts")(lambda message: handled.append(message.event_type))
    filled.missing_handlers().result()
    filled.close()
    assert shown(capsys, "replay", "--since", "1h", "--event-type", "payout.*", "--rematch") == {
        "matching": 1,
        "messages": 1,
        "deliveries": 1,
        "idle": 0,
        "failed": 0,
    }
    filled.drain()
    filled.close()
    assert handled == ["payout.failed"]


def test_many_are_replayed_in_portions(capsys):
    """More messages than go into one transaction are all handled again."""
    with closing(shop()) as received:
        pending = [receive(received) for _ in range(120)]
        received.drain()
    assert set(pending) == {200}
    assert shown(capsys, "replay", "--since", "1h", "--done-too")["deliveries"] == 240


def test_those_of_a_span_of_time_that_are_done_are_left_alone(capsys):
    """A repair over a span of time does not book again what was booked: a handler that is done stays done."""
    with closing(shop()) as received:
        assert receive(received) == 200
        received.drain()
    done = shown(capsys, "replay", "--since", "1h")["deliveries"]
    rematched = shown(capsys, "replay", "--since", "1h", "--rematch")["deliveries"]
    # Of the two handlers, the one that failed.
    assert (done, rematched) == (1, 1)


@pytest.mark.parametrize(
    "options", [(), ("msg_x", "--since", "1h"), ("msg_x", "--event-type", "a"), ("--since", "yesterday")]
)
def test_replay_wants_either_a_message_or_a_time(options, capsys):
    """Neither, both, or a time that is none is 2."""
    assert inbox("replay", *options) == 2
    assert capsys.readouterr().out == ""


def test_forget_removes_a_handler_and_cancels_what_waits(capsys):
    """`forget` takes the handler out of the store; its messages stay, and other handlers are left alone."""
    received = shop()
    wait(received)
    assert inbox("forget", "audit") == 0
    assert capsys.readouterr().out == (
        "xendit/audit is forgotten; 1 delivery that waited for it is cancelled.\n"
    )
    message = shown(capsys, "messages")[0]["id"]
    states = {one["to"]: one["state"] for one in shown(capsys, "show", message)["deliveries"]}
    assert states == {"xendit/audit": "cancelled", "xendit/fulfil": "waiting"}
    assert inbox("forget", "xendit/audit") == 5
    assert "there are: xendit/fulfil" in capsys.readouterr().err


def test_what_is_due_later_for_a_forgotten_handler_is_cancelled_then(capsys):
    """A delivery that waits for its next attempt when its handler is forgotten is cancelled by any worker."""
    clock = FrozenClock()
    received = shop(clock=clock)
    received.on("xendit", "payout.*", name="later")(never)
    assert receive(received, "payout.failed") == 200
    received.drain()
    received.close()
    message = shown(capsys, "messages")[0]["id"]
    assert inbox("forget", "later") == 0
    clock.advance(seconds=7_200)
    with closing(shop(clock=clock)) as other:
        other.drain()
    (delivery,) = shown(capsys, "show", message)["deliveries"]
    assert (delivery["state"], delivery["reason"]) == ("cancelled", "endpoint_deleted")


def test_commands_work_beside_a_running_inbox(capsys):
    """The store is read and changed while the application has it open."""
    with closing(shop()) as running:
        assert receive(running) == 200
        message = shown(capsys, "messages")[0]["id"]
        running.drain()
        assert inbox("replay", message) == 0
        assert running.drain().succeeded == 1


def test_a_file_shared_with_the_application_opens_without_telling(tmp_path, capsys):
    """A database with tables of the application's own is used as it is, and not marked as Ringback's."""
    with closing(sqlite3.connect(tmp_path / "own.db")) as own:
        own.execute("CREATE TABLE orders (id TEXT)")
    received = shop("sqlite:///own.db", shared=True)
    wait(received)
    assert inbox("messages", store="sqlite:///own.db") == 0
    with closing(sqlite3.connect(tmp_path / "own.db")) as own:
        assert own.execute("PRAGMA application_id").fetchone() == (0,)


@pytest.mark.parametrize("verb", ["messages", "dead", "held", "refusals"])
def test_a_store_that_is_not_there_is_3_and_not_made(verb, tmp_path, capsys):
    """A misspelt --store is told, and no empty database appears."""
    assert inbox(verb, store="sqlite:///shpo.db") == 3
    assert "shpo.db is not there. Name the inbox's store with --store" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_5(filled, capsys):
    """An unknown source or message is told, with the sources there are."""
    assert run(["inbox", "dead", "stripe", "--store", STORE]) == 5
    assert "there are: xendit" in capsys.readouterr().err
    assert inbox("show", "msg_none") == 5


def test_nothing_to_list_is_said_on_standard_error(capsys):
    """An empty list is no failure; JSON has an empty array."""
    received = shop()
    wait(received)
    assert inbox("refusals") == 0
    assert "There are none." in capsys.readouterr().err
    assert shown(capsys, "refusals") == []
