"""Reading: pages without gaps, in both directions; filters; and the queue at a glance."""
# ruff: noqa: D102 - fixtures and queries named for what they hold

import threading

import pytest
from scene import MANY, REFUSED, START

from ringback.errors import NotFound
from ringback.model import DeliveryState, EndpointState, Outcome, OutcomeKind
from ringback.policy import Step
from ringback.store import AttemptFilter, MessageFilter, Page, Statistics


class Lists:
    """Every list of the store, with nine rows in it: name to (read a page, a row's cursor)."""

    def __init__(self, scene):
        store = scene.store
        application = scene.application()
        self.application = application
        endpoints = [scene.endpoint(application) for _ in range(9)]
        accepted = [scene.publish(application) for _ in range(9)]
        for work in accepted[0].works:
            scene.settle(work, Step.SUCCEED)
        for one in accepted[1:]:
            scene.settle(one.works[0], Step.SUCCEED)
        for number in range(8):
            scene.application(name=f"{number}")
            scene.write(store.add, scene.new_event_type(f"type.{8 - number}"))
        scene.write(store.add, scene.new_event_type("type.0"))
        message_id = accepted[0].message.id
        self.lists = {
            "applications": (store.applications, lambda row: row.id),
            "endpoints": (lambda page: store.endpoints(application.id, page), lambda row: row.id),
            "event_types": (lambda page: store.event_types(page, archived=False), lambda row: row.name),
            "messages": (
                lambda page: store.messages(application.id, MessageFilter(), page),
                lambda row: row.id,
            ),
            "deliveries": (
                lambda page: store.deliveries(application.id, message_id, page),
                lambda row: row[1].id,
            ),
            "attempts of a message": (
                lambda page: store.attempts(application.id, AttemptFilter(message_id=message_id), page),
                lambda row: row.id,
            ),
            "attempts of an endpoint": (
                lambda page: store.attempts(
                    application.id, AttemptFilter(endpoint_id=accepted[0].works[0].endpoint.id), page
                ),
                lambda row: row.id,
            ),
        }
        self.endpoints = endpoints


NAMES = [
    "applications",
    "endpoints",
    "event_types",
    "messages",
    "deliveries",
    "attempts of a message",
    "attempts of an endpoint",
]


@pytest.fixture
def lists(scene):
    return Lists(scene)


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
@pytest.mark.parametrize("name", NAMES)
class TestPages:
    def test_forward_pages_follow_each_other(self, lists, name, descending):
        """Following the last row of each page visits every row once, in the list's order."""
        read, key = lists.lists[name]
        whole = [key(row) for row in read(Page(limit=MANY, descending=descending))]
        assert whole == sorted(whole, reverse=descending)
        assert len(whole) == 9
        visited, cursor = [], None
        while page := read(Page(limit=4, cursor=cursor, descending=descending)):
            visited += [key(row) for row in page]
            cursor = visited[-1]
        assert visited == whole

    def test_backward_pages_are_the_same_rows_in_the_same_order(self, lists, name, descending):
        """Going back from a row gives the rows just before it, still in the list's order."""
        read, key = lists.lists[name]
        whole = [key(row) for row in read(Page(limit=MANY, descending=descending))]
        for position, cursor in enumerate(whole):
            back = read(Page(limit=3, cursor=cursor, backwards=True, descending=descending))
            assert [key(row) for row in back] == whole[max(0, position - 3) : position]


def test_pages_of_one_instant_have_no_gaps(scene):
    """Messages accepted in the same millisecond are each on exactly one page."""
    application = scene.application()
    at = scene.now
    scene.accept(*(scene.acceptance(application, id=scene.id("msg"), created_at=at) for _ in range(20)))
    visited, cursor = [], None
    while page := scene.store.messages(application.id, MessageFilter(), Page(limit=3, cursor=cursor)):
        visited += [message.id for message in page]
        cursor = visited[-1]
    assert len(visited) == len(set(visited)) == 20


def test_a_row_that_is_gone_still_marks_its_place(scene):
    """A page can be continued after its last row was deleted."""
    application = scene.application()
    endpoints = [scene.endpoint(application) for _ in range(4)]
    scene.write(scene.store.remove_endpoint, application.id, endpoints[1].id, scene.now)
    after = scene.store.endpoints(application.id, Page(limit=2, cursor=endpoints[1].id))
    assert after == endpoints[2:]


