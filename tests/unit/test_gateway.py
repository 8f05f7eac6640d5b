"""``POST /in/TOKEN``: the door in front of applications in any language, on both of its ways."""

import asyncio
import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from management import TOKEN, gateway_of, management, site_of
from test_express import Client, request

from ringback import ids
from ringback.adapters.asgi import ASGIAdapter
from ringback.api_keys import ApiKeys
from ringback.config import Address
from ringback.model import CustomAck, Source
from ringback.outbox import Outbox
from ringback.server.app import Doors
from ringback.server.auth import Tokens
from ringback.server.express import Express
from ringback.server.web import Web
from ringback.store import MessageFilter, Page
from ringback.testing import secret_for, signed_request

SECRET = secret_for("xendit")
# What takes a request off the express lane without changing what it means.
DETOURS = ["", "?query=1"]


class Scene:
    """A server with sources, and how to talk to it."""

    def __init__(self, api):
        self.api = api

    def add(self, number=0, *, provider="xendit", secrets=(SECRET,), **parts):
        """Add a source; return it."""
        source = Source(
            id=ids.new_id(ids.SOURCE, 1_760_000_000_000, bytes([number]) * ids.ENTROPY_BYTES),
            name=provider,
            provider=provider,
            secrets=secrets,
            token=f"token-of-source-{number}",
            created_at=0,
            updated_at=0,
            **parts,
        )
        self.write(lambda store: store.add_source(source))
        return source

    def write(self, change):
        """Change the store."""
        return self.api.committer.write(change).result()

    def stored(self, source):
        """Return the messages of a source."""
        return self.api.committer.read(
            lambda store: store.messages(source.id, MessageFilter(), Page(limit=1000))
        ).result()

    def talk(self, talk):
        """Serve on a socket and run ``talk(client)``."""

        async def run():
            outbox = Outbox(self.api.committer)
            gateway = gateway_of(self.api.committer)
            express = Express(outbox, Tokens(ApiKeys(self.api.committer), TOKEN), gateway)
            doors = Doors(self.api.app, ASGIAdapter(gateway), site_of(self.api))
            web = Web(doors, express, Address("127.0.0.1", 0))
            await web.start()
            client = Client(*await asyncio.open_connection(*web.address))
            try:
                async with asyncio.timeout(30):
                    return await talk(client)
            finally:
                client.hang_up()
                await web.stop()

        return asyncio.run(run())

    def post(self, *requests):
        """Send requests one after the other; return their answers."""

        async def talk(client):
            answers = []
            for sent in requests:
                client.say(sent)
                answers.append(await client.answer())
            return answers

        return self.talk(talk)


@pytest.fixture
def scene(tmp_path):
    """A server without sources."""
    with management(tmp_path) as api:
        yield Scene(api)


def webhook(source, detour="", *, event="invoice.paid", token=None, **parts):
    """Return the bytes of a signed webhook."""
    signed = signed_request(source.provider, event, secret=SECRET, **parts)
    headers = [f"{name}: {value}" for name, value in signed.headers.items() if name != "host"]
    return request(f"/in/{token or source.token}{detour}", signed.body, *headers)


@pytest.mark.parametrize("detour", DETOURS)
def test_a_webhook_is_stored_before_it_is_acknowledged(scene, detour):
    """What was answered with 200 is in the store, byte for byte, without the headers that hold secrets."""
    source = scene.add()
    signed = signed_request("xendit", "invoice.paid", secret=SECRET, event_id="event-1")
    # The first request asks the store for the source; later ones know it.
    statuses = [
        answer[0]
        for answer in scene.post(*[webhook(source, detour, body=signed.body, event_id="event-1")] * 3)
    ]
    assert statuses == [200, 200, 200]
    (message,) = scene.stored(source)
    assert message.payload == signed.body
    assert message.event_type == "invoice.paid"
    assert message.inbound.event_id == "event-1"
    assert SECRET not in repr(message.inbound)


def test_both_ways_answer_alike(scene):
    """Whatever is wrong with a webhook, the express lane and the application say the same."""
    source = scene.add()
    good = signed_request("xendit", "invoice.paid", secret=SECRET)
    cases = [
        ["x-callback-token: wrong"],
        [],
        [f"x-callback-token: {SECRET}"],
        [f"x-callback-token: {SECRET}", "content-type: text/plain"],
    ]
    for headers in cases:
        sent = [request(f"/in/{source.token}{detour}", good.body, *headers) for detour in DETOURS]
        _, first, second = scene.post(sent[0], *sent)
        assert first[0] == second[0], headers
        assert first[-1] == second[-1], headers


@pytest.mark.parametrize("detour", DETOURS)
def test_an_address_that_no_source_has_is_not_found(scene, detour):
    """A token that is unknown, however long, gets a 404 as JSON that says what may have happened."""
    for token in ("nobody", "x" * 300, "a.b", "%2e%2e"):
        ((status, *_, body),) = scene.post(request(f"/in/{token}{detour}", b"{}"))
        assert (status, json.loads(body)["code"]) == (404, "not_found")


