"""Settling: a lease ends once, by its holder; whatever was attempted stays on record."""
# ruff: noqa: D102 - fixtures and queries named for what they hold

import msgspec
import pytest
from scene import MANY, OK, REFUSED

from ringback.model import DeliveryState, EndpointState, Outcome, OutcomeKind, Phases, Trigger
from ringback.policy import Health, Step
from ringback.store import AttemptFilter, Page


@pytest.fixture
def application(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, application):
    return scene.endpoint(application)


@pytest.fixture
def work(scene, application, endpoint):
    """One delivery leased to this node."""
    (work,) = scene.publish(application).works
    return work


def current(scene, endpoint):
    return scene.store.endpoint(endpoint.application_id, endpoint.id)


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (Step.SUCCEED, DeliveryState.SUCCEEDED),
        (Step.EXHAUST, DeliveryState.FAILED),
        (Step.CANCEL, DeliveryState.CANCELLED),
    ],
)
def test_a_delivery_comes_to_rest(scene, work, step, state):
    """Success, exhaustion and cancellation are final: nothing is due any more."""
    assert scene.settle(work, step)
    delivery = scene.delivery_of(work)
    assert (delivery.state, delivery.due_at, delivery.attempts) == (state, None, 1)
    scene.tick(10**9)
    assert scene.due() == []


def test_a_retry_waits_for_its_time(scene, work):
    """A failed attempt is followed by another at the decided instant, not before."""
    due_at = scene.now + 60_000
    assert scene.settle(work, Step.RETRY, due_at)
    delivery = scene.delivery_of(work)
    assert (delivery.state, delivery.due_at, delivery.attempts) == (DeliveryState.WAITING, due_at, 1)
    scene.now = due_at - 1
    assert scene.due() == []
    scene.now = due_at
    (again,) = scene.take()
    assert (again.key, again.attempts, again.trigger) == (work.key, 1, Trigger.SCHEDULED)


def test_giving_back_costs_no_attempt(scene, application, work):
    """A delivery postponed without an attempt waits with the same count, and no attempt is invented."""
    due_at = scene.now + 5_000
    assert scene.settle(work, Step.POSTPONE, due_at, reason="circuit_open")
    delivery = scene.delivery_of(work)
    assert (delivery.state, delivery.due_at, delivery.attempts) == (DeliveryState.WAITING, due_at, 0)
    assert scene.attempts_of(application, work.message_id) == []


def test_a_cancelled_delivery_keeps_the_reason(scene, work):
    """Why there was no attempt can be read from the delivery."""
    assert scene.settle(work, Step.CANCEL, attempt=None, reason="endpoint_disabled")
    delivery = scene.delivery_of(work)
    assert (delivery.state, delivery.reason, delivery.attempts) == (
        DeliveryState.CANCELLED,
        "endpoint_disabled",
        0,
    )


@pytest.mark.parametrize(
    "outcome",
    [
        OK,
        REFUSED,
        Outcome(kind=OutcomeKind.TIMEOUT, detail="wait"),
        Outcome(kind=OutcomeKind.REFUSED, status=429, body=bytes(range(256))),
        Outcome(kind=OutcomeKind.SUCCESS, status=204, phases=Phases(1, 2, 3, 4, 5, 6)),
    ],
    ids=lambda outcome: f"{outcome.kind}-{outcome.status}",
)
def test_an_attempt_is_recorded_as_it_was(scene, application, work, outcome):
    """Every field of an attempt is kept: status, body bytes, detail, phases and all."""
    attempt = scene.attempt(work, outcome, trigger=Trigger.MANUAL, number=7, url="https://example.com/other")
    assert scene.settle(work, Step.EXHAUST, attempt=attempt)
    assert scene.attempts_of(application, work.message_id) == [attempt]
    assert scene.store.attempt(application.id, work.message_id, attempt.id) == attempt


class TestAStaleLease:
    """A holder whose delivery was taken over by another node, and who settles all the same."""

    @pytest.fixture
    def taken_over(self, scene, work):
        scene.now = work.lease.until
        (again,) = scene.take()
        return again

    def test_it_changes_nothing_but_keeps_the_evidence(self, scene, application, work, taken_over):
        """The late attempt is on record; the delivery still belongs to its new holder."""
        before = scene.delivery_of(work)
        attempt = scene.attempt(work)
        assert not scene.settle(work, Step.SUCCEED, attempt=attempt)
        assert scene.delivery_of(work) == before
        assert attempt in scene.attempts_of(application, work.message_id)
        assert scene.settle(taken_over, Step.SUCCEED)

    def test_it_does_not_touch_the_endpoint(self, scene, work, endpoint, taken_over):
        """A zombie's verdict does not disable an endpoint."""
        assert not scene.settle(work, Step.EXHAUST, health=Health(scene.now, disable="gone"))
        assert current(scene, endpoint) == endpoint

    def test_it_does_not_reopen_what_is_at_rest(self, scene, work, taken_over):
        """After the new holder succeeded, the old one's failure changes nothing."""
        assert scene.settle(taken_over, Step.SUCCEED)
        assert not scene.settle(work, Step.RETRY, scene.now + 5_000)
        assert scene.delivery_of(work).state is DeliveryState.SUCCEEDED

    def test_it_does_not_undo_a_resend(self, scene, application, endpoint, work):
        """A lease from before a resend is worth nothing after it."""
        assert scene.settle(work, Step.SUCCEED)
        scene.write(scene.store.resend, application.id, work.message_id, endpoint.id, scene.now)
        assert not scene.settle(work, Step.EXHAUST)
        assert scene.delivery_of(work).state is DeliveryState.WAITING

    def test_nothing_is_invented_for_a_postponement(self, scene, application, work, taken_over):
        """Giving back a lost lease leaves no trace."""
        before = scene.attempts_of(application, work.message_id)
        assert not scene.settle(work, Step.POSTPONE, scene.now)
        assert scene.attempts_of(application, work.message_id) == before

    def test_a_lease_ends_only_once(self, scene, application, work):
        """The same settlement twice: the second finds the lease gone."""
        assert scene.settle(work, Step.RETRY, scene.now + 5_000)
        assert not scene.settle(work, Step.SUCCEED)
        delivery = scene.delivery_of(work)
        assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 1)


