"""Accepting: one message, one delivery per matching endpoint, and no doubt about any of them."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene import MANY

from ringback.errors import Conflict, NotFound
from ringback.model import DeliveryState, EndpointState, SkipReason, Trigger
from ringback.selection import ADDRESSED
from ringback.store import NOBODY, Accepted, Idempotency, MessageFilter, Page


def key(name="k", fingerprint=b"same"):
    return Idempotency("message:acme", name, fingerprint)


def messages(scene, application):
    return scene.store.messages(application.id, MessageFilter(), Page(limit=MANY))


def test_each_matching_endpoint_gets_one_delivery(scene):
    """A message fans out to every endpoint of its application that listens, and to no other application's."""
    application, stranger = scene.application(), scene.application()
    listening = {
        scene.endpoint(application).id,
        scene.endpoint(application, event_types=("invoice.paid",)).id,
    }
    scene.endpoint(stranger)
    accepted = scene.publish(application)
    assert {work.endpoint.id for work in accepted.works} == listening
    stored = scene.store.deliveries(application.id, accepted.message.id, Page())
    assert {endpoint.id for _, endpoint in stored} == listening


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"event_types": ("invoice.voided",)}, SkipReason.EVENT_TYPE),
        ({"channels": ("north",)}, SkipReason.CHANNEL),
        ({"state": EndpointState.DISABLED, "disabled_reason": "manual"}, SkipReason.DISABLED),
    ],
)
def test_an_endpoint_that_gets_nothing_is_named_with_the_reason(scene, fields, reason):
    """Nothing vanishes: the stored message says which endpoints were passed over, and why."""
    application = scene.application()
    skipped = scene.endpoint(application, **fields)
    accepted = scene.publish(application, channels=("south",))
    assert accepted.works == accepted.spilled == ()
    assert accepted.message.skipped == {skipped.id: reason}
    assert scene.store.message(application.id, accepted.message.id).skipped == {skipped.id: reason}
    assert scene.store.deliveries(application.id, accepted.message.id, Page()) == []


def test_a_message_for_nobody(scene):
    """What another server sent is kept as a record: nothing is delivered, until somebody has it sent again."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    accepted = scene.publish(application, only=NOBODY)
    assert (accepted.works, accepted.spilled, accepted.message.skipped) == ((), (), ADDRESSED)
    assert scene.store.message(application.id, accepted.message.id) == accepted.message
    assert scene.due() == []
    scene.write(scene.store.resend, application.id, accepted.message.id, endpoint.id, scene.now)
    assert scene.due() == [endpoint.id]


@pytest.mark.parametrize("text", ["\0", "\\u0000", '"ordered":true', "\\"])
def test_any_metadata_is_sent_again_to(scene, text):
    """Whatever an endpoint's people note there, a message is sent to it again, and no order comes of it."""
    application = scene.application()
    endpoint = scene.endpoint(application, metadata={text: text})
    accepted = scene.publish(application, only=NOBODY)
    scene.write(scene.store.resend, application.id, accepted.message.id, endpoint.id, scene.now)
    (work,) = scene.take()
    assert work.endpoint == endpoint


def test_a_shared_channel_is_enough(scene):
    """An endpoint with channels gets the messages that share one of them."""
    application = scene.application()
    endpoint = scene.endpoint(application, channels=("north", "south"))
    (work,) = scene.publish(application, channels=("south", "west")).works
    assert work.endpoint.id == endpoint.id


def test_what_an_endpoint_becomes_counts_from_the_next_message(scene):
    """The fan-out follows the endpoints as they stand: new, changed and removed ones at once."""
    application = scene.application()
    first = scene.endpoint(application)
    assert len(scene.publish(application).works) == 1
    second = scene.endpoint(application)
    assert len(scene.publish(application).works) == 2
    scene.write(scene.store.remove_endpoint, application.id, first.id, scene.now)
    (work,) = scene.publish(application).works
    assert work.endpoint.id == second.id


def test_a_message_for_nobody_is_kept(scene):
    """An application without endpoints still keeps its messages."""
    application = scene.application()
    accepted = scene.publish(application)
    assert accepted.works == accepted.spilled == ()
    assert messages(scene, application) == [accepted.message]


