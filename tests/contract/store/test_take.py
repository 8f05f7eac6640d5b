"""Taking: what is due, fairly and oldest first; and what vanished nodes left behind."""

import msgspec
import pytest
from scene import LEASE, MANY

from ringback.errors import Conflict, NotFound
from ringback.model import DeliveryState, EndpointState, OutcomeKind, Trigger
from ringback.policy import Step
from ringback.store import DueEndpoint


@pytest.fixture
def application(scene):
    return scene.application()


@pytest.fixture
def endpoint(scene, application):
    return scene.endpoint(application)


def change(scene, endpoint, **fields):
    scene.write(
        scene.store.change_endpoint,
        endpoint.application_id,
        endpoint.id,
        lambda old: msgspec.structs.replace(old, **fields),
    )


def resend(scene, endpoint, message_id):
    return scene.write(scene.store.resend, endpoint.application_id, message_id, endpoint.id, scene.tick())


class TestDue:
    def test_nothing_is_due_in_an_empty_store(self, scene):
        """No work, no wake-up."""
        assert scene.store.due(scene.now, MANY) == []

    def test_the_endpoint_that_has_waited_longest_comes_first(self, scene, application):
        """Endpoints are named once each, ordered by their oldest due delivery, with its instant."""
        other, first = (
            scene.endpoint(application, event_types=("b",)),
            scene.endpoint(application, event_types=("a",)),
        )
        oldest = scene.publish(application, event_type="a", admit=False).message.created_at
        next_oldest = scene.publish(application, event_type="b", admit=False).message.created_at
        scene.publish(application, event_type="a", admit=False)
        expected = [DueEndpoint(first.id, oldest), DueEndpoint(other.id, next_oldest)]
        assert scene.store.due(scene.now, MANY) == expected
        assert scene.store.due(scene.now, 1) == expected[:1]

    def test_what_is_not_due_yet_is_not_listed(self, scene, application, endpoint):
        """A delivery is due from its instant on."""
        due_at = scene.publish(application, admit=False).message.created_at
        assert scene.store.due(due_at - 1, MANY) == []
        assert [one.endpoint_id for one in scene.store.due(due_at, MANY)] == [endpoint.id]

    def test_a_paused_endpoint_has_nothing_due(self, scene, application, endpoint):
        """What a paused endpoint keeps waits until it is resumed, then it is due at once."""
        scene.publish(application, admit=False)
        change(scene, endpoint, state=EndpointState.PAUSED)
        scene.publish(application, admit=False)
        assert scene.due() == []
        assert scene.take(endpoints=[endpoint.id]) == []
        change(scene, endpoint, state=EndpointState.ENABLED)
        assert len(scene.take()) == 2

    def test_a_pile_at_one_endpoint_hides_no_other(self, scene, application):
        """However many deliveries one endpoint has, another's single one is listed."""
        pile, single = (
            scene.endpoint(application, event_types=("a",)),
            scene.endpoint(application, event_types=("b",)),
        )
        for _ in range(50):
            scene.publish(application, event_type="a", admit=False)
        scene.publish(application, event_type="b", admit=False)
        assert [one.endpoint_id for one in scene.store.due(scene.now, 2)] == [pile.id, single.id]


class TestTake:
    def test_oldest_first_within_the_quota(self, scene, application, endpoint):
        """Each endpoint gives up to its quota, in the order in which its deliveries became due."""
        published = [scene.publish(application, admit=False).message.id for _ in range(5)]
        assert [work.message_id for work in scene.take(limit=2)] == published[:2]
        assert [work.message_id for work in scene.take()] == published[2:]

    def test_each_endpoint_has_a_quota_of_its_own(self, scene, application):
        """One endpoint's pile does not use up another's share."""
        pile, other = (
            scene.endpoint(application, event_types=("a",)),
            scene.endpoint(application, event_types=("b",)),
        )
        for _ in range(10):
            scene.publish(application, event_type="a", admit=False)
        scene.publish(application, event_type="b", admit=False)
        taken = [work.endpoint.id for work in scene.take(limit=3)]
        assert sorted(taken) == sorted([pile.id] * 3 + [other.id])

    def test_what_is_taken_is_leased(self, scene, application, endpoint):
        """A taken delivery carries all that an attempt needs and is out of others' reach."""
        accepted = scene.publish(application, admit=False, payload=b"\x00\xff")
        (work,) = scene.take()
        assert (work.message_id, work.event_type, work.payload) == (
            accepted.message.id,
            "invoice.paid",
            b"\x00\xff",
        )
        assert work.accepted_at == accepted.message.created_at
        assert work.endpoint == endpoint
        delivery = scene.delivery_of(work)
        assert (delivery.state, delivery.due_at) == (DeliveryState.LEASED, work.lease.until)
        assert scene.take(endpoints=[endpoint.id]) == []

    def test_the_endpoint_is_as_it_stands_now(self, scene, application, endpoint):
        """A retry goes to the endpoint's new address, not the one of the day of acceptance."""
        scene.publish(application, admit=False)
        change(scene, endpoint, url="https://example.com/moved")
        (work,) = scene.take()
        assert work.endpoint.url == "https://example.com/moved"

    def test_an_unknown_endpoint_gives_nothing(self, scene):
        """A quota for an endpoint that is not there is not an error."""
        assert scene.take(endpoints=["ep_nobody"]) == []


