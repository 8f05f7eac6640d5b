"""What operators are told is accepted in the transaction of what it tells of, and nothing is told of themselves."""

import json

import msgspec
import pytest
from scene import MANY, REFUSED

from ringback import ids
from ringback.errors import NotFound
from ringback.model import Application, EndpointState, Source, Trigger
from ringback.operational import FAILING_AFTER
from ringback.policy import Health, Step
from ringback.store import MessageFilter, Page


@pytest.fixture
def operators(scene):
    """The operators' application, with an endpoint that wants everything."""
    now = scene.tick()
    record = Application(id=ids.OPERATOR, name="Operators", created_at=now, updated_at=now)
    scene.write(scene.store.add, record)
    scene.endpoint(record, url="https://operators.example/hook")
    return record


def told(scene, *, but=()):
    """Return what operators were told, oldest first, as type and data."""
    found = scene.store.messages(ids.OPERATOR, MessageFilter(), Page(limit=MANY))
    bodies = [json.loads(message.payload) for message in found]
    assert [body["type"] for body in bodies] == [message.event_type for message in found]
    return [(body["type"], body["data"]) for body in bodies if body["type"] not in but]


def types(scene):
    return [kind for kind, _ in told(scene)]


def disabled(endpoint):
    return msgspec.structs.replace(endpoint, state=EndpointState.DISABLED, disabled_reason="manual")


def enabled(endpoint):
    return msgspec.structs.replace(endpoint, state=EndpointState.ENABLED, disabled_reason=None)


def fail(scene, work, times):
    """Have a delivery fail so many times, each to be tried again; return it as it is taken next."""
    for _ in range(times):
        assert scene.settle(work, Step.RETRY, scene.now)
        (work,) = [one for one in scene.take() if one.message_id == work.message_id]
    return work


def test_an_endpoints_life(scene, operators):
    """Made, changed, disabled, enabled and deleted: each is told once, with the names that the owner has for it."""
    application = scene.application(uid="acme")
    endpoint = scene.endpoint(application, uid="orders")
    ref = (application.id, endpoint.id)
    scene.write(
        scene.store.change_endpoint, *ref, lambda old: msgspec.structs.replace(old, description="new")
    )
    scene.tick()
    scene.write(scene.store.change_endpoint, *ref, disabled)
    scene.write(scene.store.change_endpoint, *ref, enabled)
    scene.write(scene.store.remove_endpoint, *ref, scene.tick())
    assert sorted(types(scene)) == sorted(
        ["endpoint.created", "endpoint.deleted", "endpoint.disabled", "endpoint.enabled"]
        + 3 * ["endpoint.updated"]
    )
    names = {"appId": application.id, "appUid": "acme", "endpointId": endpoint.id, "endpointUid": "orders"}
    for kind, data in told(scene):
        more = (
            {"failSince": None, "trigger": "manual", "reason": "manual"} if kind.endswith("disabled") else {}
        )
        assert data == names | more


def test_what_stays_as_it_is_is_not_told(scene, operators):
    """A change that changes nothing but its time is none."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    now = scene.tick()
    scene.write(
        scene.store.change_endpoint,
        application.id,
        endpoint.id,
        lambda old: msgspec.structs.replace(old, updated_at=now),
    )
    assert types(scene) == ["endpoint.created"]


def test_an_application_is_deleted_with_its_endpoints(scene, operators):
    """Each of them is told of, still with the application's uid."""
    application = scene.application(uid="acme")
    endpoints = [scene.endpoint(application) for _ in range(3)]
    scene.write(scene.store.remove_application, application.id, scene.tick())
    deleted = [data for kind, data in told(scene) if kind == "endpoint.deleted"]
    assert sorted(data["endpointId"] for data in deleted) == sorted(one.id for one in endpoints)
    assert {data["appUid"] for data in deleted} == {"acme"}


