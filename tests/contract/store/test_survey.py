"""Looking at all of a store: the journal of all applications, how things go over time, and what fails."""

import functools

import msgspec
import pytest
from doors import handler, receive, source

from ringback.errors import NotFound
from ringback.model import EndpointState, Outcome, OutcomeKind, Standing
from ringback.policy import Step
from ringback.store import survey
from ringback.store.sql import journal as looking
from ringback.store.survey import JournalFilter

ALL = JournalFilter()


def ids_of(journal):
    """Return the ids of the messages in a journal."""
    return [entry.message.id for entry in journal.entries]


def walked(store, where, limit, start=None, *, backwards=False):
    """Return the ids of all messages, and how many looks that took."""
    found, looks, cursor = [], 0, start
    while looks < 100:
        journal = store.journal(where, limit, cursor, backwards=backwards)
        seen = ids_of(journal)
        found, looks, cursor = seen + found if backwards else found + seen, looks + 1, journal.cursor
        if cursor is None:
            return found, looks
    raise AssertionError("the journal never ends")


class TestJournal:
    def test_lists_all_applications_newest_first(self, scene):
        """Messages of all applications come in one list, without payloads, with what became of them."""
        mine, other = scene.application(name="Mine"), scene.application(name="Other")
        scene.endpoint(mine)
        first, second = scene.publish(mine, event_id="a"), scene.publish(other)
        entries = scene.store.journal(ALL, 10).entries
        assert [entry.message.id for entry in entries] == [second.message.id, first.message.id]
        assert [entry.owner.name for entry in entries] == ["Other", "Mine"]
        assert [entry.standings for entry in entries] == [{}, {Standing.SENDING: 1}]
        assert [(entry.message.payload, entry.message.event_id) for entry in entries] == [
            (None, None),
            (None, "a"),
        ]

    @pytest.mark.parametrize("of_one", [False, True])
    def test_goes_on_from_where_it_was(self, scene, of_one):
        """Slice by slice every message comes once, of one application as of all."""
        mine, other = scene.application(), scene.application()
        published = [scene.publish(app).message.id for app in (mine, mine, other, mine, mine, mine)]
        where = JournalFilter(application_id=mine.id) if of_one else ALL
        expected = published[:2] + published[3:] if of_one else published
        assert walked(scene.store, where, 2) == (expected[::-1], 3)
        oldest = f"{mine.id}.{published[0]}"
        assert walked(scene.store, where, 2, oldest, backwards=True)[0] == expected[:0:-1]
        assert ids_of(scene.store.journal(where, 2, oldest, backwards=True)) == expected[2:0:-1]
        with pytest.raises(NotFound):
            scene.store.journal(where, 2, f"{mine.id}.{scene.id('msg')}")
        with pytest.raises(NotFound):
            scene.store.journal(JournalFilter(application_id="app_none"), 2)

    def test_whoever_asks_for_one_application_knows_no_other(self, scene):
        """A place in another application's list is answered as one that is nowhere."""
        mine, other = scene.application(), scene.application()
        scene.publish(mine)
        place = f"{other.id}.{scene.publish(other).message.id}"
        assert ids_of(scene.store.journal(ALL, 2, place)) != []
        faults = []
        for cursor in (place, f"{other.id}.{scene.id('msg')}"):
            with pytest.raises(NotFound) as caught:
                scene.store.journal(JournalFilter(application_id=mine.id), 2, cursor)
            faults.append(caught.value.detail)
        assert faults[0] == faults[1]

    def test_finds_by_time_and_type(self, scene):
        """From an instant on, until before another, and of certain types, each alone and together."""
        app = scene.application()
        made = [scene.publish(app, event_type=name).message for name in ("a.x", "b.x", "a.x", "b.x")]
        times = [message.created_at for message in made]
        numbers = {message.id: number for number, message in enumerate(made)}
        for owner in (None, app.id):

            def found(owner=owner, **where):
                journal = scene.store.journal(JournalFilter(application_id=owner, **where), 9)
                return [numbers[name] for name in ids_of(journal)]

            assert found(after=times[1]) == [3, 2, 1]
            assert found(before=times[1]) == [0]
            assert found(after=times[1], before=times[3]) == [2, 1]
            assert found(event_types=("a.x", "c")) == [2, 0]
            assert found(event_types=("a.x",), after=times[1]) == [2]

    def test_finds_by_what_became_of_it(self, scene):
        """A message is found by any of its deliveries; what has none can be asked for, too."""
        mine, other = scene.application(), scene.application()
        scene.endpoint(mine)
        failed = scene.fail(mine).message.id
        (work,) = scene.publish(mine).works
        assert scene.settle(work, Step.SUCCEED)
        (again,) = scene.publish(mine).works
        assert scene.settle(again, Step.RETRY, due_at=scene.now + 60_000)
        waiting = scene.publish(mine, admit=False).message.id
        nobody = scene.publish(other).message.id

        def found(application_id=None, **where):
            return ids_of(scene.store.journal(JournalFilter(application_id=application_id, **where), 9))

        for owner in (None, mine.id):
            assert found(owner, standing=Standing.FAILED) == [failed]
            assert found(owner, standing=Standing.SUCCEEDED) == [work.message_id]
            assert found(owner, standing=Standing.SENDING) == [again.message_id]
            assert found(owner, standing=Standing.PENDING) == [waiting]
            assert found(owner, standing=Standing.CANCELLED) == []
            assert (
                found(owner, standing=Standing.FAILED, before=scene.store.message(mine.id, failed).created_at)
                == []
            )
        assert found(unsent=True) == [nobody]
        assert found(mine.id, unsent=True) == []
        assert found(other.id, standing=Standing.FAILED) == []

    def test_failures_go_on_from_where_it_was(self, scene):
        """What failed is found through an index of its own, slice by slice."""
        mine, other = scene.application(), scene.application()
        scene.endpoint(mine)
        scene.endpoint(other)
        failed = [scene.fail(app).message.id for app in (mine, other, mine, mine, other)]
        where, oldest = JournalFilter(standing=Standing.FAILED), f"{mine.id}.{failed[0]}"
        assert walked(scene.store, where, 2) == (failed[::-1], 3)
        assert walked(scene.store, where, 2, oldest, backwards=True)[0] == failed[:0:-1]

    def test_finds_tags(self, scene):
        """What has a tag is found through an index of its own, in one application or in all, slice by slice."""
        mine, other = scene.application(), scene.application()
        tagged = [scene.publish(app, tags=("red", "vip")).message.id for app in (mine, other, mine, mine)]
        scene.publish(mine, tags=("blue",))
        where, oldest = JournalFilter(tag="red"), f"{mine.id}.{tagged[0]}"
        assert walked(scene.store, where, 2) == (tagged[::-1], 2)
        assert walked(scene.store, where, 2, oldest, backwards=True)[0] == tagged[:0:-1]
        assert ids_of(scene.store.journal(JournalFilter(tag="red", application_id=other.id), 9)) == [
            tagged[1]
        ]
        assert ids_of(scene.store.journal(JournalFilter(text="vip"), 9)) == tagged[::-1]
        assert scene.store.journal(where, 1).entries[0].message.tags == ("red", "vip")
        assert scene.store.journal(JournalFilter(tag="none"), 9).entries == ()

    def test_finds_text(self, scene):
        """A text is an id, an event id, a channel, or part of an event type or of a payload, to the letter."""
        mine, other = scene.application(), scene.application()
        first = scene.publish(mine, event_id="order_1%", event_type="invoice.paid", channels=("blue", "red"))
        second = scene.publish(other, event_type="user.new", payload='{"name":"Añe \\"O\'Brien"}'.encode())
        both = [second.message.id, first.message.id]

        def found(text, application_id=None):
            return ids_of(scene.store.journal(JournalFilter(text=text, application_id=application_id), 9))

        assert found(first.message.id) == [both[1]]
        assert found("order_1%") == [both[1]]
        assert found(first.message.id, other.id) == []
        assert found("red") == [both[1]]
        assert found("blu") == []
        assert found(".") == both
        assert found("er.n") == [both[0]]
        for sign in ("%", "_", "!", "\\%"):
            assert found(f"invoice{sign}paid") == []
        assert found("Añe") == [both[0]]
        assert found("O'Brien\"") == [both[0]]
        assert found('"amount":1') == [both[1]]

    def test_looks_only_so_far(self, scene, monkeypatch):
        """Where nothing fits, a look ends after so many messages, says how far it came, and goes on from there."""
        monkeypatch.setattr(looking, "LOOKED_THROUGH", 2)
        app = scene.application()
        made = [scene.publish(app, event_type="b.x").message for _ in range(5)]
        for owner in (None, app.id):
            where = JournalFilter(application_id=owner, event_types=("none",))
            journal = scene.store.journal(where, 9)
            assert (journal.entries, journal.looked_to) == ((), made[3].created_at)
            assert walked(scene.store, where, 9) == ([], 3)
            assert walked(scene.store, JournalFilter(application_id=owner), 9)[0] == [
                m.id for m in made[::-1]
            ]

    def test_shows_what_belonged_to_a_removed_application(self, scene):
        """What was sent stays on record, and says whose it was."""
        app = scene.application(name="Gone")
        scene.publish(app)
        scene.write(scene.store.remove_application, app.id, scene.tick())
        assert [entry.owner.name for entry in scene.store.journal(ALL, 9).entries] == ["Gone"]


