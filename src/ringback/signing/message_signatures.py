"""HTTP Message Signatures (RFC 9421) over a request whose body is covered by Content-Digest (RFC 9530).

A signature proves only what it covers, so a policy says what it must cover: by default the method, the target, the
digest of the body and the time. A valid signature over less is refused. The algorithm follows from the key; the
``alg`` parameter may only agree. Components with parameters (``;sf``, ``;key=…``) are not supported.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ringback.errors import InvalidInput, SignatureInvalid
from ringback.model import Duration, Instant
from ringback.signing import keys
from ringback.signing.asymmetric import PublicAlgorithm, made, verifies
from ringback.signing.contract import (
    FIVE_MINUTES,
    MAX_SIGNATURES,
    Request,
    Verified,
    asked_to_sign,
    check_fresh,
    header,
    mismatch,
    on_calendar,
    to_bytes,
)
from ringback.signing.keys import PublicKey, SecretForm

INPUT, SIGNATURE, DIGEST = "signature-input", "signature", "content-digest"
METHOD, TARGET, AUTHORITY, PATH = "@method", "@target-uri", "@authority", "@path"
HMAC_SHA256 = "hmac-sha256"
MIN_HMAC_BYTES = 16
LABEL = "sig1"
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
DIGESTS = {"sha-256": "sha256", "sha-512": "sha512"}
# RFC 9421, section 3.3.
NAMES = {
    PublicAlgorithm.ED25519: "ed25519",
    PublicAlgorithm.ECDSA_SHA256_RAW: "ecdsa-p256-sha256",
    PublicAlgorithm.ECDSA_SHA384_RAW: "ecdsa-p384-sha384",
    PublicAlgorithm.RSA_PSS_SHA512: "rsa-pss-sha512",
}

# RFC 9651: a dictionary of inner lists of strings, with parameters; and one of byte sequences.
_KEY = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_LIST = rf"\( *(?:{_STRING}(?: +{_STRING})*)? *\)"
_PARAMETER = rf"; *({_KEY})=(-?[0-9]{{1,15}}|{_STRING})"
_MEMBER = re.compile(rf"({_KEY})=(({_LIST})((?:; *{_KEY}=(?:-?[0-9]{{1,15}}|{_STRING}))*))")
_BYTES = re.compile(rf"({_KEY})=:([A-Za-z0-9+/]*={{0,2}}):")
_COMMA = re.compile(r"[ \t]*,[ \t]*")


class _Key(msgspec.Struct, frozen=True):
    """A key with what RFC 9421 calls its algorithm; ``key`` of bytes is a shared one."""

    algorithm: str
    key: bytes | PublicKey
    keyid: str | None = None

    def fits(self, signature: bytes, base: bytes) -> bool:
        if isinstance(self.key, bytes):
            return hmac.compare_digest(hmac.digest(self.key, base, "sha256"), signature)
        return verifies(self.key, _algorithm_for(self.key), signature, base)


class _Claim(msgspec.Struct, frozen=True):
    """One signature that a request carries: what it says it covers, its parameters, and itself."""

    components: tuple[str, ...]
    parameters: Mapping[str, str | int]
    text: str
    signature: bytes

    def whole(self, name: str) -> int | None:
        value = self.parameters.get(name)
        return value if isinstance(value, int) else None


class MessageSignatures(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9421 with a policy; a secret is a JWK, a public key in PEM, or a shared key in base64.

    A JWK's ``kid`` must be the signature's ``keyid``. To sign, a secret is a private key in PEM or a shared key.

    Attributes:
        required: Components that must be covered.
        covers_target: Whether ``@target-uri``, or ``@authority`` with ``@path``, must be covered.
        tag: The ``tag`` parameter to demand, None for any.
        tolerance: How far ``created`` may be from now, in milliseconds and either direction; None lets it be
            absent.
    """

    required: tuple[str, ...] = (METHOD, DIGEST)
    covers_target: bool = True
    tag: str | None = None
    tolerance: Duration | None = FIVE_MINUTES

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Accept the request if any signature it carries fulfils the policy; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _verifying_key)
        refusal: SignatureInvalid | None = None
        for claim in _claims(request):
            try:
                return self._verified(claim, usable, request, now)
            except SignatureInvalid as error:
                refusal = refusal or error
        raise refusal or SignatureInvalid(
            "signature_malformed", "no signature has an input of the same label"
        )

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - no id is carried
        """Add Content-Digest, Signature-Input and Signature; see ``Scheme.sign``."""
        secret = keys.signing_key(secrets, str)
        key = _verifying_key(secret)
        request = request.with_headers({DIGEST: content_digest(request.body)})
        target = (TARGET,) if self.covers_target else ()
        components = tuple(dict.fromkeys((*self.required, *target, DIGEST)))
        listed = " ".join(f'"{name}"' for name in components)
        tag = f';tag="{self.tag}"' if self.tag else ""
        text = (
            f'({listed});created={now // 1000};keyid="{key.keyid or "ringback"}";alg="{key.algorithm}"{tag}'
        )
        signature = base64.b64encode(_made(key, secret, _base(components, text, request))).decode()
        return request.with_headers({INPUT: f"{LABEL}={text}", SIGNATURE: f"{LABEL}=:{signature}:"})

    def _verified(
        self, claim: _Claim, usable: Sequence[tuple[int, _Key]], request: Request, now: Instant
    ) -> Verified:
        self._check_covered(claim)
        self._check_parameters(claim, now)
        base = _base(claim.components, claim.text, request)
        keyid, algorithm = claim.parameters.get("keyid"), claim.parameters.get("alg")
        named = [(index, key) for index, key in usable if key.keyid is None or key.keyid == keyid]
        if not named:
            raise SignatureInvalid("key_unknown", "the signature names a key that is not configured")
        allowed = [(index, key) for index, key in named if algorithm in {None, key.algorithm}]
        if not allowed:
            raise SignatureInvalid("algorithm_refused", "the algorithm is not the one of the key configured")
        for index, key in allowed:
            if key.fits(claim.signature, base):
                return Verified(
                    event_id=None,
                    event_type=None,
                    sent_at=_sent_at(claim),
                    key=_with_digest(claim, request, index),
                )
        raise mismatch()

    def _check_covered(self, claim: _Claim) -> None:
        missing = [name for name in self.required if name not in claim.components]
        if self.covers_target and not _covers_target(claim.components):
            missing.append(TARGET)
        if missing:
            raise SignatureInvalid(
                "component_uncovered", f"the signature does not cover {', '.join(missing)}, which it must"
            )

    def _check_parameters(self, claim: _Claim, now: Instant) -> None:
        if self.tag is not None and claim.parameters.get("tag") != self.tag:
            raise SignatureInvalid("tag_mismatch", f"the signature's tag is not {self.tag}")
        sent_at, expires = _sent_at(claim), claim.whole("expires")
        if self.tolerance is not None and sent_at is None:
            raise SignatureInvalid("timestamp_missing", "the signature does not say when it was created")
        if sent_at is not None:
            check_fresh(sent_at, now, self.tolerance)
        if expires is not None and now > expires * 1000:
            raise SignatureInvalid("timestamp_too_old", "the signature has expired")


