"""What an attempt shows of who sends it: real requests to real receivers and token endpoints on loopback."""

import asyncio
import base64
import contextlib
import datetime as dt
import json
import ssl
import urllib.parse
from ipaddress import ip_network

import msgspec
import pytest
import trustme
from receivers import OK, FixedResolver, answering, receiving
from standardwebhooks import Webhook

from ringback.courier import Courier
from ringback.credentials import AuthMethod, Basic, Bearer, ClientCertificate, Credentials, OAuth
from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.model import Endpoint, EndpointSecret, Inbound, OutcomeKind, Transformation, Trigger
from ringback.store import Lease, Work

NOW = 1_760_000_000_000
DEADLINE = 10_000
LOCAL = (ip_network("127.0.0.0/8"),)
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
SECRET = "s3cret & more"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def endpoint(url, authorization=None, **fields):
    credentials = None if authorization is None else Credentials(authorization=authorization)
    return Endpoint(
        **{
            "id": "ep_1",
            "application_id": "app_1",
            "url": url,
            "created_at": NOW,
            "updated_at": NOW,
            "secrets": (EndpointSecret(KEY),),
            "credentials": credentials,
        }
        | fields
    )


def work(to, payload=b'{"n": 1}', **fields):
    return Work(
        key=(1, 1),
        message_id="msg_1",
        event_type="invoice.paid",
        payload=payload,
        accepted_at=NOW,
        endpoint=to,
        attempts=0,
        trigger=Trigger.SCHEDULED,
        lease=Lease(1, NOW + 60_000),
        **fields,
    )


def answer(status, body):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text)


def token(name, **more):
    return answer(200, {"access_token": name, "token_type": "Bearer", "expires_in": 3600} | more)


class Scene:
    """A courier with a receiver, a token endpoint and a clock."""

    def __init__(self, receiver, tokens, deadline, allow):
        self.receiver, self.tokens = receiver, tokens
        self.now = 0.0
        self.courier = Courier(
            HttpDestination(HttpSettings(allow=allow)), "Ringback/test", deadline, lambda: self.now
        )

    def client(self, **fields):
        """Return a client of the token endpoint."""
        usual = {"token_url": self.tokens.url, "client_id": "acme", "client_secret": SECRET}
        return OAuth(**usual | fields)

    async def send(self, authorization=None, **fields):
        """Make one attempt at the receiver; return its outcome."""
        to = endpoint(self.receiver.url, authorization, **fields)
        return await self.courier.send(work(to), to, NOW)

    @property
    def shown(self):
        """The authorizations that came in at the receiver."""
        return [request.headers.get("authorization") for request in self.receiver.requests]

    @property
    def forms(self):
        """The forms that came in at the token endpoint."""
        return [dict(urllib.parse.parse_qsl(one.body.decode())) for one in self.tokens.requests]


@contextlib.asynccontextmanager
async def scene(*tokens, answers=(OK,), deadline=DEADLINE, allow=LOCAL, script=None):
    async with (
        receiving(answering(*answers)) as receiver,
        receiving(script or answering(*tokens or (token("t1"),))) as endpoint_of_tokens,
    ):
        made = Scene(receiver, endpoint_of_tokens, deadline, allow)
        async with contextlib.aclosing(made.courier):
            yield made


def played(story):
    """Make a test of a coroutine."""

    def test():
        asyncio.run(story())

    test.__doc__ = story.__doc__
    test.__name__ = story.__name__
    return test


# --- What does not change ----------------------------------------------------------------------------------


@played
async def test_a_password_and_a_token_go_along():
    """A name with a password, in UTF-8, or a token is what the receiver sees, whatever the headers and URL say."""
    async with scene() as here:
        await here.send(Basic(username="acmé", password="a:b"), headers={"authorization": "old", "x-a": "1"})
        await here.send(Bearer(token="t0ken"))
        await here.send(headers={"authorization": "own"})
        assert here.shown == [
            f"Basic {base64.b64encode('acmé:a:b'.encode()).decode()}",
            "Bearer t0ken",
            "own",
        ]
        assert here.receiver.requests[0].headers["x-a"] == "1"


def test_nothing_tells_a_secret_by_being_printed():
    """Credentials print without what is secret in them."""
    held = (
        Basic(username="acme", password=SECRET),
        Bearer(token=SECRET),
        OAuth(token_url="https://t.example", client_id="acme", client_secret=SECRET),
        ClientCertificate(identity=SECRET),
    )
    for one in held:
        assert SECRET not in repr(one)
    assert SECRET not in repr(endpoint("https://x.example", held[2]))


# --- Tokens ------------------------------------------------------------------------------------------------


