"""TLS as the HTTP destination promises it: the right name, a trusted certificate, version 1.2 or later."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import warnings
from ipaddress import ip_network

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from receivers import OK, FixedResolver, Peer, Script, answering, receiving

from ringback.destinations import Request
from ringback.destinations.http import HttpDestination, HttpSettings, tls_context
from ringback.errors import ConfigurationError
from ringback.model import Outcome, OutcomeKind

HOST = "hooks.example"
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
OPEN = HttpSettings(allow=(ip_network("127.0.0.0/8"),))


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority):
    """Return rules that trust the tests' authority."""
    context = tls_context()
    authority.configure_trust(context)
    return context


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed(folder) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    path = folder / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def limited_to(version: str, context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = ssl.TLSVersion[version]
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def deliver(server: ssl.SSLContext | None, client: ssl.SSLContext, host: str = HOST, times: int = 1):
    """Return the outcomes of some deliveries to a receiver on loopback, and the receiver."""
    async with receiving(answering(OK), tls=server) as receiver:
        destination = HttpDestination(OPEN, resolver=FixedResolver(["127.0.0.1"]), tls=client)
        request = Request(f"https://{host}:{receiver.port}/hook", (("webhook-id", "msg_1"),), b"{}", 10_000)
        outcomes = [await destination.send(request) for _ in range(times)]
        await destination.aclose()
        return outcomes, receiver


def test_trusted_certificate_is_accepted_and_the_connection_kept(run, authority, trusting):
    """Deliveries over TLS reach the named host; the second one needs no other handshake."""
    outcomes, receiver = run(deliver(serving(authority.issue_cert(HOST)), trusting, times=2))
    assert [(outcome.kind, outcome.body) for outcome in outcomes] == [(OutcomeKind.SUCCESS, b"ok")] * 2
    assert outcomes[0].phases.tls > 0
    assert outcomes[1].phases.tls == 0
    assert receiver.connections == 1
    assert receiver.requests[0].headers["host"] == f"{HOST}:{receiver.port}"


def test_a_kept_connection_that_ends_without_a_farewell(run, authority, trusting):
    """When the receiver drops a kept connection without ending TLS, the request goes out again on a new one."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        if peer.number == 1:
            peer.writer.transport.abort()
        else:
            await peer.send(OK)

    async def twice():
        async with receiving(script, tls=serving(authority.issue_cert(HOST))) as receiver:
            destination = HttpDestination(OPEN, resolver=FixedResolver(["127.0.0.1"]), tls=trusting)
            request = Request(f"https://{HOST}:{receiver.port}/hook", (), b"{}", 10_000)
            outcomes = [await destination.send(request) for _ in range(2)]
            await destination.aclose()
            return outcomes, receiver.connections

    outcomes, connections = run(twice())
    assert ([outcome.kind for outcome in outcomes], connections) == ([OutcomeKind.SUCCESS] * 2, 2)


def test_server_name_is_the_url_s(run, authority, trusting):
    """The host name of the URL is sent in the handshake (SNI), though the connection goes to an address."""
    names = []
    server = serving(authority.issue_cert(HOST))
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    run(deliver(server, trusting))
    assert names == [HOST]


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_current_versions_are_accepted(run, authority, trusting, version):
    """TLS 1.2 and 1.3 both work."""
    server = serving(authority.issue_cert(HOST))
    server.minimum_version = server.maximum_version = ssl.TLSVersion[version]
    outcomes, _ = run(deliver(server, trusting))
    assert outcomes[0].ok


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_are_refused(run, authority, trusting, version):
    """A receiver that speaks nothing later than TLS 1.1 is refused by a detail of its own."""
    server = limited_to(version, serving(authority.issue_cert(HOST)))

    def shake_hands(listener: socket.socket) -> None:
        # In a thread, since asyncio's servers hang up without the alert that OpenSSL has prepared.
        client, _ = listener.accept()
        with client, contextlib.suppress(ssl.SSLError):
            server.wrap_socket(client, server_side=True)

    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            shaking = asyncio.ensure_future(asyncio.to_thread(shake_hands, listener))
            destination = HttpDestination(OPEN, resolver=FixedResolver(["127.0.0.1"]), tls=trusting)
            url = f"https://{HOST}:{listener.getsockname()[1]}/"
            outcome = await destination.send(Request(url, (), b"{}", 10_000))
            await shaking
            return outcome

    outcome = run(scenario())
    assert (outcome.kind, outcome.detail) == (OutcomeKind.TLS, "protocol_version")


@pytest.mark.parametrize(
    ("name", "valid", "detail"),
    [
        (HOST, (NOW - 2 * DAY, NOW - DAY), "expired"),
        (HOST, (NOW + DAY, NOW + 2 * DAY), "not_yet_valid"),
        ("other.example", (NOW - DAY, NOW + DAY), "hostname_mismatch"),
    ],
)
def test_bad_certificate_is_told_apart(run, trusting, authority, name, valid, detail):  # noqa: PLR0917 - fixtures
    """An expired, a premature and a misnamed certificate have details of their own, and nothing is sent."""
    certificate = authority.issue_cert(name, not_before=valid[0], not_after=valid[1])
    outcomes, receiver = run(deliver(serving(certificate), trusting))
    assert (outcomes[0].kind, outcomes[0].detail) == (OutcomeKind.TLS, detail)
    assert receiver.requests == []


def test_certificate_for_another_address_is_a_mismatch(run, authority, trusting):
    """The name check also holds for a URL with an IP address."""
    outcomes, _ = run(deliver(serving(authority.issue_cert(HOST)), trusting, host="127.0.0.1"))
    assert (outcomes[0].kind, outcomes[0].detail) == (OutcomeKind.TLS, "hostname_mismatch")


def test_self_signed_certificate(run, trusting, tmp_path):
    """A certificate that only vouches for itself is refused."""
    outcomes, receiver = run(deliver(self_signed(tmp_path), trusting))
    assert (outcomes[0].kind, outcomes[0].detail) == (OutcomeKind.TLS, "self_signed")
    assert receiver.requests == []


def test_unknown_authority(run):
    """A certificate from an authority that nobody told us to trust is refused."""
    outcomes, receiver = run(deliver(serving(trustme.CA().issue_cert(HOST)), tls_context()))
    assert (outcomes[0].kind, outcomes[0].detail) == (OutcomeKind.TLS, "unknown_issuer")
    assert receiver.requests == []


def test_receiver_without_tls(run, trusting):
    """A receiver that answers a handshake with something else has failed the handshake."""
    outcome = run(deliver_to(_refusing, trusting))
    assert (outcome.kind, outcome.detail) == (OutcomeKind.TLS, "handshake")


def test_receiver_that_closes_in_the_handshake(run, trusting):
    """A receiver that hangs up before the handshake is done has failed the handshake."""
    outcome = run(deliver_to(_hanging_up, trusting))
    assert (outcome.kind, outcome.detail) == (OutcomeKind.TLS, "handshake")


async def _refusing(peer: Peer) -> None:
    await peer.reader.read(1)
    await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await peer.closed_by_sender()


async def _hanging_up(peer: Peer) -> None:
    await peer.reader.read(1)


async def deliver_to(script: Script, client: ssl.SSLContext) -> Outcome:
    async with receiving(script) as receiver:
        destination = HttpDestination(OPEN, tls=client)
        return await destination.send(Request(f"https://127.0.0.1:{receiver.port}/", (), b"{}", 10_000))


def test_authority_from_a_file(run, authority, tmp_path):
    """An operator's own authority is trusted when its certificate is in the file of the settings."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    outcomes, _ = run(deliver(serving(authority.issue_cert(HOST)), tls_context(path)))
    assert outcomes[0].ok


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_unusable_file_of_authorities(tmp_path, content):
    """A file that is missing or holds no certificate is a configuration error, told at the start."""
    path = tmp_path / "authority.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="authorities"):
        HttpDestination(HttpSettings(ca_file=path))


def test_tunnel_goes_to_the_judged_address(run, authority, trusting):
    """Through a proxy, the tunnel is asked for by address, and TLS inside it still checks the name."""

    async def tunnelling(peer):
        line = (await peer.request()).line
        host, port = line.split()[1].rsplit(":", 1)
        assert host == "127.0.0.1"
        reader, writer = await asyncio.open_connection(host, int(port))
        await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(peer.reader, writer), _copy(reader, peer.writer))

    async def scenario():
        server = serving(authority.issue_cert(HOST))
        async with receiving(answering(OK), tls=server) as receiver, receiving(tunnelling) as proxy:
            settings = HttpSettings(allow=OPEN.allow, proxy=f"http://127.0.0.1:{proxy.port}")
            destination = HttpDestination(settings, resolver=FixedResolver(["127.0.0.1"]), tls=trusting)
            request = Request(f"https://{HOST}:{receiver.port}/hook", (), b"{}", 10_000)
            outcomes = [await destination.send(request) for _ in range(2)]
            await destination.aclose()
            await proxy.until(lambda p: p.closed == 1)
            return outcomes, proxy.requests[0].line, receiver.port, proxy.connections

    outcomes, line, port, connections = run(scenario())
    assert all(outcome.ok for outcome in outcomes)
    assert line == f"CONNECT 127.0.0.1:{port} HTTP/1.1"
    assert connections == 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