def test_a_source_and_its_endpoints(scene, operators):
    """What concerns a source has names of its own."""
    now = scene.tick()
    source = Source(id=scene.id("src"), name="pay", provider="stripe", created_at=now, updated_at=now)
    scene.write(scene.store.add_source, source)
    endpoint = scene.endpoint(source)
    scene.write(scene.store.change_source, source.id, lambda old: msgspec.structs.replace(old, name="paid"))
    scene.write(scene.store.change_source, source.id, lambda old: old)
    scene.write(scene.store.remove_source, source.id, scene.tick())
    one = {"sourceId": source.id}
    assert sorted(told(scene), key=lambda row: row[0]) == [
        ("ingest.endpoint.created", one | {"endpointId": endpoint.id, "endpointUid": None}),
        ("ingest.endpoint.deleted", one | {"endpointId": endpoint.id, "endpointUid": None}),
        ("ingest.source.created", one),
        ("ingest.source.deleted", one),
        ("ingest.source.updated", one),
    ]


def test_a_delivery_fails_and_recovers(scene, operators):
    """The fourth failure is told once, and the success after it; neither before, nor failures after."""
    application = scene.application(uid="acme")
    endpoint = scene.endpoint(application)
    (work,) = scene.publish(application, event_id="order-7").works
    work = fail(scene, work, FAILING_AFTER - 1)
    assert types(scene) == ["endpoint.created"]
    failing = scene.attempt(work, REFUSED)
    assert scene.settle(work, Step.RETRY, scene.now, attempt=failing)
    (work,) = [one for one in scene.take() if one.message_id == work.message_id]
    work = fail(scene, work, 2)
    recovered = scene.attempt(work)
    assert scene.settle(work, Step.SUCCEED, attempt=recovered)
    about = {"appId": application.id, "appUid": "acme", "msgId": work.message_id, "msgEventId": "order-7"}
    rows = told(scene, but={"endpoint.created"})
    assert [kind for kind, _ in rows] == ["message.attempt.failing", "message.attempt.recovered"]
    for (_, data), attempt in zip(rows, (failing, recovered), strict=True):
        last = data.pop("lastAttempt")
        assert (last["id"], last["responseStatusCode"]) == (attempt.id, attempt.outcome.status)
        assert last["timestamp"].endswith("Z")
        assert data == about | {"endpointId": endpoint.id}


def test_a_delivery_is_exhausted_and_resent(scene, operators):
    """The end is told; so is a success afterwards, once, however the message is resent then."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    (work,) = scene.publish(application).works
    assert scene.settle(fail(scene, work, FAILING_AFTER), Step.EXHAUST)
    for _ in range(2):
        scene.write(scene.store.resend, application.id, work.message_id, endpoint.id, scene.tick())
        (again,) = [one for one in scene.take() if one.message_id == work.message_id]
        assert again.trigger is Trigger.MANUAL
        assert scene.settle(again, Step.SUCCEED)
    assert [kind for kind in types(scene) if kind.startswith("message")] == [
        "message.attempt.failing",
        "message.attempt.exhausted",
        "message.attempt.recovered",
    ]


def test_a_success_that_nobody_worried_about(scene, operators):
    """Neither a first success nor one after few failures, nor one that was resent, is worth telling."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    (first,) = scene.publish(application).works
    assert scene.settle(first, Step.SUCCEED)
    (second,) = scene.publish(application).works
    assert scene.settle(fail(scene, second, FAILING_AFTER - 1), Step.SUCCEED)
    scene.write(scene.store.resend, application.id, first.message_id, endpoint.id, scene.tick())
    (again,) = [one for one in scene.take() if one.message_id == first.message_id]
    assert scene.settle(again, Step.SUCCEED)
    assert types(scene) == ["endpoint.created"]


