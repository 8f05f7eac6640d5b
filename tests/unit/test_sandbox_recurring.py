"""Recurring plans of the sandbox, and their cycles."""

import pytest
from sandboxes import OWNER, playing
from xendit_tables import faults

from ringback.sandbox.xendit.slots import Sending
from xendit_requests import OTHER_BUSINESS, OTHERS

SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
PLANS = "/recurring/plans"
SCHEDULE = {
    "interval": "DAY",
    "interval_count": 2,
    "anchor_date": "2026-03-03T12:00:00Z",
    "total_recurrence": 3,
}
RETRIES = {"retry_interval": "DAY", "retry_interval_count": 1, "total_retry": 2}
DRAFT = {
    "reference_id": "plan-1",
    "customer_id": "cust-1b2c3d4e-0000-4000-8000-000000000001",
    "currency": "IDR",
    "amount": 99_000.0,
    "payment_tokens": [{"payment_token_id": "pt-1", "rank": 1}],
    "schedule": SCHEDULE,
    "metadata": {"shelf": "a"},
}
MISSING = (404, "DATA_NOT_FOUND")
INVALID = (400, "API_VALIDATION_ERROR")
INELIGIBLE = (403, "INELIGIBLE_CYCLE_REQUEST")
FORBIDDEN = (403, "REQUEST_FORBIDDEN_ERROR")


def made(play, schedule=None, **more):
    return play.ok("POST", PLANS, DRAFT | {"schedule": SCHEDULE | (schedule or {})} | more)


def plan_of(play, plan):
    return play.ok("GET", f"{PLANS}/{plan['id']}")


def cycles(play, plan):
    """Return a plan's cycles, oldest first."""
    listed = play.ok("GET", f"{PLANS}/{plan['id']}/cycles", query={"limit": 100})
    return listed["data"]


def statuses(play, plan):
    return [cycle["status"] for cycle in cycles(play, plan)]


def path(cycle, call=""):
    return f"{PLANS}/{cycle['plan_id']}/cycles/{cycle['id']}{call}"


def fail(play, plan, charges=1, **more):
    draft = {"status": "FAILED", "charges": charges} | more
    return play.ok("POST", f"/sandbox/recurring/plans/{plan['id']}/next_charge", draft)


def told(play, since=0):
    """Return what was told, shortly; each must be as documented."""
    events = []
    for event, slot, body in play.told()[since:]:
        assert slot == "recurring"
        assert faults(event, "event", body) == []
        assert body["api_version"] == "2026-01-01"
        data = body["data"]
        number = data["cycle_number"] if "cycle_number" in data else data["recurring_cycle_count"]
        events.append((event.removeprefix("recurring."), number, data["status"]))
    return events


def test_a_plan_from_its_first_cycle_to_its_last(play):
    """A plan is active at once, is charged at its dates, and ends with its last cycle; all of that is told."""
    answer = play.call("POST", PLANS, DRAFT)
    plan = answer.body
    assert (answer.status, plan["status"], plan["recurring_cycle_count"]) == (202, "ACTIVE", 1)
    assert plan_of(play, plan) == plan
    [first] = cycles(play, plan)
    assert (first["scheduled_timestamp"], first["type"]) == ("2026-03-03T12:00:00.000Z", "SCHEDULED")
    play.advance(30 * DAY)
    assert plan_of(play, plan)["status"] == "INACTIVE"
    dates = [cycle["scheduled_timestamp"][:10] for cycle in cycles(play, plan)]
    assert dates == ["2026-03-03", "2026-03-05", "2026-03-07"]
    assert statuses(play, plan) == ["SUCCEEDED"] * 3
    assert told(play) == [
        ("plan.activated", 1, "ACTIVE"),
        ("cycle.created", 1, "SCHEDULED"),
        ("cycle.created", 1, "PENDING"),
        ("cycle.created", 2, "SCHEDULED"),
        ("cycle.succeeded", 1, "SUCCEEDED"),
        ("cycle.created", 2, "PENDING"),
        ("cycle.created", 3, "SCHEDULED"),
        ("cycle.succeeded", 2, "SUCCEEDED"),
        ("cycle.created", 3, "PENDING"),
        ("cycle.succeeded", 3, "SUCCEEDED"),
        ("plan.inactivated", 3, "INACTIVE"),
    ]
    [attempt] = cycles(play, plan)[0]["attempt_details"]
    assert (attempt["type"], attempt["status"], attempt["payment_token_id"]) == (
        "INITIAL",
        "SUCCEEDED",
        "pt-1",
    )
    assert play.sandbox.ledger.next_due() is None


