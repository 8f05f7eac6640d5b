"""What an endpoint's owner may ask for: a URL to deliver to, and headers of their own.

Pure, so that the same judgement is made when an endpoint is registered and when it is delivered to. Whether
the address behind a host name may be reached is another question, answered at the time of delivery.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

import msgspec

from ringback.errors import InvalidInput

MAX_URL_LENGTH = 2_048
MAX_HEADER_VALUE = 4_096
EVENT_TYPE_HEADER = "Ringback-Event-Type"
# What a body is, and what that is taken to be where nothing is said.
_CONTENT_HEADERS = (("Content-Type", "application/json"), ("Content-Encoding", ""))
MAX_PORT = 65_535
DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a URL leads, taken apart once.

    ``host`` is lower-case ASCII: a name, or an IP address without brackets. ``path`` begins with ``/`` and
    includes the query. ``authorization`` is the value of the header that the URL's credentials stand for.
    """

    scheme: str
    host: str
    port: int
    path: str
    credentials: str = ""
    authorization: str | None = None

    @property
    def authority(self) -> str:
        """The host and, unless it is the scheme's own, the port: what the ``Host`` header carries."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The canonical URL, credentials included: the one form to store and to deliver to."""
        userinfo = f"{self.credentials}@" if self.credentials else ""
        return f"{self.scheme}://{userinfo}{self.authority}{self.path}"

    @property
    def redacted(self) -> str:
        """The URL without its credentials and its query, which may hold secrets: the form to log."""
        return f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"

    def __repr__(self) -> str:
        return f"Target({self.redacted})"


# --- URLs --------------------------------------------------------------------------------------------------

# RFC 3986, appendix B, for the two schemes that can be delivered to. A fragment is never sent.
_URL = re.compile(
    r"(?i:(?P<scheme>https?))://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?"
)
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>\d{0,6}))?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_NAME_LENGTH = 253  # RFC 1035, 2.3.4, without the final dot
# RFC 5894, 7.2: the older and the newer rules of IDNA turn names with these into different hosts.
_DEVIATIONS = frozenset("ßς\u200c\u200d")
_PATH_CHARACTERS = "!$%&'()*+,-./:;=?@[]_~"


def parse_target(url: str) -> Target:
    r"""Take *url* apart and put it into its canonical form.

    Only http and https are accepted, without control characters, spaces and backslashes: parsers disagree on
    where ``http://127.0.0.1\@example.com`` leads. A host name in another script becomes its ASCII form
    (IDNA), and a number in the place of a host has to be an IPv4 address in four decimal parts, because the
    system's resolver also reads ``127.1`` and ``0x7f000001`` as addresses.

    Raises:
        InvalidInput: The URL is not acceptable; the message says why and what to write instead.
    """
    _check_characters(url)
    match = _URL.fullmatch(url)
    if match is None:
        raise _refused("the URL must start with http:// or https://, such as https://example.com/webhooks")
    scheme = match["scheme"].lower()
    userinfo, _, location = match["authority"].rpartition("@")
    host, port = _host_and_port(location)
    return Target(
        scheme=scheme,
        host=host,
        port=port or DEFAULT_PORTS[scheme],
        path=quote((match["path"] or "/") + (match["query"] or ""), safe=_PATH_CHARACTERS),
        credentials=_credentials(userinfo),
        authorization=_authorization(userinfo),
    )


def _refused(why: str) -> InvalidInput:
    return InvalidInput.at("body", "url", msg=why, kind="value_error.url")


def _check_characters(url: str) -> None:
    if len(url) > MAX_URL_LENGTH:
        raise _refused(f"the URL has {len(url)} characters, and at most {MAX_URL_LENGTH} are allowed")
    if "\\" in url:
        raise _refused("the URL must not contain a backslash; write %5C if one is meant")
    for character in url:
        if unicodedata.category(character)[0] in "CZ":
            raise _refused(
                f"the URL must not contain spaces or control characters, and U+{ord(character):04X} is one"
            )


def _host_and_port(location: str) -> tuple[str, int | None]:
    match = _HOST_AND_PORT.fullmatch(location)
    if match is None:
        raise _refused("the part after // must be a host and, after a colon, perhaps a port from 1 to 65535")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= MAX_PORT:
        raise _refused(f"the port must be between 1 and 65535, not {port}")
    host = match["host"]
    return _ipv6(host[1:-1]) if host.startswith("[") else _name(host), port


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise _refused("the part in square brackets must be an IPv6 address, such as [2001:db8::1]") from None
    if address.scope_id is not None:
        raise _refused(
            "an IPv6 address with a zone (after %) means something on one machine only; leave it out"
        )
    return str(address)


