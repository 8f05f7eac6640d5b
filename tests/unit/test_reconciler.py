"""Polling: what it finds acts once, whatever order poll and webhook come in, and nothing a fetch does stops it."""

import asyncio
import contextlib
import functools
import itertools
import selectors
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ringback.engine import open_checked_store
from ringback.entrance import Entrance
from ringback.errors import ConfigurationError, StoreUnavailable, Unavailable
from ringback.inbox import Inbox
from ringback.last_look import LastLook, last_look
from ringback.model import Source
from ringback.observe import FoundByPoll, PollFailed, PollFinished
from ringback.providers import provider
from ringback.providers.recognition import Field, Recogniser
from ringback.reconciler import MAX_HANGING, Looked, Reconciler
from ringback.server.metrics import Metrics
from ringback.testing import FrozenClock, inbox_at, secret_for, signed_request
from ringback.testing.samples import sample_of

PATIENCE = 20
ENTRANCE = Entrance(Source(id="src_1", name="xendit", provider="xendit", created_at=0, updated_at=0))


def invoice(number, status="PAID"):
    """Return an invoice as Xendit's API tells of it."""
    body = msgspec.json.decode(sample_of("xendit", "invoice.paid").body)
    return {**body, "id": f"66b1d2e3f4a5b6c7d8e9{number:04x}", "status": status}


def webhook(body):
    """Return the webhook of an invoice."""
    return signed_request("xendit", body=msgspec.json.encode(body))


class Shop:
    """An inbox for Xendit whose handler notes what it did."""

    def __init__(self, folder):
        self.clock = FrozenClock()
        self.inbox = inbox_at(folder, clock=self.clock)
        self.inbox.source("xendit", secrets=[secret_for("xendit")])
        self.acted = []
        self.events = []
        self.inbox.on("xendit", "invoice.*", name="fulfil")(self.fulfil)
        for kind in (FoundByPoll, PollFinished, PollFailed):
            self.inbox.observer.subscribe(kind, self.events.append)

    def fulfil(self, message):
        """Act."""
        self.acted.append((message.data["id"], message.data["status"], message.polled))

    def told(self, kind):
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def look(self, fetch, **options):
        """Look once with a fetch of its own."""
        self.inbox.reconcile("xendit", fetch, **options)
        return self.inbox.reconcile_once("xendit")

    def receive(self, body):
        """Receive a webhook."""
        assert self.inbox.accept("xendit", webhook(body)).result().status == 200


@pytest.fixture
def shop(tmp_path):
    shop = Shop(tmp_path)
    yield shop
    shop.inbox.close()


def in_a_list(since):
    return [invoice(1), invoice(2)]


def one_by_one(since):
    yield invoice(1)
    yield invoice(2)


async def awaited(since):
    return in_a_list(since)


async def as_they_come(since):
    for body in in_a_list(since):
        yield body


class Asked:
    """A fetch that is an object."""

    async def __call__(self, since):
        """Fetch."""
        return in_a_list(since)


def in_bytes(since):
    return [msgspec.json.encode(body) for body in in_a_list(since)]


FETCHES = [
    in_a_list,
    one_by_one,
    awaited,
    as_they_come,
    Asked(),
    in_bytes,
    functools.partial(awaited),
    lambda since: awaited(since),  # noqa: PLW0108 - a function that returns a coroutine is the case
    lambda since: as_they_come(since),  # noqa: PLW0108 - as above
]


@pytest.mark.parametrize("fetch", FETCHES)
def test_any_kind_of_function_can_fetch(shop, fetch):
    """Functions, generators, coroutine functions and asynchronous generators are all read to their end."""
    assert shop.look(fetch) == Looked(news=2)
    shop.inbox.drain()
    assert sorted(shop.acted) == [(invoice(number)["id"], "PAID", True) for number in (1, 2)]


def test_poll_first(shop):
    """What a poll found is handled once: its webhook is acknowledged and does nothing."""
    assert shop.look(lambda _: [invoice(1)]).news == 1
    shop.receive(invoice(1))
    shop.inbox.drain()
    assert shop.acted == [(invoice(1)["id"], "PAID", True)]
    assert [event.event_type for event in shop.told(FoundByPoll)] == ["invoice.paid"]