class TestTakeover:
    def test_a_lease_holds_until_its_end(self, scene, application, endpoint):
        """Before its end a lease is exclusive; from then on others may take the delivery over."""
        (work,) = scene.publish(application).works
        scene.now = work.lease.until - 1
        assert scene.take(endpoints=[endpoint.id]) == []
        scene.now = work.lease.until
        assert scene.due() == [endpoint.id]
        (again,) = scene.take()
        assert again.key == work.key
        assert again.lease.token != work.lease.token

    def test_the_lost_attempt_is_on_record_but_not_counted(self, scene, application, endpoint):
        """The attempt that may have been made is recorded as unknown; the schedule is not shortened by it."""
        (work,) = scene.publish(application).works
        scene.settle(work, Step.RETRY, scene.now)
        (work,) = scene.take()
        scene.now = work.lease.until
        (again,) = scene.take()
        assert (again.attempts, scene.delivery_of(again).attempts) == (1, 1)
        unknown = [
            attempt
            for attempt in scene.attempts_of(application, work.message_id)
            if attempt.outcome.kind is OutcomeKind.UNKNOWN
        ]
        assert [(one.message_id, one.endpoint_id, one.url) for one in unknown] == [
            (work.message_id, endpoint.id, endpoint.url)
        ]

    def test_every_takeover_leaves_its_record(self, scene, application, endpoint):
        """Three nodes that vanish leave three records, and the delivery goes on."""
        (work,) = scene.publish(application).works
        for _ in range(3):
            scene.tick(LEASE)
            (work,) = scene.take()
        kinds = [one.outcome.kind for one in scene.attempts_of(application, work.message_id)]
        assert kinds == [OutcomeKind.UNKNOWN] * 3
        assert work.attempts == 0
        assert scene.settle(work, Step.SUCCEED)

    def test_an_ordinary_take_records_nothing(self, scene, application, endpoint):
        """Only a lease that ran out leaves an unknown attempt."""
        accepted = scene.publish(application, admit=False)
        scene.take()
        assert scene.attempts_of(application, accepted.message.id) == []


class TestCancellation:
    @pytest.mark.parametrize("how", ["disable", "remove"])
    def test_what_waits_for_nobody_is_cancelled_when_due(self, scene, application, endpoint, how):
        """A disabled or deleted endpoint's waiting deliveries end cancelled, with a reason."""
        accepted = scene.publish(application, admit=False)
        if how == "disable":
            change(scene, endpoint, state=EndpointState.DISABLED, disabled_reason="manual")
        else:
            scene.write(scene.store.remove_endpoint, application.id, endpoint.id, scene.now)
        assert scene.take() == []
        delivery = scene.delivery(application.id, accepted.message.id, endpoint.id)
        assert (delivery.state, delivery.due_at) == (DeliveryState.CANCELLED, None)
        assert delivery.reason
        assert scene.due() == []

    def test_a_removed_application_sends_nothing_more(self, scene, application, endpoint):
        """What waits for the endpoints of a removed application comes to rest unsent."""
        scene.publish(application, admit=False)
        scene.write(scene.store.remove_application, application.id, scene.now)
        assert scene.take() == []
        assert scene.due() == []
        assert scene.store.statistics(scene.now).waiting == 0

    def test_cancelling_reaches_every_waiting_delivery(self, scene, application, endpoint):
        """Taking again and again empties the queue of a disabled endpoint, whatever the quota."""
        for _ in range(7):
            scene.publish(application, admit=False)
        change(scene, endpoint, state=EndpointState.DISABLED)
        for _ in range(7):
            assert scene.take(limit=2) == []
        assert scene.due() == []
        assert scene.store.statistics(scene.now).waiting == 0

    def test_a_lost_lease_of_a_deleted_endpoint_ends(self, scene, application, endpoint):
        """A delivery whose holder and endpoint are both gone does not stay under way for ever."""
        (work,) = scene.publish(application).works
        scene.write(scene.store.remove_endpoint, application.id, endpoint.id, scene.now)
        scene.now = work.lease.until
        assert scene.take() == []
        assert scene.delivery_of(work).state is DeliveryState.CANCELLED