def test_an_endpoint_is_given_up(scene, operators):
    """What Ringback disables by itself is told with why and since when, beside the message that ended it."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    scene.suffer(application, Health(scene.now, disable="gone"))
    rows = dict(told(scene))
    assert set(rows) == {"endpoint.created", "message.attempt.exhausted", "endpoint.disabled"}
    assert rows["endpoint.disabled"]["endpointId"] == endpoint.id
    assert (rows["endpoint.disabled"]["trigger"], rows["endpoint.disabled"]["reason"]) == (
        "automatic",
        "gone",
    )
    assert rows["endpoint.disabled"]["failSince"].endswith("Z")


def test_a_lost_lease_tells_nothing(scene, operators):
    """A settlement that came too late changes nothing, so there is nothing to tell."""
    application = scene.application()
    scene.endpoint(application)
    (work,) = scene.publish(application).works
    stale = msgspec.structs.replace(work, lease=scene.lease())
    assert not scene.settle(stale, Step.EXHAUST)
    assert types(scene) == ["endpoint.created"]


def test_handlers_are_their_programs_affair(scene, operators):
    """Nothing is told of deliveries to a handler, whose ends may be in a transaction of the program's."""
    application = scene.application()
    scene.endpoint(application, url="handler:fulfil")
    (work,) = scene.publish(application).works
    assert scene.settle(work, Step.EXHAUST)
    assert types(scene) == ["endpoint.created"]


def test_one_transaction(scene, operators):
    """A change that is rolled back is not told; not even where only its own part of a transaction is undone."""
    application = scene.application()
    endpoint = scene.new_endpoint(application)

    def undone():
        with scene.store.transaction():
            scene.store.add(endpoint)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    with scene.store.transaction():
        with pytest.raises(RuntimeError):
            undone()
        kept = scene.new_endpoint(application)
        scene.store.add(kept)
    assert [data["endpointId"] for _, data in told(scene)] == [kept.id]


def test_it_waits_for_any_worker(scene, operators):
    """What is told is due at once, also for a worker that starts after everyone who knew of it has died."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    (work,) = scene.take()
    assert work.endpoint.url == "https://operators.example/hook"
    assert work.event_type == "endpoint.created"
    assert json.loads(work.payload)["data"]["endpointId"] == endpoint.id


def test_no_loops(scene, operators):
    """Of the operators' own endpoints nothing is told, whatever becomes of them and of deliveries to them."""
    mine = scene.endpoint(operators)
    scene.write(scene.store.change_endpoint, operators.id, mine.id, disabled)
    scene.write(scene.store.remove_endpoint, operators.id, mine.id, scene.tick())
    assert told(scene) == []
    scene.endpoint(scene.application())
    (work,) = scene.take()
    work = fail(scene, work, FAILING_AFTER)
    assert scene.settle(work, Step.EXHAUST, health=Health(scene.now, disable="gone"))
    assert types(scene) == ["endpoint.created"]


def test_only_where_somebody_listens(scene):
    """Without an endpoint of the operators' nothing is stored; with a disabled one it is, and skipped."""
    application = scene.application()
    scene.endpoint(application)
    now = scene.tick()
    operators = Application(id=ids.OPERATOR, name="Operators", created_at=now, updated_at=now)
    scene.write(scene.store.add, operators)
    scene.endpoint(application)
    assert told(scene) == []
    scene.endpoint(operators, event_types=("endpoint.deleted",))
    scene.endpoint(application)
    assert types(scene) == ["endpoint.created"]
    assert scene.due() == []


def test_another_node_listens(scene, database):
    """An endpoint that operators make on one node is heeded by all others at their next change."""
    application = scene.application()
    scene.endpoint(application)
    with_other = type(scene)(database.open(), seed=8)
    with_other.now = scene.now
    try:
        now = with_other.tick()
        operators = Application(id=ids.OPERATOR, name="Operators", created_at=now, updated_at=now)
        with_other.write(with_other.store.add, operators)
        with_other.endpoint(operators)
        scene.now = with_other.now
        scene.endpoint(application)
        assert types(scene) == ["endpoint.created"]
    finally:
        with_other.store.close()


def test_nobody_else_gets_in(scene, operators):
    """The operators' application is in no list, takes no messages from others, and cannot be changed or removed."""
    application = scene.application()
    assert [one.id for one in scene.store.applications(Page(limit=MANY))] == [application.id]
    (refused,) = scene.accept(scene.acceptance(operators))
    assert isinstance(refused, NotFound)
    with pytest.raises(NotFound):
        scene.write(scene.store.change_application, ids.OPERATOR, lambda old: old)
    with pytest.raises(NotFound):
        scene.write(scene.store.remove_application, ids.OPERATOR, scene.tick())
