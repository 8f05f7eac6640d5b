"""The database commits and its answer never comes: whether a message was stored is unknown, and a retry finds out."""

import json
from collections import defaultdict

import pytest
from bench.postgres import running as running_postgres
from postgres_proxy import proxying
from running import ADMIN_TOKEN, ANYWHERE, MAIN_KEY, receiving, running

MESSAGES = 40
LOST_EVERY = 4
SETTINGS = {
    "admin_token": ADMIN_TOKEN,
    "main_key": MAIN_KEY,
    "allow_subnets": "127.0.0.0/8",
    # A delivery whose commit was not heard of is taken when the lease that it was born with ends: 15 seconds more.
    "delivery_timeout": "1s",
}


@pytest.mark.slow
def test_a_key_stands_for_one_message_though_the_answer_to_its_commit_is_lost(tmp_path):
    """The publisher tries again with its key and is told the id of what was stored; it is delivered once."""
    with (
        running_postgres(listens=True) as server,
        proxying(server.port) as proxy,
        receiving() as receiver,
        running(
            "serve",
            "--listen",
            ANYWHERE,
            "--store",
            server.address(server.new_database(), proxy.port),
            folder=tmp_path,
            **SETTINGS,
        ) as node,
        node.api() as api,
    ):
        api.post("/app", {"name": "Acme", "uid": "acme"})
        api.post("/app/acme/endpoint", {"url": f"{receiver.url}/hook"})
        told, unheard = {}, 0
        for number in range(MESSAGES):
            if number % LOST_EVERY == 0:
                proxy.lose_next_commit()
            statuses = []
            while 202 not in statuses:
                body = b'{"eventType":"invoice.paid","payload":{"number":%d}}' % number
                status, answer = api.ask(
                    "POST", "/api/v1/app/acme/msg", body, idempotency_key=f"key-{number}"
                )
                statuses.append(status)
            told[number] = answer["id"]
            assert set(statuses) <= {202, 503}, answer
            unheard += len(statuses) > 1
        receiver.until(lambda: len(receiver.succeeded) >= MESSAGES)
        stored = len(api.get("/app/acme/msg?limit=250")["data"])
        assert node.stop() == 0
    ids = defaultdict(set)
    for arrival in receiver.seen():
        ids[json.loads(arrival.body)["number"]].add(arrival.id)
    print(f"{proxy.lost} answers lost, {unheard} messages were repeated, {len(receiver.seen())} deliveries")
    assert unheard > 0
    assert proxy.lost >= MESSAGES // LOST_EVERY
    assert stored == MESSAGES
    assert ids == {number: {message} for number, message in told.items()}