class TestResend:
    @pytest.mark.parametrize("step", [Step.SUCCEED, Step.EXHAUST, Step.CANCEL])
    def test_a_delivery_at_rest_starts_over(self, scene, application, endpoint, step):
        """Whatever became of it, it is due now, by a person's hand, with a fresh count of attempts."""
        (work,) = scene.publish(application).works
        scene.settle(work, step)
        delivery = resend(scene, endpoint, work.message_id)
        assert (delivery.state, delivery.attempts, delivery.due_at) == (DeliveryState.WAITING, 0, scene.now)
        assert (delivery.trigger, delivery.reason) == (Trigger.MANUAL, None)
        assert scene.delivery_of(work) == delivery
        (again,) = scene.take()
        assert (again.message_id, again.attempts, again.trigger) == (work.message_id, 0, Trigger.MANUAL)
        assert len(scene.attempts_of(application, work.message_id)) == 1

    def test_a_waiting_delivery_is_brought_forward(self, scene, application, endpoint):
        """There is no need to wait for the schedule."""
        (work,) = scene.publish(application).works
        scene.settle(work, Step.RETRY, scene.now + 10**6)
        resend(scene, endpoint, work.message_id)
        (again,) = scene.take()
        assert (again.key, again.attempts) == (work.key, 0)

    def test_an_attempt_under_way_is_left_alone(self, scene, application, endpoint):
        """While a lease holds, a resend is a conflict and changes nothing."""
        (work,) = scene.publish(application).works
        before = scene.delivery_of(work)
        with pytest.raises(Conflict):
            resend(scene, endpoint, work.message_id)
        assert scene.delivery_of(work) == before
        assert scene.settle(work, Step.SUCCEED)

    @pytest.mark.parametrize("when", ["skipped", "younger"])
    def test_a_message_that_passed_the_endpoint_over_can_be_sent(self, scene, application, when):
        """Filters do not apply, and the endpoint may be younger than the message."""
        if when == "skipped":
            endpoint = scene.endpoint(application, event_types=("other",))
            message = scene.publish(application).message
        else:
            message = scene.publish(application).message
            endpoint = scene.endpoint(application)
        delivery = resend(scene, endpoint, message.id)
        assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 0)
        (work,) = scene.take()
        assert (work.message_id, work.endpoint.id, work.payload) == (message.id, endpoint.id, message.payload)

    def test_a_disabled_endpoint_is_a_conflict(self, scene, application, endpoint):
        """What nobody will deliver is not queued."""
        message = scene.fail(application).message
        change(scene, endpoint, state=EndpointState.DISABLED)
        with pytest.raises(Conflict):
            resend(scene, endpoint, message.id)

    def test_a_paused_endpoint_keeps_it(self, scene, application, endpoint):
        """A resend to a paused endpoint waits for it to be resumed."""
        message = scene.fail(application).message
        change(scene, endpoint, state=EndpointState.PAUSED)
        resend(scene, endpoint, message.id)
        assert scene.due() == []
        change(scene, endpoint, state=EndpointState.ENABLED)
        assert len(scene.take()) == 1

    def test_what_is_not_there_is_not_found(self, scene, application, endpoint):
        """Messages and endpoints of other applications are not there either."""
        message = scene.publish(application).message
        stranger = scene.application()
        foreign = scene.endpoint(stranger)
        for owner, message_id, endpoint_id in [
            (application.id, "msg_nobody", endpoint.id),
            (application.id, message.id, "ep_nobody"),
            (application.id, message.id, foreign.id),
            (stranger.id, message.id, foreign.id),
        ]:
            with pytest.raises(NotFound):
                scene.write(scene.store.resend, owner, message_id, endpoint_id, scene.now)


