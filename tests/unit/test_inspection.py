"""What is found when a database is looked at, and what is made of it."""

import pytest

from ringback.inspection import examine_inspection, examine_queue
from ringback.policy import HOUR
from ringback.store import Inspection, Statistics

NOW = 1_760_000_000_000
SOUND = {"faults": (), "days_ahead": 2, "vacuums": True, "oldest_transaction": 10, "dead_rows": 100}


def judged(**fields):
    return {one.about: one.verdict for one in examine_inspection(Inspection(**SOUND | fields))}


def test_a_sound_database_is_ok():
    """Where nothing is wrong, each thing that was looked at is told as ok."""
    assert judged() == dict.fromkeys(("days", "vacuum", "transactions", "database"), "ok")


@pytest.mark.parametrize(
    ("fields", "about", "verdict"),
    [
        ({"faults": ("the index x is invalid",)}, "database", "broken"),
        ({"syncs": False}, "database", "broken"),
        ({"days_ahead": 0}, "days", "warning"),
        ({"vacuums": False}, "vacuum", "broken"),
        ({"dead_rows": 10_000_000}, "vacuum", "warning"),
        ({"oldest_transaction": HOUR}, "transactions", "warning"),
        ({"oldest_prepared": HOUR}, "transactions", "warning"),
        ({"idle_slots": ("standby_2",)}, "replication", "warning"),
        ({"open_schema": "public"}, "rights", "warning"),
    ],
)
def test_what_is_wrong_is_told_with_advice(fields, about, verdict):
    """Each thing that can be wrong is found, with why it matters and what to do."""
    (found,) = [one for one in examine_inspection(Inspection(**SOUND | fields)) if one.verdict == verdict]
    assert found.about == about
    assert found.why
    assert found.advice


def test_what_cannot_be_seen_is_not_called_sound():
    """A role from which others' transactions are hidden is told so, and how to see them."""
    (found,) = [
        one for one in examine_inspection(Inspection(**SOUND, all_seen=False)) if one.about == "transactions"
    ]
    assert "that this role may see" in found.what
    assert "pg_read_all_stats" in found.what


def test_a_queue_that_is_late_is_told():
    """What has been due for longer than a minute is a warning; a long queue in time is none."""
    long = Statistics(waiting=100_000, past_due=50_000, oldest_due_at=NOW - 5_000, size_bytes=1)
    late = Statistics(waiting=1, past_due=1, oldest_due_at=NOW - HOUR, size_bytes=1)
    assert examine_queue(long, NOW).verdict == "ok"
    assert examine_queue(late, NOW).verdict == "warning"
    assert "3,600 s" in examine_queue(late, NOW).what
