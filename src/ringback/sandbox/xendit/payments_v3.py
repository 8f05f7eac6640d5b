"""Payment requests and payments of the v3 API.

Source: docs.xendit.co on the Payments API, version 2024-11-11. A payment request says what is to be paid and how; each
try is a payment. A payer pays on a wallet's page, by transfer or at a till: here the provider's own call for test mode,
``/v3/payment_requests/{id}/simulate``, does it, and ``/sandbox/v3/payment_requests/{id}/simulate`` can also fail to.

Where the sources are silent: a request of one payment expires after a day, an authorization after a week; a simulated
payment takes a second; an authorization may be captured in parts, of which each is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route, read, read_own
from ringback.sandbox.xendit.customers import Customers
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import DAY
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import less, money
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.payment_bodies import EXPIRY_FIELDS, new_payment, new_request
from ringback.sandbox.xendit.payment_channels import CARDS, INVALID_VALUE, payment_channel
from ringback.sandbox.xendit.payment_drafts import (
    LASTS,
    MANUAL,
    REUSABLE,
    SAVE,
    AmountDraft,
    CaptureDraft,
    PaymentOutcomeDraft,
    PaymentRequestDraft,
    Terms,
    terms,
    versioned,
)
from ringback.sandbox.xendit.payment_tokens import INELIGIBLE, MISSING, PaymentTokens
from ringback.sandbox.xendit.sandbox import Sandbox

REQUEST, PAYMENT = "payment_request_v3", "payment_v3"
WAITING, ACCEPTING = "REQUIRES_ACTION", "ACCEPTING_PAYMENTS"
PENDING, AUTHORIZED, SUCCEEDED = "PENDING", "AUTHORIZED", "SUCCEEDED"
FAILED, EXPIRED, CANCELED = "FAILED", "EXPIRED", "CANCELED"
OPEN = frozenset({WAITING, ACCEPTING})
INACTIVE = "INACTIVE_PAYMENT_REQUEST"
SIMULATED_AFTER = 1_000
AUTHORIZED_FOR = 7 * DAY
REASON, TOO_LATE = "INSUFFICIENT_BALANCE", "PAYMENT_REQUEST_EXPIRED"
CARD_REASON = "CARD_DECLINED"

Told = tuple[Owner, Notice]


class PaymentsV3:
    """Payment requests and payments.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(REQUEST, self._expire)
        sandbox.on_due(PAYMENT, self._pass_on)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/v3/payment_requests", versioned(self.create)),
            Route("GET", "/v3/payment_requests/{id}", versioned(self.get)),
            Route("POST", "/v3/payment_requests/{id}/cancel", versioned(self.cancel)),
            Route("POST", "/v3/payment_requests/{id}/simulate", versioned(self.simulate)),
            Route("GET", "/v3/payments/{id}", versioned(self.get_payment)),
            Route("POST", "/v3/payments/{id}/capture", versioned(self.capture)),
            Route("POST", "/v3/payments/{id}/cancel", versioned(self.cancel_payment)),
            Route("POST", "/sandbox/v3/payment_requests/{id}/simulate", self.decide),
        )

    # --- Calls about payment requests ---------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Make a payment request, which waits for its payer, unless a card is charged without 3-D Secure."""
        draft = self._with_token(call, read(call, PaymentRequestDraft))
        asked = terms(draft, call.now, has_token=draft.payment_token_id is not None)
        draft.check_use(asked.channel)
        if asked.channel.code == CARDS:
            self._check_new(call.owner, draft.reference_id)
        change = self._sandbox.change()
        customers = self._sandbox.product(Customers)
        payer = customers.payer(change, call.owner, draft.customer_id, draft.customer)
        request, told = self._requested(change, call, asked.by(payer))
        await self._sandbox.commit(change, *told)
        return Answer(request.body, 201)

    async def get(self, call: Call) -> Answer:
        """Show a payment request."""
        return Answer(asked_for(self._sandbox.ledger, call, REQUEST, MISSING).body)

    async def cancel(self, call: Call) -> Answer:
        """Cancel a payment request that still waits for a payment."""
        request = asked_for(self._sandbox.ledger, call, REQUEST, MISSING)
        if request.body["status"] in {SUCCEEDED, AUTHORIZED}:
            raise _ineligible("payment request", request, "REQUIRES_ACTION or ACCEPTING_PAYMENTS")
        self._open(request)
        now = self._sandbox.stamp()
        change = self._sandbox.change()
        canceled = change.update(request, status=CANCELED, updated=now)
        for payment in self._payments(request, PENDING):
            change.update(payment, status=CANCELED, updated=now)
        await self._sandbox.commit(change)
        return Answer(canceled.body)

    async def simulate(self, call: Call) -> Answer:
        """Let the payer pay in a moment; the webhook says how it ended."""
        draft = read(call, AmountDraft)
        request = self._open(asked_for(self._sandbox.ledger, call, REQUEST, MISSING))
        amount = _amount(request, draft.amount)
        if self._begun(request) is not None:
            raise Refused(
                400, INELIGIBLE, "a payment of this request is being processed; wait for its webhook"
            )
        change = self._sandbox.change()
        due_at = self._sandbox.after(SIMULATED_AFTER)
        self._tried(change, request, amount, status=PENDING, due_at=due_at)
        await self._sandbox.commit(change)
        return Answer(
            {"status": PENDING, "message": f"The payment of {request.id} is simulated; await a webhook"}
        )

    async def decide(self, call: Call) -> Answer:
        """Do what the payer would, at once: pay, or fail to; answers with the payment."""
        draft = read_own(call, PaymentOutcomeDraft)
        request = asked_for(self._sandbox.ledger, call, REQUEST, MISSING)
        if draft.status == SUCCEEDED:
            return Answer((await self.pay(request, draft.amount)).body)
        return Answer((await self.fail(request, draft.failure_code, draft.amount)).body)

    # --- Calls about payments -----------------------------------------------------------------------------

    async def get_payment(self, call: Call) -> Answer:
        """Show a payment."""
        return Answer(asked_for(self._sandbox.ledger, call, PAYMENT, MISSING).body)

    async def capture(self, call: Call) -> Answer:
        """Take an authorized payment: what the call says, or all that is left."""
        draft = read(call, CaptureDraft)
        payment = asked_for(self._sandbox.ledger, call, PAYMENT, MISSING)
        # An authorization that has not ended is the only one that something can still happen to by itself.
        if payment.body["status"] not in {AUTHORIZED, SUCCEEDED} or payment.due_at is None:
            raise _ineligible("payment", payment, AUTHORIZED)
        left = less(
            payment.body["request_amount"], *(one["capture_amount"] for one in payment.body["captures"])
        )
        amount = (
            left if draft.capture_amount is None else money(draft.capture_amount, payment.body["currency"])
        )
        if amount <= 0:
            raise Refused(400, INVALID_VALUE, "capture_amount must be greater than 0")
        if amount > left:
            wrong = f"capture_amount is {amount}, but only {left} of the authorization are left"
            raise Refused(400, "CAPTURE_AMOUNT_EXCEEDED", wrong)
        return Answer((await self._captured(payment, amount, is_last=amount == left)).body)

    async def cancel_payment(self, call: Call) -> Answer:
        """Give an authorization back."""
        payment = asked_for(self._sandbox.ledger, call, PAYMENT, MISSING)
        if payment.body["status"] != AUTHORIZED:
            raise _ineligible("payment", payment, AUTHORIZED)
        change = self._sandbox.change()
        canceled = self._ended(change, payment, CANCELED)
        await self._sandbox.commit(change)
        return Answer(canceled.body)

    # --- What happens to a payment request ----------------------------------------------------------------

    def requested(
        self, change: Change, owner: Owner, asked: Terms[PaymentRequestDraft], *, expires_at: Instant | None
    ) -> Entry:
        """Make a new payment request, whose payer is asked nothing yet, a part of *change*; return it.

        Args:
            change: What it becomes a part of.
            owner: Whose it is.
            asked: What was asked for.
            expires_at: When it expires; None: not by itself.

        Raises:
            Refused: 400; the amount is not good.
        """
        request_id = f"pr-{self._sandbox.new_uuid()}"
        created = self._sandbox.stamp()
        expires = None if expires_at is None else self._sandbox.stamp(expires_at)
        body = new_request(asked, request_id, owner, created=created, expires=expires)
        hidden = {"card_ends_at": asked.card_ends_at}
        return change.add(REQUEST, request_id, owner, body, hidden=hidden, due_at=expires_at)

    def paid(
        self, change: Change, request: Entry, amount: float, payment: Entry | None = None
    ) -> tuple[Entry, Entry, list[Told]]:
        """Make the payment of a request a part of *change*.

        Args:
            change: What it becomes a part of.
            request: The request, which must be open.
            amount: How much is paid.
            payment: The payment, if it has begun already.

        Returns:
            The request, the payment, and what to tell.
        """
        told: list[Told] = []
        fields: dict[str, Any] = {}
        if request.body["type"] == SAVE:
            token, activated = self._sandbox.product(PaymentTokens).saved(
                change, request.owner, request.body, request.hidden["card_ends_at"]
            )
            told.append(activated)
            fields = {"payment_token_id": token.id}
        manual = request.body.get("capture_method") == MANUAL
        status = AUTHORIZED if manual else SUCCEEDED
        captures = [] if manual else [self._capture(amount)]
        channel = payment_channel(request.body["channel_code"], request.body["currency"])
        request, payment = self._tried(
            change,
            request,
            amount,
            payment=payment,
            due_at=self._sandbox.after(AUTHORIZED_FOR) if manual else None,
            status=status,
            captures=captures,
            payment_details=channel.details(self._sandbox.chance),
            **fields,
        )
        event = "payment.authorization" if manual else "payment.capture"
        return request, payment, [self._told(event, payment), *told]

    async def pay(self, entry: Entry, amount: float | None = None) -> Entry:
        """Let an open request be paid at once, and tell of it.

        Args:
            entry: The request.
            amount: How much, which a code without an amount of its own needs.

        Returns:
            The payment.

        Raises:
            Refused: The request is not open, or not for that amount.
        """
        request = self._open(entry)
        change = self._sandbox.change()
        _, payment, told = self.paid(change, request, _amount(request, amount), self._begun(request))
        await self._sandbox.commit(change, *told)
        return payment

    async def fail(self, entry: Entry, failure_code: str | None = None, amount: float | None = None) -> Entry:
        """Let a payment of an open request fail, and tell of it; as ``pay``."""
        request = self._open(entry)
        change = self._sandbox.change()
        payment, told = self.failed(change, request, _amount(request, amount), failure_code)
        await self._sandbox.commit(change, told)
        return payment

    def failed(
        self, change: Change, request: Entry, amount: float, failure_code: str | None = None
    ) -> tuple[Entry, Told]:
        """Make a payment that fails a part of *change*; return it and what to tell."""
        begun = self._begun(request)
        code = failure_code or (CARD_REASON if request.body["channel_code"] == CARDS else REASON)
        _, payment = self._tried(change, request, amount, payment=begun, status=FAILED, failure_code=code)
        return payment, self._told("payment.failure", payment)

    # --- What happens by itself ---------------------------------------------------------------------------

    async def _expire(self, request: Entry) -> None:
        change = self._sandbox.change()
        expired = change.update(request, status=EXPIRED, actions=[], updated=self._sandbox.stamp())
        event = "payment_request.expiry"
        data = {name: value for name, value in expired.body.items() if name in EXPIRY_FIELDS}
        body = envelope(event, expired.owner, self._sandbox.stamp(), data, api_version="v3")
        notice = Notice(event=event, product="Payment request v3", product_id=expired.id, body=body)
        await self._sandbox.commit(change, (expired.owner, notice))

    async def _pass_on(self, payment: Entry) -> None:
        change = self._sandbox.change()
        told: list[Told] = []
        match payment.body["status"]:
            case "PENDING":
                told = self._completed(change, payment)
            case "AUTHORIZED":
                told = [self._told("payment.expiry", self._ended(change, payment, EXPIRED))]
            case _:
                change.replace(payment, due_at=None)  # what was not captured is given back
        await self._sandbox.commit(change, *told)

    def _completed(self, change: Change, payment: Entry) -> list[Told]:
        """Let a simulated payment arrive: at a request that has expired meanwhile, it fails."""
        request = self._request_of(payment)
        if request.body["status"] in OPEN:
            return self.paid(change, request, payment.body["request_amount"], payment)[2]
        now = self._sandbox.stamp()
        late = change.update(payment, status=FAILED, failure_code=TOO_LATE, updated=now)
        return [self._told("payment.failure", late)]

    def _ended(self, change: Change, payment: Entry, status: str) -> Entry:
        """End an authorization together with its request."""
        now = self._sandbox.stamp()
        change.update(self._request_of(payment), status=status, updated=now)
        return change.update(payment, status=status, updated=now)

    # --- Parts --------------------------------------------------------------------------------------------

    def _requested(
        self, change: Change, call: Call, asked: Terms[PaymentRequestDraft]
    ) -> tuple[Entry, list[Told]]:
        """Make a payment request a part of *change*, paid if its payer is not asked; return it and what to tell."""
        expires_at = asked.draft.expires_at(asked.known, call.now, self._sandbox.after(LASTS))
        request = self.requested(change, call.owner, asked, expires_at=expires_at)
        if not asked.needs_payer:
            paid, _, told = self.paid(change, request, request.body["request_amount"])
            return paid, told
        page = f"{call.site}/web/{request.id}"
        action = asked.channel.action(request.body["channel_properties"], page, self._sandbox.chance)
        return change.update(request, due_at=expires_at, actions=[action]), []

    def _with_token(self, call: Call, draft: PaymentRequestDraft) -> PaymentRequestDraft:
        """Return a draft with the channel of the token that it names."""
        if draft.payment_token_id is None:
            return draft
        token = self._sandbox.product(PaymentTokens).usable(call, draft.payment_token_id).body
        given = (draft.channel_code or token["channel_code"], draft.currency)
        if given != (token["channel_code"], token["currency"]):
            saved = f"{token['channel_code']} in {token['currency']}"
            raise Refused(400, INVALID_VALUE, f"the payment token is one of {saved}")
        return draft.by(token)

    def _check_new(self, owner: Owner, reference_id: str) -> None:
        same = self._sandbox.ledger.entries(REQUEST, owner, reference_id=reference_id, channel_code=CARDS)
        if same:
            wrong = f"there is a card payment with reference_id {reference_id[:100]}; use another one"
            raise Refused(409, "DUPLICATE_ERROR", wrong)

    def _tried(
        self,
        change: Change,
        request: Entry,
        amount: float,
        *,
        payment: Entry | None = None,
        due_at: Instant | None = None,
        **fields: Any,
    ) -> tuple[Entry, Entry]:
        """Make a try to pay, and what it means for its request, a part of *change*; return both."""
        now = self._sandbox.stamp()
        if payment is None:
            payment_id = f"py-{self._sandbox.new_uuid()}"
            body = new_payment(request.body, payment_id, amount, now) | fields
            tried = change.add(PAYMENT, payment_id, request.owner, body, due_at=due_at)
        else:
            tried = change.update(payment, due_at=due_at, updated=now, **fields)
        status = fields["status"]
        body = {"latest_payment_id": tried.id, "updated": now}
        if status == PENDING or request.body["type"] == REUSABLE:
            return change.update(request, due_at=request.due_at, **body), tried
        kept = {name: fields[name] for name in ("failure_code", "payment_token_id") if name in fields}
        return change.update(request, status=status, actions=[], **body, **kept), tried

    async def _captured(self, payment: Entry, amount: float, *, is_last: bool) -> Entry:
        now = self._sandbox.stamp()
        captures = [*payment.body["captures"], self._capture(amount)]
        change = self._sandbox.change()
        due_at = None if is_last else payment.due_at
        done = change.update(payment, due_at=due_at, status=SUCCEEDED, captures=captures, updated=now)
        change.update(self._request_of(payment), status=SUCCEEDED, updated=now)
        await self._sandbox.commit(change, self._told("payment.capture", done))
        return done

    def _capture(self, amount: float) -> dict[str, Any]:
        return {
            "capture_id": f"cptr-{self._sandbox.new_uuid()}",
            "capture_amount": amount,
            "capture_timestamp": self._sandbox.stamp(),
        }

    def _told(self, event: str, payment: Entry) -> Told:
        body = envelope(event, payment.owner, self._sandbox.stamp(), payment.body, api_version="v3")
        # The log lists what is told of a payment under its request.
        request_id = payment.body["payment_request_id"]
        return payment.owner, Notice(event=event, product="Payment v3", product_id=request_id, body=body)

    def _payments(self, request: Entry, status: str) -> list[Entry]:
        wanted = {"payment_request_id": request.id, "status": status}
        return self._sandbox.ledger.entries(PAYMENT, request.owner, **wanted)

    def _begun(self, request: Entry) -> Entry | None:
        """Return the payment under way of a request that takes one; None without, and for codes, which take many."""
        begun = [] if request.body["type"] == REUSABLE else self._payments(request, PENDING)
        return next(iter(begun), None)

    def _request_of(self, payment: Entry) -> Entry:
        return self._sandbox.ledger.at(REQUEST, payment.body["payment_request_id"])

    def _open(self, entry: Entry) -> Entry:
        """Return a payment request as it is now, which must wait for a payment."""
        current = self._sandbox.ledger.get(*entry.place) or entry
        if current.body["status"] not in OPEN:
            status = current.body["status"]
            raise Refused(400, INACTIVE, f"the payment request is {status} already; make a new one")
        return current


def _amount(request: Entry, given: float | None) -> int | float:
    """Return what is paid: the amount of the request, or the one given for a code without."""
    own: int | float | None = request.body.get("request_amount")
    paid = own if given is None else money(given, request.body["currency"])
    if paid is None or paid <= 0:
        raise Refused(400, INVALID_VALUE, "amount is missing: this payment code can be paid with any")
    if own is not None and paid != own:
        raise Refused(400, INVALID_VALUE, f"the payment request is for {own}, not {paid}")
    return paid


def _ineligible(kind: str, entry: Entry, needed: str) -> Refused:
    return Refused(400, INELIGIBLE, f"the {kind} is {entry.body['status']}; this needs {needed}")