def test_a_plan_without_an_end(play):
    """Without total_recurrence there is always a next cycle, a calendar month later."""
    plan = made(play, {"interval": "MONTH", "interval_count": 1, "total_recurrence": None})
    play.advance(365 * DAY)
    found = cycles(play, plan)
    assert [cycle["scheduled_timestamp"][5:16] for cycle in found[:4]] == [
        "03-03T12:00",
        "04-03T12:00",
        "05-03T12:00",
        "06-03T12:00",
    ]
    assert [cycle["cycle_number"] for cycle in found] == list(range(1, len(found) + 1))
    assert found[-1]["status"] == "SCHEDULED"


def test_an_anchor_that_has_passed(play):
    """The first cycle is at the first date of the schedule that is still to come."""
    plan = made(play, {"anchor_date": "2026-02-10T09:00:00+07:00", "interval": "WEEK", "interval_count": 1})
    assert cycles(play, plan)[0]["scheduled_timestamp"] == "2026-03-03T02:00:00.000Z"


# --- Charges that fail ---------------------------------------------------------------------------------------


def test_retries(play):
    """A charge that fails is tried again as the schedule says; each time is told, and the cycle keeps the count."""
    plan = made(play, RETRIES | {"interval": "MONTH", "total_recurrence": 1})
    fail(play, plan, 2)
    since = len(play.told())
    play.advance(DAY + 2 * SECOND)
    [cycle] = cycles(play, plan)
    assert (cycle["status"], cycle["scheduled_timestamp"]) == ("RETRYING", "2026-03-04T12:00:02.000Z")
    assert cycle["attempt_details"][0]["next_retry_timestamp"] == cycle["scheduled_timestamp"]
    play.advance(10 * DAY)
    assert told(play, since) == [
        ("cycle.created", 1, "PENDING"),
        ("cycle.retrying", 1, "RETRYING"),
        ("cycle.retrying", 1, "RETRYING"),
        ("cycle.succeeded", 1, "SUCCEEDED"),
        ("plan.inactivated", 1, "INACTIVE"),
    ]
    [cycle] = cycles(play, plan)
    attempts = [(one["attempt_number"], one["type"], one["status"]) for one in cycle["attempt_details"]]
    assert attempts == [(1, "INITIAL", "FAILED"), (2, "RETRY", "FAILED"), (3, "RETRY", "SUCCEEDED")]
    assert cycle["attempt_count"] == 3


@pytest.mark.parametrize(("action", "status"), [("RESUME", "ACTIVE"), ("STOP", "INACTIVE")])
def test_a_cycle_that_fails(play, action, status):
    """When no retry is left the cycle has failed: the plan goes on, or stops with all that waits."""
    plan = made(play, RETRIES | {"interval": "WEEK"}, failed_cycle_action=action)
    fail(play, plan, 3, failure_code="CARD_DECLINED")
    play.advance(4 * DAY)
    ended = plan_of(play, plan)
    assert (ended["status"], statuses(play, plan)[0]) == (status, "FAILED")
    assert statuses(play, plan)[1] == ("SCHEDULED" if action == "RESUME" else "CANCELLED")
    assert ended["failure_code"] == (None if action == "RESUME" else "CARD_DECLINED")
    expected = [("cycle.failed", 1, "FAILED")]
    expected += [] if action == "RESUME" else [("plan.inactivated", 2, "INACTIVE")]
    assert told(play)[-len(expected) :] == expected


