import asyncio

import pytest
from falcon.inspect import inspect_routes
from management import TOKEN, management

from ringback import tokens
from ringback.server.auth import TRUST_SECONDS
from ringback.store import Token

OPEN = {"/livez", "/readyz", "/metrics", "/api/v1/health", "/api/v1/health/ping", "/api/v1/openapi.json"}


class Clock:
    """Stands still unless moved."""

    seconds = 1000.0

    def __call__(self):
        """Return the time."""
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def api(tmp_path, clock):
    with management(tmp_path, clock) as api:
        yield api


def add_token(api, text):
    token = Token(id=f"tok_{text[-5:]}", name="ci", digest=tokens.digest(text), created_at=0)
    api.committer.write(lambda store: store.add_token(token)).result()
    return token


def test_every_address_but_the_open_ones_needs_a_token(api):
    """Without a token every address of the API is a 401 in JSON that names the scheme."""
    for route in inspect_routes(api.app):
        for method in (method for method in route.methods if method.method != "WEBSOCKET"):
            path = route.path.replace("{", "").replace("}", "")
            result = api.send(method.method, path, token=None)
            if route.path in OPEN:
                assert result.status_code in {200, 204, 405}, route.path
            else:
                assert result.status_code == 401, route.path
                assert method.method == "HEAD" or result.json["code"] == "authentication_failed"
                assert result.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic " + TOKEN,
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer \xff\xfe",
    ],
)
def test_what_is_not_a_token(api, header):
    """Another scheme, another token, or half of one is a 401."""
    assert api.get("/app", token=None, headers={"authorization": header}).status_code == 401


def test_the_scheme_ignores_case(api):
    """The name of the scheme is read whatever its case, as RFC 9110 has it."""
    assert api.get("/app", token=None, headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_a_new_token_works_at_once(api, clock):
    """A token added to the store is known to a running server within a tenth of a second."""
    text = tokens.new_token(bytes(32))
    assert api.get("/app", token=text).status_code == 401
    add_token(api, text)
    clock.seconds += 0.1
    assert api.get("/app", token=text).status_code == 200


def test_a_revoked_token_stops_working(api, clock):
    """A revoked token may be trusted for a few seconds, and no longer."""
    text = tokens.new_token(bytes(32))
    token = add_token(api, text)
    assert api.get("/app", token=text).status_code == 200
    api.committer.write(lambda store: store.remove_token(token.id)).result()
    clock.seconds += TRUST_SECONDS
    assert api.get("/app", token=text).status_code == 401


def test_many_at_once_share_one_look(api):
    """Requests that arrive together with a token to look up are all answered."""
    from falcon.testing import ASGIConductor  # noqa: PLC0415 - only this test talks concurrently

    text = tokens.new_token(bytes(32))
    add_token(api, text)

    async def ask():
        async with ASGIConductor(api.app) as conductor:
            headers = {"authorization": f"Bearer {text}"}
            return await asyncio.gather(
                *(conductor.simulate_get("/api/v1/app", headers=headers) for _ in range(20))
            )

    assert {result.status_code for result in asyncio.run(ask())} == {200}
