"""Schemes that put the signature inside the JSON body and cover some of its fields only.

``FieldHmac`` is Mailgun's (https://documentation.mailgun.com, "Securing webhooks"), ``FieldHash`` Midtrans's
(https://docs.midtrans.com/reference/handle-notifications), ``ItemHmac`` Adyen's for payments (its libraries' HMAC
validator). What is not covered can be changed by anyone who has seen one request: the providers' profiles say so.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ringback.errors import SignatureInvalid
from ringback.model import Duration, Instant
from ringback.signing import keys
from ringback.signing.contract import (
    Request,
    TimeUnit,
    Verified,
    asked_to_sign,
    check_fresh,
    mismatch,
    read_joined_instant,
    to_bytes,
    write_instant,
)
from ringback.signing.hmac import Algorithm, Encoding, any_equal, check_form, written
from ringback.signing.keys import SecretForm

MAX_ITEMS = 100


class FieldHmac(msgspec.Struct, frozen=True, kw_only=True):
    """HMAC in hex over two fields of one object of the body: a timestamp in seconds and a token used once.

    ``place`` names the object, whose fields are ``timestamp``, ``token`` and ``signature``. The token is the
    event's id.
    """

    place: str
    algorithm: Algorithm = Algorithm.SHA256
    tolerance: Duration | None = None

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:
        """Check the signature in the body; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _text_key)
        fields = _object(_body(request).get(self.place), self.place)
        timestamp, token, signature = (_text(fields, name) for name in ("timestamp", "token", "signature"))
        sent_at = read_joined_instant(timestamp)
        check_fresh(sent_at, now, self.tolerance)
        signed, candidates = to_bytes(timestamp + token), [to_bytes(signature)]
        for index, key in usable:
            if any_equal(self._mac(key, signed), candidates):
                return Verified(event_id=token, event_type=None, sent_at=sent_at, key=index)
        check_form(candidates, self.algorithm, Encoding.HEX)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:
        """Put timestamp, token (the event's id) and signature into the body; see ``Scheme.sign``."""
        timestamp = write_instant(now, TimeUnit.SECONDS)
        signature = self._mac(keys.signing_key(secrets, _text_key), (timestamp + event_id).encode()).decode()
        fields = {"timestamp": timestamp, "token": event_id, "signature": signature}
        return request.with_body(msgspec.json.encode({**_body(request), self.place: fields}))

    def _mac(self, key: bytes, signed: bytes) -> bytes:
        return written(hmac.digest(key, signed, self.algorithm.value), Encoding.HEX)


class FieldHash(msgspec.Struct, frozen=True, kw_only=True):
    """A plain hash in hex over some fields of the body followed by the secret, in the field ``signature``."""

    fields: tuple[str, ...]
    signature: str
    algorithm: Algorithm = Algorithm.SHA512

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:  # noqa: ARG002 - no timestamp
        """Check the hash in the body; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _text_key)
        body = _body(request)
        covered = self._covered(body)
        candidates = [to_bytes(_text(body, self.signature))]
        for index, key in usable:
            if any_equal(self._hash(covered + key), candidates):
                return Verified(event_id=None, event_type=None, sent_at=None, key=index)
        check_form(candidates, self.algorithm, Encoding.HEX)
        raise mismatch()

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - as verify
        """Put the hash into the body; see ``Scheme.sign``."""
        key, body = keys.signing_key(secrets, _text_key), _body(request)
        covered = self._covered(body)
        return request.with_body(
            msgspec.json.encode({**body, self.signature: self._hash(covered + key).decode()})
        )

    def _covered(self, body: Mapping[str, Any]) -> bytes:
        return to_bytes("".join(_text(body, name) for name in self.fields))

    def _hash(self, covered: bytes) -> bytes:
        return written(hashlib.new(self.algorithm.value, covered).digest(), Encoding.HEX)


class ItemHmac(msgspec.Struct, frozen=True):
    """HMAC-SHA256 in base64 over eight fields of every item of a notification; the key is written in hex.

    Every item must carry a signature that holds. Separators inside values are not escaped by the sender, and
    a field that is absent counts as empty.
    """

    def verify(self, secrets: Sequence[str], request: Request, now: Instant) -> Verified:  # noqa: ARG002 - no timestamp
        """Check the signature of every item; see ``Scheme.verify``."""
        usable = keys.usable(secrets, _hex_key)
        found = [_fitting(usable, item) for item in _items(_body(request))]
        return Verified(event_id=None, event_type=None, sent_at=None, key=found[0])

    @asked_to_sign()
    def sign(self, secrets: Sequence[str], request: Request, now: Instant, event_id: str) -> Request:  # noqa: ARG002 - as verify
        """Put a signature into every item; see ``Scheme.sign``."""
        key, body = keys.signing_key(secrets, _hex_key), _body(request)
        items = [_signed_item(key, item) for item in _items(body)]
        wrapped = [{"NotificationRequestItem": item} for item in items]
        return request.with_body(msgspec.json.encode({**body, "notificationItems": wrapped}))


def _text_key(secret: str) -> bytes:
    return keys.symmetric_key(secret, SecretForm.TEXT)


def _hex_key(secret: str) -> bytes:
    return keys.symmetric_key(secret, SecretForm.HEX)


def _body(request: Request) -> Mapping[str, Any]:
    try:
        return _object(msgspec.json.decode(request.body), "the body")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _malformed("the body is not JSON") from None


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(f"{name} is not a JSON object")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _malformed(f"the body has no text {name}")
    return value


def _items(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = body.get("notificationItems")
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_ITEMS:
        raise _malformed(f"the body has no list of 1 to {MAX_ITEMS} notificationItems")
    return [
        _object(_object(item, "an item").get("NotificationRequestItem"), "a NotificationRequestItem")
        for item in listed
    ]


def _fitting(usable: Sequence[tuple[int, bytes]], item: Mapping[str, Any]) -> int:
    data = _object(item.get("additionalData"), "additionalData")
    candidates = [to_bytes(_text(data, "hmacSignature"))]
    signed = _item_text(item)
    for index, key in usable:
        if any_equal(_item_mac(key, signed), candidates):
            return index
    check_form(candidates, Algorithm.SHA256, Encoding.BASE64)
    raise mismatch()


def _item_text(item: Mapping[str, Any]) -> bytes:
    amount = item.get("amount") or {}
    values = [
        *(item.get(name) for name in ("pspReference", "originalReference")),
        *(item.get(name) for name in ("merchantAccountCode", "merchantReference")),
        *(_object(amount, "amount").get(name) for name in ("value", "currency")),
        *(item.get(name) for name in ("eventCode", "success")),
    ]
    return to_bytes(":".join(map(_item_value, values)))


def _item_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise _malformed("a signed field of an item is neither text nor a whole number")


def _signed_item(key: bytes, item: Mapping[str, Any]) -> Mapping[str, Any]:
    data = _object(item.get("additionalData") or {}, "additionalData")
    signature = _item_mac(key, _item_text(item)).decode()
    return {**item, "additionalData": {**data, "hmacSignature": signature}}


def _item_mac(key: bytes, signed: bytes) -> bytes:
    return written(hmac.digest(key, signed, "sha256"), Encoding.BASE64)


def _malformed(detail: str) -> SignatureInvalid:
    return SignatureInvalid("body_malformed", detail)
