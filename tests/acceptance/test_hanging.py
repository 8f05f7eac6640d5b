"""One endpoint that accepts connections and never answers, among a hundred: the others do not wait for it."""

from collections import Counter

import pytest
from running import ADMIN_TOKEN, ANYWHERE, Answer, receiving, running

ENDPOINTS = 100
MESSAGES = 40
HANGING = "/hanging"


@pytest.mark.parametrize("slots", ["512", "16"])
def test_an_endpoint_that_hangs_holds_up_no_other(tmp_path, store, slots):
    """All other endpoints get all messages before the first attempt at the one that hangs has run out of time.

    With 16 slots, the messages for the one that hangs are enough to take them all.
    """

    def answer(arrival):
        return Answer(0) if arrival.path == HANGING else Answer()

    settings = {
        "admin_token": ADMIN_TOKEN,
        "allow_subnets": "127.0.0.0/8",
        "delivery_timeout": "10s",
        "drain_timeout": "0s",
        "worker_slots": slots,
        **store,
    }
    with (
        receiving(answer) as receiver,
        running("serve", "--listen", ANYWHERE, folder=tmp_path, **settings) as server,
        server.api() as api,
    ):
        api.post("/app", {"name": "Acme", "uid": "acme"})
        # In the middle of the others, so that it would hold up those behind it.
        paths = [HANGING if number == ENDPOINTS // 2 else f"/{number}" for number in range(ENDPOINTS)]
        for path in paths:
            api.post("/app/acme/endpoint", {"url": receiver.url + path})
        messages = [
            api.post("/app/acme/msg", {"eventType": "invoice.paid", "payload": {"number": number}})["id"]
            for number in range(MESSAGES)
        ]

        def others():
            return [arrival for arrival in receiver.ledger if arrival.path != HANGING]

        receiver.until(lambda: len(others()) >= (ENDPOINTS - 1) * MESSAGES)
        given_up, seen = receiver.given_up[HANGING], receiver.seen()
        print(f"{len(others())} deliveries, {len(seen) - len(others())} hanging, {given_up} given up")
        assert given_up == 0
        assert any(arrival.path == HANGING for arrival in seen)
        arrived = Counter((arrival.path, arrival.id) for arrival in seen if arrival.path != HANGING)
        assert arrived == {(path, one): 1 for path in paths if path != HANGING for one in messages}
