"""Tokens as people make and end them, beside a server that runs."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from running import ADMIN_TOKEN, ANYWHERE, LOOPBACK, PATIENCE, Api, environment, running
from svix.api import Svix, SvixOptions
from svix.exceptions import HttpError
from svix.models import AppPortalAccessIn, EndpointIn

SECRET = "the secret that signs the tokens"
MESSAGE = json.dumps({"eventType": "invoice.paid", "payload": {"order": 1001}}).encode()


def command(folder, settings, *words):
    """Run ``ringback token``; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "ringback", "token", *words],
        cwd=folder,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def server(tmp_path, store):
    settings = {"admin_token": ADMIN_TOKEN, "jwt_secret": SECRET, **store}
    with running("serve", "--listen", ANYWHERE, folder=tmp_path, **settings) as server, server.api() as api:
        api.post("/app", {"name": "Acme", "uid": "acme"})
        api.post("/app", {"name": "Globex", "uid": "globex"})
        yield server, api, lambda *words: command(tmp_path, settings, *words)


def published(api, app):
    """Publish, and return the status."""
    return api.ask("POST", f"/api/v1/app/{app}/msg", MESSAGE)[0]


def test_a_token_s_life(server):
    """Made beside the server, it publishes at once in its application alone; it is seen to be used, and ends."""
    server, _, token = server
    made = json.loads(token("create", "shop", "--scope", "publish", "--app", "acme", "--json"))
    with Api(server.port, made["token"]) as shop:
        assert [published(shop, "acme") for _ in range(20)] == [202] * 20
        assert [published(shop, app) for app in ("globex", "nobody")] == [404, 404]
        assert shop.ask("GET", "/api/v1/app/acme/msg")[0] == 403
        (listed,) = json.loads(token("list", "--json"))
        assert listed["lastUsedAt"] >= listed["createdAt"]
        token("revoke", made["id"])
        revoked = time.monotonic()
        while published(shop, "acme") == 202:
            assert time.monotonic() - revoked < 5
        assert published(shop, "acme") == 401


@contextmanager
def client(server, text):
    """Yield the official client with a token."""
    made = Svix(text, SvixOptions(server_url=f"http://{LOOPBACK}:{server.port}"))
    try:
        yield made
    finally:
        made._httpx_client.close()


def status_of(call, *arguments):
    """Return the status that a call of the client is refused with."""
    with pytest.raises(HttpError) as refused:
        call(*arguments)
    return refused.value.status_code


def test_signed_tokens_and_a_portal(server):
    """The official client works with tokens that the secret signed, and with those of a portal, until their end."""
    server, _, token = server
    with client(server, token("jwt")) as owner:
        assert {app.uid for app in owner.application.list().data} == {"acme", "globex"}
        access = owner.authentication.app_portal_access("acme", AppPortalAccessIn()).token
    for text in (token("jwt", "--app", "acme", "--expires", "1h"), access):
        with client(server, text) as tenant:
            endpoint = tenant.endpoint.create("acme", EndpointIn(url="https://example.com/hook"))
            assert tenant.endpoint.get_secret("acme", endpoint.id).key.startswith("whsec_")
            assert status_of(tenant.application.list) == 403
            assert (
                status_of(tenant.endpoint.list, "globex") == status_of(tenant.endpoint.list, "nobody") == 404
            )
    with client(server, access) as tenant:
        tenant.authentication.logout()
        assert status_of(tenant.endpoint.list, "acme") == 401
