"""What an invoice looks like: as the API shows it, and as its webhooks tell of it.

Sources: xendit-python 7's ``Invoice``, with the 17 fields that it cannot do without, and captured webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.sandbox.xendit.channels import CARD, METHODS, Method, method_named
from ringback.sandbox.xendit.envelopes import by_length
from ringback.sandbox.xendit.invoice_draft import InvoiceDraft

MERCHANT_NAME = "Toko Ringback"
# What an invoice repeats of the request, before and after the channels.
_SOON = ("payer_email", "description")
_LATER = (
    "success_redirect_url",
    "failure_redirect_url",
    "should_authenticate_credit_card",
    "locale",
    "items",
    "fees",
    "customer",
    "customer_notification_preference",
    "channel_properties",
    "metadata",
)
# What a webhook repeats of the invoice.
_TOLD = (
    "id",
    "external_id",
    "user_id",
    "status",
    "merchant_name",
    "amount",
    "created",
    "updated",
    "currency",
    "payer_email",
    "description",
    "items",
    "fees",
    "success_redirect_url",
    "failure_redirect_url",
    "should_authenticate_credit_card",
    "on_demand_link",
    "recurring_payment_id",
)


def new_invoice(
    draft: InvoiceDraft, *, invoice_id: str, user_id: str, site: str, created: str, expires: str
) -> dict[str, Any]:
    """Return a new invoice as the API shows it.

    Args:
        draft: What was asked for, checked.
        invoice_id: Its id, 24 hexadecimal digits.
        user_id: Whose it is.
        site: The sandbox's own address, where the page to pay is.
        created: When it was made.
        expires: Until when it can be paid.
    """
    echoed = draft.echoed()
    return {
        "id": invoice_id,
        "external_id": draft.external_id,
        "user_id": user_id,
        "status": "PENDING",
        "merchant_name": MERCHANT_NAME,
        "merchant_profile_picture_url": "",
        "amount": draft.sum,
        **_chosen(echoed, _SOON),
        "expiry_date": expires,
        "invoice_url": f"{site}/web/{invoice_id}",
        **{method.listed: _offered(method, draft) for method in METHODS},
        "should_exclude_credit_card": not draft.offers(CARD),
        "should_send_email": bool(draft.should_send_email),
        "created": created,
        "updated": created,
        "currency": draft.unit,
        **_chosen(echoed, _LATER),
    }


def told(body: Mapping[str, Any], payment: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a webhook's body: what it says of an invoice, and of its *payment* if there is one."""
    return by_length(_chosen(body, _TOLD) | {"is_high": False} | dict(payment or {}))


def offered(body: Mapping[str, Any], method: str, channel: str) -> dict[str, Any] | None:
    """Return the item of an invoice's lists that offers a *channel* of a *method*; None where none does.

    Cards have no list; where they are not excluded, the item is empty.
    """
    if method == CARD:
        return None if body["should_exclude_credit_card"] else {}
    found = method_named(method)
    items = [] if found is None else body[found.listed]
    return next((item for item in items if item[found.key] == channel), None) if found else None


def with_item(body: Mapping[str, Any], method: str, channel: str, **fields: Any) -> dict[str, Any]:
    """Return an invoice whose item for a *channel* of a *method* has these *fields* too."""
    found = method_named(method)
    if found is None:
        return dict(body)
    items = [item | fields if item[found.key] == channel else item for item in body[found.listed]]
    return {**body, found.listed: items}


def _chosen(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _offered(method: Method, draft: InvoiceDraft) -> list[dict[str, Any]]:
    channels = [channel for channel in method.channels.get(draft.unit, ()) if draft.offers(channel)]
    return [{method.key: channel, **_details(method, draft)} for channel in channels]


def _details(method: Method, draft: InvoiceDraft) -> dict[str, Any]:
    if method.name == "BANK_TRANSFER":
        return {
            "collection_type": "POOL",
            "transfer_amount": draft.sum,
            "bank_branch": "Virtual Account",
            "account_holder_name": MERCHANT_NAME.upper(),
            "identity_amount": 0,
        }
    if method.name == "RETAIL_OUTLET":
        return {"transfer_amount": draft.sum, "merchant_name": MERCHANT_NAME.upper()}
    return {}
