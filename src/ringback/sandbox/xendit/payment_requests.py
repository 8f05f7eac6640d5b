"""Payment requests, version 2: a payment that is asked for, with a payment method of its own or one made before.

Sources: xendit-python 7 for paths, fields, statuses and error codes; the catalogue for the webhooks; docs.xendit.co for
how e-wallets begin and for the amounts at which a direct debit fails. A request waits (``REQUIRES_ACTION`` or
``PENDING``) until it is paid (``SUCCEEDED``, or ``AWAITING_CAPTURE`` with the ``capture_method`` ``MANUAL``), has
failed, or ends without (``CANCELED``, ``EXPIRED``, which no webhook tells). Not documented, and done plainly: a
payment that has begun but is not decided is told by ``payment.pending`` and decided two seconds later; a method for one
use that was paid expires, told right after the payment, while one whose payment has failed can be tried again.
``/sandbox/payment_requests/{id}/simulate`` decides by hand, as payers, banks and the provider would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ringback.sandbox.xendit.auth_codes import AuthDraft
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.customers import Customers
from ringback.sandbox.xendit.fields import Draft, Name, invalid
from ringback.sandbox.xendit.filters import LARGEST_LIMIT, chosen, entry_id, fields
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import COUNTRIES, LARGEST, check_least, check_most, money
from ringback.sandbox.xendit.paging import part_of
from ringback.sandbox.xendit.payment_method_draft import ONE_TIME
from ringback.sandbox.xendit.payment_methods import ACTIVE, ENDED, PAYMENT_METHOD, PaymentMethods
from ringback.sandbox.xendit.payment_request_draft import Opening, RequestDraft, opening
from ringback.sandbox.xendit.payment_v2_bodies import (
    AWAITING_CAPTURE,
    CANCELED,
    DATA_MISSING,
    EXPIRED,
    FAILED,
    PAYMENT,
    PAYMENT_REQUEST,
    PENDING,
    SUCCEEDED,
    WAITING,
    Told,
    embedded,
    old_debit_told,
    payment_body,
    payment_told,
)
from ringback.sandbox.xendit.payment_v2_channels import DIRECT_DEBIT
from ringback.sandbox.xendit.sandbox import Sandbox

REASON = "DECLINED_BY_ISSUER"
DECIDED_AFTER = 2_000
# Direct debits of these amounts fail.
FAILING_AMOUNTS = {
    11_001: "MAX_AMOUNT_LIMIT_ERROR",
    11_002: "INSUFFICIENT_BALANCE",
    11_003: "OTP_DELIVERY_ERROR",
    11_004: "ACCOUNT_ACCESS_BLOCKED",
}
_EVENTS = {
    PENDING: "payment.pending",
    SUCCEEDED: "payment.succeeded",
    FAILED: "payment.failed",
    AWAITING_CAPTURE: "payment.awaiting_capture",
}


class OutcomeDraft(Draft, frozen=True):
    """What becomes of a request."""

    status: Literal["SUCCEEDED", "FAILED", "PENDING", "CANCELED", "EXPIRED"] = "SUCCEEDED"
    failure_code: Name | None = None


class PaymentRequests:
    """Payment requests.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(PAYMENT_REQUEST, self._decide_due)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/payment_requests", self.create),
            Route("GET", "/payment_requests", self.find),
            Route("GET", "/payment_requests/{id}", self.get),
            Route("POST", "/payment_requests/{id}/auth", self.auth),
            Route("POST", "/payment_requests/{id}/auth/resend", self.resend),
            Route("POST", "/payment_requests/{id}/payments/simulate", self.simulate_payment),
            Route("POST", "/sandbox/payment_requests/{id}/simulate", self.simulate),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Ask for a payment."""
        draft = read(call, RequestDraft)
        draft.check()
        change = self._sandbox.change()
        method, told = self._method(change, call, draft)
        entry, begun = self._begin(change, call, draft, method)
        await self._sandbox.commit(change, *told, *begun)
        return Answer(self.shown(entry), 201)

    async def get(self, call: Call) -> Answer:
        """Show a payment request."""
        return Answer(self.shown(self.asked_for(call)))

    async def find(self, call: Call) -> Answer:
        """List payment requests, newest first."""
        filters = fields("id", "reference_id", "customer_id")
        wanted = chosen(call, self._sandbox.ledger.entries(PAYMENT_REQUEST, call.owner), filters)
        part = part_of(call, wanted, entry_id, most=LARGEST_LIMIT)
        return Answer({"data": [self.shown(entry) for entry in part.items], "has_more": part.has_more})

    async def auth(self, call: Call) -> Answer:
        """Pay with the code that the bank has sent to the payer; how that ends is told a moment later."""
        draft = read(call, AuthDraft)
        entry = self._awaiting_code(call)
        draft.check()
        return Answer(self.shown(await self.decide(entry, PENDING)))

    async def resend(self, call: Call) -> Answer:
        """Send the payer another code."""
        return Answer(self.shown(self._awaiting_code(call)))

    async def simulate_payment(self, call: Call) -> Answer:
        """Let the payer pay."""
        entry = self.asked_for(call)
        await self.decide(entry, SUCCEEDED)
        return Answer({"status": PENDING, "message": simulated("payment request", entry.id)})

    async def simulate(self, call: Call) -> Answer:
        """Let a request come to an end, or let its payment begin."""
        draft = read_own(call, OutcomeDraft)
        entry = self.asked_for(call)
        reason = draft.failure_code or REASON
        return Answer(self.shown(await self.decide(entry, draft.status, reason)))

    def asked_for(self, call: Call) -> Entry:
        """Return the payment request that a call's path names.

        Raises:
            Refused: 404 ``DATA_NOT_FOUND``.
        """
        return asked_for(self._sandbox.ledger, call, PAYMENT_REQUEST, DATA_MISSING)

    def shown(self, entry: Entry) -> dict[str, Any]:
        """Return a request as the API shows it: with its payment method as that is now."""
        return entry.body | {"payment_method": embedded(self.method_of(entry).body)}

    def method_of(self, entry: Entry) -> Entry:
        """Return the payment method of a request."""
        method = self._sandbox.ledger.get(PAYMENT_METHOD, entry.hidden["payment_method_id"])
        if method is None:  # methods are never removed
            raise LookupError(entry.id)
        return method

    # --- What happens to a payment request ----------------------------------------------------------------

    async def decide(
        self, entry: Entry, status: str, failure_code: str | None = None, amount: float | None = None
    ) -> Entry:
        """Let a waiting request come to an end, or let its payment begin; tell of it, and return the request.

        Args:
            entry: The request.
            status: ``SUCCEEDED``, ``FAILED``, ``PENDING`` (its payment begins), ``CANCELED`` or ``EXPIRED``.
            failure_code: Why it fails.
            amount: How much is paid, where the request leaves that open.

        Raises:
            Refused: The request does not wait.
        """
        current = self._sandbox.ledger.get(*entry.place) or entry
        self._check_waiting(current, status)
        change = self._sandbox.change()
        if status in {CANCELED, EXPIRED}:
            done = change.update(current, status=status, actions=[], updated=self._sandbox.stamp())
            await self._sandbox.commit(change)
            return done
        manual = current.body["capture_method"] == "MANUAL"
        status = AWAITING_CAPTURE if manual and status == SUCCEEDED else status
        reason = failure_code if status == FAILED else None
        done, told = self._paid(change, current, status, reason, self._due_amount(current, amount))
        await self._sandbox.commit(change, *told)
        return done

    async def _decide_due(self, entry: Entry) -> None:
        reason = None
        if self.method_of(entry).body["type"] == DIRECT_DEBIT:
            reason = FAILING_AMOUNTS.get(entry.body["amount"])
        await self.decide(entry, SUCCEEDED if reason is None else FAILED, reason)

    def _paid(
        self, change: Change, entry: Entry, status: str, reason: str | None, amount: float
    ) -> tuple[Entry, list[Told]]:
        """Let the payment of a request have a status; return the request, and what to tell."""
        method = self.method_of(entry)
        told: list[Told] = []
        if method.body["status"] == PENDING and status != PENDING:
            # The payer agrees to later payments by making this one.
            methods = self._sandbox.product(PaymentMethods)
            outcome = (FAILED, reason) if status == FAILED else (ACTIVE, None)
            method, told = methods.decide(change, method, *outcome)
        payment = self.payment(change, entry, method, status=status, amount=amount, reason=reason)
        begins = status == PENDING
        done = change.replace(
            entry,
            body=entry.body
            | {"status": status, "failure_code": reason, "updated": self._sandbox.stamp()}
            | {"actions": _capture_actions(entry) if status == AWAITING_CAPTURE else []},
            hidden=entry.hidden | {"payment_id": payment.id, "by_code": False},
            due_at=self._sandbox.after(DECIDED_AFTER) if begins else None,
        )
        return done, told + self.payment_news(change, payment, method)

    def payment(
        self,
        change: Change,
        request: Entry,
        method: Entry,
        *,
        status: str,
        amount: float,
        reason: str | None = None,
    ) -> Entry:
        """Return a request's payment with a new status and amount; it is made if need be."""
        outcome: dict[str, Any] = {"status": status, "amount": amount, "failure_code": reason}
        begun = self._sandbox.ledger.get(PAYMENT, request.hidden["payment_id"] or "")
        if begun is None:
            return self.new_payment(change, method, request.body, outcome)
        now = self._sandbox.stamp()
        return change.update(begun, payment_method=embedded(method.body), updated=now, **outcome)

    def new_payment(
        self, change: Change, method: Entry, request: dict[str, Any], outcome: dict[str, Any]
    ) -> Entry:
        """Make a payment.

        Args:
            change: Where to.
            method: What it is made with.
            request: The body of the request that asks for it, or what stands in for one.
            outcome: What differs from a pending one: ``status``, ``amount``, ``failure_code``.
        """
        payment_id = f"py-{self._sandbox.new_uuid()}"
        body = payment_body(payment_id, request, method.body, self._sandbox.stamp())
        return change.add(PAYMENT, payment_id, method.owner, body | outcome)

    def payment_news(self, change: Change, payment: Entry, method: Entry) -> list[Told]:
        """Return what is told of a payment's new status; a method for one use expires with success."""
        status = payment.body["status"]
        told = [payment_told(_EVENTS[status], payment, self._sandbox.stamp())]
        if status in {SUCCEEDED, FAILED}:
            old_id = f"ddpy-{self._sandbox.new_uuid()}"
            told += old_debit_told(payment, old_id, self._sandbox.clock())
        used = status in {SUCCEEDED, AWAITING_CAPTURE} and method.body["reusability"] == ONE_TIME
        if used and method.body["status"] not in ENDED:
            paid_for = payment.body["payment_request_id"]
            told += self._sandbox.product(PaymentMethods).end(change, method, but=paid_for)[1]
        return told

    # --- Parts --------------------------------------------------------------------------------------------

    def _method(self, change: Change, call: Call, draft: RequestDraft) -> tuple[Entry, list[Told]]:
        """Return the payment method that a draft names or describes, and what to tell of it."""
        methods = self._sandbox.product(PaymentMethods)
        if draft.payment_method is not None:
            entry = methods.make(change, call, draft.payment_method, draft)
            return entry, methods.beginning(entry)
        named = draft.payment_method_id or ""
        entry_named = self._sandbox.ledger.get(PAYMENT_METHOD, named, call.owner)
        if entry_named is None:
            message = f"there is no payment method {named[:100]}"
            raise Refused(400, "PAYMENT_METHOD_NOT_FOUND_ERROR", message)
        _check_usable(entry_named, draft)
        return entry_named, []

    def _begin(
        self, change: Change, call: Call, draft: RequestDraft, method: Entry
    ) -> tuple[Entry, list[Told]]:
        draft.check_type(method.body["type"])
        customer_id = self._customer_id(call, draft, method)
        asks = draft.channel_properties is not None and draft.channel_properties.require_auth is True
        begins = opening(method.body, agreed=draft.payment_method_id is not None, asks=asks)
        body = self._new(call, draft, method, begins) | {"customer_id": customer_id}
        payment = self.new_payment(change, method, body, {}) if begins.charges else None
        hidden = {
            "payment_method_id": method.id,
            "payment_id": None if payment is None else payment.id,
            "by_code": begins.code,
            "site": call.site,
            "captured": 0,
            "next_capture": None,
        }
        due_at = None if payment is None else self._sandbox.after(DECIDED_AFTER)
        entry = change.add(PAYMENT_REQUEST, body["id"], call.owner, body, hidden=hidden, due_at=due_at)
        return entry, [] if payment is None else self.payment_news(change, payment, method)

    def _new(self, call: Call, draft: RequestDraft, method: Entry, begins: Opening) -> dict[str, Any]:
        request_id = f"pr-{self._sandbox.new_uuid()}"
        now = self._sandbox.stamp()
        given = draft.given()
        return {
            "id": request_id,
            "created": now,
            "updated": now,
            "reference_id": draft.reference_id or self._sandbox.new_uuid(),
            "business_id": call.owner.business_id,
            "customer_id": None,
            "customer": given.get("customer"),
            **_amounts(draft, method),
            "country": draft.country or COUNTRIES[draft.currency],
            "currency": draft.currency,
            "payment_method": embedded(method.body),
            "description": draft.description,
            "metadata": draft.metadata,
            "capture_method": draft.capture_method or "AUTOMATIC",
            "initiator": draft.initiator,
            "card_verification_results": None,
            "status": begins.status,
            "actions": _actions(call.site, request_id, begins),
            "failure_code": None,
            "channel_properties": given.get("channel_properties"),
            "shipping_information": given.get("shipping_information"),
            "items": draft.items,
        }

    def _customer_id(self, call: Call, draft: RequestDraft, method: Entry) -> str | None:
        owner_id: str | None = method.body["customer_id"]
        self._sandbox.product(Customers).known(call.owner, draft.customer_id)
        if None not in {draft.customer_id, owner_id} and draft.customer_id != owner_id:
            message = f"the payment method belongs to the customer {owner_id}"
            raise Refused(400, "CUSTOMER_PAYMENT_METHOD_MISMATCHED", message)
        return draft.customer_id or owner_id

    def _awaiting_code(self, call: Call) -> Entry:
        entry = self.asked_for(call)
        self._check_waiting(entry, PENDING)
        if not entry.hidden["by_code"]:
            raise Refused(400, "OPERATION_NOT_ALLOWED", "no code was sent for this payment; see its actions")
        return entry

    @staticmethod
    def _check_waiting(entry: Entry, status: str) -> None:
        current = entry.body["status"]
        if current == FAILED:
            raise Refused(409, "PAYMENT_REQUEST_ALREADY_FAILED", "the payment has failed; ask for another")
        if current not in WAITING:
            raise Refused(
                409, "PAYMENT_REQUEST_ALREADY_COMPLETED", f"the payment request is {current} already"
            )
        if entry.hidden["payment_id"] is not None and status not in {SUCCEEDED, FAILED}:
            raise Refused(400, "OPERATION_NOT_ALLOWED", "the payment has begun; it can succeed or fail only")

    def _due_amount(self, entry: Entry, paid: float | None) -> float:
        """Return how much is paid: what the request asks for, or where it leaves that open, what is *paid*."""
        amount: float | None = entry.body["amount"]
        if amount is not None:
            return amount
        method = self.method_of(entry).body
        part = method[method["type"].lower()]
        open_amount: float | None = paid or part["channel_properties"].get("suggested_amount")
        if open_amount is None:
            raise invalid("the request has no amount; pay its payment method, and say how much")
        return open_amount