@pytest.mark.parametrize("reference", ["id", "uid"])
def test_the_application_is_named_by_id_or_uid(scene, reference):
    """Publishers may use their own name for an application."""
    application = scene.application(uid="acme")
    (accepted,) = scene.accept(scene.acceptance(getattr(application, reference)))
    assert accepted.message.application_id == application.id


def test_an_unknown_application_is_answered_without_harm_to_the_others(scene):
    """One caller's mistake is that caller's answer; the rest of the batch is stored, in order."""
    application = scene.application()
    scene.endpoint(application)
    asked = []
    before, lost, after = scene.accept(
        scene.acceptance(application),
        scene.acceptance("app_nobody"),
        scene.acceptance(application),
        admit=lambda endpoint: not asked.append(endpoint.id),
    )
    assert isinstance(lost, NotFound)
    assert [one.id for one in messages(scene, application)] == [before.message.id, after.message.id]
    assert len(asked) == 2


def test_a_removed_application_accepts_nothing(scene):
    """After its removal an application is unknown."""
    application = scene.application(uid="acme")
    scene.write(scene.store.remove_application, "acme", scene.now)
    answers = scene.accept(scene.acceptance(application), scene.acceptance("acme"))
    assert all(isinstance(answer, NotFound) for answer in answers)


def test_a_message_is_stored_as_it_was_accepted(scene):
    """What was published is what is returned, and what is found by id and by event id."""
    application = scene.application()
    acceptance = scene.acceptance(application, event_id="order-1", channels=("north",))
    (accepted,) = scene.accept(acceptance)
    message = accepted.message
    for name in ("id", "event_type", "payload", "created_at", "event_id", "channels"):
        assert getattr(message, name) == getattr(acceptance, name), name
    assert scene.store.message(application.id, message.id) == message
    assert scene.store.message(application.id, "order-1") == message


@given(payload=st.binary(max_size=300))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_payload_bytes_are_sacred(scene, payload):
    """Any bytes come back exactly: in the answer, from the store, and in the work taken later."""
    application = scene.application()
    scene.endpoint(application)
    accepted = scene.publish(application, payload=payload, admit=False)
    assert accepted.message.payload == payload
    assert scene.store.message(application.id, accepted.message.id).payload == payload
    taken = {work.message_id: work.payload for work in scene.take()}
    assert taken[accepted.message.id] == payload


def test_a_megabyte_is_a_payload_like_any_other(scene):
    """The largest payload that the outbox lets through is stored whole."""
    application = scene.application()
    payload = bytes(range(256)) * 4096
    accepted = scene.publish(application, payload=payload)
    assert scene.store.message(application.id, accepted.message.id).payload == payload


class TestEventId:
    def test_it_is_unique_in_the_application(self, scene):
        """A second message with the same event id is refused, the first stays."""
        application = scene.application()
        first = scene.publish(application, event_id="order-1")
        (answer,) = scene.accept(scene.acceptance(application, event_id="order-1"))
        assert isinstance(answer, Conflict)
        assert messages(scene, application) == [first.message]

    def test_it_is_unique_within_a_batch(self, scene):
        """Two messages with one event id in the same transaction: the first is stored, the second refused."""
        application = scene.application()
        scene.endpoint(application)
        asked = []
        first, second = scene.accept(
            scene.acceptance(application, event_id="order-1"),
            scene.acceptance(application, event_id="order-1"),
            admit=lambda endpoint: not asked.append(endpoint.id),
        )
        assert isinstance(first, Accepted)
        assert isinstance(second, Conflict)
        assert messages(scene, application) == [first.message]
        assert len(asked) == 1, "room was reserved for a message that was refused"

    def test_it_means_nothing_in_another_application(self, scene):
        """Applications do not share event ids."""
        one, other = scene.application(), scene.application()
        first = scene.publish(one, event_id="order-1")
        second = scene.publish(other, event_id="order-1")
        assert scene.store.message(one.id, "order-1") == first.message
        assert scene.store.message(other.id, "order-1") == second.message


