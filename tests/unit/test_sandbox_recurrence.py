"""On which dates the cycles of a recurring plan lie."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.sandbox.xendit.recurrence import END, Recurrence, instant_of
from ringback.sandbox.xendit.recurring_drafts import default_anchor

INTERVALS = st.sampled_from(["DAY", "WEEK", "MONTH", "YEAR"])
COUNTS = st.integers(1, 365)
OFFSETS = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
# Dates of sixteen years, to the millisecond.
DAYS = st.builds(
    lambda milliseconds, zone: moment(1_577_836_800_000 + milliseconds, zone),
    st.integers(0, 16 * 365 * 86_400_000),
    OFFSETS,
)
ANCHORS = DAYS.filter(lambda day: day.day <= 28)
EXACT = {"DAY": timedelta(days=1), "WEEK": timedelta(days=7)}


def moment(instant, zone):
    """Return an instant, exactly, as a calendar has it."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)).astimezone(zone)


def dates(recurrence, count):
    """Return the first dates as the anchor's own calendar has them."""
    return [moment(recurrence.date(index), recurrence.anchor.tzinfo) for index in range(count)]


@given(st.sampled_from(["MONTH", "YEAR"]), COUNTS.filter(lambda count: count <= 60), ANCHORS)
def test_months_are_calendar_months(interval, count, anchor):
    """Each date has the anchor's day and time, and lies just so many months after the one before."""
    found = dates(Recurrence(interval, count, anchor), 25)
    months = [date.year * 12 + date.month for date in found]
    distance = count * (12 if interval == "YEAR" else 1)
    assert [later - earlier for earlier, later in pairwise(months)] == [distance] * 24
    assert {(date.day, date.timetz()) for date in found} == {(anchor.day, anchor.timetz())}


@given(st.sampled_from(["DAY", "WEEK"]), COUNTS, DAYS)
def test_days_and_weeks_are_exact(interval, count, anchor):
    """A day has 24 hours and a week 7 days, whatever month begins in between."""
    found = dates(Recurrence(interval, count, anchor), 25)
    assert found == [anchor + EXACT[interval] * count * index for index in range(25)]


@settings(max_examples=500)
@given(INTERVALS, COUNTS, ANCHORS, DAYS)
def test_the_first_date_from_an_instant(interval, count, anchor, since):
    """first_from finds the one date that is not before an instant while its predecessor is."""
    recurrence, instant = Recurrence(interval, count, anchor), instant_of(since)
    index = recurrence.first_from(instant)
    assert recurrence.date(index) >= instant
    assert index == 0 or recurrence.date(index - 1) < instant
    assert recurrence.first_from(recurrence.date(index)) == index


@given(INTERVALS, COUNTS, ANCHORS, st.integers(0, 40_000))
def test_dates_beyond_time(interval, count, anchor, index):
    """However many intervals are counted, there is a date, at the end of time at the latest."""
    recurrence = Recurrence(interval, count, anchor)
    assert recurrence.date(0) <= recurrence.date(index) <= END


@given(DAYS)
def test_the_anchor_of_a_schedule_without_one(now):
    """It is the present, but where a month may lack the day: then it is the 1st of the next month."""
    anchor, present = moment(default_anchor(instant_of(now)), UTC), now.astimezone(UTC)
    if present.day <= 28:
        assert anchor == present
    else:
        assert (anchor.day, anchor.timetz()) == (1, present.timetz())
        assert timedelta(0) < anchor - present <= timedelta(days=3)


@pytest.mark.parametrize(
    ("anchor", "months", "expected"),
    [
        ("2026-01-28T23:30:00+07:00", 1, "2026-02-28T23:30:00+07:00"),
        ("2024-02-28T12:00:00+00:00", 12, "2025-02-28T12:00:00+00:00"),
        ("2025-11-15T00:00:00-05:00", 3, "2026-02-15T00:00:00-05:00"),
        ("2025-12-01T00:00:00+00:00", 1, "2026-01-01T00:00:00+00:00"),
    ],
)
def test_some_months(anchor, months, expected):
    """Ends of years, short months and leap years, by hand."""
    recurrence = Recurrence("MONTH", months, datetime.fromisoformat(anchor))
    assert recurrence.date(1) == instant_of(datetime.fromisoformat(expected))