def test_webhook_first(shop):
    """What came as a webhook is known to a poll, before and after it was handled."""
    shop.receive(invoice(1))
    assert shop.look(lambda _: [invoice(1)]) == Looked(known=1)
    shop.inbox.drain()
    assert shop.inbox.reconcile_once("xendit") == Looked(known=1)
    shop.inbox.drain()
    assert shop.acted == [(invoice(1)["id"], "PAID", False)]
    assert not shop.told(FoundByPoll)


def test_poll_and_webhook_at_once(shop):
    """However polls and repeated webhooks of forty invoices race, each acts once."""
    bodies = [invoice(number) for number in range(40)]
    requests = [webhook(body) for body in reversed(bodies)]
    shop.inbox.reconcile("xendit", lambda _: bodies)
    go = threading.Barrier(4)

    def receive():
        go.wait(PATIENCE)
        for request in requests:
            assert shop.inbox.accept("xendit", request).result().status == 200

    def look():
        go.wait(PATIENCE)
        shop.inbox.reconcile_once("xendit")

    threads = [threading.Thread(target=one) for one in (receive, receive, look)]
    for thread in threads:
        thread.start()
    go.wait(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    shop.inbox.drain()
    assert sorted(one[0] for one in shop.acted) == sorted(body["id"] for body in bodies)


def test_a_later_state_is_another_event(shop):
    """An invoice that expired and was paid after all acts twice, wherever each was heard of."""
    shop.receive(invoice(1, "EXPIRED"))
    assert shop.look(lambda _: [invoice(1, "EXPIRED"), invoice(1, "PAID")]) == Looked(news=1, known=1)
    shop.receive(invoice(1, "PAID"))
    shop.inbox.drain()
    assert sorted(one[1] for one in shop.acted) == ["EXPIRED", "PAID"]


def test_what_is_no_event_yet_is_passed_over(shop):
    """An invoice that waits to be paid reaches no handler, and is not kept."""
    assert shop.look(lambda _: [invoice(1, "PENDING")]) == Looked(pending=1)
    assert shop.inbox.drain().succeeded == 0


def test_one_body_that_fails_loses_no_other(shop):
    """What cannot be read or told apart is counted, and the others are taken in."""
    nameless = {**invoice(9), "id": None}
    odd = [None, 7, "text", {"x": object()}, b"\xff{", b"[]", nameless]
    assert shop.look(lambda _: [invoice(1), *odd, invoice(2)]) == Looked(news=2, unusable=len(odd))
    assert shop.told(PollFinished)[0].unusable == len(odd)


def test_what_was_found_before_a_failure_is_kept(shop):
    """A fetch that fails half way has told of the first half, and the next look begins where this one did."""
    asked = []

    def fetch(since):
        asked.append(since)
        yield invoice(1)
        if len(asked) == 1:
            raise ConnectionResetError
        yield invoice(2)

    with pytest.raises(ConnectionResetError):
        shop.look(fetch)
    assert len(shop.told(FoundByPoll)) == 1
    assert [event.error for event in shop.told(PollFailed)] == ["ConnectionResetError"]
    shop.clock.advance(3_600)
    assert shop.inbox.reconcile_once("xendit") == Looked(news=1, known=1)
    assert asked[1] - asked[0] == timedelta(hours=1)


def test_since_when(shop):
    """The first look goes back two days, each further one an hour behind the last, unless it is told since when."""
    asked = []
    shop.inbox.reconcile("xendit", lambda since: asked.append(since) or [])
    began = shop.clock.now
    shop.inbox.reconcile_once("xendit")
    shop.clock.advance(300)
    shop.inbox.reconcile_once("xendit", since=datetime(2026, 1, 1, tzinfo=UTC))
    shop.inbox.reconcile_once("xendit")
    hour = timedelta(hours=1)
    assert asked == [began - 48 * hour, datetime(2026, 1, 1, tzinfo=UTC), began - hour]


def test_bodies_are_read_one_at_a_time(shop):
    """A body is in the store before the next one is asked for, so no list of them is made."""
    known = []

    def fetch(since):
        for number in range(20):
            yield invoice(number)
            known.append(len(shop.told(FoundByPoll)))

    shop.look(fetch)
    assert known == list(range(1, 21))


@pytest.mark.parametrize("single", [b"{}", "text", {"id": 1}, 7])
def test_one_body_instead_of_several_is_told(shop, single):
    """A fetch that gives one body and not a list of them is told so, by name of what it gave."""
    with pytest.raises(TypeError, match=type(single).__name__):
        shop.look(lambda _: single)


def test_nothing_found(shop):
    """A fetch may return nothing at all."""
    assert shop.look(lambda _: None) == Looked() == shop.inbox.reconcile_once("xendit")


# --- A fetch that hangs -----------------------------------------------------------------------------------


def test_a_fetch_that_hangs_is_left_alone(shop):
    """After its time it is given up, what it had found is kept, and it is not called without end."""
    released = threading.Event()

    def fetch(since):
        yield invoice(1)
        released.wait(PATIENCE)
        yield invoice(2)

    shop.inbox.reconcile("xendit", fetch, timeout="50ms")
    try:
        for _ in range(MAX_HANGING):
            with pytest.raises(TimeoutError, match=r"gave nothing for 0\.05 s"):
                shop.inbox.reconcile_once("xendit")
        with pytest.raises(TimeoutError, match="hang still"):
            shop.inbox.reconcile_once("xendit")
    finally:
        released.set()
    assert len(shop.told(FoundByPoll)) == 1
    assert len(shop.told(PollFailed)) == MAX_HANGING + 1


def test_a_coroutine_that_hangs_is_cancelled(shop):
    """A coroutine function that takes too long is cancelled, and an asynchronous generator closed."""
    ended = []

    async def fetch(since):
        try:
            yield invoice(1)
            await asyncio.Event().wait()
        finally:
            ended.append("closed")

    with pytest.raises(TimeoutError, match="gave nothing"):
        shop.look(fetch, timeout="50ms")
    assert ended == ["closed"]
    assert len(shop.told(FoundByPoll)) == 1


def test_its_own_timeout_is_not_taken_for_ours(shop):
    """A fetch that raises TimeoutError by itself has that raised as it is."""

    async def fetch(since):
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        shop.look(fetch)


def test_each_body_is_a_sign_of_life(shop):
    """The limit counts from one body to the next: a long list with short pauses is no hang."""
    pause = threading.Event()

    def fetch(since):
        for number in range(6):
            pause.wait(0.1)
            yield invoice(number)

    assert shop.look(fetch, timeout="400ms").news == 6


# --- Again and again --------------------------------------------------------------------------------------


class _Jumping(selectors.DefaultSelector):
    """Waits for no time to pass: it is added to the loop's clock instead."""

    now = 0.0

    def select(self, timeout=None):
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now += timeout
        return ready


def in_no_time(story):
    """Run a coroutine on an event loop whose timers are due at once; *story* gets the loop's clock."""
    selector = _Jumping()

    def make():
        loop = asyncio.SelectorEventLoop(selector)
        loop.time = lambda: selector.now
        return loop

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(story(lambda: selector.now))


class Forgetful:
    """A door where nothing is found, and nothing is kept of having looked."""

    async def note_look(self, entrance, change):
        """See ``Intake``."""


def times_of_looks(shop, errors, *, chance=0.5, every=300.0):
    """Return when a reconciler looked whose looks end in *errors*, None for a success; then it is cancelled."""
    times = []

    async def story(clock):
        async def fetch(since):
            times.append(round(clock(), 3))
            if len(times) > len(errors):
                raise asyncio.CancelledError
            if errors[len(times) - 1] is not None:
                raise errors[len(times) - 1]

        reconciler = Reconciler(
            "xendit",
            fetch,
            every=every,
            patience=60.0,
            observer=shop.inbox.observer,
            clock=shop.clock,
            chance=lambda: chance,
        )
        with pytest.raises(asyncio.CancelledError):
            await reconciler.run(Forgetful(), ENTRANCE)

    in_no_time(story)
    return times


def gaps(times):
    return [round(after - before, 3) for before, after in itertools.pairwise(times)]


def test_looks_are_apart(shop):
    """Looks follow each other at the interval given, after a short random wait at first."""
    times = times_of_looks(shop, [None, None, None])
    assert times[0] == 15
    assert gaps(times) == [300, 300, 300]


def test_nodes_do_not_look_at_once(shop):
    """Chance spreads the first look over a tenth of the interval, and each further one by a tenth either way."""
    earliest, latest = (times_of_looks(shop, [None], chance=chance) for chance in (0.0, 1.0))
    assert (earliest, latest) == ([0, 270], [30, 360])


def test_failures_are_followed_by_longer_pauses(shop, caplog):
    """Each failure in a row doubles the pause, up to an hour; a success ends that."""
    failures = [OSError("x")] * 6
    times = times_of_looks(shop, [*failures, None, OSError("y")])
    assert gaps(times) == [600, 1200, 2400, 3600, 3600, 3600, 300, 600]
    assert len(shop.told(PollFailed)) == 7
    assert "asking for the events of xendit failed (OSError); next in 600 s" in caplog.text


def test_a_pause_asked_for_is_kept(shop):
    """A fetch that says when to come back is not asked before, and one looked for rarely never more rarely."""
    assert gaps(times_of_looks(shop, [Unavailable("later", retry_after=7_000)])) == [7_000]
    assert gaps(times_of_looks(shop, [OSError()], every=86_400.0)) == [86_400]


def test_the_worker_asks(shop):
    """A worker looks soon after its start, its handlers act, and stopping it waits for no interval."""

    async def story():
        acted, stop = asyncio.Event(), asyncio.Event()

        @shop.inbox.on("xendit", "invoice.paid", name="tell")
        async def tell(message):
            acted.set()

        shop.inbox.reconcile("xendit", as_they_come, every="1s")
        working = asyncio.create_task(shop.inbox.work(stop))
        async with asyncio.timeout(PATIENCE):
            await acted.wait()
            stop.set()
            await working

    asyncio.run(story())


def test_stopping_waits_for_no_fetch(shop):
    """A worker that is stopped while a fetch hangs stops."""
    began, released = threading.Event(), threading.Event()

    def fetch(since):
        began.set()
        released.wait(PATIENCE)
        return []

    async def story():
        stop = asyncio.Event()
        shop.inbox.reconcile("xendit", fetch, every="1s")
        working = asyncio.create_task(shop.inbox.work(stop))
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(began.wait, PATIENCE)
            stop.set()
            await working

    try:
        asyncio.run(story())
    finally:
        released.set()


def test_draining_does_not_ask(shop):
    """``drain`` handles what is there and asks no provider."""
    asked = []
    shop.inbox.reconcile("xendit", asked.append, every="1s")
    shop.inbox.drain()
    assert not asked


# --- What cannot be reconciled ----------------------------------------------------------------------------


def test_a_profile_without_business_keys_is_refused(tmp_path):
    """Where a poll could not be told from its webhook, declaring it fails, and says what would do."""
    inbox = Inbox(f"sqlite:///{tmp_path / 'x.db'}")
    inbox.source("shop", provider="stripe", secrets=[secret_for("stripe")])
    with pytest.raises(ConfigurationError, match="stripe gives no business key"):
        inbox.reconcile("shop", in_a_list)


def test_a_profile_that_gives_none_after_all_is_refused_at_the_first_look(tmp_path):
    """Where that can only be seen in what is found, the look fails with the same words, and keeps nothing."""
    recognise = Recogniser(event_type=Field("status"), event_id=Field("id"))
    profile = msgspec.structs.replace(provider("xendit"), name="mine", recognise=lambda one: recognise(one))  # noqa: PLW0108 - hides what it is
    inbox = Inbox(f"sqlite:///{tmp_path / 'x.db'}")
    inbox.source("mine", provider=profile, secrets=["token"])
    inbox.reconcile("mine", in_a_list)
    with pytest.raises(ConfigurationError, match="mine gives no business key"):
        inbox.reconcile_once("mine")
    inbox.close()


def test_a_source_declared_later_is_looked_at_then(tmp_path):
    """The order of declarations does not matter; a source that never comes is told when it is asked for."""
    inbox = Inbox(f"sqlite:///{tmp_path / 'x.db'}")
    inbox.reconcile("xendit", in_a_list)
    with pytest.raises(ConfigurationError, match=r"call inbox.source\(\)"):
        inbox.reconcile_once("xendit")
    with pytest.raises(ConfigurationError, match=r"call inbox.source\(\)"):
        asyncio.run(inbox.work())
    inbox.source("xendit", secrets=["token"])
    assert inbox.reconcile_once("xendit").news == 2
    inbox.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"every": "10ms"}, ConfigurationError),
        ({"timeout": "0s"}, ConfigurationError),
        ({"every": "soon"}, ValueError),
    ],
)
def test_a_time_that_cannot_be(shop, options, error):
    """An interval below a second, no time at all and no duration are refused when declared."""
    with pytest.raises(error):
        shop.inbox.reconcile("xendit", in_a_list, **options)


