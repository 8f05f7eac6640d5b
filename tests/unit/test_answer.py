"""Reading answers: any bytes end in a verdict or wait for more, and Retry-After is read with care."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringback.destinations.answer import MAX_BODY, MAX_RETRY_AFTER, Answer, parse_retry_after
from ringback.model import OutcomeKind

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
PIECES = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n", b"HTTP/1.0 500 No\r\n", b"\r\n", b"\n", b" "),
        *(
            b"Content-Length: 3\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: close\r\n",
            b"3\r\nabc\r\n",
        ),
        *(
            b"0\r\n\r\n",
            b"abc",
            b"Retry-After: 1\r\n",
            b"Upgrade: x\r\nConnection: upgrade\r\n",
            b"x" * 70_000,
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=12))
@example([b"HTTP/1.1 200 OK\r\n", b"\r\n", b"x" * 70_000])
def test_any_bytes_come_to_a_verdict(pieces):
    """Whatever arrives, in whatever pieces, reading never raises, and closing brings a verdict."""
    answer = Answer(lambda: NOW)
    for piece in pieces:
        if answer.feed(piece):
            break
    answer.end()
    assert answer.verdict in OutcomeKind
    assert len(answer.body) <= MAX_BODY
    assert answer.retry_after is None or answer.retry_after >= 0
    if answer.verdict is OutcomeKind.SUCCESS:
        assert 200 <= answer.status < 300


@given(st.lists(st.integers(1, 200), max_size=10))
def test_pieces_make_no_difference(cuts):
    """An answer reads the same however the network cuts it up."""
    raw = b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\n"
    raw += b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
    answer = Answer(lambda: NOW)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(raw)], strict=True):
        answer.feed(raw[start:end])
    assert (answer.verdict, answer.status, answer.body) == (OutcomeKind.REFUSED, 503, b"hello world")
    assert answer.retry_after == 7_000
    assert answer.reusable


@pytest.mark.parametrize(
    ("value", "date", "wait"),
    [
        (b"0", None, 0),
        (b"120", None, 120_000),
        (b" 120 ", None, 120_000),
        (b"1.5", None, 1_500),
        (b"0.0004", None, 0),
        (b"999999999999", None, MAX_RETRY_AFTER),
        (b"Tue, 14 Nov 2023 22:14:20 GMT", None, 60_000),
        (b"Tue, 14 Nov 2023 22:12:20 GMT", None, 0),
        (b"Tuesday, 14-Nov-23 22:14:20 GMT", None, 60_000),
        (b"Tue Nov 14 22:14:20 2023", None, 60_000),
        (b"Fri, 01 Jan 2100 00:00:00 GMT", None, MAX_RETRY_AFTER),
        (b"Sat, 01 Jan 2000 00:01:00 GMT", b"Sat, 01 Jan 2000 00:00:00 GMT", 60_000),
        (b"Tue, 14 Nov 2023 22:14:20 GMT", b"nonsense", 60_000),
        (b"", None, None),
        (b"-1", None, None),
        (b"1e3", None, None),
        (b"soon", None, None),
        (b"NaN", None, None),
        (b"\xff\xfe", None, None),
        (b"9999999999999", None, None),
        (b"Tue, 99 Nov 2023 99:99:99 GMT", None, None),
    ],
)
def test_retry_after(value, date, wait):
    """Seconds, fractions and the three forms of HTTP dates are understood and capped; else nothing is."""
    assert parse_retry_after(value, date, NOW) == wait


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40))
def test_retry_after_never_raises(value, date):
    """Whatever the header holds, the result is nothing or a wait within bounds."""
    wait = parse_retry_after(value, date, NOW)
    assert wait is None or 0 <= wait <= MAX_RETRY_AFTER
