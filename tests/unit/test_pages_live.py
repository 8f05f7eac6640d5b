"""The stream that open pages read: what it tells, when it ends, and how many there may be."""

import asyncio
import contextlib

import pytest
from visitors import enter, visiting

from ringback.model import Endpoint, Message
from ringback.observe import (
    BatchCommitted,
    CircuitChanged,
    DeliveryPostponed,
    MessageAccepted,
    MessagesPruned,
    Observer,
    StoreFailed,
)
from ringback.server.pages.live import Live, Reader, TooMany

FOREVER = 60.0
COOKIE = "__Host-ringback"


async def still():
    return True


OPERATOR = Reader("session_of_an_operator")


@contextlib.asynccontextmanager
async def reading(live, goes_on=still, reader=OPERATOR):
    """Yield what reads the next event of a new stream."""
    stream = live.stream(reader, goes_on)
    assert await anext(stream) == b"retry: 3000\n\n"
    try:
        yield lambda: asyncio.wait_for(anext(stream), 5)
    finally:
        await stream.aclose()


def test_a_stream_tells_what_kinds_of_things_happened():
    """What happens on any thread is told once, by its kind; what no page shows is not."""

    async def watch():
        observer = Observer()
        live = Live(observer, pause=0, time=FOREVER)
        async with reading(live) as read, reading(live) as also:
            observer.emit(BatchCommitted(rows=1, seconds=0.1))
            await asyncio.to_thread(observer.emit, StoreFailed(error="x"))
            observer.emit(StoreFailed(error="x"))
            assert await read() == await also() == b"data: store\n\n"
            assert live.count == 2
        assert live.count == 0

    asyncio.run(watch())


def test_nothing_listens_while_nobody_watches():
    """Without a stream the line is not asked to tell anything, with one it is, and afterwards it is not."""

    async def watch():
        observer = Observer()
        live = Live(observer, pause=0, time=FOREVER)
        assert not observer.wants(StoreFailed)
        async with reading(live):
            assert observer.wants(StoreFailed)
            assert not observer.wants(MessagesPruned)
        assert not observer.wants(StoreFailed)

    asyncio.run(watch())


def test_time_passing_is_told_where_nothing_happens():
    """Other nodes' doings are not heard here: pages are told to look now and then."""

    async def watch():
        async with reading(Live(Observer(), pause=0, time=0)) as read:
            assert await read() == b"data: time\n\n"

    asyncio.run(watch())


def test_a_stream_ends_with_its_session():
    """Before anything is told, it is asked whether the session goes on."""

    async def over():
        return False

    async def watch():
        live = Live(Observer(), pause=0, time=0)
        async with reading(live, over) as read:
            with pytest.raises(StopAsyncIteration):
                await read()

    asyncio.run(watch())


def test_streams_are_few_and_end_with_the_server():
    """One more than there may be is refused; a server that stops ends them all, and begins none."""

    async def watch():
        live = Live(Observer(), most=1, pause=0, time=FOREVER)
        async with reading(live) as read:
            with pytest.raises(TooMany):
                live.stream(OPERATOR, still)
            live.close()
            with pytest.raises(StopAsyncIteration):
                await read()
        with pytest.raises(TooMany):
            live.stream(OPERATOR, still)

    asyncio.run(watch())


@pytest.mark.parametrize(
    ("limits", "others"),
    [
        ({"most_of_session": 1}, [Reader("s2", "app_1"), Reader("s3", "app_2"), OPERATOR]),
        ({"most_of_application": 1}, [Reader("s3", "app_2"), OPERATOR]),
    ],
)
def test_nobody_takes_all_streams(limits, others):
    """A session has a few, and an application's people have some together: there is room for others."""

    async def watch():
        live = Live(Observer(), pause=0, time=FOREVER, **limits)
        async with contextlib.AsyncExitStack() as open_streams:
            for reader in (Reader("s1", "app_1"), *others):
                await open_streams.enter_async_context(reading(live, reader=reader))
            with pytest.raises(TooMany):
                live.stream(Reader("s1", "app_1"), still)

    asyncio.run(watch())