class TestCourse:
    def test_tells_what_was_accepted_when_and_how_it_went(self, scene):
        """Each stretch counts its own messages, deliveries and attempts; empty ones are there, too."""
        app = scene.application()
        scene.endpoint(app)
        start = scene.tick()
        scene.fail(app)
        (work,) = scene.publish(app).works
        scene.settle(work, Step.RETRY, due_at=scene.now + 60_000)
        middle = scene.tick(60_000)
        for _ in range(3):
            (work,) = scene.publish(app).works
            scene.settle(work, Step.SUCCEED)
        end = scene.tick(60_000)
        before, first, second, after = scene.store.course([start - 9_000, start, middle, end, end + 9_000])
        assert (before.messages, after.messages, after.standings) == (0, 0, {})
        assert (first.since, first.until, first.messages, first.sampled) == (start, middle, 2, 2)
        assert first.standings == {Standing.FAILED: 1, Standing.SENDING: 1}
        assert (first.good, first.durations) == (0, (12, 12))
        assert (second.messages, second.standings, second.good) == (3, {Standing.SUCCEEDED: 3}, 3)
        assert not second.more

    def test_looks_at_a_sample_where_there_are_many(self, scene, monkeypatch):
        """However many there are, so many are looked at, from all of the time."""
        app = scene.application()
        start = scene.tick()
        scene.accept(*[scene.acceptance(app) for _ in range(survey.SAMPLED * 2)])
        (stretch,) = scene.store.course([start, scene.tick()])
        assert stretch.messages == survey.SAMPLED * 2
        assert 0 < stretch.sampled <= survey.SAMPLED

    def test_nothing(self, scene):
        """An empty store has an empty course."""
        assert [one.messages for one in scene.store.course([0, 1, 2])] == [0, 0]