def content_digest(body: bytes) -> str:
    """Return the Content-Digest (RFC 9530) of *body*, with SHA-256."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def check_digest(text: str, body: bytes) -> None:
    """Check a Content-Digest header; every digest of a known algorithm must be the body's.

    Raises:
        SignatureInvalid: ``digest_mismatch``, or ``digest_malformed`` when it has none of a known algorithm.
    """
    known = {name: digest for name, digest in _byte_sequences(text).items() if name in DIGESTS}
    if not known:
        raise SignatureInvalid("digest_malformed", "Content-Digest has neither sha-256 nor sha-512")
    for name, digest in known.items():
        if not hmac.compare_digest(hashlib.new(DIGESTS[name], body).digest(), digest):
            raise SignatureInvalid("digest_mismatch", "the body is not the one Content-Digest speaks of")


def _with_digest(claim: _Claim, request: Request, index: int) -> int:
    if DIGEST in claim.components:
        check_digest(header(request, DIGEST), request.body)
    return index


def _sent_at(claim: _Claim) -> Instant | None:
    created = claim.whole("created")
    return None if created is None else on_calendar(created * 1000)


def _covers_target(components: Sequence[str]) -> bool:
    return TARGET in components or {AUTHORITY, PATH} <= set(components)


# --- Reading the headers -----------------------------------------------------------------------------------


def _claims(request: Request) -> list[_Claim]:
    signatures = _byte_sequences(header(request, SIGNATURE))
    claims: list[_Claim] = []
    text, position = header(request, INPUT).strip(), 0
    while position < len(text) and len(claims) < MAX_SIGNATURES:
        member = _MEMBER.match(text, position)
        if member is None:
            raise SignatureInvalid(
                "signature_malformed", f"{INPUT} is not a list of components as RFC 9421 writes it"
            )
        label, written, components, parameters = member.groups()
        if label in signatures:
            claims.append(_claim(written, components, parameters, signatures[label]))
        position = _next(text, member.end())
    return claims


def _claim(written: str, components: str, parameters: str, signature: bytes) -> _Claim:
    names = tuple(_unquoted(name) for name in re.findall(_STRING, components))
    if len(set(names)) != len(names):
        raise SignatureInvalid("signature_malformed", "a component is listed twice")
    values = {name: _parameter(value) for name, value in re.findall(_PARAMETER, parameters)}
    return _Claim(names, values, written, signature)


def _byte_sequences(text: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    text, position = text.strip(), 0
    while position < len(text):
        member = _BYTES.match(text, position)
        if member is None:
            raise SignatureInvalid(
                "signature_malformed", "a header is not a list of labels with base64 in colons"
            )
        found[member[1]] = _unwrapped(member[2])
        position = _next(text, member.end())
    return found


def _unwrapped(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if not raw or base64.b64encode(raw).decode() != text:
        raise SignatureInvalid("signature_malformed", "what stands between the colons is not base64")
    return raw


def _next(text: str, position: int) -> int:
    if position == len(text):
        return position
    comma = _COMMA.match(text, position)
    if comma is None or comma.end() == len(text):
        raise SignatureInvalid("signature_malformed", "the members of a header are not separated by commas")
    return comma.end()


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _parameter(text: str) -> str | int:
    return _unquoted(text) if text.startswith('"') else int(text)


# --- The signature base ------------------------------------------------------------------------------------


def _base(components: Sequence[str], text: str, request: Request) -> bytes:
    """Build the signature base (RFC 9421, section 2.5)."""
    lines = [f'"{name}": {_component(name, request)}' for name in components]
    return to_bytes("\n".join([*lines, f'"@signature-params": {text}']))


def _component(name: str, request: Request) -> str:
    if not name.startswith("@"):
        if name != name.lower():
            raise SignatureInvalid("signature_malformed", "a component's name is not in lower case")
        return header(request, name).strip()
    if name == METHOD:
        return request.method
    derived = _derived(request.url)
    if name not in derived:
        raise SignatureInvalid("component_unsupported", "the signature covers a component unknown here")
    return derived[name]


def _derived(url: str) -> Mapping[str, str]:
    parts = _split(url)
    path, query = parts.path or "/", f"?{parts.query}"
    return {
        TARGET: url.partition("#")[0],
        AUTHORITY: parts.netloc.lower().removesuffix(DEFAULT_PORTS.get(parts.scheme, " ")),
        "@scheme": parts.scheme,
        "@request-target": path + (query if parts.query else ""),
        PATH: path,
        "@query": query,
    }


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise SignatureInvalid("url_malformed", "the URL of the request cannot be read") from None


# --- Keys --------------------------------------------------------------------------------------------------


def _verifying_key(secret: str) -> _Key:
    if secret.lstrip().startswith("{"):
        key = keys.jwk(secret)
        if key.kty == "oct":
            return _Key(HMAC_SHA256, _long_enough(keys.jwk_symmetric_key(key)), key.kid)
        return _public(keys.jwk_public_key(key), key.kid)
    if keys.is_asymmetric(secret):
        return _public(keys.public_key(secret), None)
    return _Key(HMAC_SHA256, _long_enough(keys.symmetric_key(secret, SecretForm.BASE64)))


def _public(key: PublicKey, keyid: str | None) -> _Key:
    return _Key(NAMES[_algorithm_for(key)], key, keyid)


def _algorithm_for(key: PublicKey) -> PublicAlgorithm:
    if isinstance(key, Ed25519PublicKey):
        return PublicAlgorithm.ED25519
    if isinstance(key, ec.EllipticCurvePublicKey):
        small = isinstance(key.curve, ec.SECP256R1)
        return PublicAlgorithm.ECDSA_SHA256_RAW if small else PublicAlgorithm.ECDSA_SHA384_RAW
    return PublicAlgorithm.RSA_PSS_SHA512


def _long_enough(key: bytes) -> bytes:
    if len(key) < MIN_HMAC_BYTES:
        raise InvalidInput.at("secret", msg=f"a shared key has at least {MIN_HMAC_BYTES} bytes")
    return key


def _made(key: _Key, secret: str, base: bytes) -> bytes:
    if isinstance(key.key, bytes):
        return hmac.digest(key.key, base, "sha256")
    return made(keys.private_key(secret), _algorithm_for(key.key), base)