def _name(text: str) -> str:
    if not text:
        raise _refused("the URL has no host; write one after //, such as https://example.com/webhooks")
    host = _ascii_name(text).removesuffix(".")
    labels = host.split(".")
    if len(host) > _MAX_NAME_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise _refused("the host must be a name of letters, digits and hyphens, such as hooks.example.com")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        _check_ipv4(host)
    return host


def _ascii_name(text: str) -> str:
    if not _DEVIATIONS.isdisjoint(text):
        raise _refused("the host has a letter that stands for different names; write its ASCII form, xn--...")
    try:
        return text.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise _refused("the host cannot be written in ASCII (IDNA); check its spelling") from None


def _check_ipv4(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        raise _refused("an IPv4 address must be four decimal numbers, such as 192.0.2.1") from None


def _credentials(userinfo: str) -> str:
    if "@" in userinfo:
        raise _refused("an @ in the URL's user name or password must be written as %40")
    return quote(userinfo, safe=_PATH_CHARACTERS.replace("@", ""))


def _authorization(userinfo: str) -> str | None:
    """Return the Basic credentials (RFC 7617) that *userinfo* stands for."""
    if not userinfo:
        return None
    user, _, password = userinfo.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    return f"Basic {base64.b64encode(pair).decode('ascii')}"


# --- Headers -----------------------------------------------------------------------------------------------

# What a customer may not set, because Ringback or a machine between here and there does. The list is that of
# Svix, with the names that frame a request (RFC 9112) and those that carry the signature.
RESERVED_HEADERS = frozenset(
    {
        *("accept-encoding", "connection", "expect", "host", "keep-alive", "proxy-connection", "te"),
        *("trailer", "trailers", "transfer-encoding", "upgrade", "user-agent"),
        *("proxy-authenticate", "proxy-authorization"),
        *("content-encoding", "content-language", "content-length", "content-location", "content-type"),
        *("age", "cache-control", "clear-site-data", "expires", "pragma", "warning"),
    }
)
RESERVED_PREFIXES = (
    *("webhook-", "svix-", "x-svix-"),
    *("x-amz-", "x-amzn-", "x-google", "x-goog-", "x-gfe", "x-azure-", "x-fd-"),
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")  # RFC 9110, 5.6.2
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")  # RFC 9110, 5.5, without the obsolete non-ASCII bytes


def is_header_name(name: str) -> bool:
    """Tell whether *name* is a token (RFC 9110, 5.6.2) of at most 256 characters."""
    return _TOKEN.fullmatch(name) is not None


def check_header(name: str, value: str) -> None:
    """Refuse a header that a customer may not have sent along.

    The value is visible ASCII, spaces and tabs, at most 4096 of them: a line break in it would let a customer
    write further headers, or a second request.

    Raises:
        InvalidInput: The name is malformed or reserved, or the value is malformed or too long.
    """
    if not is_header_name(name):
        raise _bad_header(name, "a header's name is made of letters, digits and hyphens")
    lowered = name.lower()
    if lowered in RESERVED_HEADERS or lowered.startswith(RESERVED_PREFIXES):
        raise _bad_header(name, "this header is reserved and cannot be set; choose another name")
    if len(value) > MAX_HEADER_VALUE:
        raise _bad_header(
            name, f"a header's value has at most {MAX_HEADER_VALUE} characters, not {len(value)}"
        )
    if _VALUE.fullmatch(value) is None:
        raise _bad_header(
            name,
            "a header's value is one line of ASCII characters, without spaces at its ends; "
            "encode anything else, for example as base64",
        )


def content_headers(received: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the headers that say what a body is: what its sender said, as far as it can be said on.

    Args:
        received: The headers that the body came with, names in lower case; none for what was published, which is JSON.
    """
    for name, otherwise in _CONTENT_HEADERS:
        value = received.get(name.lower(), "")
        if value and _VALUE.fullmatch(value) is not None and len(value) <= MAX_HEADER_VALUE:
            yield name, value
        elif otherwise:
            yield name, otherwise


def event_header(event_type: str) -> tuple[str, str]:
    """Return the header that tells what a received message is about; what cannot stand in one is percent-encoded."""
    plain = _VALUE.fullmatch(event_type) is not None
    return EVENT_TYPE_HEADER, event_type if plain else quote(event_type)


def _bad_header(name: str, why: str) -> InvalidInput:
    return InvalidInput.at("body", "headers", name, msg=why, kind="value_error.header")