@played
async def test_a_token_is_fetched_once_and_used_until_shortly_before_its_end():
    """One token serves many deliveries; a minute before its end another is fetched."""
    async with scene(token("t1"), token("t2")) as here:
        client = here.client()
        outcomes = [await here.send(client) for _ in range(3)]
        here.now = 3600 - 59
        outcomes.append(await here.send(client))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SUCCESS}
        assert here.shown == ["Bearer t1"] * 3 + ["Bearer t2"]
        assert len(here.forms) == 2


@pytest.mark.parametrize("method", AuthMethod)
def test_how_a_client_shows_its_secret(method):
    """In a header, encoded as RFC 6749 has it, or in the form; with scopes and what else there is to say."""

    async def story():
        async with scene() as here:
            client = here.client(
                auth_method=method, scopes=("read", "write"), extra_params={"audience": "https://api.example"}
            )
            await here.send(client)
            (form,), (asked,) = here.forms, here.tokens.requests
            pair = {name: form.pop(name, None) for name in ("client_id", "client_secret")}
            assert form == {
                "grant_type": "client_credentials",
                "scope": "read write",
                "audience": "https://api.example",
            }
            assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
            header = asked.headers.get("authorization")
            if method is AuthMethod.CLIENT_SECRET_POST:
                assert (header, pair) == (None, {"client_id": "acme", "client_secret": SECRET})
            else:
                encoded = base64.b64encode(b"acme:s3cret+%26+more").decode()
                assert (header, pair) == (f"Basic {encoded}", {"client_id": None, "client_secret": None})

    asyncio.run(story())


@played
async def test_many_deliveries_wait_for_one_token():
    """A hundred deliveries at once ask for one token, all of them get it, and another endpoint's is its own."""
    asked = asyncio.Event()

    async def script(peer):
        while True:
            await peer.request()
            await asked.wait()
            await peer.send(token("t1"))

    async with scene(script=script) as here:
        client = here.client()
        waiting = [asyncio.ensure_future(here.send(client)) for _ in range(100)]
        await asyncio.sleep(0)
        asked.set()
        assert {outcome.kind for outcome in await asyncio.gather(*waiting)} == {OutcomeKind.SUCCESS}
        assert (len(here.forms), set(here.shown)) == (1, {"Bearer t1"})
        await here.send(client, id="ep_2")
        await here.send(here.client(client_id="other"))
        assert len(here.forms) == 3


@played
async def test_a_refused_token_is_replaced_once():
    """A 401 has the token fetched anew and the message sent again at once; not with a token that is new already."""
    async with scene(token("t1"), token("t2"), answers=(OK, REFUSED, OK)) as here:
        client = here.client()
        outcomes = [await here.send(client) for _ in range(2)]
        assert [outcome.status for outcome in outcomes] == [200, 200]
        assert here.shown == ["Bearer t1", "Bearer t1", "Bearer t2"]
    async with scene(token("t1"), token("t2"), answers=(REFUSED,)) as here:
        client = here.client()
        assert [(await here.send(client)).status for _ in range(2)] == [401, 401]
        assert here.shown == ["Bearer t1", "Bearer t2"]


@pytest.mark.parametrize(
    ("told", "detail", "says"),
    [
        (
            answer(401, {"error": "invalid_client", "error_description": f"not {SECRET}"}),
            "token_refused",
            "401: invalid",
        ),
        (answer(503, b"busy"), "token_refused", "503"),
        (answer(302, b""), "token_refused", "302"),
        (answer(200, b"[]"), "token_malformed", "without an access_token"),
        (answer(200, b"[" * 5000), "token_malformed", "without an access_token"),
        (token("two words"), "token_malformed", "without an access_token"),
        (token("a\r\nx-evil: 1"), "token_malformed", "without an access_token"),
        (token("t1", token_type="mac"), "token_malformed", "no bearer token"),
        (b"\x00\x01", "token_unreachable", "bad_response"),
    ],
)
def test_no_token(told, detail, says):
    """Whatever is wrong with the token endpoint is the outcome of the attempt; nothing was sent, no secret told."""

    async def story():
        async with scene(told) as here:
            outcome = await here.send(here.client())
            assert (outcome.kind, outcome.detail, outcome.status) == (OutcomeKind.AUTHORIZATION, detail, 0)
            assert says in outcome.body.decode()
            assert SECRET not in outcome.body.decode()
            assert here.shown == []

    asyncio.run(story())


@pytest.mark.parametrize("told", [{}, {"expires_in": "soon"}, {"expires_in": "600"}, {"expires_in": -5}])
def test_lifetimes_that_make_no_sense(told):
    """A token without a lifetime that makes sense is used for minutes, or once; never for ever."""

    async def story():
        body = {"access_token": "t1"} | told
        async with scene(answer(200, body)) as here:
            assert (await here.send(here.client())).kind is OutcomeKind.SUCCESS
            here.now = 100_000.0
            await here.send(here.client())
            assert len(here.forms) == 2

    asyncio.run(story())


