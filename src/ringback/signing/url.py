"""Schemes whose signature covers the address: it must be the URL the sender called, not the one a proxy made.

``SignedForm`` is Twilio's (https://www.twilio.com/docs/usage/security, and its libraries' request validator);
``HashedSecret`` is HubSpot's v1 and v2 (its libraries' signature helper). Square and HubSpot v3 are plain HMACs
with ``{url}`` in the template.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

import msgspec

from ringback.errors import SignatureInvalid
from ringback.model import Instant
from ringback.signing import keys, template
from ringback.signing.contract import Request, Verified, asked_to_sign, header, mismatch, to_bytes
from ringback.signing.hmac import Algorithm, Encoding, any_equal, check_form, written
from ringback.signing.keys import SecretForm

FORM = "application/x-www-form-urlencoded"
BODY_HASH = "bodySHA256"
MAX_FIELDS = 1_000
DEFAULT_PORTS = {"http": 80, "https": 443}

Fields = Sequence[tuple[str, str]]


class SignedForm(msgspec.Struct, frozen=True, kw_only=True):
    """HMAC-SHA1 over the URL and the sorted fields of a form; a body that is no form has its hash in the URL.

    The URL is tried with and without its default port, since senders differ. Bytes of the form that decode to
    the same fields are the same to this scheme.
    """

    header: str

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:  # noqa: ARG002 - no timestamp
        """Check the signature of URL and body; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _key)
        candidates = [to_bytes(header(request, self.header))]
        tail = _fields_text(_covered_fields(request))
        for index, key in usable:
            for url in _spellings(request.url):
                if any_equal(_mac(key, url + tail), candidates):
                    return Verified(event_id=None, event_type=None, sent_at=None, key=index)
        check_form(candidates, Algorithm.SHA1, Encoding.BASE64)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - as verify
        """Add the signature; the URL gets the body's hash if the body is no form. See ``Scheme.sign``."""
        key = keys.signing_key(secrets, _key)
        if request.body and not _is_form(request):
            request = msgspec.structs.replace(request, url=_with_body_hash(request))
        signature = _mac(key, request.url + _fields_text(_covered_fields(request)))
        return request.with_headers({self.header: signature.decode()})


class HashedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A plain SHA-256 in hex over the secret followed by a template: weaker than an HMAC, but what is sent."""

    header: str
    template: str

    def __post_init__(self) -> None:
        template.check(self.template)

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:  # noqa: ARG002 - no timestamp
        """Check the hash; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _key)
        candidates = [to_bytes(header(request, self.header))]
        covered = template.render(self.template, request)
        for index, key in usable:
            if any_equal(_hash(key + covered), candidates):
                return Verified(event_id=None, event_type=None, sent_at=None, key=index)
        check_form(candidates, Algorithm.SHA256, Encoding.HEX)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - as verify
        """Add the hash; see ``Scheme.sign``."""
        signature = _hash(keys.signing_key(secrets, _key) + template.render(self.template, request))
        return request.with_headers({self.header: signature.decode()})


def _key(secret: str) -> bytes:
    return keys.symmetric_key(secret, SecretForm.TEXT)


def _mac(key: bytes, signed: str) -> bytes:
    return written(hmac.digest(key, to_bytes(signed), "sha1"), Encoding.BASE64)


def _hash(covered: bytes) -> bytes:
    return written(hashlib.sha256(covered).digest(), Encoding.HEX)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _covered_fields(request: Request) -> Fields:
    """Return the form's fields, or none once the hash in the URL is seen to be the body's."""
    declared = dict(_pairs(_split(request.url).query)).get(BODY_HASH)
    if declared is not None:
        actual = hashlib.sha256(request.body).hexdigest()
        if not hmac.compare_digest(to_bytes(declared), actual.encode()):
            raise SignatureInvalid(
                "digest_mismatch", f"the body is not the one {BODY_HASH} in the URL speaks of"
            )
        return ()
    if not request.body:
        return ()
    if not _is_form(request):
        raise SignatureInvalid("body_uncovered", f"the body is no form, and the URL has no {BODY_HASH}")
    try:
        return _pairs(request.body.decode())
    except UnicodeDecodeError:
        raise SignatureInvalid("body_malformed", "the form is not UTF-8") from None


def _pairs(text: str) -> Fields:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise SignatureInvalid("body_malformed", "the fields of the form or URL cannot be read") from None


def _fields_text(fields: Fields) -> str:
    values: dict[str, set[str]] = {}
    for name, value in fields:
        values.setdefault(name, set()).add(value)
    return "".join(name + value for name in sorted(values) for value in sorted(values[name]))


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise SignatureInvalid("url_malformed", "the URL of the request cannot be read") from None


def _spellings(url: str) -> list[str]:
    """Return *url* as it is, then with its default port left out or put in."""
    parts = _split(url)
    default = DEFAULT_PORTS.get(parts.scheme)
    host = parts.netloc
    if default is None or not host:
        return [url]
    if host.endswith(f":{default}"):
        host = host.removesuffix(f":{default}")
    elif ":" not in host.rpartition("]")[2]:
        host = f"{host}:{default}"
    return [url, urlunsplit(parts._replace(netloc=host))]


def _with_body_hash(request: Request) -> str:
    parts = _split(request.url)
    found = f"{BODY_HASH}={hashlib.sha256(request.body).hexdigest()}"
    return urlunsplit(parts._replace(query=f"{parts.query}&{found}" if parts.query else found))
