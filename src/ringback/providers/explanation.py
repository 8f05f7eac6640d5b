"""Why a request was refused, in words a person can act on.

Each hint comes of a trial: the signature is verified again with one thing changed back that people, proxies and
frameworks are known to change. A trial that succeeds names the culprit. Nothing is accepted because of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ringback.errors import SignatureInvalid
from ringback.model import HeaderFamily, Instant
from ringback.providers.profile import Profile
from ringback.signing import Request, Scheme, Verified
from ringback.signing.standard import FAMILIES

MAX_TRIED_BODY = 262_144
CLOCK_REASONS = frozenset({"timestamp_too_old", "timestamp_too_new"})
COMPACT, SPACED = (",", ":"), (", ", ": ")


class Explanation(msgspec.Struct, frozen=True):
    """Why a request was refused: a machine-readable reason, the same for people, and what to do about it."""

    reason: str
    detail: str
    hints: tuple[str, ...]


class _Case(msgspec.Struct, frozen=True):
    profile: Profile
    secrets: Sequence[str]
    request: Request
    now: Instant
    known: tuple[Profile, ...]
    refusal: SignatureInvalid

    @property
    def timeless(self) -> Scheme:
        """The scheme without a tolerance, so that a trial is about one thing only."""
        return _timeless(self.profile.scheme)

    def holds(self, request: Request, secrets: Sequence[str] | None = None) -> bool:
        """Tell whether the signature is right for another request, or by other secrets."""
        return _verified(self.timeless, secrets or self.secrets, request, self.now) is not None


MISMATCHES = frozenset({"token_mismatch", "signature_mismatch"})


def explanation_of(
    profile: Profile, secrets: Sequence[str], request: Request, now: Instant, known: tuple[Profile, ...]
) -> Explanation | None:
    """Explain a refusal, None when there is none; *known* are the providers whose schemes are tried."""
    try:
        profile.scheme.verify(secrets, request, now)
    except SignatureInvalid as error:
        case = _Case(profile, secrets, request, now, known, error)
        hints = tuple(hint for find in _FINDERS for hint in find(case))
        if not hints and error.reason in MISMATCHES:
            hints = (f"compare what is configured here with the provider's own: {profile.configured_with}",)
        return Explanation(error.reason, error.detail, hints)
    return None


def _clock(case: _Case) -> Iterator[str]:
    if case.refusal.reason not in CLOCK_REASONS:
        return
    verified = _verified(case.timeless, case.secrets, case.request, case.now)
    if verified is None or verified.sent_at is None:
        yield "apart from its time, the signature is wrong as well"
        return
    seconds = (case.now - verified.sent_at) // 1000
    if seconds > 0:
        yield (
            f"the signature is right and {seconds} s old: this machine's clock is fast, the request was held up on "
            "its way, or it is a replay"
        )
    else:
        yield (
            f"the signature is right and made {-seconds} s from now: this machine's clock is slow, or the "
            "sender's is fast"
        )


def _other_headers(case: _Case) -> Iterator[str]:
    if case.refusal.reason != "header_missing":
        return
    expected = _headers_of(case.profile.scheme)
    titles: dict[str, list[str]] = {}
    for other in case.known:
        for name in _headers_of(other.scheme) - expected:
            if case.request.headers.get(name):
                titles.setdefault(name, []).append(other.name)
    for name, names in titles.items():
        yield f"the request carries {name}, as senders of this kind do: {', '.join(names)}"
    if not titles:
        yield "no signature header of any known provider came: a proxy may drop it, or somebody else sent this"


def _secret_spelling(case: _Case) -> Iterator[str]:
    trimmed = [secret.strip() for secret in case.secrets]
    if trimmed != list(case.secrets) and case.holds(case.request, trimmed):
        yield "the signature is right without the blanks or line break around the secret: remove them"


def _other_scheme(case: _Case) -> Iterator[str]:
    if case.refusal.reason in CLOCK_REASONS:
        return
    fitting = [
        other.name
        for other in case.known
        if other.scheme != case.profile.scheme
        and _verified(_timeless(other.scheme), case.secrets, case.request, case.now) is not None
    ]
    if fitting:
        yield f"with this secret the request verifies as one of: {', '.join(fitting)}"


def _body(case: _Case) -> Iterator[str]:
    encoding = case.request.headers.get("content-encoding")
    if encoding:
        yield f"the body came with content-encoding {encoding[:40]}: verify the bytes as they came, not decompressed"
    if not case.request.body:
        yield "the body is empty: a framework may have read it before"
    for change, body in _other_bodies(case.request.body):
        if body != case.request.body and case.holds(case.request.with_body(body)):
            yield (
                f"the signature is right for the same body {change}: something between the sender and here parsed "
                "the body and wrote it anew; pass on the raw bytes"
            )
            return


def _url(case: _Case) -> Iterator[str]:
    for change, url in _other_urls(case.request):
        if case.holds(msgspec.structs.replace(case.request, url=url)):
            yield f"the signature is right for the URL {change}: verify with the URL that the sender was given"
            return


_FINDERS: tuple[Callable[[_Case], Iterator[str]], ...] = (
    _clock,
    _other_headers,
    _secret_spelling,
    _body,
    _url,
    _other_scheme,
)


def _timeless(scheme: Scheme) -> Scheme:
    # Those without a tolerance have no time to be wrong about.
    if not isinstance(scheme, msgspec.Struct) or not hasattr(scheme, "tolerance"):
        return scheme
    changed: Any = msgspec.structs.replace(scheme, tolerance=None)
    return changed  # type: ignore[no-any-return]


def _verified(scheme: Scheme, secrets: Sequence[str], request: Request, now: Instant) -> Verified | None:
    try:
        return scheme.verify(secrets, request, now)
    except SignatureInvalid:
        return None


def _headers_of(scheme: Scheme) -> frozenset[str]:
    family = getattr(scheme, "family", None)
    if isinstance(family, HeaderFamily):
        return frozenset(FAMILIES[family])
    names = (getattr(scheme, name, None) for name in ("header", "timestamp_header"))
    return frozenset(name for name in names if isinstance(name, str))


def _other_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    if len(body) > MAX_TRIED_BODY:
        return
    yield "without the white space at its end", body.rstrip()
    yield "with a line break at its end", body + b"\n"
    yield "with CR and LF at its end", body + b"\r\n"
    yield "with LF for CR LF", body.replace(b"\r\n", b"\n")
    yield "without a byte order mark", body.removeprefix(b"\xef\xbb\xbf")
    yield from _other_json(body)


def _other_json(body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for blanks, separators in (("without blanks", COMPACT), ("with blanks", SPACED)):
        for escapes, ascii_only in (("with letters escaped", True), ("with letters as they are", False)):
            for order, sort in (("", False), (" and keys sorted", True)):
                text = json.dumps(value, separators=separators, ensure_ascii=ascii_only, sort_keys=sort)
                described = f"written {blanks}, {escapes}{order}"
                yield described, text.encode("utf-8", "surrogatepass")
                yield (
                    f"{described}, slashes escaped",
                    text.replace("/", "\\/").encode("utf-8", "surrogatepass"),
                )
    for width in (2, 4):
        for end in ("", "\n"):
            yield f"indented by {width}", (json.dumps(value, indent=width) + end).encode()


def _other_urls(request: Request) -> Iterator[tuple[str, str]]:
    try:
        parts = urlsplit(request.url)
        port = parts.port
    except ValueError:
        return
    host = request.headers.get("x-forwarded-host") or request.headers.get("host")
    scheme = "http" if parts.scheme == "https" else "https"
    yield f"with {scheme}://", urlunsplit(parts._replace(scheme=scheme))
    path = parts.path.removesuffix("/") if parts.path.endswith("/") else parts.path + "/"
    yield "with or without the slash at its end", urlunsplit(parts._replace(path=path))
    yield "without its query", urlunsplit(parts._replace(query="", fragment=""))
    if port is not None:
        yield "without its port", urlunsplit(parts._replace(netloc=parts.netloc.rpartition(":")[0]))
    if host and host != parts.netloc:
        for one in ("https", "http"):
            yield (
                f"on the host {host[:100]}, with {one}://",
                urlunsplit(parts._replace(scheme=one, netloc=host)),
            )
