"""Transformations: what expressions make of messages, exactly, always the same, and never at any price."""

import decimal
import json
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import InvalidInput
from ringback.transforming import (
    MAX_CODE,
    MAX_PAYLOAD,
    MAX_RESULT,
    Subject,
    TransformationFailed,
    check_code,
    transformed,
)

# Of processor time, for what may take 50 ms on a machine that does nothing else.
PATIENCE = 0.5


def make(code, payload=b"{}", **fields):
    """Return what *code* makes of a message."""
    usual = {"id": "msg_1", "event_type": "invoice.paid", "timestamp": "2026-03-01T12:00:00.000Z"}
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return transformed(code, Subject(payload=raw, **usual | fields))


def fails(code, payload=b"{}"):
    """Return the word for why *code* fails at a message."""
    with pytest.raises(TransformationFailed) as caught:
        make(code, payload)
    assert caught.value.why
    return caught.value.detail


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("payload", b'{"id":"i","total":250,"lines":[{"n":2},{"n":1}]}'),
        ("{b: payload.id, a: eventType}", b'{"b":"i","a":"invoice.paid"}'),
        ("[id, timestamp, variables.team]", b'["msg_1","2026-03-01T12:00:00.000Z","ops"]'),
        ("payload.total > `100` && payload.id", b'"i"'),
        ("payload.total > `1000` && payload.id", b"false"),
        ("payload.missing", None),
        ("`null`", None),
        ("payload.lines[?n > `1`].n | [0]", b"2"),
        ("sort_by(payload.lines, &n)[*].n", b"[1,2]"),
        ("max_by(payload.lines, &n).n", b"2"),
        ("map(&n, payload.lines)", b"[2,1]"),
        ('merge(payload, `{"id": "j"}`).id', b'"j"'),
        ("join('-', [payload.id, to_string(payload.total)])", b'"i-250"'),
        ("to_string(payload.lines)", b'"[{\\"n\\":2},{\\"n\\":1}]"'),
        ("[contains('abc', `1`), contains('abc', 'b'), contains(`[1, 2]`, `2`)]", b"[false,true,true]"),
        (
            "[type(`1.5`), type(`true`), type(@), type(`[]`), type('x'), type(`null`)]",
            b'["number","boolean","object","array","string","null"]',
        ),
        ("['a' < 'b', `1` < `2`, `1` == `1.0`, 'a' == `1`]", b"[true,true,true,false]"),
        ("payload.id < payload.total", None),
        ("reverse(keys(payload))", b'["lines","total","id"]'),
        ("[ceil(`1.2`), floor(`-1.2`), abs(`-1.20`)]", b"[2,-2,1.2]"),
        ("[sum(`[0.1, 0.2]`), avg(`[1, 2]`), avg(`[]`)]", b"[0.3,1.5,null]"),
        (
            "[to_number('12.50'), to_number('1_0'), to_number('nan'), to_number(' 1'), to_number(`[]`)]",
            b"[12.50,null,null,null,null]",
        ),
    ],
)
def test_what_expressions_make(code, made):
    """The functions and operators of JMESPath do what they are specified to do."""
    payload = {"id": "i", "total": 250, "lines": [{"n": 2}, {"n": 1}]}
    assert make(code, payload, variables={"team": "ops"}) == made


@pytest.mark.parametrize(
    "text", ["10.50", "-0.0", "12345678901234567890123", "1E+400", "0.1000000000000000055", "5"]
)
def test_numbers_keep_their_form(text):
    """What was written in the payload is written in the result, digit by digit: it may be money."""
    payload = f'{{"n":{text}}}'.encode()
    assert make("payload", payload) == payload
    assert make("{x: payload.n}", payload) == f'{{"x":{text}}}'.encode()


def test_sums_are_exact_whatever_the_program_has_chosen():
    """Decimal arithmetic, with rules of its own even where the program around it has others."""
    payload = b'{"lines": [0.10, 0.20, 1e20]}'
    with decimal.localcontext(decimal.Context(prec=3)):
        assert make("sum(payload.lines)", payload) == b"100000000000000000000.30"


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("sum(payload)", "failed"),
        ("length(`1`)", "failed"),
        ('sort(`[1, "a"]`)', "failed"),
        ('sort_by(`[{"a": 1}, {"a": "b"}]`, &a)', "failed"),
        ("&payload", "failed"),
        ("[&payload]", "failed"),
    ],
)
def test_faults_are_told(code, detail):
    """An operation that does not fit its values is a failure with a word and a sentence."""
    assert fails(code) == detail


def test_sums_beyond_all_numbers():
    """Numbers may be as large as JSON allows, and what would be larger still is a failure."""
    assert fails("sum(payload)", b"[9e999999, 9e999999]") == "failed"
    assert make("payload[0] > payload[1]", b"[9e999999, 1]") == b"true"


@pytest.mark.parametrize("payload", [b"", b"no json", b"\xff", b"[" * 100_000, b'{"a": 1'])
def test_what_is_no_json(payload):
    """What was received may be anything; what is no JSON is told to be none."""
    assert fails("payload", payload) == "not_json"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "a.",
        "a b",
        "unknown(@)",
        "length()",
        "length(@, @)",
        "`NaN`",
        "`{`",
        "`text`",
        "x" * (MAX_CODE + 1),
    ]
    + [opening * 4_000 for opening in ("(", "[", "{a:", "!", "&", "a[?", "`[", "length(")],
)
def test_what_is_no_expression(code):
    """What could never be evaluated is refused when it is set, however deep it is nested."""
    with pytest.raises(InvalidInput) as caught:
        check_code(code)
    assert caught.value.fields[0].loc == ("body", "code")