def test_several_tokens_are_tried(play):
    """An attempt that fails has tried all tokens by their ranks; only after the last there is a next time."""
    tokens = [{"payment_token_id": "pt-b", "rank": 2}, {"payment_token_id": "pt-a", "rank": 1}]
    plan = made(play, RETRIES, payment_tokens=tokens)
    fail(play, plan)
    play.advance(DAY + HOUR)
    actions = cycles(play, plan)[0]["attempt_details"]
    assert [(one["action_number"], one["payment_token_id"]) for one in actions] == [(1, "pt-a"), (2, "pt-b")]
    assert [one["next_retry_timestamp"] is None for one in actions] == [True, False]
    assert {one["failure_code"] for one in actions} == {"INSUFFICIENT_BALANCE"}


def test_a_plan_of_a_sum_that_fails(play):
    """A plan whose amount is one of the documented sums is charged accordingly, without a word."""
    good, bad = made(play, amount=13_579), made(play, amount=21_103)
    play.advance(DAY + HOUR)
    assert (statuses(play, good)[0], statuses(play, bad)[0]) == ("SUCCEEDED", "FAILED")
    assert cycles(play, bad)[0]["attempt_details"][0]["failure_code"] == "ACCOUNT_ACCESS_BLOCKED"


# --- A charge at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [{"immediate_payment": True}, {"immediate_action_type": "FULL_AMOUNT"}])
def test_an_immediate_charge(play, field):
    """The first cycle is charged when the plan is made, which is PENDING until that has succeeded."""
    plan = made(play, **field)
    assert (plan["status"], plan["immediate_payment"]) == ("PENDING", True)
    play.advance(5 * SECOND)
    assert told(play) == [
        ("cycle.created", 1, "PENDING"),
        ("cycle.succeeded", 1, "SUCCEEDED"),
        ("plan.activated", 2, "ACTIVE"),
        ("cycle.created", 2, "SCHEDULED"),
    ]
    first, second = cycles(play, plan)
    assert (first["type"], second["type"]) == ("IMMEDIATE", "SCHEDULED")
    assert second["scheduled_timestamp"] == "2026-03-03T12:00:00.000Z"


def test_an_immediate_charge_that_fails(play):
    """It is not tried again: the plan is inactive, and says why."""
    plan = made(play, RETRIES, immediate_payment=True, amount=21_110)
    play.advance(5 * SECOND)
    assert told(play)[1:] == [("cycle.failed", 1, "FAILED"), ("plan.inactivated", 1, "INACTIVE")]
    assert plan_of(play, plan)["failure_code"] == "INSUFFICIENT_BALANCE"
    assert play.sandbox.ledger.next_due() is None


def test_one_cycle_that_is_immediate(play):
    """A plan of one cycle that is charged at once is active for no time at all."""
    plan = made(play, {"total_recurrence": 1}, immediate_payment=True)
    play.advance(5 * SECOND)
    assert [event for event, _, _ in told(play)[-2:]] == ["plan.activated", "plan.inactivated"]
    assert statuses(play, plan) == ["SUCCEEDED"]


def test_a_plan_that_is_ended_while_it_is_charged(play):
    """Deactivated before its first charge has ended, a plan does not come back to life by that."""
    plan = made(play, immediate_payment=True)
    play.ok("POST", f"{PLANS}/{plan['id']}/deactivate")
    play.advance(30 * DAY)
    assert (plan_of(play, plan)["status"], statuses(play, plan)) == ("INACTIVE", ["SUCCEEDED"])


# --- Linking -------------------------------------------------------------------------------------------------


def test_a_plan_without_a_token(play):
    """It requires the customer to link an account, and begins when that is done, once."""
    plan = made(play, payment_tokens=[])
    assert (plan["status"], plan["actions"][0]["action"]) == ("REQUIRES_ACTION", "AUTH")
    play.advance(2 * DAY)
    assert told(play) == []
    linked = play.ok("POST", f"/sandbox/recurring/plans/{plan['id']}/link")
    assert (linked["status"], linked["actions"]) == ("ACTIVE", [])
    assert linked["payment_tokens"][0]["payment_token_id"].startswith("pt-")
    assert [event for event, _, _ in told(play)] == ["plan.activated", "cycle.created"]
    assert play.refused("POST", f"/sandbox/recurring/plans/{plan['id']}/link") == FORBIDDEN


