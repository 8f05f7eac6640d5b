"""The express lane: what it answers, and the bounds on every connection, over real sockets."""

import asyncio
import itertools
import json

import falcon
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from management import MAX_BODY, TOKEN, gateway_of, listed, management

from ringback.api_keys import ApiKeys
from ringback.config import Address
from ringback.outbox import Outbox
from ringback.server.auth import Tokens
from ringback.server.express import MAX_HEAD, Express
from ringback.server.web import Web

DRAFT = {"eventType": "invoice.paid", "payload": {"n": 1}}
LANE = "/api/v1/app/acme/msg"
# A query keeps a request off the lane and changes nothing else.
FRAMEWORK = LANE + "?with_content=true"
AUTHORIZATION = f"Authorization: Bearer {TOKEN}"


class Client:
    """One connection that says exactly what it is told to."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer

    def say(self, *parts):
        """Send bytes as they are."""
        for part in parts:
            self._writer.write(part)

    async def answer(self):
        """Return the status, headers and body of the next answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def closed(self):
        """Return what comes before the connection is closed."""
        return await self._reader.read()

    async def flush(self):
        """Wait until what was said has left."""
        await self._writer.drain()

    def hang_up(self):
        """Close the connection at once."""
        self._writer.transport.abort()


def request(target, body=b"", *headers, method="POST"):
    """Return the bytes of a request."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: x", f"Content-Length: {len(raw)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + raw


@pytest.fixture
def api(tmp_path):
    """An API with an application called acme."""
    with management(tmp_path, strict=False) as held:
        held.application(uid="acme")
        yield held


def converse(api, talk, **bounds):
    """Serve *api* on a socket and run ``talk(connect)``; ``connect()`` gives a new client."""

    async def run():
        outbox = Outbox(api.committer, max_payload=32 * 1024)
        web = Web(
            api.app,
            Express(outbox, Tokens(ApiKeys(api.committer), TOKEN), gateway_of(api.committer), **bounds),
            Address("127.0.0.1", 0),
        )
        await web.start()
        clients = []

        async def connect():
            client = Client(*await asyncio.open_connection(*web.address))
            clients.append(client)
            return client

        try:
            async with asyncio.timeout(20):
                return await talk(connect)
        finally:
            for client in clients:
                client.hang_up()
            await web.stop()

    return asyncio.run(run())


def answers(api, *requests):
    """Send requests one after the other on one connection and return their answers."""

    async def talk(connect):
        client = await connect()
        told = []
        for one in requests:
            client.say(one)
            told.append(await client.answer())
        return told

    return converse(api, talk)


def comparable(answer):
    """Return an answer without what differs from message to message."""
    status, headers, body = answer
    shown = json.loads(body)
    for name in ("id", "timestamp"):
        shown.pop(name, None)
    return status, {name: headers.get(name) for name in ("content-type", "retry-after")}, shown


BODIES = {
    "good": DRAFT,
    "with everything": {**DRAFT, "channels": ["one"], "payload": {"deep": [1, {"é": "ü"}]}},
    "no payload": {"eventType": "invoice.paid"},
    "wrong type": {"eventType": 7, "payload": {}},
    "unknown field": {**DRAFT, "surprise": True},
    "bad name": {**DRAFT, "eventType": "no spaces please"},
    "payload no object": {**DRAFT, "payload": [1]},
    "too large": {**DRAFT, "payload": {"long": "x" * 40_000}},
    "not JSON": b"{",
    "empty": b"",
    "not UTF-8": b'{"eventType": "a", "payload": {"a": "\xff"}}',
    "deep": b"[" * 20_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_the_lane_answers_as_the_framework_does(api, name):
    """Whether a publish takes the lane cannot be told from its answer, good or bad."""
    lane, framework = answers(
        api,
        request(LANE, BODIES[name], AUTHORIZATION, "Content-Type: application/json"),
        request(FRAMEWORK, BODIES[name], AUTHORIZATION, "Content-Type: application/json"),
    )
    assert comparable(lane) == comparable(framework)
    assert lane[0] in {202, 413, 422}


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/api/v1/app/nobody/msg", [AUTHORIZATION], 404),
        (LANE, [], 401),
        (LANE, ["Authorization: Bearer wrong"], 401),
        (LANE, ["Authorization: Basic eDp5"], 401),
        (LANE, [AUTHORIZATION, "Content-Type: text/plain"], 415),
        (LANE, [AUTHORIZATION, "Idempotency-Key: " + "k" * 300], 422),
        (LANE + "/", [AUTHORIZATION], 202),
        ("/api/v1/app/%61cme/msg", [AUTHORIZATION], 202),
        (LANE, [AUTHORIZATION, "Content-Type: application/json; charset=utf-8"], 202),
    ],
)
def test_what_the_lane_refuses_or_leaves_is_answered_as_ever(api, target, headers, status):
    """Whatever else a request for publishing brings, its status is the documented one."""
    ((told, _, body),) = answers(api, request(target, DRAFT, *headers))
    assert told == status, body


def test_a_page_may_read_what_it_published(api):
    """Whichever way a request takes: with an origin, its answer says that any page may have it, and else not a word."""
    asked = [
        request(target, DRAFT, AUTHORIZATION, "Origin: https://shop.example") for target in (LANE, FRAMEWORK)
    ]
    told = answers(api, *asked, request(LANE, DRAFT, AUTHORIZATION))
    assert [status for status, _, _ in told] == [202] * 3
    assert [headers.get("access-control-allow-origin") for _, headers, _ in told] == ["*", "*", None]


def test_a_message_published_on_the_lane_is_stored(api):
    """What was answered with 202 can be read back, payload byte for byte."""
    payload = b'{ "amount":  1.50, "note":"\xc3\xa9" }'
    body = b'{"eventType": "invoice.paid", "eventId": "e-1", "payload": ' + payload + b"}"
    ((status, _, raw),) = answers(api, request(LANE, body, AUTHORIZATION))
    assert status == 202
    assert payload in raw
    assert api.get("/app/acme/msg/e-1").json["id"] == json.loads(raw)["id"]


def test_an_idempotency_key_works_on_and_off_the_lane(api):
    """A key used on the lane is known off it, and the other way round."""
    key = "Idempotency-Key: order-1"
    told = answers(api, *(request(target, DRAFT, AUTHORIZATION, key) for target in (LANE, FRAMEWORK, LANE)))
    assert [status for status, _, _ in told] == [202] * 3
    assert len({json.loads(body)["id"] for _, _, body in told}) == 1
    other = answers(api, request(LANE, {**DRAFT, "payload": {}}, AUTHORIZATION, key))
    assert other[0][0] == 409


def test_a_stored_token_works_on_the_lane(api):
    """A token that has to be looked up first is as good as the administrator's."""
    from ringback import tokens  # noqa: PLC0415 - only here
    from ringback.store import Token  # noqa: PLC0415 - only here

    text = tokens.new_token(bytes(32))
    token = Token(id="tok_1", name="shop", digest=tokens.digest(text), created_at=1)
    api.committer.write(lambda store: store.add_token(token)).result()
    told = answers(api, *(request(LANE, DRAFT, f"Authorization: Bearer {text}") for _ in range(3)))
    assert [status for status, _, _ in told] == [202] * 3


