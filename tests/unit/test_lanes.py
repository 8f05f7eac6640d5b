"""The fair queue: turns by the time a slot is held, within bounds of slots, shares, rates and circuits."""

import collections
import itertools

import pytest
from deliveries import ERROR, NOW, OK, SECOND, endpoint, work

from ringback import pacing
from ringback.lanes import RETRY_SHARE, Lanes
from ringback.model import EndpointState


def fill(lanes, of, count, attempts=0):
    """Queue *count* deliveries; return their keys."""
    works = [work(of, attempts) for _ in range(count)]
    for one in works:
        lanes.add(one)
    return [one.key for one in works]


def picks(lanes, now=NOW, most=10_000):
    """Pick until nothing may start, at most *most*."""
    return list(itertools.islice(iter(lambda: lanes.pick(now), None), most))


def turns(lanes, count, seconds, now=NOW):
    """Pick and finish one after another, each after ``seconds(endpoint id)``; return whose turns they were."""
    order = []
    for _ in range(count):
        lane, one = lanes.pick(now)
        order.append(lane.endpoint.id)
        lanes.finished(lane, one, OK, seconds(lane.endpoint.id), now)
    return order


# --- Order -------------------------------------------------------------------------------------------------


def test_an_empty_queue_has_nothing_to_pick():
    """Without work there is nothing to start and no reason to wake."""
    lanes = Lanes(4)
    assert lanes.pick(NOW) is None
    assert lanes.next_wake() is None
    assert lanes.in_flight == len(lanes) == 0


def test_an_endpoints_deliveries_go_in_order():
    """Within an endpoint first come is first picked."""
    lanes = Lanes(4)
    keys = fill(lanes, endpoint("ep_1"), 4)
    assert [one.key for _, one in picks(lanes)] == keys


def test_applications_take_turns():
    """Turns alternate between applications, however many endpoints or deliveries one has."""
    lanes = Lanes(1)
    for number in range(5):
        fill(lanes, endpoint(f"busy_{number}", "app_busy"), 50)
    fill(lanes, endpoint("quiet", "app_quiet"), 20)
    order = turns(lanes, 40, lambda _: 0.05)
    assert order.count("quiet") == 20


def test_endpoints_of_an_application_take_turns():
    """Within an application turns alternate between endpoints."""
    lanes = Lanes(1)
    fill(lanes, endpoint("busy"), 100)
    fill(lanes, endpoint("quiet"), 10)
    assert turns(lanes, 20, lambda _: 0.05).count("quiet") == 10


@pytest.mark.parametrize("applications", [("app_1", "app_2"), ("app_1", "app_1")], ids=["two", "one"])
def test_turns_are_charged_by_the_time_a_slot_is_held(applications):
    """Who holds a slot ten times longer gets about a tenth of the turns: the time is shared, not the count."""
    lanes = Lanes(1)
    fill(lanes, endpoint("slow", applications[0]), 500)
    fill(lanes, endpoint("brisk", applications[1]), 500)
    held = {"slow": 1.0, "brisk": 0.1}
    order = collections.Counter(turns(lanes, 330, held.get))
    assert 7 <= order["brisk"] / order["slow"] <= 13


@pytest.mark.parametrize("application", ["app_new", "app_old"])
def test_a_newcomer_neither_owes_nor_is_owed(application):
    """Who comes late starts level: its turn comes at once, and it gets no more than half from then on."""
    lanes = Lanes(1)
    fill(lanes, endpoint("old", "app_old"), 1_000)
    turns(lanes, 500, lambda _: 0.05)
    fill(lanes, endpoint("new", application), 100)
    order = turns(lanes, 100, lambda _: 0.05)
    assert "new" in order[:3]
    assert 45 <= order.count("new") <= 55


# --- Bounds ------------------------------------------------------------------------------------------------


def test_slots_bound_what_is_under_way():
    """No more is picked than there are slots; a slot freed is used again."""
    lanes = Lanes(3)
    for number in range(5):
        fill(lanes, endpoint(f"ep_{number}"), 5)
    picked = picks(lanes)
    assert len(picked) == lanes.in_flight == 3
    lanes.finished(*picked[0], OK, 0.1, NOW)
    assert len(picks(lanes)) == 1


