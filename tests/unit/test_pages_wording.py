"""How pages say what is: nothing that a store can hold is without a word, for one would take a whole page down."""

import pytest

from ringback.model import (
    DeliveryState,
    EndpointState,
    Held,
    NodeState,
    OutcomeKind,
    SkipReason,
    Standing,
    Trigger,
)
from ringback.server.pages import wording
from ringback.store import TaskState


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (wording.STANDINGS, Standing),
        (wording.DELIVERIES, DeliveryState),
        (wording.ENDPOINTS, EndpointState),
        (wording.NODES, NodeState),
        (wording.HELD, Held),
        (wording.TASKS, TaskState),
        (wording.OUTCOMES, OutcomeKind),
        (wording.SKIPPED, SkipReason),
        (wording.TRIGGERS, Trigger),
    ],
)
def test_every_state_has_a_word(words, known):
    """Whatever the vocabulary gains, the pages can say."""
    assert set(words) == set(known)


def test_a_state_of_one_name_is_shown_alike_everywhere():
    """States of different things are looked up by their names alone, so that none may stand for another's."""
    for words in (wording.STANDINGS, wording.DELIVERIES, wording.ENDPOINTS, wording.NODES, wording.TASKS):
        for state, badge in words.items():
            assert wording.badge(state) == badge
