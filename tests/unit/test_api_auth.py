import asyncio

import pytest
from falcon.inspect import inspect_routes
from management import TOKEN, management

from ringback import tokens
from ringback.api_keys import USE_GRAIN
from ringback.server import auth
from ringback.server.auth import TRUST_SECONDS
from ringback.signed_tokens import Signer
from ringback.store import Token

SECRET = "the secret that signs tokens"
SIGNER = Signer(secrets=(SECRET,))
START = 1_772_452_800_000

OPEN = {
    "/livez",
    "/readyz",
    "/metrics",
    "/api/v1/health",
    "/api/v1/health/ping",
    "/api/v1/openapi.json",
    "/docs",
}


class Clock:
    """Stands still unless moved."""

    seconds = 1000.0

    def __call__(self):
        """Return the time."""
        return self.seconds

    def now(self):
        """Return the time of day."""
        return START + round(self.seconds * 1000)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def api(tmp_path, clock):
    with management(tmp_path, clock, now=clock.now) as api:
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
    """A token added to the store is known to a running server at once, though it was refused a moment ago."""
    text = tokens.new_token(bytes(32))
    assert api.get("/app", token=text).status_code == 401
    add_token(api, text)
    assert api.get("/app", token=text).status_code == 200


def test_a_revoked_token_stops_working(api, clock):
    """A revoked token may be trusted for a few seconds, and no longer."""
    text = tokens.new_token(bytes(32))
    token = add_token(api, text)
    assert api.get("/app", token=text).status_code == 200
    api.committer.write(lambda store: store.remove_token(token.id)).result()
    clock.seconds += TRUST_SECONDS
    assert api.get("/app", token=text).status_code == 401


def test_an_expired_token_stops_working(api, clock):
    """A token is good until the instant it expires, also while it is remembered."""
    key = api.key("read", expires_at=clock.now() + 300)
    assert api.get("/app", token=key).status_code == 200
    clock.seconds += 0.3
    assert api.get("/app", token=key).status_code == 401


def used(api):
    """Return when the tokens in the store were last used."""
    # What is written comes after what was noted before.
    api.committer.write(lambda store: None).result()
    return [token.last_used_at for token in api.committer.read(lambda store: store.tokens()).result()]


def test_when_a_token_was_last_used(api, clock):
    """The use of a token is noted, and again only when the note is a minute old."""
    key = api.key("read")
    assert used(api) == [None]
    assert api.get("/app", token=key).status_code == 200
    (first,) = used(api)
    assert first == clock.now()
    clock.seconds += TRUST_SECONDS
    assert api.get("/app", token=key).status_code == 200
    assert used(api) == [first]
    (token,) = api.committer.read(lambda store: store.tokens()).result()
    api.committer.write(lambda store: store.use_token(token.id, first - USE_GRAIN)).result()
    clock.seconds += TRUST_SECONDS
    assert api.get("/app", token=key).status_code == 200
    assert used(api)[0] >= first


def test_only_so_many_are_remembered(api, monkeypatch):
    """The tokens remembered have a bound, and one that was forgotten is looked up again."""
    monkeypatch.setattr(auth, "MAX_REMEMBERED", 2)
    keys = [api.key("read") for _ in range(4)]
    for key in [*keys, *keys]:
        assert api.get("/app", token=key).status_code == 200


def test_what_a_token_may_not_do(api):
    """It is a 403 in the words that Svix clients know, before the request is looked at."""
    answer = api.post("/app", raw=b"{", token=api.key("read"))
    assert (answer.status_code, answer.json) == (
        403,
        {"code": "insufficient access", "detail": "This token may not do that."},
    )


@pytest.fixture
def signed(tmp_path, clock):
    with management(tmp_path, clock, now=clock.now, signer=SIGNER) as api:
        yield api


def test_an_organisation_s_signed_token(signed, clock):
    """The organisation's token does everything."""
    token = SIGNER.make(clock.now(), 60_000)
    assert signed.post("/app", {"name": "Acme"}, token=token).status_code == 201


def test_a_token_of_another_secret(signed, clock):
    """One that another secret signed is a 401, as is one that is no such token at all."""
    token = Signer(secrets=("another secret altogether",)).make(clock.now(), 60_000)
    for text in (token, "a.b.c", "..", token + "x"):
        answer = signed.get("/app", token=text)
        assert (answer.status_code, answer.json["code"]) == (401, "authentication_failed")


def test_an_expired_signed_token(signed, clock):
    """It is good until it expires, also while it is remembered; clocks may differ by a minute."""
    token = SIGNER.make(clock.now(), 1_000)
    assert signed.get("/app", token=token).status_code == 200
    clock.seconds += 60.9
    assert signed.get("/app", token=token).status_code == 200
    clock.seconds += 0.1
    assert signed.get("/app", token=token).status_code == 401


def test_the_secret_itself_is_no_token(signed):
    """Whoever sends the secret in place of a token is told so."""
    assert "not a token" in signed.get("/app", token=SECRET).json["detail"]


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