def simulated(what: str, its_id: str) -> str:
    """Return what the provider's simulate calls say."""
    return f"A payment for the {what} {its_id} is being simulated; its webhook tells how that ends."


def _check_usable(method: Entry, draft: RequestDraft) -> None:
    if method.body["status"] != ACTIVE:
        message = f"the payment method is {method.body['status']}; only one that is ACTIVE can pay"
        raise Refused(400, "INVALID_PAYMENT_METHOD", message)
    if method.hidden["currency"] != draft.currency:
        message = f"the payment method takes {method.hidden['currency']}"
        raise Refused(400, "CURRENCY_MISMATCHED", message)


def _amounts(draft: RequestDraft, method: Entry) -> dict[str, Any]:
    """Return the amounts of a request, which have to agree with those of its payment method."""
    part = method.body[method.body["type"].lower()]
    closed = part.get("amount")
    amount = closed if draft.amount is None else money(draft.amount, draft.currency)
    least, most = part.get("min_amount"), part.get("max_amount")
    if amount is not None:
        check_least(amount, 1, "API_VALIDATION_ERROR")
        check_most(amount, LARGEST, "MAX_AMOUNT_LIMIT_ERROR")
        check_least(amount, least or 0, "AMOUNT_MISMATCHED")
        check_most(amount, most or LARGEST, "AMOUNT_MISMATCHED")
        if closed not in {None, amount}:
            raise Refused(400, "AMOUNT_MISMATCHED", f"the payment method takes {closed} and nothing else")
    return {"amount": amount, "min_amount": least, "max_amount": most}


def _actions(site: str, request_id: str, begins: Opening) -> list[dict[str, Any]]:
    if begins.page:
        return [_action("AUTH", "WEB", "GET", f"{site}/web/{request_id}")]
    if begins.code:
        url = f"{site}/payment_requests/{request_id}/auth"
        return [_action("AUTH", "API", "POST", url), _action("RESEND_AUTH", "API", "POST", f"{url}/resend")]
    return []


def _capture_actions(entry: Entry) -> list[dict[str, Any]]:
    url = f"{entry.hidden['site']}/payment_requests/{entry.id}/captures"
    return [_action("CAPTURE", "API", "POST", url)]


def _action(action: str, url_type: str, method: str, url: str) -> dict[str, Any]:
    return {"action": action, "url_type": url_type, "method": method, "url": url, "qr_code": None}