def test_nothing_declared(shop):
    """Asking for a source that nothing is declared for says what to call."""
    with pytest.raises(ConfigurationError, match=r"call inbox.reconcile\(\)"):
        shop.inbox.reconcile_once("xendit")


def test_several_fetches_of_one_source(shop):
    """All fetches of a source are asked; what one finds counts although another fails."""

    def fails(since):
        raise ConnectionResetError

    shop.inbox.reconcile("xendit", fails)
    shop.inbox.reconcile("xendit", in_a_list)
    with pytest.raises(ConnectionResetError):
        shop.inbox.reconcile_once("xendit")
    assert len(shop.told(FoundByPoll)) == 2


def test_a_full_disk_is_no_loss(shop, monkeypatch):
    """While the disk is full a look fails, and the next one finds the same again."""
    shop.inbox.reconcile("xendit", in_a_list)
    shop.inbox.reconcile_once("xendit", since=shop.clock.now)
    shop.inbox.close()
    committer = "ringback.store.commit.Committer"
    with monkeypatch.context() as patch:
        patch.setattr(f"{committer}.free_space", lambda _: 0)
        with pytest.raises(StoreUnavailable):
            shop.inbox.reconcile_once("xendit")


def test_metrics(shop):
    """What polling found, failed at and could not use is counted by provider."""
    metrics = Metrics(shop.inbox.observer)

    def fetch(since):
        yield from (invoice(1), None, invoice(2))
        raise ConnectionResetError

    shop.inbox.reconcile("xendit", lambda _: [invoice(1), None])
    shop.inbox.reconcile_once("xendit")
    shop.inbox.reconcile("xendit", fetch)
    with pytest.raises(ConnectionResetError):
        shop.inbox.reconcile_once("xendit")
    page = metrics.render(None, 0)
    for line in (
        'ringback_found_by_poll_total{provider="xendit"} 2',
        'ringback_polls_total{provider="xendit",outcome="finished"} 2',
        'ringback_polls_total{provider="xendit",outcome="failed"} 1',
        'ringback_polled_unusable_total{provider="xendit"} 2',
    ):
        assert line in page