def test_messages_by_their_ids(scene):
    """Those that are there are found; another application's are not."""
    application, other = scene.application(), scene.application()
    ours = [scene.publish(application, tags=("a",)).message for _ in range(3)]
    theirs = scene.publish(other).message
    wanted = {ours[0].id, ours[2].id, theirs.id, scene.id("msg")}
    found = scene.store.messages_named(application.id, wanted)
    assert sorted(found, key=lambda message: message.id) == [ours[0], ours[2]]
    assert scene.store.messages_named(application.id, ()) == []


def test_lists_show_only_their_own_application(scene):
    """Nothing of another application is listed or found."""
    owner, stranger = scene.application(), scene.application()
    scene.endpoint(owner)
    message = scene.fail(owner, event_id="order-1").message
    (attempt,) = scene.attempts_of(owner, message.id)
    store = scene.store
    assert store.messages(stranger.id, MessageFilter(), Page()) == []
    assert store.endpoints(stranger.id, Page()) == []
    for call in (
        lambda: store.message(stranger.id, message.id),
        lambda: store.message(stranger.id, "order-1"),
        lambda: store.attempt(stranger.id, message.id, attempt.id),
        lambda: store.attempt(owner.id, "msg_nobody", attempt.id),
        lambda: store.attempt(owner.id, message.id, "atmpt_nobody"),
    ):
        with pytest.raises(NotFound):
            call()


class TestMessageFilters:
    @pytest.fixture
    def application(self, scene):
        return scene.application()

    @pytest.fixture
    def published(self, scene, application):
        kinds = [("a", None), ("b", ("north",)), ("a", ("north", "south")), ("c", ("south",)), ("b", None)]
        return [
            scene.publish(application, event_type=kind, channels=channels).message for kind, channels in kinds
        ]

    def found(self, scene, application, page=None, **where):
        return scene.store.messages(application.id, MessageFilter(**where), page or Page())

    def test_by_time(self, scene, application, published):
        """From "after" on, up to but not including "before"."""
        after, before = published[1].created_at, published[3].created_at
        assert self.found(scene, application, after=after, before=before) == published[1:3]
        assert self.found(scene, application, after=after + 1) == published[2:]
        assert self.found(scene, application, before=before + 1) == published[:4]
        assert self.found(scene, application, after=before, before=after) == []

    def test_by_type(self, scene, application, published):
        """Any of the types; no type at all finds nothing."""
        assert self.found(scene, application, event_types=("a",)) == [published[0], published[2]]
        assert self.found(scene, application, event_types=("a", "c")) == [
            published[index] for index in (0, 2, 3)
        ]
        assert self.found(scene, application, event_types=("nothing",)) == []

    def test_by_channel(self, scene, application, published):
        """Messages that were published to the channel."""
        assert self.found(scene, application, channel="south") == [published[2], published[3]]
        assert self.found(scene, application, channel="sou") == []

    def test_together_and_paged(self, scene, application, published):
        """Filters narrow each other, and pages are pages of what was found."""
        assert self.found(scene, application, event_types=("a", "b"), channel="north") == published[1:3]
        page = Page(limit=1, cursor=published[0].id)
        assert self.found(scene, application, page, event_types=("a",)) == [published[2]]
        page = Page(limit=2, descending=True)
        assert self.found(scene, application, page, event_types=("a", "c")) == [published[3], published[2]]

    @pytest.mark.parametrize("hostile", ["%", "_", "'", '"', "a' OR 1=1 --", "\\", "nörth", "[x]"])
    def test_channels_are_compared_literally(self, scene, application, published, hostile):
        """No character in a channel's name is a wildcard or ends a query."""
        assert self.found(scene, application, channel=hostile) == []
        message = scene.publish(application, channels=(hostile,)).message
        assert self.found(scene, application, channel=hostile) == [message]


