"""Which addresses may be delivered to.

A customer chooses the URL, so a delivery must never become a way into the operator's own network. The table
here is the law: the standard library's notion of a "global" address takes several of these for public.
``judge`` is asked about every address that a name resolves to, and about the one connected to.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import msgspec

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_CLOUD = "vendor documentation of the instance metadata service"
_SPECIAL_4 = "IANA IPv4 Special-Purpose Address Registry"
_SPECIAL_6 = "IANA IPv6 Special-Purpose Address Registry"
_SPACE_6 = "IANA Internet Protocol Version 6 Address Space"

# (block, reason, source), the first that holds an address decides.
_BLOCKS: tuple[tuple[str, str, str], ...] = (
    ("100.100.100.200/32", "metadata", f"Alibaba Cloud, {_CLOUD}"),
    (
        "168.63.129.16/32",
        "metadata",
        "Azure, 'What is IP address 168.63.129.16?': public, yet the host's own",
    ),
    ("169.254.169.254/32", "metadata", f"AWS, Azure, Google Cloud and others, {_CLOUD}"),
    ("169.254.170.2/32", "metadata", f"AWS ECS, {_CLOUD}"),
    ("169.254.170.23/32", "metadata", f"AWS EKS, {_CLOUD}"),
    ("192.0.0.192/32", "metadata", f"Oracle Cloud, {_CLOUD}"),
    ("0.0.0.0/8", "unspecified", "RFC 791, 3.2; RFC 1122, 3.2.1.3"),
    ("10.0.0.0/8", "private", "RFC 1918"),
    ("100.64.0.0/10", "shared", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122, 3.2.1.3"),
    ("169.254.0.0/16", "link_local", "RFC 3927"),
    ("172.16.0.0/12", "private", "RFC 1918"),
    ("192.0.0.0/24", "reserved", f"RFC 6890, 2.1; {_SPECIAL_4}"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "reserved", f"RFC 7535 (AS112); {_SPECIAL_4}"),
    ("192.52.193.0/24", "reserved", f"RFC 7450 (AMT); {_SPECIAL_4}"),
    ("192.88.99.0/24", "tunnel", "RFC 7526 (6to4 relay, deprecated)"),
    ("192.168.0.0/16", "private", "RFC 1918"),
    ("192.175.48.0/24", "reserved", f"RFC 7534 (AS112); {_SPECIAL_4}"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("255.255.255.255/32", "broadcast", "RFC 919; RFC 8190"),
    ("240.0.0.0/4", "reserved", "RFC 1112, 4"),
    ("fd00:ec2::254/128", "metadata", f"AWS, {_CLOUD}"),
    ("fd20:ce::254/128", "metadata", f"Google Cloud, {_CLOUD}"),
    ("::/128", "unspecified", "RFC 4291, 2.5.2"),
    ("::1/128", "loopback", "RFC 4291, 2.5.3"),
    ("::/96", "embedded", "RFC 4291, 2.5.5.1 (IPv4-compatible, deprecated)"),
    ("::ffff:0:0/96", "embedded", "RFC 4291, 2.5.5.2 (IPv4-mapped)"),
    ("::ffff:0:0:0/96", "embedded", "RFC 2765, 2.1 (IPv4-translated)"),
    ("64:ff9b::/96", "embedded", "RFC 6052 (NAT64)"),
    ("64:ff9b:1::/48", "embedded", "RFC 8215 (local-use NAT64)"),
    ("100::/64", "reserved", "RFC 6666 (discard only)"),
    ("100:0:0:1::/64", "reserved", f"RFC 9780 (dummy prefix); {_SPECIAL_6}"),
    ("2001::/32", "tunnel", "RFC 4380 (Teredo)"),
    ("2001:2::/48", "benchmarking", "RFC 5180"),
    ("2001::/23", "reserved", f"RFC 2928; {_SPECIAL_6}"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "tunnel", "RFC 3056 (6to4)"),
    ("2620:4f:8000::/48", "reserved", f"RFC 7534 (AS112); {_SPECIAL_6}"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "reserved", "RFC 9602 (segment routing)"),
    ("fc00::/7", "private", "RFC 4193"),
    ("fe80::/10", "link_local", "RFC 4291, 2.5.6"),
    ("fec0::/10", "private", "RFC 3879 (site-local, deprecated)"),
    ("ff00::/8", "multicast", "RFC 4291, 2.7"),
    # Only 2000::/3 is given out for global unicast; everything around it is unassigned.
    ("::/3", "reserved", _SPACE_6),
    ("4000::/2", "reserved", _SPACE_6),
    ("8000::/1", "reserved", _SPACE_6),
)


class Block(msgspec.Struct, frozen=True):
    """A range of addresses that is refused: why, in one word, and which document says so."""

    network: Network
    reason: str
    source: str


BLOCKS = tuple(Block(ip_network(network), reason, source) for network, reason, source in _BLOCKS)
_BY_VERSION = {version: tuple(b for b in BLOCKS if b.network.version == version) for version in (4, 6)}

# The last 32 bits of these are an IPv4 address, and a packet to one may end up there.
_EMBEDDING = tuple(IPv6Network(prefix) for prefix in ("::ffff:0:0/96", "64:ff9b::/96"))
_LAST_32_BITS = 0xFFFF_FFFF

_WEB_PORTS = frozenset({80, 443})
_FIRST_USER_PORT = 1_024  # RFC 6335, 6: below are the system ports


def judge(address: Address, allow: Iterable[Network] = ()) -> str | None:
    """Say why *address* must not be delivered to; None when it may.

    An address that carries an IPv4 address within (IPv4-mapped, NAT64) is allowed only as far as the inner
    one is: opening ``64:ff9b::/96`` on a network with nothing but IPv6 does not open the private addresses
    behind it. An IPv4-mapped address counts as opened when its inner address is.

    Args:
        address: The address, as resolved.
        allow: The networks that the operator opened by a setting.

    Returns:
        One word, such as ``loopback``, ``private`` or ``metadata``. It never holds the address.
    """
    allow = tuple(allow)
    inner = _embedded(address)
    if is_opened(address, allow):
        return None if inner is None else judge(inner, allow)
    if inner is not None and is_opened(inner, allow) and _is_mapped(address):
        return None
    for block in _BY_VERSION[address.version]:
        if address in block.network:
            return block.reason
    return None


def judge_port(port: int, address: Address, allow: Iterable[Network] = ()) -> str | None:
    """Say why *port* must not be delivered to; None when it may.

    The one reason is ``port``: system ports other than 80 and 443 are refused, since mail servers and the
    like take commands from anyone who connects. Opened networks are free to use any port.
    """
    if port in _WEB_PORTS or port >= _FIRST_USER_PORT or is_opened(address, allow):
        return None
    return "port"


def is_opened(address: Address, allow: Iterable[Network]) -> bool:
    """Tell whether *address* lies in one of the networks *allow*."""
    return any(address in network for network in allow if network.version == address.version)


def _is_mapped(address: Address) -> bool:
    return isinstance(address, IPv6Address) and address.ipv4_mapped is not None


def _embedded(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv6Address) and any(address in prefix for prefix in _EMBEDDING):
        return IPv4Address(int(address) & _LAST_32_BITS)
    return None
