"""E-wallet charges.

Sources: docs.xendit.co on e-wallets, captured webhooks, and the plugins' ``callback-url`` header. The payer of a
charge opens the wallet's page; here a call of our own, ``/sandbox/ewallets/charges/{id}/simulate``, does what the
payer would. Success and failure are told by one event, ``ewallet.capture``, which differ in ``data.status``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import Basket, Draft, Metadata, Name, Url, invalid
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import LARGEST, Amount, check_currency, check_least, check_most, money
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.sandbox import Sandbox

CHARGE = "ewallet_charge"
MISSING = "DATA_NOT_FOUND"
PENDING, SUCCEEDED, FAILED, VOIDED = "PENDING", "SUCCEEDED", "FAILED", "VOIDED"
VOIDED_AFTER = 2_000
LEAST = {"IDR": 100, "PHP": 1, "THB": 1, "VND": 1_000, "MYR": 1}
# The wallets of each currency, and what each needs to know: where to send the payer back to, or whom to ask.
RETURN, PHONE = "success_redirect_url", "mobile_number"
CHANNELS = {
    "IDR": {
        "ID_OVO": PHONE,
        "ID_DANA": RETURN,
        "ID_LINKAJA": RETURN,
        "ID_SHOPEEPAY": RETURN,
        "ID_ASTRAPAY": RETURN,
        "ID_JENIUSPAY": RETURN,
    },
    "PHP": {"PH_GCASH": RETURN, "PH_GRABPAY": RETURN, "PH_PAYMAYA": RETURN, "PH_SHOPEEPAY": RETURN},
    "THB": {"TH_TRUEMONEY": RETURN, "TH_LINEPAY": RETURN, "TH_WECHATPAY": RETURN},
    "VND": {"VN_MOMO": RETURN, "VN_ZALOPAY": RETURN, "VN_APPOTA": RETURN},
    "MYR": {"MY_TOUCHNGO": RETURN, "MY_GRABPAY": RETURN, "MY_SHOPEEPAY": RETURN},
}
REASON = "INSUFFICIENT_BALANCE"


class ChannelProperties(Draft, frozen=True):
    """What a wallet needs to know."""

    mobile_number: Annotated[str, Meta(pattern=r"^\+[0-9]{6,20}$")] | None = None
    success_redirect_url: Url | None = None
    failure_redirect_url: Url | None = None
    cancel_redirect_url: Url | None = None
    pending_redirect_url: Url | None = None
    cashtag: Name | None = None
    redeem_points: Name | None = None


class ChargeDraft(Draft, frozen=True):
    """A charge to be made."""

    reference_id: Name
    currency: Name
    amount: Amount
    checkout_method: Literal["ONE_TIME_PAYMENT", "TOKENIZED_PAYMENT"]
    channel_code: Name | None = None
    channel_properties: ChannelProperties | None = None
    payment_method_id: Name | None = None
    customer_id: Name | None = None
    basket: Basket | None = None
    metadata: Metadata | None = None

    def check(self) -> None:
        """Check what the kinds of the fields do not say.

        Raises:
            Refused: 400 ``API_VALIDATION_ERROR``.
        """
        check_currency(self.currency, CHANNELS)
        needs = CHANNELS[self.currency].get(self.channel_code or "")
        if needs is None:
            channels = ", ".join(CHANNELS[self.currency])
            raise invalid(f"channel_code of {self.currency} is one of {channels}")
        if self.checkout_method == "TOKENIZED_PAYMENT" and self.payment_method_id is None:
            raise invalid("a TOKENIZED_PAYMENT needs payment_method_id")
        properties = self.channel_properties or ChannelProperties()
        if self.checkout_method == "ONE_TIME_PAYMENT" and getattr(properties, needs) is None:
            raise invalid(f"{self.channel_code} needs channel_properties.{needs}")


class OutcomeDraft(Draft, frozen=True):
    """What the payer does."""

    status: Literal["SUCCEEDED", "FAILED"] = "SUCCEEDED"
    failure_code: Name | None = None


class EWallets:
    """E-wallet charges.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(CHARGE, self._finish_void)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/ewallets/charges", self.create),
            Route("GET", "/ewallets/charges/{id}", self.get),
            Route("POST", "/ewallets/charges/{id}/void", self.void),
            Route("POST", "/sandbox/ewallets/charges/{id}/simulate", self.simulate),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Make a charge, which waits for its payer."""
        draft = read(call, ChargeDraft)
        draft.check()
        amount = money(draft.amount, draft.currency)
        check_least(amount, LEAST[draft.currency], INVALID)
        check_most(amount, LARGEST, INVALID)
        url = call.headers.get("callback-url")
        if url is not None:
            self._sandbox.slots.check_url(call.owner, url)
        body = self._new(call, draft, amount)
        change = self._sandbox.change()
        change.add(CHARGE, body["id"], call.owner, body, hidden={"callback_url": url})
        await self._sandbox.commit(change)
        return Answer(body, 202)

    async def get(self, call: Call) -> Answer:
        """Show a charge."""
        return Answer(asked_for(self._sandbox.ledger, call, CHARGE, MISSING).body)

    async def void(self, call: Call) -> Answer:
        """Take a successful charge back; that it is done is told a moment later."""
        entry = asked_for(self._sandbox.ledger, call, CHARGE, MISSING)
        taken_back = entry.body["void_status"] is not None or entry.body["refunded_amount"] is not None
        if entry.body["status"] != SUCCEEDED or taken_back:
            wrong = "only a charge that has SUCCEEDED and was not refunded can be voided, and once"
            raise Refused(400, "INELIGIBLE_TRANSACTION", wrong)
        change = self._sandbox.change()
        due_at = self._sandbox.after(VOIDED_AFTER)
        voiding = change.update(entry, due_at=due_at, void_status=PENDING, updated=self._sandbox.stamp())
        await self._sandbox.commit(change)
        return Answer(voiding.body)

    async def simulate(self, call: Call) -> Answer:
        """Do what the payer would: pay, or fail to."""
        draft = read_own(call, OutcomeDraft)
        entry = asked_for(self._sandbox.ledger, call, CHARGE, MISSING)
        if draft.status == SUCCEEDED:
            return Answer((await self.pay(entry)).body)
        return Answer((await self.fail(entry, draft.failure_code or REASON)).body)

    # --- What happens to a charge -------------------------------------------------------------------------

    async def pay(self, entry: Entry) -> Entry:
        """Let a pending charge be paid, and tell of it.

        Raises:
            Refused: The charge is not pending.
        """
        amount = entry.body["charge_amount"]
        return await self._captured(entry, status=SUCCEEDED, capture_amount=amount)

    async def fail(self, entry: Entry, failure_code: str = REASON) -> Entry:
        """Let a pending charge fail, and tell of it.

        Raises:
            Refused: The charge is not pending.
        """
        return await self._captured(entry, status=FAILED, failure_code=failure_code)

    async def _captured(self, entry: Entry, **outcome: Any) -> Entry:
        current = self._sandbox.ledger.get(*entry.place) or entry
        if current.body["status"] != PENDING:
            raise Refused(400, "INELIGIBLE_TRANSACTION", f"the charge is {current.body['status']} already")
        change = self._sandbox.change()
        done = change.replace(
            current,
            body=current.body | {"updated": self._sandbox.stamp()} | outcome,
            hidden=current.hidden | {"paid_at": self._sandbox.clock()},
        )
        await self._sandbox.commit(change, self._told("ewallet.capture", done))
        return done

    async def _finish_void(self, entry: Entry) -> None:
        now = self._sandbox.stamp()
        change = self._sandbox.change()
        done = change.update(entry, status=VOIDED, void_status=SUCCEEDED, voided_at=now, updated=now)
        await self._sandbox.commit(change, self._told("ewallet.void", done))

    # --- Parts --------------------------------------------------------------------------------------------

    def _told(self, event: str, entry: Entry) -> tuple[Any, Notice]:
        data = {name: value for name, value in entry.body.items() if name != "business_id"}
        body = envelope(event, entry.owner, self._sandbox.stamp(), data)
        url = entry.hidden["callback_url"]
        return entry.owner, Notice(event=event, product="E-wallet", product_id=entry.id, body=body, url=url)

    def _new(self, call: Call, draft: ChargeDraft, amount: float) -> dict[str, Any]:
        charge_id = f"ewc_{self._sandbox.new_uuid()}"
        redirects = CHANNELS[draft.currency].get(draft.channel_code or "") == RETURN
        now = self._sandbox.stamp()
        return {
            "id": charge_id,
            "business_id": call.owner.business_id,
            "reference_id": draft.reference_id,
            "status": PENDING,
            "currency": draft.currency,
            "charge_amount": amount,
            "capture_amount": None,
            "refunded_amount": None,
            "payer_charged_amount": None,
            "payer_charged_currency": None,
            "checkout_method": draft.checkout_method,
            "channel_code": draft.channel_code,
            "channel_properties": draft.given().get("channel_properties", {}),
            "actions": _actions(call.site, charge_id) if redirects else None,
            "is_redirect_required": redirects,
            "callback_url": self._callback_url(call),
            "created": now,
            "updated": now,
            "void_status": None,
            "voided_at": None,
            "capture_now": True,
            "customer_id": draft.customer_id,
            "customer": None,
            "payment_method_id": draft.payment_method_id,
            "failure_code": None,
            "basket": draft.basket,
            "metadata": draft.metadata,
            "shipping_information": None,
        }

    def _callback_url(self, call: Call) -> str:
        return call.headers.get("callback-url") or self._sandbox.slots.get(call.owner, "ewallet").url or ""


def _actions(site: str, charge_id: str) -> dict[str, str | None]:
    """Return where the payer goes."""
    page = f"{site}/web/{charge_id}"
    return {
        "desktop_web_checkout_url": page,
        "mobile_web_checkout_url": page,
        "mobile_deeplink_checkout_url": None,
        "qr_checkout_string": None,
    }