class TestIdempotency:
    def test_a_repeated_key_answers_with_the_first_message(self, scene):
        """Publishing again with the same key stores nothing, sends nothing and returns the first message."""
        application = scene.application()
        scene.endpoint(application)
        first = scene.publish(application, idempotency=key())
        asked = []
        (again,) = scene.accept(
            scene.acceptance(application, idempotency=key()), admit=lambda one: not asked.append(one)
        )
        assert again.replayed
        assert not first.replayed
        assert again.message == first.message
        assert again.works == again.spilled == ()
        assert asked == [], "room was reserved for a message that was not stored"
        assert messages(scene, application) == [first.message]

    def test_a_key_repeated_within_a_batch_is_one_message(self, scene):
        """Two requests with one key in the same transaction are stored once."""
        application = scene.application()
        scene.endpoint(application)
        first, again = scene.accept(
            scene.acceptance(application, idempotency=key()), scene.acceptance(application, idempotency=key())
        )
        assert (first.replayed, again.replayed) == (False, True)
        assert again.message == first.message
        assert again.works == ()
        assert messages(scene, application) == [first.message]

    @pytest.mark.parametrize("together", [True, False])
    def test_a_key_used_for_something_else_is_a_conflict(self, scene, together):
        """A key with another fingerprint is a mistake of the caller, who is told."""
        application = scene.application()
        asked = [
            scene.acceptance(application, idempotency=key(fingerprint=f"{n}".encode())) for n in range(2)
        ]
        answers = scene.accept(*asked) if together else [*scene.accept(asked[0]), *scene.accept(asked[1])]
        assert isinstance(answers[0], Accepted)
        assert isinstance(answers[1], Conflict)
        assert messages(scene, application) == [answers[0].message]

    def test_keys_of_different_scopes_are_different_keys(self, scene):
        """The scope is part of the key."""
        application = scene.application()
        first = scene.publish(application, idempotency=Idempotency("message:a", "k", b"1"))
        second = scene.publish(application, idempotency=Idempotency("message:b", "k", b"2"))
        assert messages(scene, application) == [first.message, second.message]

    def test_a_key_means_nothing_in_another_application(self, scene):
        """Applications do not share keys: the same key and content makes a message in each."""
        one, other = scene.application(), scene.application()
        first, second = (scene.publish(application, idempotency=key()) for application in (one, other))
        for application, kept in ((one, first), (other, second)):
            again = scene.publish(application, idempotency=key())
            assert (kept.replayed, again.replayed) == (False, True)
            assert messages(scene, application) == [kept.message] == [again.message]

    @pytest.mark.parametrize("together", [True, False])
    def test_an_application_shares_its_keys_whether_called_by_id_or_uid(self, scene, together):
        """The same key is a repeat however the publisher names the application."""
        application = scene.application(uid="acme")
        asked = [scene.acceptance(ref, idempotency=key()) for ref in (application.id, "acme")]
        answers = scene.accept(*asked) if together else [*scene.accept(asked[0]), *scene.accept(asked[1])]
        assert [answer.replayed for answer in answers] == [False, True]
        assert messages(scene, application) == [answers[0].message]

    @pytest.mark.parametrize("fingerprint", [b"same", b"other"])
    def test_a_successor_does_not_inherit_the_keys_of_its_uid(self, scene, fingerprint):
        """Where a uid passes from a removed application to a new one, the keys used before are free."""
        scene.application(uid="acme")
        (first,) = scene.accept(scene.acceptance("acme", idempotency=key()))
        scene.write(scene.store.remove_application, "acme", scene.now)
        successor = scene.application(uid="acme")
        (answer,) = scene.accept(scene.acceptance("acme", idempotency=key(fingerprint=fingerprint)))
        assert isinstance(answer, Accepted)
        assert not answer.replayed
        assert answer.message.id != first.message.id
        assert messages(scene, successor) == [answer.message]

    def test_a_uid_that_moves_leaves_its_keys_behind(self, scene):
        """Keys stay with the application that used them when its uid is given to another that lives on."""
        first_owner, second_owner = scene.application(uid="acme"), scene.application(uid="other")
        (first,) = scene.accept(scene.acceptance("acme", idempotency=key()))
        for owner, uid in ((first_owner, None), (second_owner, "acme")):
            scene.write(
                scene.store.change_application,
                owner.id,
                lambda old, uid=uid: msgspec.structs.replace(old, uid=uid),
            )
        (second,) = scene.accept(scene.acceptance("acme", idempotency=key()))
        assert (second.replayed, second.message.application_id) == (False, second_owner.id)
        again = scene.publish(first_owner, idempotency=key())
        assert (again.replayed, again.message) == (True, first.message)

    def test_a_repeat_wins_over_its_own_event_id(self, scene):
        """A retried request carries its event id again; that is a repeat, not a conflict."""
        application = scene.application()
        first = scene.publish(application, idempotency=key(), event_id="order-1")
        again = scene.publish(application, idempotency=key(), event_id="order-1")
        assert again.replayed
        assert again.message == first.message

    def test_a_refused_message_does_not_use_up_its_key(self, scene):
        """The key of a message that was refused is free for the corrected one."""
        application = scene.application()
        scene.publish(application, event_id="order-1")
        (refused,) = scene.accept(scene.acceptance(application, event_id="order-1", idempotency=key()))
        assert isinstance(refused, Conflict)
        corrected = scene.publish(application, idempotency=key(fingerprint=b"corrected"))
        assert not corrected.replayed

    def test_a_key_does_not_outlive_a_failed_transaction(self, scene):
        """When the commit fails, publishing again with the same key stores the message."""
        application = scene.application()
        with pytest.raises(ZeroDivisionError), scene.store.transaction():  # noqa: PT012 - the transaction that fails
            scene.store.accept(
                [scene.acceptance(application, idempotency=key())], scene.lease(), lambda _: True
            )
            raise ZeroDivisionError
        assert messages(scene, application) == []
        assert not scene.publish(application, idempotency=key()).replayed


