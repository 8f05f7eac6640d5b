"""Whatever is done to a recurring plan, in whatever order, it stays in one piece."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandboxes import playing
from xendit_tables import faults

HOUR, DAY = 3_600_000, 86_400_000
OVER = {"SUCCEEDED", "FAILED", "CANCELLED"}
PLANS = "/recurring/plans"
# What can be done, to the plan or to one of its latest cycles.
DEEDS = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from([1_000, HOUR, DAY, 3 * DAY])),
    st.tuples(st.just("decide"), st.integers(1, 4)),
    st.tuples(st.just("simulate"), st.sampled_from([13_579, 21_103])),
    st.tuples(st.just("force"), st.integers(0, 2)),
    st.tuples(st.just("cancel"), st.integers(0, 2)),
    st.tuples(st.just("reschedule"), st.integers(1, 3)),
    st.tuples(st.just("deactivate"), st.none()),
)
DRAFTS = st.fixed_dictionaries(
    {
        "immediate_payment": st.booleans(),
        "failed_cycle_action": st.sampled_from(["RESUME", "STOP"]),
        "total_recurrence": st.integers(1, 4),
        "total_retry": st.sampled_from([None, 1, 2]),
        "tokens": st.integers(1, 2),
    }
)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    with playing(tmp_path_factory.mktemp("sandbox")) as play:
        yield play


def schedule(total, retry=None, count=1):
    retries = {"retry_interval": "DAY", "retry_interval_count": 1, "total_retry": retry}
    return {"interval": "DAY", "interval_count": count, "total_recurrence": total, **retries}


def made(play, wanted):
    draft = {
        "reference_id": "plan-1",
        "customer_id": "cust-1",
        "currency": "IDR",
        "amount": 99_000,
        "payment_tokens": [
            {"payment_token_id": f"pt-{n}", "rank": n} for n in range(1, wanted["tokens"] + 1)
        ],
        "immediate_payment": wanted["immediate_payment"],
        "failed_cycle_action": wanted["failed_cycle_action"],
        "schedule": schedule(wanted["total_recurrence"], wanted["total_retry"]),
    }
    return play.ok("POST", PLANS, draft)["id"]


def do(play, plan_id, deed, detail):
    """Do something to a plan; where that is not possible now, it is refused."""
    path, cycles = f"{PLANS}/{plan_id}", cycles_of(play, plan_id)
    latest = f"{path}/cycles/{cycles[-1 - min(detail or 0, len(cycles) - 1)]['id']}"
    match deed:
        case "advance":
            return play.advance(detail)
        case "decide":
            body = {"status": "FAILED", "charges": detail}
            return play.ok("POST", f"/sandbox{path}/next_charge", body)
        case "simulate":
            answer = play.call("POST", f"{path}/cycles/{cycles[-1]['id']}/simulate", {"amount": detail})
        case "force":
            answer = play.call("POST", f"{latest}/force_attempt")
        case "cancel":
            answer = play.call("POST", f"{latest}/cancel")
        case "reschedule":
            answer = play.call("PATCH", path, {"schedule": schedule(6, count=detail)})
        case _:
            answer = play.call("POST", f"{path}/deactivate")
    assert answer.status in {200, 400, 403, 422}, answer
    return answer


def cycles_of(play, plan_id):
    return play.ok("GET", f"{PLANS}/{plan_id}/cycles", query={"limit": 100})["data"]


def check(play, plan_id):
    """Check what always holds."""
    plan, cycles = play.ok("GET", f"{PLANS}/{plan_id}"), cycles_of(play, plan_id)
    assert [cycle["cycle_number"] for cycle in cycles] == list(range(1, len(cycles) + 1))
    assert plan["recurring_cycle_count"] == len(cycles) <= plan["schedule"]["total_recurrence"]
    statuses = Counter(cycle["status"] for cycle in cycles)
    assert statuses["SCHEDULED"] <= 1
    if plan["status"] == "ACTIVE":
        assert set(statuses) - OVER
    else:
        assert set(statuses) <= OVER | {"PENDING"}
    for cycle in cycles:
        entry = play.sandbox.ledger.get("recurring_cycle", cycle["id"])
        assert (entry.due_at is None) == (cycle["status"] in OVER)
        check_attempts(cycle)


def check_attempts(cycle):
    """Check a cycle's attempts: their numbers, and that at most the last has not failed."""
    attempts = cycle["attempt_details"]
    assert cycle["attempt_count"] == max((one["attempt_number"] for one in attempts), default=0)
    forced = {one["attempt_number"] for one in attempts if one["type"] == "FORCED"}
    assert cycle["forced_attempt_count"] == len(forced)
    assert {one["status"] for one in attempts[:-1]} <= {"FAILED"}
    last = attempts[-1]["status"] if attempts else None
    assert (last == "PENDING") == (cycle["status"] == "PENDING")
    assert (last == "SUCCEEDED") == (cycle["status"] == "SUCCEEDED")


def check_told(play, plan_id, since):
    """Check what was told of a plan: as documented, each end once, and nothing after the plan's but ends of charges."""
    told = []
    for event, _, body in play.told()[since:]:
        if plan_id in {body["data"]["id"], body["data"].get("plan_id")}:
            assert faults(event, "event", body) == []
            told.append((event.removeprefix("recurring."), body["data"]["id"]))
    counts = Counter(told)
    assert counts["plan.inactivated", plan_id] == 1
    assert counts["plan.activated", plan_id] <= 1
    for cycle in cycles_of(play, plan_id):
        ends = counts["cycle.succeeded", cycle["id"]], counts["cycle.failed", cycle["id"]]
        assert ends == (cycle["status"] == "SUCCEEDED", cycle["status"] == "FAILED")
        assert counts["cycle.created", cycle["id"]] >= 1


@given(wanted=DRAFTS, deeds=st.lists(DEEDS, max_size=12))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_in_one_piece(play, wanted, deeds):
    """It has one cycle that waits while it is active, ends with the last one, and tells each end once."""
    since = len(play.told())
    plan_id = made(play, wanted)
    check(play, plan_id)
    for deed, detail in deeds:
        do(play, plan_id, deed, detail)
        check(play, plan_id)
    play.advance(60 * DAY)
    check(play, plan_id)
    assert play.ok("GET", f"{PLANS}/{plan_id}")["status"] == "INACTIVE"
    assert all(cycle["status"] in OVER for cycle in cycles_of(play, plan_id))
    check_told(play, plan_id, since)