def test_what_is_settled_again_is_there_once(scene, application, endpoint):
    """A commit that failed may have been kept all the same: tried again, it adds nothing and disturbs nothing."""
    first, second = (scene.publish(application).works[0] for _ in range(2))
    settlement = scene.settlement(first, Step.SUCCEED)
    with scene.store.transaction():
        assert scene.store.settle([settlement]) == [True]
    with scene.store.transaction():
        assert scene.store.settle([settlement, scene.settlement(second, Step.SUCCEED)]) == [False, True]
    attempts = scene.store.attempts(application.id, AttemptFilter(message_id=first.message_id), Page())
    assert [attempt.id for attempt in attempts] == [settlement.attempt.id]


def test_each_settlement_of_a_batch_is_answered_by_itself(scene, application, endpoint):
    """Held and lost leases in one batch: each is told apart, in order."""
    works = [scene.publish(application).works[0] for _ in range(3)]
    assert scene.settle(works[1], Step.SUCCEED)
    batch = [scene.settlement(work, Step.SUCCEED) for work in works]
    with scene.store.transaction():
        held = scene.store.settle(batch)
    assert held == [True, False, True]
    assert {scene.delivery_of(work).state for work in works} == {DeliveryState.SUCCEEDED}


def test_one_lease_settled_twice_in_a_batch_counts_once(scene, work):
    """Within a batch, too, a lease ends only once."""
    batch = [scene.settlement(work, Step.RETRY, scene.now + 5_000), scene.settlement(work, Step.SUCCEED)]
    with scene.store.transaction():
        held = scene.store.settle(batch)
    assert held == [True, False]
    assert scene.delivery_of(work).state is DeliveryState.WAITING


class TestHealth:
    def test_the_first_failure_is_remembered(self, scene, application, endpoint):
        """failing_since is set by the first failure, and later ones do not move it."""
        scene.suffer(application, Health(failing_since=111))
        scene.suffer(application, Health(failing_since=222))
        assert current(scene, endpoint).failing_since == 111

    def test_the_first_of_a_batch_is_the_first(self, scene, application, endpoint):
        """Two failures settled together, judged from the same view of the endpoint: the first is kept."""
        works = [scene.publish(application).works[0] for _ in range(2)]
        batch = [
            scene.settlement(work, Step.EXHAUST, health=Health(failing_since=since))
            for work, since in zip(works, (111, 222), strict=True)
        ]
        with scene.store.transaction():
            assert scene.store.settle(batch) == [True, True]
        assert current(scene, endpoint).failing_since == 111

    def test_success_clears_it(self, scene, application, endpoint):
        """A success ends the time of failing; the next failure begins a new one."""
        scene.suffer(application, Health(failing_since=111))
        scene.suffer(application, Health())
        assert current(scene, endpoint).failing_since is None
        scene.suffer(application, Health(failing_since=333))
        assert current(scene, endpoint).failing_since == 333

    def test_disabling_says_why(self, scene, application, endpoint):
        """An endpoint disabled by its failures says so, and gets nothing from then on."""
        scene.suffer(application, Health(failing_since=111, disable="failing"))
        disabled = current(scene, endpoint)
        assert (disabled.state, disabled.disabled_reason, disabled.failing_since) == (
            EndpointState.DISABLED,
            "failing",
            111,
        )
        accepted = scene.publish(application)
        assert accepted.works == ()
        assert set(accepted.message.skipped) == {endpoint.id}

    def test_no_verdict_changes_nothing(self, scene, endpoint, work):
        """Without a change of health the endpoint stays as it is."""
        assert scene.settle(work, Step.SUCCEED)
        assert current(scene, endpoint) == endpoint

    def test_the_rest_of_the_endpoint_stays(self, scene, application, endpoint):
        """A change of health touches nothing else, not even what changed after the work was taken."""
        (work,) = scene.publish(application).works
        scene.write(
            scene.store.change_endpoint,
            application.id,
            endpoint.id,
            lambda old: msgspec.structs.replace(old, url="https://example.com/moved"),
        )
        assert scene.settle(work, Step.EXHAUST, health=Health(failing_since=111))
        assert current(scene, endpoint).url == "https://example.com/moved"

    def test_a_deleted_endpoint_stays_deleted(self, scene, application, endpoint, work):
        """An attempt that ends after its endpoint was deleted is recorded, and revives nothing."""
        scene.write(scene.store.remove_endpoint, application.id, endpoint.id, scene.now)
        scene.settle(work, Step.EXHAUST, health=Health(failing_since=111, disable="gone"))
        assert scene.store.endpoints(application.id, Page()) == []
        listed = scene.store.attempts(
            application.id, AttemptFilter(message_id=work.message_id), Page(limit=MANY)
        )
        assert len(listed) == 1