class TestTroubles:
    def test_are_endpoints_that_fail_or_were_disabled_for_it(self, scene):
        """Those that have failed for longest come first; healthy ones and those disabled by hand are left out."""
        app = scene.application(name="Acme")
        late, early = scene.endpoint(app), scene.endpoint(app)
        scene.endpoint(app, state=EndpointState.DISABLED, disabled_reason="manual")
        scene.endpoint(app)
        for endpoint, since in ((late, 2_000), (early, 1_000)):
            change = functools.partial(msgspec.structs.replace, failing_since=since)
            scene.write(scene.store.change_endpoint, app.id, endpoint.id, change)
        scene.publish(app, admit=False)
        found = scene.store.troubles(9)
        assert [one.endpoint.id for one in found] == [early.id, late.id]
        assert [(one.application.name, one.waiting) for one in found] == [("Acme", 1), ("Acme", 1)]
        assert [one.endpoint.id for one in scene.store.troubles(1)] == [early.id]


class TestHandlerTroubles:
    def test_are_handlers_whose_latest_attempt_failed(self, scene):
        """The latest failure comes first; who succeeded since, asked to be called again or never ran is left out."""
        owner = source(scene, name="shop")
        names = ("early", "late", "well", "again", "idle", "gone")
        handlers = {name: handler(scene, owner, name) for name in names if name != "idle"}
        receive(scene, owner, admit=False)
        handler(scene, owner, "idle")
        works = {work.endpoint.uid: work for work in scene.take()}
        raised = Outcome(kind=OutcomeKind.RAISED, detail="KeyError", body=b"Traceback")
        for name, outcome in (
            ("early", raised),
            ("late", raised),
            ("well", raised),
            ("again", Outcome(kind=OutcomeKind.AGAIN)),
            ("gone", raised),
        ):
            attempt = scene.attempt(works[name], outcome)
            scene.settle(works[name], Step.RETRY, due_at=scene.now + 60_000, attempt=attempt)
        scene.tick(60_000)
        (well,) = scene.take(endpoints=[handlers["well"].id])
        scene.settle(well, Step.SUCCEED)
        scene.write(scene.store.remove_endpoint, owner.id, handlers["gone"].id, scene.tick())
        found = scene.store.handler_troubles(9)
        assert [one.endpoint for one in found] == [handlers["late"], handlers["early"]]
        assert [(one.source.name, one.waiting) for one in found] == [("shop", 1), ("shop", 1)]
        latest = found[0].latest
        assert (latest.endpoint_id, latest.message_id) == (handlers["late"].id, works["late"].message_id)
        assert (latest.outcome.detail, latest.outcome.body) == ("KeyError", b"")
        assert [one.endpoint.uid for one in scene.store.handler_troubles(1)] == ["late"]

    def test_none(self, scene):
        """Endpoints that fail are no handlers, whether an application's or a source's."""
        owner = source(scene)
        scene.endpoint(owner)
        (work,) = receive(scene, owner).works
        scene.settle(work, Step.EXHAUST)
        app = scene.application()
        scene.endpoint(app)
        scene.fail(app)
        assert scene.store.handler_troubles(9) == []