def test_an_application_s_key_publishes_in_it_alone(api):
    """Whichever way a request takes: its own application, by id or uid, and no other, whether that is there or not."""
    acme, other = (api.application(uid=uid)["id"] for uid in ("own", "other"))
    key = f"Authorization: Bearer {api.key('publish', app=acme)}"
    asked = [f"/api/v1/app/{ref}/msg" for ref in (acme, "own", acme, "own", other, "other", "nobody", other)]
    told = answers(api, *(request(target, DRAFT, key) for target in asked))
    assert [status for status, _, _ in told] == [202] * 4 + [404] * 4
    reader = f"Authorization: Bearer {api.key('read', app=acme)}"
    told = answers(api, *(request(f"/api/v1/app/{ref}/msg", DRAFT, reader) for ref in (acme, acme, other)))
    assert [status for status, _, _ in told] == [403] * 3
    assert len(listed(api.get("/app/own/msg"))["data"]) == 4
    assert listed(api.get("/app/other/msg"))["data"] == []


def test_pipelined_requests_are_answered_in_their_order(api):
    """Requests sent without waiting are answered one by one, whichever way each of them takes."""
    ids = [f"event-{number}" for number in range(20)]
    targets = [(LANE, FRAMEWORK)[number % 3 == 0] for number in range(20)]

    async def talk(connect):
        client = await connect()
        client.say(
            *(
                request(target, {**DRAFT, "eventId": event_id}, AUTHORIZATION)
                for target, event_id in zip(targets, ids, strict=True)
            )
        )
        return [json.loads((await client.answer())[2])["eventId"] for _ in ids]

    assert converse(api, talk) == ids


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 400), max_size=8))
def test_a_request_may_arrive_in_pieces(api, cuts):
    """However a request is cut on its way, it is answered the same."""
    whole = request(LANE, DRAFT, AUTHORIZATION) + request(FRAMEWORK, DRAFT, AUTHORIZATION)
    edges = [0, *sorted({cut % len(whole) for cut in cuts}), len(whole)]

    async def talk(connect):
        client = await connect()
        for start, end in itertools.pairwise(edges):
            client.say(whole[start:end])
            await client.flush()
        return [(await client.answer())[0] for _ in range(2)]

    assert converse(api, talk) == [202, 202]