NUMBERS = [(n * 7919) % 1000 for n in range(45_000)]
FLOATS = b"[" + b",".join([b"1.5"] * 60_000) + b"]"
HOSTILE = {
    "doubled and written": ("payload" + " | [@, @]" * 60, b"1"),
    "doubled and compared": (f"(payload{' | [@, @]' * 16}) == (payload{' | [@, @]' * 16})", b"1"),
    "doubled as text": ("to_string(payload" + " | [@, @]" * 16 + ")", b"1"),
    "doubled a large number": ("payload" + " | [@, @]" * 12, b"9" * 4_000),
    "doubled a long fraction": ("payload" + " | [@, @]" * 6, b"0." + b"9" * 200_000),
    "doubled objects": ("payload" + " | {a: @, b: @}" * 60, b"1"),
    "flattened": ("payload[]" + " | [@, @, @, @, @, @][]" * 5, [[1] * 1000] * 20),
    "a product": ("payload[].{a: @, b: @, c: @}[].{a: @, b: @}", [[1] * 300] * 250),
    "sorted again and again": ("[" + ", ".join(["sort(payload)"] * 300) + "]", NUMBERS),
    "sorted by": ("sort_by(payload, &@)", NUMBERS),
    "compared with itself": ("[" + ", ".join(["payload == reverse(payload)"] * 200) + "]", NUMBERS),
    "searched": ("[" + ", ".join(["contains(payload, `-1`)"] * 200) + "]", NUMBERS),
    "summed": ("[" + ", ".join(["sum(payload)"] * 300) + "]", FLOATS),
    "sliced": ("[" + ", ".join(["payload[1:]"] * 500) + "]", FLOATS),
    "joined": ("join(payload[0], payload)", ["x" * 1_000] * 200),
    "joined for each": ("payload[*].join('', [@, @, @, @])", ["x" * 2_000] * 100),
    "reversed for each": (
        "[" + ", ".join(["length(reverse(payload))"] * 300) + "]",
        b'"' + b"x" * 200_000 + b'"',
    ),
    "text in text": (
        "[" + ", ".join(["contains(payload.a, payload.b)"] * 300) + "]",
        {"a": "x" * 200_000, "b": "x" * 50_000 + "y"},
    ),
    "weighed at each level": (
        "[" + ", ".join("{a: payload" + "[0]" * n + "}" for n in range(50)) + "]",
        b"[" * 60 + FLOATS + b"]" * 60,
    ),
    "merged": ("merge(" + ", ".join(["payload"] * 500) + ")", {str(n): n for n in range(15_000)}),
    "objects for each": ("payload[*].{a: @, b: @, c: @, d: @}", NUMBERS),
    "too large": ("payload", b'"' + b"x" * MAX_PAYLOAD + b'"'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_expression_costs_more_than_a_little(name):
    """Whatever is asked for ends soon: with too many steps or too much made, in little time and memory."""
    code, payload = HOSTILE[name]
    raw = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    check_code(code)
    began = time.thread_time()
    assert fails(code, raw) in {"too_many_steps", "too_large"}
    assert time.thread_time() - began < PATIENCE


def test_large_messages_that_are_little_changed():
    """The bounds leave room for what transformations are for: a large payload in an envelope, a list of many parts."""
    payload = b'{"items":[' + b",".join(b'{"id":"item-%d","price":10.50}' % n for n in range(1_000)) + b"]}"
    assert make("{data: payload, type: eventType}", payload) == (
        b'{"data":' + payload + b',"type":"invoice.paid"}'
    )
    made = json.loads(make("{n: length(payload.items), ids: payload.items[*].{id: id, sum: price}}", payload))
    assert (made["n"], len(made["ids"])) == (1_000, 1_000)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
PARTS = st.sampled_from(
    [
        *(
            "payload",
            "@",
            "a",
            "b",
            "*",
            "[*]",
            "[]",
            "[0]",
            "[1:]",
            "[?a]",
            ".a",
            ".*",
            " | ",
            "&a",
            "!",
            " && ",
        ),
        *(
            " == ",
            " < ",
            "`1`",
            "'x'",
            "(",
            ")",
            "[",
            "]",
            "{a: ",
            "}",
            ", ",
            "length(",
            "sort(",
            "to_string(",
        ),
        *(
            "sort_by(",
            "map(",
            "join('',",
            "contains(",
            "not_null(",
            "to_array(",
            "merge(",
            "values(",
            "type(",
        ),
    ]
)


@given(code=st.lists(PARTS, max_size=12).map("".join), value=VALUES)
@settings(max_examples=400, deadline=None)
def test_anything_ends_in_a_value_or_a_failure(code, value):
    """Whatever is strung together, and whatever it meets: JSON comes of it or a failure, twice the same."""

    def outcome():
        try:
            return make(code, json.dumps(value).encode())
        except TransformationFailed as failure:
            return failure.detail

    first = outcome()
    assert first == outcome()
    if isinstance(first, bytes):
        json.loads(first)
        assert len(first) <= MAX_RESULT


def test_threads_do_not_disturb_each_other():
    """The same expression, evaluated on several threads at once, makes of each message what is that one's."""
    made = {}

    def evaluate(n):
        made[n] = [
            make("{n: payload.n, all: payload.l[*].{x: @}}", {"n": n, "l": [n] * 50}) for _ in range(20)
        ]

    threads = [threading.Thread(target=evaluate, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, results in made.items():
        assert {json.loads(result)["n"] for result in results} == {n}
