"""Observable events: who asked is told, in order, and nobody else."""

import pytest

from ringback import observe
from ringback.observe import CATALOGUE, BatchCommitted, BatchTaken, Event, LeaseLost, Observer, StoreFailed


def test_the_catalogue_holds_every_event():
    """Every event defined is in the catalogue, once, so documentation and metrics can be made from it."""
    defined = {
        kind
        for kind in vars(observe).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    }
    assert set(CATALOGUE) == defined
    assert len(CATALOGUE) == len(defined)


@pytest.mark.parametrize("kind", CATALOGUE)
def test_every_event_says_when_it_happens(kind):
    """Each event has a docstring of its own."""
    assert kind.__doc__
    assert kind.__doc__ != Event.__doc__


def test_subscribers_are_told_in_order_and_only_of_what_they_asked_for():
    """Each subscriber gets each event of its kind once, in order of subscription, before ``emit`` returns."""
    observer, heard = Observer(), []
    observer.subscribe(BatchTaken, lambda event: heard.append(("first", event)))
    observer.subscribe(BatchTaken, lambda event: heard.append(("second", event)))
    observer.subscribe(StoreFailed, lambda event: heard.append(("third", event)))
    event = BatchTaken(count=3, seconds=0.1)
    observer.emit(event)
    observer.emit(BatchCommitted(rows=1, seconds=0.1))
    assert heard == [("first", event), ("second", event)]


@pytest.mark.parametrize("kind", CATALOGUE)
def test_interest_is_known_per_kind(kind):
    """``wants`` tells whether anyone asked for a kind, and asking for one kind asks for no other."""
    observer = Observer()
    assert not observer.wants(kind)
    observer.subscribe(kind, lambda _: None)
    assert [other for other in CATALOGUE if observer.wants(other)] == [kind]


def test_observers_are_independent():
    """Subscribing to one observer leaves another untouched."""
    first, second = Observer(), Observer()
    first.subscribe(LeaseLost, lambda _: None)
    assert not second.wants(LeaseLost)


def test_events_are_values():
    """Two events of the same content are equal, and none can be changed after the fact."""
    event = LeaseLost(message_id="msg_1", endpoint_id="ep_1")
    assert event == LeaseLost(message_id="msg_1", endpoint_id="ep_1")
    with pytest.raises(AttributeError):
        event.message_id = "msg_2"