def test_a_client_that_asks_to_close_is_closed(api):
    """``Connection: close`` is heeded after the answer."""

    async def talk(connect):
        client = await connect()
        client.say(request(LANE, DRAFT, AUTHORIZATION, "Connection: close"))
        return await client.closed()

    told = converse(api, talk)
    assert told.startswith(b"HTTP/1.1 202 ")
    assert b"\r\nconnection: close\r\n" in told


def test_a_client_that_leaves_costs_nothing_but_its_message(api):
    """A client that hangs up before the answer harms nobody, and its message stays."""

    async def talk(connect):
        gone = await connect()
        gone.say(request(LANE, {**DRAFT, "eventId": "left"}, AUTHORIZATION))
        await gone.flush()
        gone.hang_up()
        other = await connect()
        other.say(request(LANE, DRAFT, AUTHORIZATION))
        return (await other.answer())[0]

    assert converse(api, talk) == 202


def refused(api, data, **bounds):
    """Send bytes and return the JSON of the only answer, after which the connection must be closed."""

    async def talk(connect):
        client = await connect()
        client.say(data)
        return await client.closed()

    told = converse(api, talk, **bounds)
    head, _, body = told.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert head.count(b"HTTP/1.1") == 1
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize("data", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00", b"POST / HTTP/9.9\r\n\r\n"])
def test_bytes_that_are_no_http_are_refused_in_json(api, data):
    """Nonsense gets a 400 in the documented shape, and the connection ends."""
    assert refused(api, data) == (400, "malformed_request")


def test_a_head_without_end_is_refused(api):
    """A client cannot fill the memory with headers."""
    endless = b"POST / HTTP/1.1\r\n" + b"X-Long: " + b"x" * (MAX_HEAD + 1)
    assert refused(api, endless) == (400, "malformed_request")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"POST /api/v1/app/acme/msg HTTP/1.1\r\nHost: x\r\n",
        request(LANE, b"x" * 100, AUTHORIZATION)[:-10],
        request(FRAMEWORK, b"x" * 100, AUTHORIZATION)[:-10],
    ],
    ids=["nothing", "half a head", "half a body", "half a body off the lane"],
)
def test_a_request_that_does_not_arrive_is_given_up(api, data):
    """Whoever keeps the server waiting is told so, and disconnected."""
    assert refused(api, data, request_seconds=0.2) == (408, "request_timeout")


def test_more_connections_than_allowed_are_turned_away(api):
    """Beyond its bound the server says that it is busy, and goes on serving those it has."""

    async def talk(connect):
        first, second, third = await connect(), await connect(), await connect()
        told = await third.closed()
        second.say(request(LANE, DRAFT, AUTHORIZATION))
        first.say(request(LANE, DRAFT, AUTHORIZATION))
        return told, (await first.answer())[0], (await second.answer())[0]

    told, *served = converse(api, talk, max_connections=2)
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in told
    assert served == [202, 202]


def test_nonsense_after_a_request_is_not_taken_for_its_answer(api):
    """What follows a request being answered cannot put another answer in its place."""

    async def talk(connect):
        client = await connect()
        client.say(request(LANE, DRAFT, AUTHORIZATION) + b"nonsense\r\n\r\n")
        return await client.closed()

    told = converse(api, talk)
    assert told.count(b"HTTP/1.1") <= 1
    assert b"400" not in told[:12]


def test_a_reader_too_slow_for_its_answers_is_waited_for(api):
    """A client that sends without reading is held back, and gets every answer once it reads."""
    big = {**DRAFT, "payload": {"long": "x" * 30_000}}

    async def talk(connect):
        client = await connect()
        for _ in range(100):
            client.say(request(LANE, big, AUTHORIZATION))
        return [(await client.answer())[0] for _ in range(100)]

    assert converse(api, talk) == [202] * 100


def test_stopping_lets_the_request_under_way_finish(api):
    """A server that is told to stop still answers what it was asked."""

    async def run():
        outbox = Outbox(api.committer)
        web = Web(
            api.app,
            Express(outbox, Tokens(ApiKeys(api.committer), TOKEN), gateway_of(api.committer)),
            Address("127.0.0.1", 0),
        )
        await web.start()
        reader, writer = await asyncio.open_connection(*web.address)
        client = Client(reader, writer)
        client.say(request(LANE, DRAFT, AUTHORIZATION))
        first = await client.answer()
        client.say(request(LANE, DRAFT, AUTHORIZATION))
        _, rest = await asyncio.gather(web.stop(), client.closed())
        writer.close()
        return first[0], rest

    status, rest = asyncio.run(run())
    assert status == 202
    assert rest == b"" or rest.startswith(b"HTTP/1.1 202")


def test_the_bound_on_bodies_is_the_framework_s(api):
    """A body too large for the lane is judged by the limit that holds for all requests."""
    ((status, _, _),) = answers(api, request(LANE, b"x" * (MAX_BODY + 1), AUTHORIZATION))
    assert falcon.code_to_http_status(status).startswith("413")