def test_the_older_names(play):
    """payment_methods are taken for tokens, and a schedule may have no anchor: it begins now."""
    draft = DRAFT | {
        "payment_tokens": None,
        "payment_methods": [{"payment_method_id": "pm-1", "rank": 1, "type": "EWALLET"}],
        "recurring_action": "PAYMENT",
        "schedule": {"interval": "DAY", "interval_count": 1},
    }
    plan = play.ok("POST", PLANS, draft)
    assert plan["payment_tokens"] == [{"payment_token_id": "pm-1", "rank": 1}]
    play.advance(3 * SECOND)
    assert statuses(play, plan) == ["SUCCEEDED", "SCHEDULED"]


def test_tokens_that_cannot_be_charged(play):
    """A payment token of the sandbox has to be active and of the plan's currency, in a plan and in its update."""
    asked = {"reference_id": "t", "country": "ID", "currency": "IDR", "channel_code": "DANA"}
    returns = {
        "success_return_url": "https://shop.example/ok",
        "failure_return_url": "https://shop.example/no",
    }
    token = play.ok("POST", "/v3/payment_tokens", asked | {"channel_properties": returns})
    tokens = {"payment_tokens": [{"payment_token_id": token["payment_token_id"], "rank": 1}]}
    invalid = (400, "INVALID_PAYMENT_TOKEN_ID")
    assert play.refused("POST", PLANS, DRAFT | tokens) == invalid
    plan = made(play)
    assert play.refused("PATCH", f"{PLANS}/{plan['id']}", tokens) == invalid
    play.ok("POST", f"/sandbox/v3/payment_tokens/{token['payment_token_id']}/simulate")
    assert made(play, **tokens)["status"] == "ACTIVE"
    assert play.refused("POST", PLANS, DRAFT | tokens | {"currency": "PHP"}) == invalid


# --- Changes -------------------------------------------------------------------------------------------------


def test_a_plan_is_changed(play):
    """What is changed holds for cycles that are yet to be made; the one that waits stays as it is."""
    plan = made(play)
    update = {
        "amount": 120_000,
        "description": "Dearer",
        "payment_tokens": [{"payment_token_id": "pt-2", "rank": 1}],
        "schedule": {"interval": "WEEK", "interval_count": 1},
    }
    changed = play.ok("PATCH", f"{PLANS}/{plan['id']}", update)
    assert (changed["amount"], changed["description"]) == (120_000, "Dearer")
    assert changed["schedule"]["total_recurrence"] is None
    assert changed["schedule"]["anchor_date"] == SCHEDULE["anchor_date"]
    play.advance(DAY + HOUR)
    first, second = cycles(play, plan)
    assert (first["amount"], second["amount"]) == (99_000, 120_000)
    assert first["attempt_details"][0]["payment_token_id"] == "pt-2"
    assert second["scheduled_timestamp"] == "2026-03-10T12:00:00.000Z"


def test_more_cycles_for_a_plan_whose_last_is_under_way(play):
    """A plan that would have ended goes on when it is given more cycles."""
    plan = made(play, {"total_recurrence": 1})
    play.advance(DAY + SECOND)
    assert statuses(play, plan) == ["PENDING"]
    play.ok("PATCH", f"{PLANS}/{plan['id']}", {"schedule": SCHEDULE})
    assert statuses(play, plan) == ["PENDING", "SCHEDULED"]
    fewer = {"schedule": SCHEDULE | {"total_recurrence": 1}}
    assert play.refused("PATCH", f"{PLANS}/{plan['id']}", fewer) == INVALID


