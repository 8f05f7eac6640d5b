"""Who asks the API in a comparison: every request and byte counted, connections kept as long as they last."""

import asyncio

import pytest
from receivers import OK, answering, answering_once, receiving

from ringback.config import Address
from ringback.demo.comparison.asking import Asker
from ringback.errors import Unavailable

# The sandbox writes the names of its headers in lower case.
FOUND = OK.replace(b"Content-Length", b"content-length")
MISSING = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}"


def asking(script, play):
    """Run *play* with an asker of a receiver that plays a script; return what it returns and the receiver."""

    async def run():
        async with receiving(script) as receiver:
            asker = Asker(Address("127.0.0.1", receiver.port), "key", "poller")
            try:
                return await play(asker), asker.traffic, receiver
            finally:
                asker.close()

    return asyncio.run(run())


def test_a_request_is_counted_to_the_byte():
    """Requests and answers are counted as they go over the connection, head and body, with the key and the name."""
    body, traffic, receiver = asking(answering(FOUND), lambda asker: asker.ask("POST", "/a", {"b": 1}))
    request = receiver.requests[0]
    head = "\r\n".join([request.line, *(f"{name}: {value}" for name, value in request.fields), "", ""])
    assert body == b"ok"
    assert (traffic.requests, traffic.asked, traffic.answered) == (
        1,
        len(head) + len(request.body),
        len(FOUND),
    )
    assert request.headers["user-agent"] == "poller"
    assert request.headers["authorization"] == "Basic a2V5Og=="


def test_many_are_asked_over_few_connections():
    """A round asks for everything once, over eight connections at most, which the next round uses again."""
    heard = []

    async def two_rounds(asker):
        for _ in range(2):
            await asker.each([f"/{number}" for number in range(30)], heard.append)

    _, traffic, receiver = asking(answering(FOUND), two_rounds)
    assert (len(heard), traffic.requests, len(receiver.requests)) == (60, 60, 60)
    assert len(receiver.peers) <= 8


def test_a_connection_that_was_closed_meanwhile():
    """A connection that the other end has closed while it was idle is not used again."""

    async def two_requests(asker):
        await asker.ask("GET", "/1")
        await asker._idle[0]._reader.read()
        return await asker.ask("GET", "/2")

    body, traffic, receiver = asking(answering_once(FOUND), two_requests)
    assert (body, traffic.requests, len(receiver.peers)) == (b"ok", 2, 2)


@pytest.mark.parametrize(("answer", "said"), [(MISSING, "404"), (b"", "IncompleteReadError")])
def test_no_success(answer, said):
    """What is no success ends the comparison, with what the sandbox said."""
    with pytest.raises(Unavailable, match=said):
        asking(answering_once(answer), lambda asker: asker.ask("GET", "/"))
