"""Where the HTTP destination connects: addresses it refuses, names, and proxies."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_network

import pytest
from deliveries_over_http import LOOPBACK, delivering, outcome_of, request_to
from receivers import OK, FixedResolver, answering, answering_once, receiving

from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.errors import ConfigurationError
from ringback.model import OutcomeKind

# --- Where it connects -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "detail"),
    [
        ("127.0.0.1", "loopback"),
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "embedded"),
        ("localhost", "loopback"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "metadata"),
        ("0.0.0.0", "unspecified"),
        ("①②⑦.0.0.1", "loopback"),
        ("2130706433", "invalid_url"),
        ("0x7f.1", "invalid_url"),
        ("0177.0.0.1", "invalid_url"),
        ("127.1", "invalid_url"),
        ("127.0.0.1\\@example.com", "invalid_url"),
    ],
)
def test_internal_addresses_are_refused(run, host, detail):
    """No way of writing an internal address leads to a connection, and the detail does not tell it."""

    async def scenario():
        async with receiving(answering(OK)) as receiver, delivering(HttpSettings()) as destination:
            outcome = await destination.send(request_to(f"http://{host}:{receiver.port}/"))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.BLOCKED_ADDRESS, detail)
    assert connections == 0


@pytest.mark.parametrize("port", [1, 22, 25, 110, 1023])
def test_system_ports_are_refused(run, port):
    """Ports of mail servers and the like are refused at public addresses."""

    async def scenario():
        async with delivering(resolver=FixedResolver(["8.8.8.8"])) as destination:
            return await destination.send(request_to(f"http://hooks.example:{port}/"))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.BLOCKED_ADDRESS, "port")


def test_one_bad_address_refuses_the_name(run):
    """A name that resolves to a good and a bad address is not connected to at all."""

    async def scenario():
        settings = HttpSettings(allow=(ip_network("127.0.0.2/32"),))
        resolver = FixedResolver(["127.0.0.2", "10.0.0.1"])
        async with (
            receiving(answering(OK), host="127.0.0.2") as receiver,
            delivering(settings, resolver=resolver) as destination,
        ):
            outcome = await destination.send(request_to(f"http://hooks.example:{receiver.port}/"))
            return outcome, receiver.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail, connections) == (OutcomeKind.BLOCKED_ADDRESS, "private", 0)


def test_rebinding_name_never_reaches_a_refused_address(run):
    """A name that changes its address every time is looked up once per attempt and judged every time."""

    async def scenario():
        # 127.0.0.2 is opened and plays the public address; 127.0.0.1 plays the internal one.
        settings = HttpSettings(allow=(ip_network("127.0.0.2/32"),), name_lifetime=0)
        resolver = FixedResolver(*[["127.0.0.2"], ["127.0.0.1"]] * 250)
        async with (
            receiving(answering(OK), host="127.0.0.2") as public,
            receiving(answering(OK), host="127.0.0.1", port=public.port) as internal,
            delivering(settings, resolver=resolver) as destination,
        ):
            url = f"http://hooks.example:{public.port}/"
            outcomes = [await destination.send(request_to(url)) for _ in range(500)]
            return outcomes, resolver.lookups, internal.connections

    outcomes, lookups, internal_connections = run(scenario())
    assert [outcome.kind for outcome in outcomes[:2]] == [OutcomeKind.SUCCESS, OutcomeKind.BLOCKED_ADDRESS]
    assert sum(outcome.ok for outcome in outcomes) == 250
    assert lookups == 500
    assert internal_connections == 0


def test_names_are_remembered_briefly(run):
    """A busy receiver is looked up once, also when the first requests come all at once."""

    async def scenario():
        resolver = FixedResolver(["127.0.0.1"])
        async with receiving(answering(OK)) as receiver, delivering(resolver=resolver) as destination:
            url = f"http://hooks.example:{receiver.port}/"
            await asyncio.gather(*(destination.send(request_to(url)) for _ in range(10)))
            outcome = await destination.send(request_to(url))
            return outcome, resolver.lookups, receiver.requests[0].headers["host"], receiver.port

    outcome, lookups, host, port = run(scenario())
    assert outcome.ok
    assert lookups == 1
    assert host == f"hooks.example:{port}"


def test_next_address_is_tried(run):
    """When the first address of a name does not answer, the next one is used."""

    async def scenario():
        resolver = FixedResolver(["127.0.0.3", "127.0.0.1"])
        async with receiving(answering(OK)) as receiver, delivering(resolver=resolver) as destination:
            return await destination.send(request_to(f"http://hooks.example:{receiver.port}/"))

    assert run(scenario()).ok


@pytest.mark.parametrize(
    ("failure", "detail"),
    [
        (socket.gaierror(socket.EAI_NONAME, ""), "not_found"),
        (socket.gaierror(socket.EAI_NODATA, ""), "no_address"),
        (socket.gaierror(socket.EAI_AGAIN, ""), "failure"),
        (OSError("broken"), "failure"),
        (UnicodeError("label too long"), "not_found"),
        ([], "no_address"),
        (["not an address"], "failure"),
    ],
)
@pytest.mark.parametrize("lifetime", [0, 10])
def test_name_failures_are_told_apart(run, failure, detail, lifetime):
    """A missing name, one without addresses and a resolver in trouble have details of their own."""

    class Failing:
        async def resolve(self, host: str) -> list[str]:
            if isinstance(failure, Exception):
                raise failure
            return failure

    async def scenario():
        async with delivering(HttpSettings(name_lifetime=lifetime), resolver=Failing()) as destination:
            return await destination.send(request_to("http://hooks.example/"))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.DNS, detail)


def test_refused_connection(run):
    """A port that nobody listens on is a failure to connect."""

    async def scenario():
        async with receiving(answering(OK)) as receiver:
            url = receiver.url
        async with delivering() as destination:
            return await destination.send(request_to(url))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.CONNECT, "refused")


# --- Through a proxy ---------------------------------------------------------------------------------------


def through(port: int, userinfo: str = "") -> HttpSettings:
    return HttpSettings(allow=LOOPBACK, proxy=f"http://{userinfo}127.0.0.1:{port}")


def test_http_through_a_proxy_uses_the_absolute_form(run):
    """A plain request to the proxy names the whole URL, and carries the proxy's credentials."""

    async def scenario():
        resolver = FixedResolver(["127.0.0.1"])
        async with (
            receiving(answering(OK)) as proxy,
            delivering(through(proxy.port, "u:p@"), resolver=resolver) as destination,
        ):
            outcome = await destination.send(request_to("http://hooks.example/a?b"))
            return outcome, proxy.requests[0]

    outcome, received = run(scenario())
    assert outcome.ok
    assert received.line == "POST http://hooks.example/a?b HTTP/1.1"
    assert received.headers["host"] == "hooks.example"
    assert received.headers["proxy-authorization"] == "Basic dTpw"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_does_not_switch_off_the_guard(run, scheme):
    """An internal address is refused before the proxy hears of it."""

    async def scenario():
        async with (
            receiving(answering(OK)) as proxy,
            delivering(through(proxy.port), resolver=FixedResolver(["10.0.0.1"])) as destination,
        ):
            outcome = await destination.send(request_to(f"{scheme}://hooks.example/"))
            return outcome, proxy.connections

    outcome, connections = run(scenario())
    assert (outcome.kind, outcome.detail, connections) == (OutcomeKind.BLOCKED_ADDRESS, "private", 0)


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "proxy_refused"),
        (b"nonsense\r\n\r\n", "proxy_refused"),
        (b"", "proxy_failure"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 20_000, "proxy_failure"),
    ],
)
def test_proxy_that_opens_no_tunnel(run, said, detail):
    """A proxy that refuses or fails is reported as the reason why no connection was made."""

    async def scenario():
        async with receiving(answering_once(said)) as proxy, delivering(through(proxy.port)) as destination:
            return await destination.send(request_to("https://127.0.0.1/"))

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.CONNECT, detail)


def test_proxies_in_the_environment_are_ignored(run, monkeypatch):
    """Environment variables that name a proxy change nothing."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run(outcome_of(answering(OK))).ok


@pytest.mark.parametrize("url", ["https://127.0.0.1:3128", "socks5://127.0.0.1", "http://", "nonsense"])
def test_unusable_proxy_is_a_configuration_error(url):
    """A proxy's URL that cannot be used is refused at once, not at the first delivery."""
    with pytest.raises(ConfigurationError, match="proxy"):
        HttpDestination(HttpSettings(proxy=url))