def test_a_plan_is_deactivated(play):
    """Its cycles that wait are cancelled, it is told, and stays so."""
    plan = made(play)
    assert play.ok("POST", f"{PLANS}/{plan['id']}/deactivate")["status"] == "INACTIVE"
    assert told(play)[-1] == ("plan.inactivated", 1, "INACTIVE")
    assert statuses(play, plan) == ["CANCELLED"]
    assert play.refused("POST", f"{PLANS}/{plan['id']}/deactivate") == FORBIDDEN
    update = play.refused("PATCH", f"{PLANS}/{plan['id']}", {"amount": 1})
    assert update == (422, "UNPROCESSABLE_ENTITY_ERROR")
    assert play.sandbox.ledger.next_due() is None


def test_a_cycle_is_changed(play):
    """A cycle that waits can be moved and cost something else; what follows stays."""
    plan = made(play)
    [cycle] = cycles(play, plan)
    update = {"scheduled_timestamp": "2026-03-02T18:00:00+00:00", "amount": 1_500.75, "metadata": {"b": "c"}}
    changed = play.ok("PATCH", path(cycle), update)
    assert (changed["scheduled_timestamp"], changed["amount"]) == ("2026-03-02T18:00:00.000Z", 1_500)
    play.advance(7 * HOUR)
    first, second = cycles(play, plan)
    assert (first["status"], first["amount"], first["metadata"]) == ("SUCCEEDED", 1_500, {"b": "c"})
    assert second["scheduled_timestamp"] == "2026-03-05T12:00:00.000Z"
    assert play.refused("PATCH", path(first), {"amount": 1}) == INELIGIBLE
    for wrong in (
        {"currency": "PHP"},
        {"scheduled_timestamp": "2020-01-01"},
        {"amount": -1},
        {"amount": 1e13},
    ):
        assert play.refused("PATCH", path(second), wrong) == INVALID


def test_a_cycle_is_cancelled(play):
    """It is not charged; the next one takes its place, and the last one's end is the plan's."""
    plan = made(play, {"total_recurrence": 2})
    assert play.ok("POST", path(cycles(play, plan)[0], "/cancel"))["status"] == "CANCELLED"
    assert statuses(play, plan) == ["CANCELLED", "SCHEDULED"]
    assert play.refused("POST", path(cycles(play, plan)[0], "/cancel")) == INELIGIBLE
    play.ok("POST", path(cycles(play, plan)[1], "/cancel"))
    assert plan_of(play, plan)["status"] == "INACTIVE"


# --- Charges ahead of their time -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "status", "failure_code"),
    [
        (13_579, "SUCCEEDED", None),
        (5, "SUCCEEDED", None),
        (21_103, "RETRYING", "ACCOUNT_ACCESS_BLOCKED"),
        (21_106, "RETRYING", "INVALID_ACCOUNT_DETAILS"),
        (21_107, "RETRYING", "MAXIMUM_LIMIT_REACHED"),
        (21_110, "RETRYING", "INSUFFICIENT_BALANCE"),
    ],
)
def test_a_charge_is_tried_out(play, amount, status, failure_code):
    """The sum of the call decides how the charge ends, and not what the cycle costs; the next date stays."""
    plan = made(play, RETRIES)
    [cycle] = cycles(play, plan)
    pending = play.ok("POST", path(cycle, "/simulate"), {"amount": amount})
    assert pending["status"] == "PENDING"
    assert play.refused("POST", path(cycle, "/simulate"), {"amount": amount}) == INELIGIBLE
    play.advance(5 * SECOND)
    charged, following = cycles(play, plan)
    assert (charged["status"], charged["amount"]) == (status, 99_000)
    assert charged["attempt_details"][0]["failure_code"] == failure_code
    assert following["scheduled_timestamp"] == "2026-03-05T12:00:00.000Z"
    assert told(play)[-1][0] == f"cycle.{status.lower()}"