def message_of(application_id):
    message = Message(id="msg_1", application_id=application_id, event_type="a", payload=b"{}", created_at=0)
    return MessageAccepted(message=message, deliveries=1, spilled=0, waited=0)


def attempt_of(application_id):
    postponed = {"message_id": "msg_1", "endpoint_id": "ep_1", "reason": "circuit_open"}
    return DeliveryPostponed(**postponed, application_id=application_id)


def circuit_of(application_id):
    where = {"id": "ep_1", "url": "https://example.com", "application_id": application_id}
    return CircuitChanged(endpoint=Endpoint(**where, created_at=0, updated_at=0, secrets=()), open=True)


def test_an_applications_people_hear_of_nobody_else():
    """What happens at others, at sources and in the store wakes no stream of theirs: not even when it happens."""

    async def watch():
        observer = Observer()
        live = Live(observer, pause=0, time=FOREVER)
        theirs = Reader("s1", "app_1")
        async with reading(live, reader=theirs) as read, reading(live) as all_of_it:
            waiting = asyncio.ensure_future(read())
            for happened in (message_of, attempt_of, circuit_of):
                observer.emit(happened("app_2"))
            observer.emit(StoreFailed(error="x"))
            assert await all_of_it() == b"data: deliveries endpoints messages store\n\n"
            assert not waiting.done()
            observer.emit(attempt_of("app_1"))
            assert await waiting == b"data: deliveries\n\n"

    asyncio.run(watch())


def asked(doors, cookie, method="GET", path="/live", name=COOKIE):
    """Ask for the stream as a browser does that leaves when something has come; return the events of the answer."""

    async def ask():
        sent, came = [], asyncio.Event()

        async def send(event):
            sent.append(event)
            if event.get("body") or not event.get("more_body", True):
                came.set()

        async def receive():
            await came.wait()
            return {"type": "http.disconnect"}

        headers = [(b"cookie", f"{name}={cookie}".encode()), (b"accept", b"text/event-stream")]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
        await asyncio.wait_for(doors(scope, receive, send), 10)
        return sent

    return asyncio.run(ask())


def test_a_signed_in_browser_reads_the_stream_until_it_leaves(tmp_path):
    """The answer is a stream of events, which ends with its reader; nobody else gets one, nor one too many."""
    live = Live(Observer(), most=1)
    with visiting(tmp_path, settings={"live": live}) as (_, visitor):
        guest = visitor()
        guest.login()
        start, first = asked(guest.doors, guest.cookies[COOKIE])[:2]
        assert (start["status"], dict(start["headers"])[b"content-type"]) == (200, b"text/event-stream")
        assert (first["body"], first["more_body"]) == (b"retry: 3000\n\n", True)
        assert live.count == 0
        assert [event.get("body") for event in asked(guest.doors, guest.cookies[COOKIE], "HEAD")] == [
            None,
            b"",
        ]
        assert asked(guest.doors, "nobody")[0]["status"] == 303
        live.close()
        refused = asked(guest.doors, guest.cookies[COOKIE])[0]
        assert (refused["status"], dict(refused["headers"])[b"retry-after"]) == (503, b"5")


def test_a_stream_is_for_whoever_is_signed_in(tmp_path):
    """Streams of the portal are its application's: where that may have none, operators still have theirs."""
    live = Live(Observer(), most_of_application=0)
    with visiting(tmp_path, settings={"live": live}) as place:
        api, visitor = place
        customer, _ = enter(place, api.application()["id"])
        guest = visitor()
        guest.login()
        cookie = f"{COOKIE}-portal"
        portal = asked(customer.doors, customer.cookies[cookie], path="/portal/live", name=cookie)
        assert (portal[0]["status"], asked(guest.doors, guest.cookies[COOKIE])[0]["status"]) == (503, 200)
