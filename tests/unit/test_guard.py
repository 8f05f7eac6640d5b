"""Which addresses may be delivered to: none inside, whatever the way of writing them."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.destinations.guard import BLOCKS, judge, judge_port
from ringback.destinations.routes import SystemResolver

INNER_V4 = [
    *("10.0.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255"),
    *("192.168.0.1", "100.64.0.1", "0.0.0.0", "0.1.2.3"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1"),
    *("169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0"),
    *("198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2606:4700::1111", "2a00:1450::1"),
    *("2400:cb00::1", "3ffe:ffff::1", "2003::1"),
]


def embeddings(inner: str) -> list[IPv6Address]:
    """Return an IPv4 address within IPv6 addresses, in every way that a network may take it out again."""
    number = int(IPv4Address(inner))
    teredo = int(IPv6Address("2001::")) | 0x53AA << 80 | number ^ 0xFFFF_FFFF
    low = [
        "::",
        "::ffff:0:0",
        "::ffff:0:0:0",
        "64:ff9b::",
        "64:ff9b:1::",
        "64:ff9b:1:fffe::",
        "fe80::",
        "fec0::",
    ]
    low += ["fc00::", "fd00::", "100::", "2001:db8::", "3fff::", "5f00::", "ff02::", "2001:10::"]
    return [
        *(IPv6Address(int(IPv6Address(prefix)) | number) for prefix in low),
        IPv6Address(int(IPv6Address("2002::")) | number << 80),
        IPv6Address(teredo),
        IPv6Address(int(IPv6Address("2001::")) | number << 64),
        IPv6Address(int(IPv6Address("fe80::5efe:0:0")) | number),
    ]


@pytest.mark.parametrize("inner", INNER_V4)
def test_embedded_addresses_are_refused(inner):
    """An internal IPv4 address is refused, and so is each of twenty IPv6 addresses that hold it."""
    assert judge(ip_address(inner)) is not None
    assert [str(address) for address in embeddings(inner) if judge(address) is None] == []
    assert len(embeddings(inner)) >= 20


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.network))
def test_every_block_is_refused_from_its_first_to_its_last_address(block):
    """Each block of the table is refused at both ends and in the middle, and names its source."""
    network = block.network
    for address in (network[0], network[network.num_addresses // 2], network[-1]):
        assert judge(address) is not None
    assert block.source
    assert block.reason.replace("_", "").isalpha()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.0.8", "reserved"),
        ("192.88.99.1", "tunnel"),
        ("224.0.0.1", "multicast"),
        ("::127.0.0.1", "embedded"),
        ("64:ff9b::a9fe:a9fe", "embedded"),
        ("64:ff9b:1::1", "embedded"),
        ("2002:7f00:1::", "tunnel"),
        ("2002:a9fe:a9fe::", "tunnel"),
        ("fec0::1", "private"),
        ("3fff::1", "documentation"),
        ("5f00::1", "reserved"),
        ("100:0:0:1::1", "reserved"),
        ("ff02::1", "multicast"),
        ("168.63.129.16", "metadata"),
    ],
)
def test_addresses_that_pass_for_global_are_refused(address, reason):
    """The fourteen addresses that the standard library takes for global are refused."""
    assert judge(ip_address(address)) == reason


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("fd12::1", "private"),
        ("100.64.0.1", "shared"),
        ("100.100.100.200", "metadata"),
        ("169.254.169.254", "metadata"),
        ("169.254.0.1", "link_local"),
        ("fe80::1", "link_local"),
        ("fe80::1%1", "link_local"),
        ("fd00:ec2::254", "metadata"),
        ("192.0.2.1", "documentation"),
        ("198.18.0.1", "benchmarking"),
        ("2001:2::1", "benchmarking"),
        ("255.255.255.255", "broadcast"),
        ("250.0.0.1", "reserved"),
        ("::ffff:8.8.8.8", "embedded"),
        ("2001:0:1234::1", "tunnel"),
        ("4000::1", "reserved"),
        ("e000::1", "reserved"),
    ],
)
def test_reasons_are_told_apart(address, reason):
    """The reason is one word for the kind of address, and the most specific one."""
    assert judge(ip_address(address)) == reason


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_let_through(address):
    """Public addresses may be delivered to, those next to a refused block included."""
    assert judge(ip_address(address)) is None


@given(st.ip_addresses(v=4))
def test_nothing_private_is_let_through(address):
    """What the standard library refuses is refused here too, apart from what IANA marks as reachable."""
    if not address.is_global:
        assert judge(address) is not None


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_let_through(address):
    """No IPv6 address outside 2000::/3 is let through."""
    if address not in ip_network("2000::/3"):
        assert judge(address) is not None


@pytest.mark.parametrize(
    ("address", "opened", "reason"),
    [
        ("10.0.0.1", ["10.0.0.0/8"], None),
        ("10.0.0.1", ["10.0.0.0/31"], None),
        ("10.0.0.2", ["10.0.0.0/31"], "private"),
        ("127.0.0.1", ["::1/128"], "loopback"),
        ("::1", ["127.0.0.0/8", "::1/128"], None),
        ("::ffff:10.0.0.1", ["10.0.0.0/8"], None),
        ("::ffff:10.0.0.1", ["::ffff:0:0/96"], "private"),
        ("::ffff:8.8.8.8", ["::ffff:0:0/96"], None),
        ("::ffff:10.0.0.1", ["192.168.0.0/16"], "embedded"),
        ("64:ff9b::808:808", ["64:ff9b::/96"], None),
        ("64:ff9b::a9fe:a9fe", ["64:ff9b::/96"], "metadata"),
        ("64:ff9b::a00:1", ["64:ff9b::/96", "10.0.0.0/8"], None),
        ("64:ff9b::a00:1", ["10.0.0.0/8"], "embedded"),
        ("8.8.8.8", ["10.0.0.0/8"], None),
    ],
)
def test_opened_networks(address, opened, reason):
    """A setting opens a network and nothing around it; behind NAT64, the inner address is judged."""
    assert judge(ip_address(address), tuple(map(ip_network, opened))) == reason


@pytest.mark.parametrize(
    ("port", "reason"),
    [
        (80, None),
        (443, None),
        (1024, None),
        (8080, None),
        (65535, None),
        (22, "port"),
        (25, "port"),
        (1, "port"),
    ],
)
def test_ports(port, reason):
    """Web and user ports are free; other system ports only in an opened network."""
    assert judge_port(port, ip_address("8.8.8.8")) == reason
    assert judge_port(port, ip_address("10.0.0.1"), (ip_network("10.0.0.0/8"),)) is None


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "①②⑦.0.0.1",
        "localhost",
    ],
)
def test_spellings_that_the_system_understands(host):
    """However the system's resolver is made to say loopback, its answer is refused."""
    try:
        answers = asyncio.run(SystemResolver().resolve(host))
    except socket.gaierror:
        answers = []  # this system does not understand that spelling, which is as good
    assert [answer for answer in answers if judge(ip_address(answer)) != "loopback"] == []