class TestAdmission:
    def test_admitted_deliveries_are_born_leased(self, scene):
        """With room in the worker, the delivery is leased to this node and nobody else can take it."""
        application = scene.application()
        endpoint = scene.endpoint(application)
        acceptance, lease = scene.acceptance(application), scene.lease()
        with scene.store.transaction():
            (accepted,) = scene.store.accept([acceptance], lease, lambda _: True)
        (work,) = accepted.works
        assert accepted.spilled == ()
        assert (work.message_id, work.event_type, work.payload) == (
            acceptance.id,
            acceptance.event_type,
            acceptance.payload,
        )
        assert (work.accepted_at, work.attempts, work.trigger) == (
            acceptance.created_at,
            0,
            Trigger.SCHEDULED,
        )
        assert work.lease == lease
        assert work.endpoint == endpoint
        delivery = scene.delivery_of(work)
        assert (delivery.state, delivery.due_at) == (DeliveryState.LEASED, lease.until)
        assert scene.due() == []

    def test_the_others_wait_due_at_once(self, scene):
        """Without room, the delivery waits in the store and can be taken immediately."""
        application = scene.application()
        endpoint = scene.endpoint(application)
        accepted = scene.publish(application, admit=False)
        assert accepted.works == ()
        assert [one.id for one in accepted.spilled] == [endpoint.id]
        delivery = scene.delivery(application.id, accepted.message.id, endpoint.id)
        assert delivery.state is DeliveryState.WAITING
        assert (delivery.attempts, delivery.due_at) == (0, accepted.message.created_at)
        (work,) = scene.take()
        assert (work.message_id, work.attempts, work.endpoint.id) == (accepted.message.id, 0, endpoint.id)

    def test_room_is_asked_for_once_per_delivery(self, scene):
        """Each delivery is admitted or spilled by itself."""
        application = scene.application()
        endpoints = [scene.endpoint(application) for _ in range(3)]
        asked = []

        def admit(endpoint):
            asked.append(endpoint.id)
            return endpoint.id == endpoints[1].id

        (accepted,) = scene.accept(scene.acceptance(application), admit=admit)
        assert sorted(asked) == sorted(endpoint.id for endpoint in endpoints)
        assert [work.endpoint.id for work in accepted.works] == [endpoints[1].id]
        assert {one.id for one in accepted.spilled} == {endpoints[0].id, endpoints[2].id}

    def test_works_of_one_commit_have_keys_of_their_own(self, scene):
        """A delivery's key tells it from every other."""
        application = scene.application()
        for _ in range(3):
            scene.endpoint(application)
        accepted = scene.accept(*(scene.acceptance(application) for _ in range(4)))
        keys = [work.key for one in accepted for work in one.works]
        assert len(set(keys)) == len(keys) == 12
