"""Xendit: payments in Southeast Asia.

Sources: docs.xendit.co ("Webhooks", "Payment links API", the webhook pages of each product), the models of
xendit-python 7, and public receivers. Xendit has one URL per product; this profile also takes all of them at one URL,
for it tells the products apart by their bodies. Bodies come in two shapes: the older ones are flat and mostly
unnamed, the newer ones are ``{created, business_id, event, data, api_version}``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from ringback.providers.profile import Profile
from ringback.providers.recognition import Content, Recognised, inside, text_of
from ringback.signing import SharedToken

TOKEN_HEADER = "x-callback-token"  # noqa: S105 - a header's name
ID_HEADER = "webhook-id"

# Which fields, beside the event type, tell one event from another. The first names the thing and must be there;
# of those joined by "|" the first present counts. What is not listed is told apart by its id.
KEY_FIELDS: Mapping[str, tuple[str, ...]] = {
    "invoice": ("id", "status"),
    "fva.created": ("id", "status", "updated"),
    "fva.paid": ("payment_id",),
    "fpc.paid": ("fixed_payment_code_payment_id",),
    "disbursement": ("id", "status"),
    "batch_disbursement": ("id", "status"),
    "report": ("id", "status"),
    "credit_card_refund": ("id", "status"),
    "ewallet.capture": ("id", "status"),
    "direct_debit.payment": ("id", "status"),
    "paylater.payment": ("id", "status"),
    "credit_card": ("id", "status"),
    "payment": ("id|payment_id",),
    "payment.capture": ("id|payment_id", "captures"),
    "payment_request": ("payment_request_id|id",),
    "payment_token": ("payment_token_id|id",),
    "payment_session": ("payment_session_id|id",),
    "recurring.plan": ("id", "updated"),
    "recurring.cycle": ("id", "attempt_count"),
    "v3_payout": ("payout_id|id",),
    "account": ("id|user_id", "updated"),
    "account.created": ("id",),
    "account.verification": ("id", "kyc.status", "updated"),
    "account_holder.kyc": ("id", "kyc.status", "updated"),
    "account_holder.capabilities": ("id", "status"),
    "split.payment": ("id", "status"),
    "dispute": ("id", "updated_at"),
    "bill_payment": ("payment_id",),
}
DEFAULT_KEY_FIELDS = ("id",)
CAPTURES = "captures"


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A body without a name: it has all of *fields*, none of *absent*, and an id of that prefix.

    Its event type is *name*; where *statuses* are given, followed by its status, which must be one of them.
    """

    name: str
    fields: tuple[str, ...]
    absent: tuple[str, ...] = ()
    id_prefix: str = ""
    statuses: tuple[str, ...] = ()

    def fits(self, body: Mapping[str, Any]) -> bool:
        """Tell whether *body* is of this shape."""
        # Plain loops: every webhook without a name comes through here.
        for name in self.fields:
            if name not in body:
                return False
        for name in self.absent:
            if name in body:
                return False
        return not self.id_prefix or str(body.get("id")).startswith(self.id_prefix)

    def event_type(self, body: Mapping[str, Any]) -> str | None:
        """Return the event type of a body that fits; None when its status is not one known."""
        if not self.statuses:
            return self.name
        status = body.get("status")
        return (
            f"{self.name}.{status.lower()}" if isinstance(status, str) and status in self.statuses else None
        )


_DONE_OR_FAILED = ("COMPLETED", "FAILED")

# The first that fits decides.
SHAPES = (
    Shape(
        name="invoice",
        fields=("id", "external_id", "status", "user_id", "merchant_name"),
        statuses=("PAID", "SETTLED", "EXPIRED"),
    ),
    Shape(name="fva.paid", fields=("callback_virtual_account_id",)),
    Shape(name="fpc.paid", fields=("fixed_payment_code_payment_id",)),
    Shape(name="disbursement", fields=("disbursement_description",), statuses=_DONE_OR_FAILED),
    Shape(name="batch_disbursement", fields=("total_uploaded_count",), statuses=_DONE_OR_FAILED),
    Shape(name="report", fields=("id",), id_prefix="report_", statuses=_DONE_OR_FAILED),
    Shape(name="credit_card_refund", fields=("credit_card_charge_id", "fee_refund_amount")),
    Shape(
        name="fva.created",
        fields=("owner_id", "account_number", "is_closed"),
        absent=("payment_id",),
    ),
)

