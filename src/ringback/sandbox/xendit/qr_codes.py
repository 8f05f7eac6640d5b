"""QR codes, in the version from before 2022-07-31 and in that one.

Sources: docs.xendit.co, the older SDKs' types and public receivers. The ``api-version`` header of the call that
makes a code decides: an old code has an ``external_id`` and its webhooks go to its own ``callback_url``; a new one
has a ``reference_id`` and its webhooks go where the settings say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Refused, Route, read
from ringback.sandbox.xendit.channels import qr_string
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import DAY, Basket, Draft, Metadata, Name, Text, Url, invalid, later
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import LARGEST, Amount, check_currency, check_least, check_most, money
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.sandbox import Sandbox

CODE, PAYMENT = "qr_code", "qr_payment"
VERSION = "2022-07-31"
ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
DYNAMIC, STATIC = "DYNAMIC", "STATIC"
LASTS, LONGEST = 2 * DAY, 365 * DAY
LEAST = 1
CHANNELS = {"IDR": ("ID_DANA", "ID_LINKAJA"), "THB": ("TH_PROMPTPAY",), "PHP": ("PH_QRPH",)}


class OldDraft(Draft, frozen=True):
    """A code to be made, in the old version."""

    external_id: Name
    type: Literal["DYNAMIC", "STATIC"]
    callback_url: Url
    amount: Amount | None = None
    description: Text | None = None
    metadata: Metadata | None = None


class NewDraft(Draft, frozen=True):
    """A code to be made, in the new version."""

    reference_id: Name
    type: Literal["DYNAMIC", "STATIC"]
    currency: Name
    amount: Amount | None = None
    channel_code: Name | None = None
    expires_at: Name | None = None
    description: Text | None = None
    basket: Basket | None = None
    metadata: Metadata | None = None


class ScanDraft(Draft, frozen=True):
    """Somebody scans a code and pays."""

    amount: Amount | None = None


class QRCodes:
    """QR codes.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(CODE, self._end)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/qr_codes", self.create),
            Route("GET", "/qr_codes/{id:rest}", self.get),
            Route("POST", "/qr_codes/{id:rest}/payments/simulate", self.simulate),
        )

    async def create(self, call: Call) -> Answer:
        """Make a code."""
        if call.headers.get("api-version") == VERSION:
            body, due_at, status = *self._new(call), 201
        else:
            body, due_at, status = self._old(call), None, 200
        change = self._sandbox.change()
        change.add(CODE, body["id"], call.owner, body, due_at=due_at)
        await self._sandbox.commit(change)
        return Answer(body, status)

    async def get(self, call: Call) -> Answer:
        """Show a code, by its id or its ``external_id``."""
        return Answer(self._asked_for(call).body)

    async def simulate(self, call: Call) -> Answer:
        """Let somebody scan a code and pay; answers with the payment."""
        draft = read(call, ScanDraft)
        return Answer(await self.pay(self._asked_for(call), draft.amount))

    async def pay(self, entry: Entry, amount: float | None = None) -> dict[str, Any]:
        """Let somebody pay a code, and tell of it.

        Args:
            entry: The code.
            amount: How much, which a code without an amount of its own needs.

        Returns:
            The payment as the code's version shows it.

        Raises:
            Refused: The code cannot be paid any more, or not by that amount.
        """
        code = entry.body
        if code["status"] == INACTIVE:
            raise Refused(400, "INACTIVE_QR_CODE", "the QR code was paid or has expired; make a new one")
        paid = _paid(code, amount)
        payment = self._new_payment(entry, paid) if _is_new(code) else self._old_payment(code, paid)
        change = self._sandbox.change()
        if code["type"] == DYNAMIC:
            change.update(entry, status=INACTIVE, updated=self._sandbox.stamp())
        change.add(PAYMENT, payment["id"], entry.owner, payment)
        await self._sandbox.commit(change, (entry.owner, self._notice(entry, payment)))
        return payment

    # --- Parts --------------------------------------------------------------------------------------------

    async def _end(self, entry: Entry) -> None:
        change = self._sandbox.change()
        change.update(entry, status=INACTIVE, updated=self._sandbox.stamp())
        await self._sandbox.commit(change)

    def _old(self, call: Call) -> dict[str, Any]:
        draft = read(call, OldDraft)
        self._sandbox.slots.check_url(call.owner, draft.callback_url)
        if self._sandbox.ledger.entries(CODE, call.owner, external_id=draft.external_id):
            raise Refused(
                400, "DUPLICATE_ERROR", f"there is a QR code with external_id {draft.external_id[:100]}"
            )
        now = self._sandbox.stamp()
        return {
            "id": f"qr_{self._sandbox.new_uuid()}",
            "external_id": draft.external_id,
            "amount": _amount(draft.type, draft.amount, "IDR"),
            "description": draft.description or "",
            "qr_string": qr_string(self._sandbox.chance),
            "callback_url": draft.callback_url,
            "type": draft.type,
            "status": ACTIVE,
            "created": now,
            "updated": now,
            "metadata": draft.metadata,
        }

    def _new(self, call: Call) -> tuple[dict[str, Any], int | None]:
        draft = read(call, NewDraft)
        channels = CHANNELS[check_currency(draft.currency, CHANNELS)]
        channel = draft.channel_code or channels[0]
        if channel not in channels:
            raise Refused(
                400,
                "UNSUPPORTED_CHANNEL",
                f"{draft.currency} has the channels {', '.join(channels)}, not {channel[:100]}",
            )
        expires_at = self._expiration(draft)
        now = self._sandbox.stamp()
        return {
            "id": f"qr_{self._sandbox.new_uuid()}",
            "reference_id": draft.reference_id,
            "business_id": call.owner.business_id,
            "type": draft.type,
            "currency": draft.currency,
            "amount": _amount(draft.type, draft.amount, draft.currency),
            "channel_code": channel,
            "status": ACTIVE,
            "qr_string": qr_string(self._sandbox.chance),
            "description": draft.description,
            "expires_at": None if expires_at is None else self._sandbox.stamp(expires_at),
            "created": now,
            "updated": now,
            "basket": draft.basket,
            "metadata": draft.metadata,
        }, expires_at

    def _expiration(self, draft: NewDraft) -> int | None:
        if draft.expires_at is None:
            return self._sandbox.after(LASTS) if draft.type == DYNAMIC else None
        now = self._sandbox.clock()
        return later(draft.expires_at, "expires_at", now, at_most=now + LONGEST)

    def _old_payment(self, code: dict[str, Any], amount: float) -> dict[str, Any]:
        return {
            "event": "qr.payment",
            "id": f"qrpy_{self._sandbox.new_uuid()}",
            "amount": amount,
            "created": self._sandbox.stamp(),
            "qr_code": {name: code[name] for name in ("id", "external_id", "qr_string", "type")},
            "status": "COMPLETED",
        }

    def _new_payment(self, entry: Entry, amount: float) -> dict[str, Any]:
        code = entry.body
        return {
            "id": f"qrpy_{self._sandbox.new_uuid()}",
            "business_id": entry.owner.business_id,
            "currency": code["currency"],
            "amount": amount,
            "status": "SUCCEEDED",
            "created": self._sandbox.stamp(),
            "qr_id": code["id"],
            "qr_string": code["qr_string"],
            "reference_id": code["reference_id"],
            "type": code["type"],
            "channel_code": code["channel_code"],
            "expires_at": code["expires_at"],
            "description": code["description"],
            "basket": code["basket"],
            "metadata": code["metadata"],
            "payment_detail": {"receipt_id": self._sandbox.new_digits(12), "source": "GOPAY"},
        }

    def _notice(self, entry: Entry, payment: dict[str, Any]) -> Notice:
        event = "qr.payment"
        if not _is_new(entry.body):
            url = entry.body["callback_url"]
            return Notice(event=event, product="QR code", product_id=entry.id, body=payment, url=url)
        body = envelope(event, entry.owner, self._sandbox.stamp(), payment, api_version=VERSION)
        return Notice(event=event, product="QR code", product_id=entry.id, body=body)

    def _asked_for(self, call: Call) -> Entry:
        named = self._sandbox.ledger.entries(CODE, call.owner, external_id=call.path["id"])
        if named:
            return named[0]
        return asked_for(self._sandbox.ledger, call, CODE, "QR_CODE_NOT_FOUND_ERROR")


def _is_new(code: dict[str, Any]) -> bool:
    return "reference_id" in code


def _amount(kind: str, amount: float | None, currency: str) -> int | float | None:
    if amount is None:
        if kind == DYNAMIC:
            raise invalid("a DYNAMIC QR code needs an amount")
        return None
    cut = money(amount, currency)
    check_least(cut, LEAST, INVALID)
    check_most(cut, LARGEST, INVALID)
    return cut


def _paid(code: dict[str, Any], amount: float | None) -> float:
    """Return what is paid: the code's own amount, or else the one given."""
    own: float | None = code["amount"]
    given = None if amount is None else money(amount, code.get("currency", "IDR"))
    paid = own if given is None else given
    if paid is None or paid <= 0 or (own is not None and paid != own):
        raise invalid("the code needs an amount" if own is None else f"the code is for {own}")
    return paid
