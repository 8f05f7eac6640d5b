"""The pages' cookies: whose session it is, how pages are to look, and what came of the last form.

They are ``__Host-`` cookies: only for this host, only over HTTPS. Browsers take them over plain HTTP as well from
their own machine. From any other, a session over plain HTTP could be stolen on the way: there is none, unless the
setting ``plain_http_login`` allows it. Then the cookies go without the prefix, with which browsers would refuse them.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from ringback.server.pages.page import Header, Look, Said

SAFE = "__Host-"
SESSION = "ringback"
# Whoever looks at a customer's portal stays signed in as an operator.
PORTAL_SESSION = "ringback-portal"
LOOK = "ringback-look"
SAID = "ringback-said"
THEMES = ("light", "dark")
TONES = ("good", "wait", "bad")
YEAR_SECONDS = 31_536_000
SAID_SECONDS = 60
MAX_SAID = 600


class Cookies(msgspec.Struct, frozen=True):
    """The cookies of a request.

    ``safe`` tells that those to be set may have the prefix; where they may not, those without it are read, too.
    ``portal`` tells that they are for a page of the portal, ``embedded`` that other sites may hold that in a frame:
    then cookies go along there as well, apart for each such site (CHIPS).
    """

    values: Mapping[str, str]
    safe: bool
    plain: bool = False
    portal: bool = False
    embedded: bool = False

    @property
    def session(self) -> str | None:
        """The session's cookie."""
        return self._get(PORTAL_SESSION if self.portal else SESSION)

    @property
    def look(self) -> Look:
        """How pages are to look."""
        theme, _, keys = (self._get(LOOK) or "").partition(".")
        return Look(theme if theme in THEMES else "", keys != "off")

    @property
    def said(self) -> Said | None:
        """What came of the last form."""
        tone, _, text = (self._get(SAID) or "").partition(".")
        if tone not in TONES or len(text) > 2 * MAX_SAID:
            return None
        try:
            return Said(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode(), tone)
        except (binascii.Error, ValueError):
            return None

    def keep_session(self, text: str) -> Header:
        """Return the header that sets the session's cookie, or with an empty *text* removes it."""
        # Without an age it goes with the browser; the session itself ends before long.
        return self._set(PORTAL_SESSION if self.portal else SESSION, text, None if text else 0)

    def keep_look(self, look: Look) -> Header:
        """Return the header that keeps how pages are to look."""
        return self._set(LOOK, f"{look.theme}.{'' if look.shortcuts else 'off'}", YEAR_SECONDS)

    def keep_said(self, said: Said | None) -> Header:
        """Return the header that keeps what came of a form, or that forgets it."""
        if said is None:
            return self._set(SAID, "", 0)
        text = base64.urlsafe_b64encode(said.text[:MAX_SAID].encode(errors="replace")[:MAX_SAID])
        return self._set(SAID, f"{said.tone}.{text.rstrip(b'=').decode()}", SAID_SECONDS)

    def _get(self, name: str) -> str | None:
        return self.values.get(SAFE + name) or (self.values.get(name) if self.plain else None)

    def _set(self, name: str, value: str, seconds: int | None) -> Header:
        age = "" if seconds is None else f"; Max-Age={seconds}"
        prefix, secure = (SAFE, "; Secure") if self.safe else ("", "")
        site = "None; Partitioned" if self.portal and self.embedded and self.safe else "Lax"
        return ("set-cookie", f"{prefix}{name}={value}; Path=/; HttpOnly; SameSite={site}{secure}{age}")


def read(header: str) -> dict[str, str]:
    """Read a ``Cookie`` header; what comes twice is read once, the first time (RFC 6265, 5.4)."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, separator, value = part.strip().partition("=")
        if separator:
            found.setdefault(name, value)
    return found


def is_safe(origin: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a browser takes ``__Host-`` cookies: it came over HTTPS, or from its own machine.

    Only over such ways do browsers say where a request comes from (Fetch Metadata, 2), and a proxy may say that it was
    HTTPS until there. Whoever makes that up gains nothing: it is a browser that then refuses the cookie.
    """
    if "sec-fetch-site" in headers or headers.get("x-forwarded-proto", "") == "https":
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "https" or is_own_machine(host)


def is_own_machine(host: str) -> bool:
    """Tell whether a host is the browser's own machine (as browsers do, Secure Contexts, 3.1)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