@played
async def test_the_token_endpoint_is_guarded_as_receivers_are():
    """A token endpoint at an address that may not be reached is not reached, and the outcome says so."""
    async with scene() as here:
        outcome = await here.send(here.client(token_url="http://169.254.169.254/token"))
        assert (outcome.kind, outcome.detail) == (OutcomeKind.AUTHORIZATION, "token_unreachable")
        assert "blocked_address" in outcome.body.decode()


@played
async def test_a_silent_token_endpoint_costs_no_more_than_the_deadline():
    """One deadline holds for the token and the delivery together."""

    async def silent(peer):
        await peer.request()
        await peer.closed_by_sender()

    async with scene(script=silent, deadline=200) as here:
        outcomes = await asyncio.gather(*(here.send(here.client()) for _ in range(3)))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.AUTHORIZATION}
        assert {outcome.detail for outcome in outcomes} <= {"token_timeout", "token_unreachable"}
        assert (here.shown, here.tokens.connections) == ([], 1)


@played
async def test_a_receiver_that_wants_both_gets_both():
    """A client certificate and a token go along together."""
    authority, clients = trustme.CA(), trustme.CA()
    leaf = clients.issue_cert("acme.example")
    identity = b"".join(
        [leaf.private_key_pem.bytes(), *(one.bytes() for one in leaf.cert_chain_pems)]
    ).decode()
    rules = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example").configure_cert(rules)
    clients.configure_trust(rules)
    rules.verify_mode = ssl.CERT_REQUIRED
    certificate = ClientCertificate(identity=identity, server_ca=authority.cert_pem.bytes().decode())
    async with receiving(answering(OK), tls=rules) as receiver:
        destination = HttpDestination(HttpSettings(allow=LOCAL), resolver=FixedResolver(["127.0.0.1"]))
        courier = Courier(destination, "Ringback/test", DEADLINE, lambda: 0.0)
        async with contextlib.aclosing(courier):
            to = endpoint(f"https://hooks.example:{receiver.port}/")
            to = msgspec.structs.replace(
                to, credentials=Credentials(authorization=Bearer(token="t1"), certificate=certificate)
            )
            assert (await courier.send(work(to), to, NOW)).kind is OutcomeKind.SUCCESS
        assert receiver.requests[0].headers["authorization"] == "Bearer t1"


# --- Transformations ---------------------------------------------------------------------------------------


@played
async def test_what_is_signed_is_what_is_sent():
    """The body is what the expression makes, the signature is over it, and it is told to be JSON."""
    async with scene() as here:
        code = "{text: join(' ', [eventType, payload.id, variables.team]), sum: payload.sum, at: timestamp, m: id}"
        rule = Transformation(code=code, enabled=True, variables={"team": "ops"})
        to = endpoint(here.receiver.url, transformation=rule)
        received = Inbound(headers={"content-type": "text/json", "content-encoding": "gzip", "x": "1"})
        told = work(to, b'{"id": "inv_1", "sum": 10.50}', inbound=received)
        assert (await here.courier.send(told, to, NOW)).kind is OutcomeKind.SUCCESS
        (request,) = here.receiver.requests
        assert request.body == (
            b'{"text":"invoice.paid inv_1 ops","sum":10.50,"at":"2025-10-09T08:53:20.000Z","m":"msg_1"}'
        )
        assert request.headers["content-type"] == "application/json"
        assert "content-encoding" not in request.headers
        signed = Webhook(KEY).sign(
            "msg_1", dt.datetime.fromtimestamp(NOW // 1000, dt.UTC), request.body.decode()
        )
        assert request.headers["webhook-signature"] == signed


@pytest.mark.parametrize(
    ("code", "payload", "kind", "detail"),
    [
        ("payload.missing", b"{}", OutcomeKind.DISCARDED, "transformed_to_null"),
        ("sum(payload)", b"{}", OutcomeKind.TRANSFORMATION, "failed"),
        ("payload", b"no json", OutcomeKind.TRANSFORMATION, "not_json"),
        ("payload" + "| [@, @]" * 50, b"{}", OutcomeKind.TRANSFORMATION, "too_large"),
    ],
)
def test_nothing_to_send(code, payload, kind, detail):
    """Null calls the delivery off, and a failure is an outcome; either way nothing leaves, and the reason is told."""

    async def story():
        async with scene() as here:
            to = endpoint(here.receiver.url, transformation=Transformation(code=code, enabled=True))
            outcome = await here.courier.send(work(to, payload), to, NOW)
            assert (outcome.kind, outcome.detail, outcome.status) == (kind, detail, 0)
            assert b"transform" in outcome.body
            assert here.receiver.requests == []

    asyncio.run(story())


@played
async def test_a_transformation_that_is_not_enabled_changes_nothing():
    """Until it is enabled, the payload goes out byte for byte."""
    async with scene() as here:
        await here.send(transformation=Transformation(code="payload.x"))
        assert here.receiver.requests[0].body == b'{"n": 1}'