class TestAttemptFilters:
    @pytest.fixture
    def application(self, scene):
        return scene.application()

    @pytest.fixture
    def made(self, scene, application):
        """Attempts with the statuses 200, 301, 404, 503 and none, oldest first, at one endpoint."""
        scene.endpoint(application)
        rows = []
        for number, status in enumerate((200, 301, 404, 503, 0)):
            kind = {200: OutcomeKind.SUCCESS, 0: OutcomeKind.CONNECT}.get(status, OutcomeKind.REFUSED)
            channels = ("north",) if number % 2 else None
            (work,) = scene.publish(application, event_type=f"t{number % 2}", channels=channels).works
            attempt = scene.attempt(work, Outcome(kind=kind, status=status))
            scene.settle(work, Step.EXHAUST, attempt=attempt)
            rows.append(attempt)
        return rows

    def found(self, scene, application, made, **where):
        where = {"endpoint_id": made[0].endpoint_id} | where
        return scene.store.attempts(application.id, AttemptFilter(**where), Page())

    def test_by_success(self, scene, application, made):
        """Those that succeeded, or those that did not."""
        assert self.found(scene, application, made, ok=True) == made[:1]
        assert self.found(scene, application, made, ok=False) == made[1:]

    @pytest.mark.parametrize(("status_class", "index"), [(200, 0), (300, 1), (400, 2), (500, 3), (0, 4)])
    def test_by_class_of_status(self, scene, application, made, status_class, index):
        """By hundreds; 0 means without an answer."""
        assert self.found(scene, application, made, status_class=status_class) == [made[index]]
        assert self.found(scene, application, made, status_class=100) == []

    def test_by_time(self, scene, application, made):
        """From "after" on, up to but not including "before", by the attempt's start."""
        after, before = made[1].started_at, made[3].started_at
        assert self.found(scene, application, made, after=after, before=before) == made[1:3]
        assert self.found(scene, application, made, after=after + 5) == made[2:]

    def test_by_type_and_channel(self, scene, application, made):
        """By what the message was."""
        assert self.found(scene, application, made, event_types=("t1",)) == [made[1], made[3]]
        assert self.found(scene, application, made, channel="north") == [made[1], made[3]]
        assert self.found(scene, application, made, event_types=("t0",), channel="north") == []

    def test_of_a_message_at_one_endpoint(self, scene, application, made):
        """A message's attempts can be narrowed to one endpoint."""
        second = scene.endpoint(application)
        message = scene.fail(application).message
        assert len(scene.attempts_of(application, message.id)) == 2
        (found,) = self.found(scene, application, made, message_id=message.id, endpoint_id=second.id)
        assert (found.endpoint_id, found.outcome) == (second.id, REFUSED)


class TestStatistics:
    def test_an_empty_store(self, scene):
        """Nothing waits, and the size is told."""
        statistics = scene.store.statistics(scene.now)
        assert statistics == Statistics(0, 0, None, statistics.size_bytes)
        assert statistics.size_bytes > 0

    def test_it_counts_what_is_not_at_rest(self, scene):
        """Waiting and leased deliveries count; of these, the ones past due, since the oldest."""
        application = scene.application()
        scene.endpoint(application)
        scene.fail(application)
        oldest = scene.publish(application, admit=False).message.created_at
        scene.publish(application, admit=False)
        scene.publish(application)
        (retrying,) = scene.publish(application).works
        scene.settle(retrying, Step.RETRY, scene.now + 10**6)
        statistics = scene.store.statistics(scene.now)
        assert (statistics.waiting, statistics.past_due, statistics.oldest_due_at) == (4, 2, oldest)

    def test_what_a_paused_endpoint_keeps_is_not_past_due(self, scene):
        """It waits, and nobody is late."""
        application = scene.application()
        endpoint = scene.endpoint(application, state=EndpointState.PAUSED)
        scene.publish(application, admit=False)
        statistics = scene.store.statistics(scene.now)
        assert (statistics.waiting, statistics.past_due, statistics.oldest_due_at) == (1, 0, None)
        scene.write(scene.store.remove_endpoint, application.id, endpoint.id, scene.now)
        assert scene.store.statistics(scene.now).past_due == 1


def test_other_threads_see_only_what_is_committed(scene):
    """A reader beside an open transaction sees the state before it, without waiting for its end."""
    application = scene.application()
    seen = []

    def look():
        seen.append(len(scene.store.messages(application.id, MessageFilter(), Page())))

    def look_from_elsewhere():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(timeout=30)

    with scene.store.transaction():
        scene.store.accept([scene.acceptance(application)], scene.lease(), lambda _: True)
        look()
        look_from_elsewhere()
    look_from_elsewhere()
    assert seen == [1, 0, 1]


def test_a_delivery_is_told_with_its_endpoint(scene):
    """A message's deliveries carry their state beside the endpoint they are for."""
    application = scene.application()
    endpoint = scene.endpoint(application)
    message = scene.publish(application).message
    ((delivery, found),) = scene.store.deliveries(application.id, message.id, Page())
    assert found == endpoint
    assert (delivery.message_id, delivery.endpoint_id) == (message.id, endpoint.id)
    assert delivery.state is DeliveryState.LEASED
    assert delivery.due_at > START