def test_a_forced_attempt_that_succeeds(play):
    """A cycle that waits, or is to be tried again, is charged now; the next one's date stays."""
    plan = made(play, RETRIES)
    play.ok("POST", path(cycles(play, plan)[0], "/force_attempt"))
    play.advance(5 * SECOND)
    first, second = cycles(play, plan)
    assert (first["status"], first["forced_attempt_count"]) == ("SUCCEEDED", 1)
    assert second["scheduled_timestamp"] == "2026-03-05T12:00:00.000Z"
    assert told(play)[-2:] == [("cycle.succeeded", 1, "SUCCEEDED"), ("cycle.created", 2, "SCHEDULED")]
    play.ok("POST", path(second, "/simulate"), {"amount": 21_110})
    play.advance(5 * SECOND)
    play.ok("POST", path(second, "/force_attempt"))
    play.advance(5 * SECOND)
    assert statuses(play, plan) == ["SUCCEEDED", "SUCCEEDED", "SCHEDULED"]
    assert play.refused("POST", path(second, "/force_attempt")) == INELIGIBLE


def test_forced_attempts_that_fail(play):
    """The cycle waits for its own time as before; five times at most."""
    plan = made(play)
    fail(play, plan, 5)
    [cycle] = cycles(play, plan)
    for _ in range(5):
        assert play.ok("POST", path(cycle, "/force_attempt"))["status"] == "PENDING"
        play.advance(5 * SECOND)
        assert told(play)[-1] == ("cycle.force_attempt_failed", 1, "SCHEDULED")
    limit = play.refused("POST", path(cycle, "/force_attempt"))
    assert limit == (400, "MAXIMUM_LIMIT_REACHED")
    [forced] = cycles(play, plan)
    assert (forced["forced_attempt_count"], forced["attempt_count"]) == (5, 5)
    assert forced["scheduled_timestamp"] == cycle["scheduled_timestamp"]
    play.advance(DAY)
    assert statuses(play, plan) == ["SUCCEEDED", "SCHEDULED"]


def test_a_forced_attempt_that_fails_after_the_end(play):
    """A cycle whose plan was deactivated in the meantime waits no more."""
    plan = made(play)
    fail(play, plan)
    play.ok("POST", path(cycles(play, plan)[0], "/force_attempt"))
    play.ok("POST", f"{PLANS}/{plan['id']}/deactivate")
    play.advance(30 * DAY)
    assert statuses(play, plan) == ["CANCELLED"]
    assert play.sandbox.ledger.next_due() is None


# --- Lists, tenants, time ------------------------------------------------------------------------------------


def test_a_list_of_cycles(play):
    """Oldest first, by pages that go both ways."""
    plan = made(play, {"interval_count": 1, "total_recurrence": 5})
    play.advance(10 * DAY)
    listed = f"{PLANS}/{plan['id']}/cycles"
    page = play.ok("GET", listed, query={"limit": "2.0"})
    assert ([one["cycle_number"] for one in page["data"]], page["has_more"]) == ([1, 2], True)
    newer = play.ok("GET", listed, query={"after_id": page["data"][-1]["id"]})
    assert ([one["cycle_number"] for one in newer["data"]], newer["has_more"]) == ([3, 4, 5], False)
    older = play.ok("GET", listed, query={"before_id": newer["data"][0]["id"], "limit": 1})
    assert [one["cycle_number"] for one in older["data"]] == [2]
    assert play.refused("GET", listed, query={"after_id": "recy_x"}) == INVALID
    for limit in ("0", "101", "1.5", "many", "nan"):
        assert play.refused("GET", listed, query={"limit": limit}) == INVALID


def test_plans_and_cycles_that_are_not_there(play):
    """Unknown ones, those of others, and cycles of other plans are 404."""
    plan, another = made(play), made(play)
    [cycle] = cycles(play, plan)
    assert play.refused("GET", f"{PLANS}/{plan['id']}", headers=OTHERS) == MISSING
    assert play.refused("POST", f"{PLANS}/{plan['id']}/deactivate", headers=OTHERS) == MISSING
    assert play.refused("GET", f"{PLANS}/{plan['id']}/cycles", headers=OTHERS) == MISSING
    for call in ("/cancel", "/force_attempt"):
        assert play.refused("POST", path(cycle, call), headers=OTHERS) == MISSING
    assert play.refused("GET", path(cycle | {"plan_id": another["id"]})) == MISSING
    assert play.refused("GET", path(cycle | {"id": "recy_x"})) == MISSING
    assert play.ok("GET", path(cycle)) == cycle