def test_every_kind_of_answer_arrives_whole(scene):
    """The acknowledgement is the source's own: status, body and type, and none of them where there is no body."""
    plain = scene.add(0)
    custom = scene.add(
        1, ack=CustomAck(status=299, body="geöffnet", content_type="text/plain; charset=utf-8")
    )
    empty = scene.add(2, ack=CustomAck(status=204))
    for source, status, body in ((plain, 200, b""), (custom, 299, "geöffnet".encode()), (empty, 204, b"")):
        for detour in DETOURS:
            for answer in scene.post(*[webhook(source, detour)] * 2):
                assert (answer[0], answer[-1]) == (status, body)


def test_a_rotated_address_ends(scene):
    """A source's old address stops being known soon after its token has been replaced, and the new one works."""
    source = scene.add()

    def rotate(store):
        return store.change_source(source.id, lambda old: Source(**{**_fields(old), "token": "the-new-one"}))

    async def talk(client):
        client.say(webhook(source))
        first = (await client.answer())[0]
        await asyncio.to_thread(scene.write, rotate)
        for _ in itertools.count():
            client.say(webhook(source))
            if (await client.answer())[0] != 200:
                break
        client.say(webhook(source, token="the-new-one"))
        return first, (await client.answer())[0]

    assert scene.talk(talk) == (200, 200)


def _fields(source):
    return {name: getattr(source, name) for name in source.__struct_fields__}


def test_a_body_above_the_bound_is_refused_before_it_is_read(scene):
    """A declared length above the bound gets a 413 although none of the body has been sent."""
    source = scene.add()

    async def talk(client):
        client.say(
            f"POST /in/{source.token} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n".encode()
        )
        return (await client.answer())[0]

    assert scene.talk(talk) == 413
    assert scene.stored(source) == []


def test_ten_thousand_copies_of_one_event_are_one_message(scene):
    """However often and however concurrently an event is sent, it is stored once, and each copy acknowledged."""
    source = scene.add()
    copy = webhook(source, event_id="event-1")

    async def talk(client):
        client.say(copy)
        statuses = {(await client.answer())[0]}
        for _ in range(100):
            client.say(copy * 100)
            for _ in range(100):
                statuses.add((await client.answer())[0])
        return statuses

    assert scene.talk(talk) == {200}
    assert len(scene.stored(source)) == 1


headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["x-callback-token", "webhook-id", "content-type", "content-encoding", "cookie", "x-a"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    ),
    max_size=5,
)


requests = st.lists(
    st.tuples(st.binary(max_size=300), headers, st.sampled_from(DETOURS), st.booleans()), max_size=30
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sent=requests)
def test_no_bytes_break_it(scene, sent):
    """Whatever somebody sends, the answer is a 2xx or a 4xx, never a fault of ours."""
    if not scene.api.committer.read(lambda store: store.sources(Page())).result():
        scene.add()
    answers = scene.post(
        *[
            request(
                f"/in/token-of-source-0{detour}",
                body,
                *[f"{name}: {value}" for name, value in named],
                *([f"x-callback-token: {SECRET}"] if right else []),
            )
            for body, named, detour, right in sent
        ]
    )
    assert all(200 <= answer[0] < 500 for answer in answers)


ODDITIES = {
    "plain": lambda raw: raw,
    "upper case": lambda raw: raw.replace(b"x-callback-token:", b"X-CALLBACK-TOKEN:"),
    "no space after the colon": lambda raw: raw.replace(b"x-callback-token: ", b"x-callback-token:"),
    "spaces around a value": lambda raw: raw.replace(b"x-callback-token: ", b"x-callback-token:  \t "),
    "a space before the colon": lambda raw: raw.replace(b"x-callback-token: ", b"x-callback-token : "),
    "a folded line": lambda raw: raw.replace(b"x-callback-token: ", b"x-callback-token:\r\n "),
    "a header twice": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\r\nx-a: 1\r\nx-a: 2\r\n"),
    "two lengths": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\r\nContent-Length: 3\r\n"),
    "an empty value": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\r\nx-a:\r\n"),
    "bytes beyond ASCII": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\r\nx-a: \xe9\r\n"),
    "a zero byte": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\r\nx-a: a\0b\r\n"),
    "a length in words": lambda raw: raw.replace(b"Content-Length: ", b"Content-Length: +"),
    "bare line feeds": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\n"),
    "an absolute address": lambda raw: raw.replace(b"POST /", b"POST http://x/"),
    "HTTP/1.0": lambda raw: raw.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a later version": lambda raw: raw.replace(b"HTTP/1.1", b"HTTP/1.9"),
    "to be closed": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n"),
    "expecting": lambda raw: raw.replace(b"Host: x\r\n", b"Host: x\r\nExpect: 100-continue\r\n"),
    "no host": lambda raw: raw.replace(b"Host: x\r\n", b""),
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_a_request_in_one_piece_is_answered_as_one_in_two(scene, oddity):
    """However a request is written, reading it at a glance and parsing it step by step come to the same."""
    source = scene.add()
    raw = ODDITIES[oddity](webhook(source, event_id="event-1"))

    def talk(*pieces):
        async def say(client):
            client.say(webhook(source, event_id="event-0"))
            await client.answer()
            for piece in pieces:
                client.say(piece)
                await client.flush()
                await asyncio.sleep(0.01)  # so that each arrives by itself
            return await client.answer()

        return scene.talk(say)

    whole, parted = talk(raw), talk(raw[:9], raw[9:])
    assert (whole[0], whole[-1]) == (parted[0], parted[-1])