class TestTakingPastAPause:
    """A canary: one message goes to a paused endpoint, the others wait on."""

    def canary(self, scene, endpoint):
        """Take past the pause."""
        return scene.write(
            scene.store.take_past_pause, endpoint.application_id, endpoint.id, scene.lease(), scene.now
        )

    @pytest.fixture(params=[False, True], ids=["unordered", "ordered"])
    def paused(self, request, scene, application):
        """A paused endpoint for which three messages wait."""
        endpoint = scene.endpoint(application, ordered=request.param)
        self.names = [scene.publish(application, admit=False).message.id for _ in range(3)]
        change(scene, endpoint, state=EndpointState.PAUSED)
        return endpoint

    def test_the_oldest_goes_by_hand_and_the_others_wait(self, scene, paused):
        """It is held under a lease, is settled as any other, and nothing else has become due."""
        work = self.canary(scene, paused)
        assert (work.message_id, work.trigger, work.attempts) == (self.names[0], Trigger.MANUAL, 0)
        assert scene.delivery_of(work).state is DeliveryState.LEASED
        assert scene.due() == []
        assert scene.settle(work, Step.SUCCEED)
        assert scene.delivery_of(work).state is DeliveryState.SUCCEEDED
        assert self.canary(scene, paused).message_id == self.names[1]

    def test_what_failed_and_goes_back_waits_as_before(self, scene, paused):
        """It is the oldest once more, and goes with the others when the endpoint is resumed."""
        work = self.canary(scene, paused)
        scene.settle(work, Step.POSTPONE, scene.now)
        assert self.canary(scene, paused).message_id == self.names[0]
        scene.tick(LEASE)
        change(scene, paused, state=EndpointState.ENABLED)
        assert {one.message_id for one in scene.take()} == set(self.names)

    def test_what_is_tried_again_later_need_not_wait_for_that(self, scene, application):
        """Where all that waits has failed before, the oldest of that goes."""
        endpoint = scene.endpoint(application)
        (work,) = scene.publish(application).works
        scene.settle(work, Step.RETRY, scene.now + 10**6)
        change(scene, endpoint, state=EndpointState.PAUSED)
        assert self.canary(scene, endpoint).key == work.key

    def test_what_is_for_later_stays(self, scene, application):
        """A message that is only to be delivered later is no canary, and without any other there is none."""
        endpoint = scene.endpoint(application)
        scene.publish(application, admit=False, deliver_at=scene.now + 10**6)
        change(scene, endpoint, state=EndpointState.PAUSED)
        assert self.canary(scene, endpoint) is None

    def test_two_at_once_take_two(self, scene, application):
        """One under way is nobody else's; where there is an order, the next waits for it."""
        endpoint = scene.endpoint(application)
        names = [scene.publish(application, admit=False).message.id for _ in range(2)]
        change(scene, endpoint, state=EndpointState.PAUSED)
        assert [self.canary(scene, endpoint).message_id for _ in names] == names
        assert self.canary(scene, endpoint) is None

    def test_in_order_there_is_one_at_a_time(self, scene, application):
        """While an attempt is under way nothing follows, not even by hand."""
        endpoint = scene.endpoint(application, ordered=True)
        for _ in range(2):
            scene.publish(application, admit=False)
        change(scene, endpoint, state=EndpointState.PAUSED)
        assert self.canary(scene, endpoint) is not None
        assert self.canary(scene, endpoint) is None

    @pytest.mark.parametrize("state", [EndpointState.ENABLED, EndpointState.DISABLED])
    def test_there_must_be_a_pause(self, scene, application, state):
        """Elsewhere messages go by themselves, or are not kept."""
        endpoint = scene.endpoint(application)
        scene.publish(application, admit=False)
        change(scene, endpoint, state=state)
        with pytest.raises(Conflict):
            self.canary(scene, endpoint)

    def test_strangers_find_nothing(self, scene, application, endpoint):
        """An endpoint of another application is not there."""
        stranger = scene.application()
        with pytest.raises(NotFound):
            scene.write(scene.store.take_past_pause, stranger.id, endpoint.id, scene.lease(), scene.now)