# The fixed identifiers of the samples that "Test and save" in the dashboard sends.
TEST_VALUES: Mapping[str, frozenset[str]] = {
    "id": frozenset({"579c8d61f23fa4ca35e52da4", "57e214ba82b034c325e84d6e", "disb-example"}),
    "external_id": frozenset(
        {
            "invoice_123124123",
            "testing-invoice",
            "disbursement_123124123",
            "fixed-va-1487156410",
            "tokenization-callback-test",
        }
    ),
    "reference_id": frozenset({"test-payload", "testing_id_123"}),
}


def recognise(content: Content) -> Recognised:
    """Tell event type, key and test pings of any body Xendit sends.

    The key is the ``webhook-id`` where there is one and the business key otherwise. A hash of the body would
    not do: some products write the time of each delivery attempt into it.
    """
    event_id = content.request.headers.get(ID_HEADER) or None
    if not isinstance(content.body, dict):
        return Recognised(event_id=event_id)
    event_type = event_type_of(content.body)
    subject = subject_of(content.body)
    key = business_key(event_type, subject) if event_type else None
    return Recognised(
        event_id=event_id,
        event_type=event_type,
        dedupe_key=event_id or key,
        business_key=key,
        is_test=_is_test(subject),
    )


def event_type_of(body: Mapping[str, Any]) -> str | None:
    """Return the event type that *body* names, or that its shape tells; None when it is not known."""
    named = body.get("event")
    if isinstance(named, str) and named:
        return named
    for shape in SHAPES:
        if shape.fits(body):
            return shape.event_type(body)
    return None


def subject_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the object an event is about: ``data``, the envelope inside it, or the flat body itself."""
    data = body.get("data")
    if not isinstance(data, dict):
        return body
    nested = data.get("data")
    return nested if isinstance(nested, dict) and "event" in data else data


def business_key(event_type: str, subject: Mapping[str, Any]) -> str | None:
    """Name the thing and the state it reached, such as ``invoice.paid:66b1d2e3:PAID``.

    A poll of Xendit's API that builds the key from the object it got finds the webhook's own.
    """
    key = event_type
    for position, names in enumerate(_alternatives(event_type)):
        value = _key_value(subject, names)
        if value:
            key += f":{value}"
        elif position == 0:
            return None
    return key


@functools.lru_cache(maxsize=1_000)
def _alternatives(event_type: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(field.split("|")) for field in key_fields(event_type))


def key_fields(event_type: str) -> tuple[str, ...]:
    """Return which fields of its subject tell events of a type apart, as ``KEY_FIELDS`` has them."""
    name = event_type
    while name:
        if name in KEY_FIELDS:
            return KEY_FIELDS[name]
        name = name.rpartition(".")[0]
    return DEFAULT_KEY_FIELDS


def _key_value(subject: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if name == CAPTURES:
            return _capture_ids(subject.get(name))
        text = text_of(inside(subject, name))
        if text is not None:
            return text
    return ""


def _capture_ids(captures: Any) -> str:
    # A payment captured in parts tells of each part by a webhook of its own.
    listed = captures if isinstance(captures, list) else []
    ids = (text_of(inside(capture, "capture_id")) for capture in listed)
    return ",".join(sorted(text for text in ids if text is not None))


def _is_test(subject: Mapping[str, Any]) -> bool:
    for name, values in TEST_VALUES.items():
        value = subject.get(name)
        if isinstance(value, str) and value in values:
            return True
    return False


XENDIT = Profile(
    name="xendit",
    title="Xendit",
    configured_with=(
        "the webhook verification token (Dashboard, Settings, Developers, Webhooks); test mode, live mode and each "
        "sub-account have one of their own"
    ),
    scheme=SharedToken(header=TOKEN_HEADER, id_header=ID_HEADER),
    recognise=recognise,
    uncovered=(
        "Xendit sends a fixed token and signs nothing, so whoever learns the token can make up any event: keep the "
        "URL on HTTPS, and before delivering anything of value get the invoice or payment from Xendit's API and "
        "compare its status and amount."
    ),
    secret_headers=(TOKEN_HEADER,),
)