def test_webhooks_of_a_sub_account(play):
    """A plan that was made for a business is told to that business, in its name."""
    play.ok("POST", PLANS, DRAFT, headers=OTHERS)
    play.advance(2 * DAY)
    assert {body["business_id"] for _, _, body in play.told()} == {OTHER_BUSINESS}
    assert play.told(OWNER) == []


@pytest.mark.parametrize(
    "change",
    [
        {"reference_id": None},
        {"amount": -1},
        {"amount": 1e14},
        {"currency": "EUR"},
        {"payment_tokens": [{"payment_token_id": "pt-1", "rank": 6}]},
        {"payment_tokens": [{"payment_token_id": "pt-1", "rank": 1}] * 6},
        {"immediate_action_type": "HALF"},
        {"failed_cycle_action": "PAUSE"},
        {"notification_channels": ["PIGEON"]},
        {"schedule": None},
        {"schedule": SCHEDULE | {"interval": "FORTNIGHT"}},
        {"schedule": SCHEDULE | {"interval_count": 0}},
        {"schedule": SCHEDULE | {"total_recurrence": 0}},
        {"schedule": SCHEDULE | {"anchor_date": "soon"}},
        {"schedule": SCHEDULE | {"anchor_date": "2026-03-31T12:00:00Z"}},
        {"schedule": SCHEDULE | {"anchor_date": "2126-03-01T12:00:00Z"}},
        {"schedule": SCHEDULE | {"total_retry": 1}},
        {"schedule": SCHEDULE | RETRIES | {"total_retry": 11}},
        {"schedule": SCHEDULE | RETRIES | {"failed_attempt_notifications": [1, 1]}},
        {"schedule": SCHEDULE | RETRIES | {"failed_attempt_notifications": [3]}},
        {"schedule": SCHEDULE | {"failed_attempt_notifications": [1]}},
    ],
)
def test_what_cannot_be_a_plan(play, change):
    """Each fault is 400 API_VALIDATION_ERROR, in a plan and in its update."""
    assert play.refused("POST", PLANS, DRAFT | change) == INVALID
    assert play.told() == []


def test_a_restart(tmp_path):
    """Played again in the same folder, plans go on where they were, and nothing is charged twice."""
    with playing(tmp_path) as play:
        plan = made(play, RETRIES)
        fail(play, plan)
        play.advance(DAY + HOUR)
        before = cycles(play, plan)
    with playing(tmp_path) as play:
        assert cycles(play, plan) == before
        play.advance(30 * DAY)
        assert statuses(play, plan) == ["SUCCEEDED"] * 3
        assert len(cycles(play, plan)[0]["attempt_details"]) == 2
        assert plan_of(play, plan)["status"] == "INACTIVE"


def test_time_that_goes_by_faster(tmp_path):
    """Where a day takes a second, so do a plan's days, from its activation on: intervals and retries alike."""
    with playing(tmp_path, sending=Sending(time_scale=86_400)) as play:
        plan = made(play, RETRIES)
        fail(play, plan)
        play.advance(1_001)
        assert statuses(play, plan) == ["RETRYING", "SCHEDULED"]
        play.advance(1_001)
        assert statuses(play, plan) == ["SUCCEEDED", "SCHEDULED"]
        play.advance(3_000)
        assert statuses(play, plan) == ["SUCCEEDED"] * 3
        first, second, third = (cycle["scheduled_timestamp"] for cycle in cycles(play, plan))
        assert (second, third) == ("2026-03-02T12:00:03.000Z", "2026-03-02T12:00:05.000Z")
        assert first > "2026-03-02T12:00:01.000Z"
