"""Client certificates as the HTTP destination shows them: to whom they belong, over connections of their own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import tempfile
import threading
from ipaddress import ip_network

import pytest
import trustme
from receivers import OK, FixedResolver, answering, receiving

from ringback.credentials import ClientCertificate
from ringback.destinations import Request
from ringback.destinations.http import HttpDestination, HttpSettings
from ringback.model import OutcomeKind

HOST = "hooks.example"
LOCAL = (ip_network("127.0.0.0/8"),)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return path


def certificate(authority, name, **more):
    leaf = authority.issue_cert(name)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return ClientCertificate(identity=(leaf.private_key_pem.bytes() + chain).decode(), **more)


def demanding(authority, *, clients, version=None):
    """Return the rules of a receiver that wants a certificate of *clients*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    clients.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    if version is not None:
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    return context


async def deliver(server, ca_file, certificates, *, url="https://{host}:{port}/hook", settings=None):
    """Deliver once with each of these certificates; return the outcomes and the names shown, by connection."""
    names = []

    async def script(peer):
        shown = peer.writer.get_extra_info("peercert") or {}
        names.append(dict(shown.get("subjectAltName", ())).get("DNS"))
        await answering(OK)(peer)

    async with receiving(script, tls=server) as receiver:
        rules = settings or HttpSettings(allow=LOCAL, ca_file=ca_file)
        destination = HttpDestination(rules, resolver=FixedResolver(["127.0.0.1"]))
        async with contextlib.aclosing(destination):
            to = url.format(host=HOST, port=receiver.port)
            outcomes = [
                await destination.send(Request(to, (), b"{}", 10_000, certificate=one))
                for one in certificates
            ]
    return outcomes, names


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_the_certificate_is_shown_over_connections_of_its_own(run, authority, ca_file, version):
    """Each certificate has its own connections, which are kept, and what shows none shares none of them."""
    clients = trustme.CA()
    server = demanding(authority, clients=clients, version=version)
    server.verify_mode = ssl.CERT_OPTIONAL
    acme, globex = certificate(clients, "acme.example"), certificate(clients, "globex.example")
    outcomes, names = run(deliver(server, ca_file, [acme, globex, None, acme, globex, None]))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SUCCESS}
    assert names == ["acme.example", "globex.example", None]


@pytest.mark.skipif(sys.platform != "linux", reason="a container's file system, read-only as in deploy/")
def test_no_folder_has_to_be_writable(run, authority, ca_file, tmp_path, monkeypatch):
    """Where nothing may be written, as in a container that is read-only, certificates are shown as well."""
    clients = trustme.CA()
    server = demanding(authority, clients=clients)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    outcomes, names = run(deliver(server, ca_file, [certificate(clients, "acme.example")]))
    assert ([one.kind for one in outcomes], names) == ([OutcomeKind.SUCCESS], ["acme.example"])


@contextlib.contextmanager
def refusing(rules):
    """Run a receiver that lets one caller in no further than the handshake; yield its port."""

    def turn_away():
        accepted, _ = door.accept()
        # What was sent meanwhile is read: the reset that would answer it overtakes the reason.
        with (
            accepted.dup() as raw,
            rules.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as tls,
        ):
            with contextlib.suppress(OSError):
                tls.do_handshake()
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=turn_away)
        thread.start()
        yield door.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(("version", "shown"), [("TLSv1_2", True), ("TLSv1_3", True), ("TLSv1_3", False)])
def test_a_receiver_that_refuses_the_certificate_is_told_of(run, authority, ca_file, version, shown):
    """With a certificate of somebody else's, or with none, the outcome says that it was refused."""
    rules = demanding(authority, clients=trustme.CA(), version=version)
    stranger = certificate(trustme.CA(), "acme.example") if shown else None

    async def deliver_once(port):
        settings = HttpSettings(allow=LOCAL, ca_file=ca_file)
        destination = HttpDestination(settings, resolver=FixedResolver(["127.0.0.1"]))
        async with contextlib.aclosing(destination):
            request = Request(f"https://{HOST}:{port}/hook", (), b"{}", 10_000, certificate=stranger)
            return await destination.send(request)

    with refusing(rules) as port:
        outcome = run(deliver_once(port))
    assert (outcome.kind, outcome.detail) == (OutcomeKind.TLS, "client_certificate_refused")


def test_whom_the_certificate_s_owner_trusts(run, authority):
    """With authorities of its own, nobody else is trusted; without, those of the operator are."""
    clients, system = trustme.CA(), HttpSettings(allow=LOCAL)
    theirs, others = authority.cert_pem.bytes().decode(), trustme.CA().cert_pem.bytes().decode()
    shown = [certificate(clients, "acme.example", server_ca=ca) for ca in (theirs, others, None)]
    server = demanding(authority, clients=clients)
    outcomes, _ = run(deliver(server, None, shown, settings=system))
    assert [(one.kind, one.detail) for one in outcomes] == [
        (OutcomeKind.SUCCESS, ""),
        (OutcomeKind.TLS, "unknown_issuer"),
        (OutcomeKind.TLS, "unknown_issuer"),
    ]


def test_what_cannot_show_a_certificate_sends_nothing(run, authority, ca_file):
    """Over plain HTTP, or with a key that cannot be read, nothing leaves."""
    shown = certificate(authority, "acme.example")
    outcomes, names = run(deliver(None, ca_file, [shown], url="http://{host}:{port}/hook"))
    assert (outcomes[0].kind, outcomes[0].detail, names) == (OutcomeKind.TLS, "https_required", [])
    broken = ClientCertificate(identity="-----BEGIN NOTHING-----")
    outcomes, names = run(deliver(demanding(authority, clients=authority), ca_file, [broken]))
    assert (outcomes[0].kind, outcomes[0].detail, names) == (OutcomeKind.TLS, "client_certificate", [])


def test_a_burst_waits_for_one_certificate(run, authority, ca_file):
    """Many deliveries that wait for the same certificate are all sent."""
    shown = certificate(authority, "acme.example")
    server = demanding(authority, clients=authority)

    async def burst():
        async with receiving(answering(OK), tls=server) as receiver:
            settings = HttpSettings(allow=LOCAL, ca_file=ca_file)
            destination = HttpDestination(settings, resolver=FixedResolver(["127.0.0.1"]))
            request = Request(f"https://{HOST}:{receiver.port}/hook", (), b"{}", 10_000, certificate=shown)
            outcomes = await asyncio.gather(*(destination.send(request) for _ in range(20)))
            await destination.aclose()
            return outcomes

    assert {outcome.kind for outcome in run(burst())} == {OutcomeKind.SUCCESS}
