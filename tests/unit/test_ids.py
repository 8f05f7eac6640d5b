"""Ids: their form, their layout, and that their order is the order of time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import ids

PROPERTY = settings(deadline=None, max_examples=300)
LAST = ids.EPOCH_MS + (2**32 - 1) * 1000  # four bytes of seconds end in the year 2150

instants = st.integers(ids.EPOCH_MS, LAST)
entropies = st.binary(min_size=ids.ENTROPY_BYTES, max_size=ids.ENTROPY_BYTES)
prefixes = st.sampled_from([ids.APPLICATION, ids.ENDPOINT, ids.MESSAGE, ids.ATTEMPT, ids.TASK, ids.TOKEN])


def decoded(identifier):
    """Read the 20 bytes of an id by the definition of base 62, not by the code under test."""
    number = 0
    for character in identifier.partition("_")[2]:
        number = number * 62 + ids.ALPHABET.index(character)
    return number.to_bytes(20, "big")


@given(prefixes, instants, entropies)
@PROPERTY
def test_the_layout_is_seconds_steps_and_randomness(prefix, now, entropy):
    """An id decodes to 4 bytes of seconds, 1 byte of 4 ms steps and the 15 random bytes as given."""
    raw = decoded(ids.new_id(prefix, now, entropy))
    assert int.from_bytes(raw[:4], "big") == (now - ids.EPOCH_MS) // 1000
    assert raw[4] == now % 1000 // 4
    assert raw[5:] == entropy


def test_the_layout_agrees_with_ksuid():
    """The greatest id reads as the greatest KSUID does: any KSUID tool can take an id apart."""
    assert ids.new_id("msg", LAST + 999, b"\xff" * 15)[:9] == "msg_aWgEP"
    assert decoded("msg_aWgEPTl1tmebfsQzFP4bxwgy80V") == b"\xff" * 20


@given(prefixes, instants, entropies)
@PROPERTY
def test_every_id_has_the_form_of_its_kind_alone(prefix, now, entropy):
    """A new id is recognised as its own kind and as no other."""
    identifier = ids.new_id(prefix, now, entropy)
    assert ids.is_id(prefix, identifier)
    assert not ids.is_id("other", identifier)
    assert len(identifier) == len(prefix) + 1 + ids.LENGTH
    assert identifier.isascii()


@given(instants, st.integers(4, 10**11), entropies, entropies)
@PROPERTY
def test_the_order_of_ids_is_the_order_of_time(now, later, first, second):
    """Of two ids at least 4 ms apart the earlier sorts first, whatever their random parts."""
    if now + later <= LAST:
        assert ids.new_id("msg", now, first) < ids.new_id("msg", now + later, second)


@given(instants, entropies)
@PROPERTY
def test_the_earliest_id_bounds_its_instant(now, entropy):
    """``earliest`` is not after any id of its instant, and after every id of 4 ms before."""
    bound = ids.earliest("msg", now)
    assert bound <= ids.new_id("msg", now, entropy)
    assert decoded(bound)[5:] == bytes(15)
    if now - 4 >= ids.EPOCH_MS:
        assert bound > ids.new_id("msg", now - 4, entropy)


@pytest.mark.parametrize("now", [0, -1, ids.EPOCH_MS - 1, ids.EPOCH_MS])
def test_the_earliest_id_before_the_epoch_is_the_smallest(now):
    """A bound from before ids began is the smallest id there can be, so a filter on any date works."""
    assert ids.earliest("msg", now) == "msg_" + "0" * 27


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msg",
        "msg_",
        "_" + "0" * 27,
        "0" * 27,
        "msg_" + "0" * 26,
        "msg_" + "0" * 28,
        "msg_" + "0" * 26 + "-",
        "msg_" + "0" * 26 + "é",
        "msg_" + "0" * 26 + "٣",
        "msg_" + "0" * 27 + "\n",
        " msg_" + "0" * 27,
        "msg__" + "0" * 26,
        "MSG_" + "0" * 27,
        "app_" + "0" * 27,
    ],
)
def test_other_text_is_not_an_id(text):
    """Text of another prefix, length or alphabet is not taken for an id."""
    assert not ids.is_id("msg", text)


@given(st.text())
@PROPERTY
def test_any_text_can_be_asked_about(text):
    """Asking whether some text is an id never fails."""
    assert ids.is_id("msg", text) in {True, False}