def test_an_application_takes_its_share_while_others_wait():
    """While another application has work, one with many endpoints gets no more than a quarter of the slots."""
    lanes = Lanes(16)
    for number in range(8):
        fill(lanes, endpoint(f"busy_{number}", "app_busy"), 20)
    fill(lanes, endpoint("quiet", "app_quiet", throttle_rate=60_000), 100)
    quiet = lanes.get("quiet")
    quiet.concurrency = pacing.Concurrency(64)
    shares = collections.Counter(lane.endpoint.application_id for lane, _ in picks(lanes, most=8))
    assert shares == {"app_busy": 4, "app_quiet": 4}


def test_an_application_alone_may_have_every_slot():
    """A share is no bound when nobody else has work: no slot stays idle."""
    lanes = Lanes(16)
    for number in range(8):
        fill(lanes, endpoint(f"ep_{number}"), 20)
    assert len(picks(lanes)) == 16


def test_an_endpoint_starts_with_four():
    """The rest waits until one of them ends."""
    lanes = Lanes(100)
    fill(lanes, endpoint("ep_1"), 20)
    assert len(picks(lanes)) == pacing.START_CONCURRENCY
    assert lanes.next_wake() is None


def test_retries_have_a_fifth_of_the_slots_while_others_wait():
    """Retries of many endpoints leave four fifths to new deliveries."""
    lanes = Lanes(20)
    for number in range(10):
        fill(lanes, endpoint(f"old_{number}"), 10, attempts=1)
        fill(lanes, endpoint(f"new_{number}"), 10)
    picked = [one.attempts for _, one in picks(lanes)]
    assert (len(picked), sum(picked)) == (20, 20 // RETRY_SHARE)


def test_retries_may_have_every_slot_when_nothing_is_new():
    """Without new deliveries no slot stays idle for their sake."""
    lanes = Lanes(20)
    for number in range(10):
        fill(lanes, endpoint(f"old_{number}"), 10, attempts=1)
    assert len(picks(lanes)) == 20


def test_retries_go_on_when_the_new_ones_have_gone():
    """Retries held back for the sake of new deliveries go as soon as there are none of those left."""
    lanes = Lanes(10)
    fill(lanes, endpoint("old_1"), 4, attempts=1)
    fill(lanes, endpoint("old_2"), 4, attempts=1)
    fill(lanes, endpoint("new"), 4)
    picked = picks(lanes)
    assert sum(not one.attempts for _, one in picked) == 4
    assert len(picked) == 10


def test_retries_go_on_when_one_was_abandoned():
    """A retry given back unattempted makes room for the ones held back behind it."""
    lanes = Lanes(5)
    stuck = endpoint("stuck", throttle_rate=1)
    fill(lanes, stuck, 2)
    assert len(picks(lanes)) == 1
    fill(lanes, endpoint("old_1"), 1, attempts=1)
    fill(lanes, endpoint("old_2"), 1, attempts=1)
    ((lane, one),) = picks(lanes)
    lanes.abandoned(lane, one)
    assert [one.attempts for _, one in picks(lanes)] == [1]


# --- Waiting -----------------------------------------------------------------------------------------------


def test_a_rate_limit_tells_when_to_look_again():
    """With its tokens spent a lane waits, and says until when; then one more goes."""
    lanes = Lanes(100)
    slow = endpoint("slow", throttle_rate=2)
    fill(lanes, slow, 10)
    assert len(picks(lanes)) == 2
    assert lanes.next_wake() == NOW + 500
    assert lanes.pick(NOW + 499) is None
    assert len(picks(lanes, NOW + 500)) == 1


def test_an_open_circuit_lets_one_through_when_it_may_be_probed():
    """Ten failures close the lane for the rest; then one goes, and only its success lets the others follow."""
    lanes = Lanes(100, breaker_rest=10 * SECOND)
    fill(lanes, endpoint("ep_1"), 50)
    changes = []
    for _ in range(10):
        lane, one = lanes.pick(NOW)
        changes.append(lanes.finished(lane, one, ERROR, 0.1, NOW))
    assert changes == [False] * 9 + [True]
    assert lanes.pick(NOW) is None
    assert lanes.next_wake() == NOW + 10 * SECOND
    later = NOW + 10 * SECOND
    (probe,) = picks(lanes, later)
    assert lanes.finished(*probe, ERROR, 0.1, later) is False
    assert lanes.pick(later) is None
    later += 10 * SECOND
    (probe,) = picks(lanes, later)
    assert lanes.finished(*probe, OK, 0.1, later) is True
    assert len(picks(lanes, later)) == pacing.START_CONCURRENCY


def test_a_lane_that_is_not_enabled_waits_to_be_woken():
    """A paused lane starts nothing; enabled and woken, it goes on."""
    lanes = Lanes(4)
    fill(lanes, endpoint("ep_1", state=EndpointState.PAUSED), 3)
    assert lanes.pick(NOW) is None
    lane = lanes.get("ep_1")
    lane.endpoint = endpoint("ep_1")
    lanes.wake(lane)
    assert len(picks(lanes)) == 3


def test_draining_takes_out_what_has_not_started():
    """A drained lane gives its whole queue, retries included, and has nothing left to pick."""
    lanes = Lanes(1)
    one = endpoint("ep_1")
    keys = fill(lanes, one, 3) + fill(lanes, one, 2, attempts=1)
    lane, started = lanes.pick(NOW)
    drained = [waiting.key for waiting in lanes.drain(lane)]
    assert sorted([*drained, started.key]) == sorted(keys)
    lanes.finished(lane, started, OK, 0.1, NOW)
    assert lanes.pick(NOW) is None


def test_a_closed_lane_is_forgotten_and_opens_anew():
    """A lane without work can be closed; what comes later for its endpoint finds a new one."""
    lanes = Lanes(4)
    of = endpoint("ep_1")
    fill(lanes, of, 1)
    lane, one = lanes.pick(NOW)
    lanes.finished(lane, one, OK, 0.1, NOW)
    lanes.close(lane)
    assert len(lanes) == 0
    assert lanes.get("ep_1") is None
    fill(lanes, of, 1)
    assert lanes.pick(NOW) is not None


def test_the_buffer_follows_speed_and_limits():
    """A lane holds a few seconds' worth: more the faster it is, at most its rate, none while it may not send."""
    lane = Lanes(4).lane(endpoint("ep_1"))
    fast = lane.buffer
    lane.endpoint = endpoint("ep_1", throttle_rate=10)
    assert lane.buffer == 50 < fast
    for _ in range(10):
        lane.in_flight += 1
        lane.share.in_flight += 1
        lane.finished(ERROR, 1.0, NOW, SECOND)
    assert lane.buffer == 0
    assert Lanes(4).lane(endpoint("ep_2", state=EndpointState.PAUSED)).buffer == 0


# --- An application's rate -----------------------------------------------------------------------------------


def test_an_applications_rate_is_that_of_all_its_endpoints_together():
    """A second's worth goes at once, by turns, and then one as often as the rate says; others know nothing of it."""
    lanes = Lanes(100)
    lanes.heed({"app_slow": 4})
    for number in range(3):
        fill(lanes, endpoint(f"slow_{number}", "app_slow"), 10)
    fill(lanes, endpoint("free", "app_free"), 10)
    first = collections.Counter(lane.endpoint.id for lane, _ in picks(lanes))
    assert first.pop("free") == 4
    assert sorted(first.values()) == [1, 1, 2]
    assert lanes.next_wake() == NOW + SECOND // 4
    assert picks(lanes, NOW + SECOND // 4 - 1) == []
    assert len(picks(lanes, NOW + SECOND // 4)) == 1
    assert len(picks(lanes, NOW + 60 * SECOND)) == 4


def test_an_endpoints_rate_holds_within_that_of_its_application():
    """The narrower of the two bounds."""
    lanes = Lanes(100)
    lanes.heed({"app_slow": 6})
    fill(lanes, endpoint("slow", "app_slow", throttle_rate=2), 10)
    fill(lanes, endpoint("free", "app_slow"), 10)
    counts = collections.Counter(lane.endpoint.id for lane, _ in picks(lanes))
    assert counts == {"slow": 2, "free": 4}


@pytest.mark.parametrize(("rates", "more"), [({}, 3), ({"app_slow": 2}, 2), ({"app_slow": 50}, 3)])
def test_a_change_of_an_applications_rate_is_heeded_for_what_waits(rates, more):
    """Whether it is lifted or set anew, nothing waits for the time of the earlier one."""
    lanes = Lanes(100)
    lanes.heed({"app_slow": 1})
    fill(lanes, endpoint("slow", "app_slow"), 4)
    assert len(picks(lanes)) == 1
    lanes.heed(rates)
    assert len(picks(lanes)) == more


def test_many_endpoints_of_one_application_share_what_may_be_held_of_it():
    """However many there are, only some seconds' worth of the application's rate is in memory."""
    lanes = Lanes(100)
    lanes.heed({"app_slow": 2})
    for number in range(50):
        lanes.lane(endpoint(f"slow_{number}", "app_slow"))
    assert {lane.buffer for lane in lanes} == {1}