class TestLastLook:
    """What came of the last look is in the store, for pages in another process."""

    def last(self, shop):
        """Return what is kept of it."""
        with contextlib.closing(open_checked_store(shop.inbox.settings())) as store:
            return last_look(store, store.source("xendit").id)

    def test_what_it_found_is_kept(self, shop):
        """When it was, and what it came to; the next look's outcome takes its place."""
        shop.look(lambda _: [invoice(1), invoice(2, "PENDING")])
        first = self.last(shop)
        assert first == LastLook(at=shop.clock(), news=1, pending=1)
        shop.clock.advance(300)
        shop.inbox.reconcile_once("xendit")
        assert self.last(shop) == LastLook(at=shop.clock(), known=1, pending=1)

    def test_a_failure_is_kept_beside_the_last_success(self, shop):
        """Since when nothing was found, how often and with which error; a success forgets it."""
        outcomes = iter([[invoice(1)], OSError("secret address"), OSError("secret address"), []])

        def fetch(since):
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        shop.look(fetch)
        began = shop.clock()
        for _ in range(2):
            shop.clock.advance(300)
            with pytest.raises(OSError, match="secret"):
                shop.inbox.reconcile_once("xendit")
        expected = LastLook(at=began, news=1, failed_at=shop.clock(), error="OSError", failures=2)
        assert self.last(shop) == expected
        shop.inbox.reconcile_once("xendit")
        assert self.last(shop) == LastLook(at=shop.clock())
