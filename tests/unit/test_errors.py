"""The errors: the tree that is drawn is the tree that is."""

import re

import pytest

from ringback import errors
from ringback.errors import FieldError, InvalidInput, RingbackError, SignatureInvalid, Unavailable

ROW = re.compile(
    r"^(?P<lead>[ │├└─]*)(?P<name>[A-Z]\w+) +(?P<status>\d{3})  (?P<code>[a-z_]+(?: [a-z_]+)*)", re.MULTILINE
)
INDENT = 4


def drawn_tree():
    """Read the docstring: for each class its name, its parent's name, status and code."""
    rows, ancestors = [], []
    for match in ROW.finditer(errors.__doc__):
        depth = len(match["lead"]) // INDENT - 1
        ancestors = [*ancestors[:depth], match["name"]]
        rows.append((match["name"], ancestors[-2] if depth else None, int(match["status"]), match["code"]))
    return rows


def actual_tree(kind=RingbackError, parent=None):
    own = [(kind.__name__, parent, kind.status, kind.code)]
    return own + [
        row
        for child in kind.__subclasses__()
        if child.__module__ == errors.__name__
        for row in actual_tree(child, kind.__name__)
    ]


def test_the_drawn_tree_is_the_actual_tree():
    """Every error is drawn once, under its parent, with its status and code; nothing else is drawn."""
    assert sorted(drawn_tree(), key=str) == sorted(actual_tree(), key=str)


def test_codes_are_unique():
    """A code names one error, so a program can tell them apart."""
    codes = [code for _, _, _, code in actual_tree()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RingbackError)],
)
def test_every_error_says_something_without_being_told(kind):
    """Each error has a message of its own, in one line, when no detail is given."""
    error = kind("some_reason") if kind is SignatureInvalid else kind()
    assert error.detail
    assert "\n" not in error.detail
    assert str(error) == error.detail


def test_an_error_without_a_docstring_still_has_a_message():
    """Where docstrings are missing, as under ``python -OO``, the code is the message."""

    class UndocumentedError(RingbackError):
        code = "undocumented"

    assert UndocumentedError().detail == "undocumented"


def test_a_detail_replaces_the_default():
    """The detail given is the message."""
    assert str(errors.NotFound("no endpoint is called ep_1")) == "no endpoint is called ep_1"


def test_invalid_input_names_its_fields():
    """The message lists each field's path with what is wrong, and the fields stay readable by a program."""
    error = InvalidInput(
        FieldError(loc=("body", "channels", 0), msg="too long"),
        FieldError(loc=("query", "limit"), msg="too high"),
    )
    assert str(error) == "body.channels.0: too long; query.limit: too high"
    assert [field.type for field in error.fields] == ["value_error", "value_error"]


def test_invalid_input_at_one_field():
    """``at`` builds the error for one field, its kind of fault included."""
    error = InvalidInput.at("body", "url", msg="must be https", kind="value_error.url")
    assert error.fields == (FieldError(loc=("body", "url"), msg="must be https", type="value_error.url"),)


def test_a_refused_signature_carries_its_reason():
    """The reason is for programs; without a detail it also reads as the message."""
    assert SignatureInvalid("timestamp_too_old").reason == "timestamp_too_old"
    assert str(SignatureInvalid("timestamp_too_old")) == "timestamp too old"
    assert str(SignatureInvalid("timestamp_too_old", "400 s old")) == "400 s old"


def test_unavailable_says_how_long_to_wait():
    """A caller is told the seconds to wait: one, unless the raiser knows better."""
    assert Unavailable().retry_after == 1
    assert errors.StoreUnavailable("disk full", retry_after=30).retry_after == 30
