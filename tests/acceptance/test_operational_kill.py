"""Operators listen with the official client; a server that is killed before it tells them anything loses nothing."""

import contextlib
import json

from running import ADMIN_TOKEN, ANYWHERE, receiving, running
from svix.api import ApplicationIn, EndpointIn, OperationalWebhookEndpointIn, Svix, SvixOptions
from svix.webhooks import Webhook

SETTINGS = {
    "admin_token": ADMIN_TOKEN,
    "allow_subnets": "127.0.0.0/8",
    "poll_interval": "100ms",
    "listen": ANYWHERE,
}
MANY = 20


@contextlib.contextmanager
def client(server):
    """Yield the official client of a server."""
    svix = Svix(ADMIN_TOKEN, SvixOptions(server_url=f"http://127.0.0.1:{server.port}"))
    # It has no way of its own to let go of its connections.
    with contextlib.closing(svix._httpx_client):
        yield svix


def test_killed_between_a_change_and_its_webhook(tmp_path, store):
    """What was answered is told, once, by whichever server comes next, and verifies with the client's own code."""
    settings = SETTINGS | store
    with receiving() as receiver:
        with running("serve", "--no-worker", folder=tmp_path, **settings) as accepting:
            with client(accepting) as svix:
                listening = svix.operational_webhook.endpoint
                wanted = {"url": f"{receiver.url}/operators", "event_types": ["endpoint.created"]}
                mine = listening.create(OperationalWebhookEndpointIn(**wanted))
                key = listening.get_secret(mine.id).key
                assert [one.id for one in listening.list().data] == [mine.id]
                app = svix.application.create(ApplicationIn(name="Acme", uid="acme"))
                hook = EndpointIn(url=f"{receiver.url}/hook")
                made = [svix.endpoint.create(app.id, hook).id for _ in range(MANY)]
            accepting.kill()
        with running("serve", folder=tmp_path, **settings) as server:
            receiver.until(lambda: len(receiver.succeeded) == MANY)
            assert server.stop() == 0
    arrivals = receiver.seen()
    for arrival in arrivals:
        Webhook(key).verify(arrival.body, arrival.headers)
    told = [json.loads(arrival.body) for arrival in arrivals]
    assert {body["type"] for body in told} == {"endpoint.created"}
    assert sorted(body["data"]["endpointId"] for body in told) == sorted(made)
