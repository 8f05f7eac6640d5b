"""Payment methods, version 2: virtual accounts, codes, wallets, cards and bank accounts that payments are made with.

Sources: xendit-python 7 for paths, fields and error codes; the catalogue for the webhooks; docs.xendit.co for the older
expiry notices of direct debit. What is shown to a payer (accounts, codes) is ``ACTIVE`` at once. What is asked for
money is so at once for one use; for several uses the payer first has to agree: on a page, or by a code from the bank.
``/sandbox/payment_methods/{id}/simulate`` does what the payer would. Not documented, and done plainly: when a method
ends that is given no end (accounts and counter codes after 31 years, QR codes after two days, cards with their month),
and that the older notices of an end are told of direct debits that belong to a customer, the warning 30 days ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ringback.model import Instant
from ringback.sandbox.xendit.auth_codes import AuthDraft
from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.customers import Customers
from ringback.sandbox.xendit.fields import DAY, Draft, Name, invalid, later, moment
from ringback.sandbox.xendit.filters import LARGEST_LIMIT, chosen, entry_id, fields, some_of
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.money import COUNTRIES, money
from ringback.sandbox.xendit.paging import part_of
from ringback.sandbox.xendit.payment_method_body import (
    DEBIT_CARD,
    card_end,
    method_told,
    old_end_told,
    part_body,
)
from ringback.sandbox.xendit.payment_method_draft import (
    MULTIPLE,
    ONE_TIME,
    MethodChange,
    MethodDraft,
    check_amounts,
)
from ringback.sandbox.xendit.payment_request_draft import RequestDraft
from ringback.sandbox.xendit.payment_v2_bodies import DATA_MISSING, PAYMENT_REQUEST, WAITING, Told
from ringback.sandbox.xendit.payment_v2_channels import CARD, DIRECT_DEBIT, QR_CODE, SHOWN, TYPES
from ringback.sandbox.xendit.sandbox import Sandbox

PAYMENT_METHOD = "payment_method"
ACTIVE, INACTIVE, PENDING = "ACTIVE", "INACTIVE", "PENDING"
REQUIRES_ACTION, FAILED, EXPIRED = "REQUIRES_ACTION", "FAILED", "EXPIRED"
STATUSES = (ACTIVE, EXPIRED, FAILED, INACTIVE, PENDING, REQUIRES_ACTION)
ENDED = frozenset({FAILED, EXPIRED})
LONGEST = 31 * 365 * DAY
QR_LASTS = 2 * DAY
WARNED_BEFORE = 30 * DAY
REASON = "AUTHENTICATION_FAILED"
_NUMBERS = {"VIRTUAL_ACCOUNT": "virtual_account_number", "OVER_THE_COUNTER": "payment_code"}


class OutcomeDraft(Draft, frozen=True):
    """What a payer does who is asked to agree."""

    status: Literal["ACTIVE", "FAILED"] = "ACTIVE"
    failure_code: Name | None = None


class PaymentMethods:
    """Payment methods.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(PAYMENT_METHOD, self._age)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/v2/payment_methods", self.create),
            Route("GET", "/v2/payment_methods", self.find),
            Route("GET", "/v2/payment_methods/{id}", self.get),
            Route("PATCH", "/v2/payment_methods/{id}", self.update),
            Route("POST", "/v2/payment_methods/{id}/expire", self.expire),
            Route("POST", "/v2/payment_methods/{id}/auth", self.auth),
            Route("POST", "/sandbox/payment_methods/{id}/simulate", self.simulate),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Make a payment method."""
        change = self._sandbox.change()
        entry = self.make(change, call, read(call, MethodDraft))
        await self._sandbox.commit(change, *self.beginning(entry))
        return Answer(entry.body, 201)

    async def get(self, call: Call) -> Answer:
        """Show a payment method."""
        return Answer(self.asked_for(call).body)

    async def find(self, call: Call) -> Answer:
        """List payment methods, newest first."""
        some_of(call, "type", TYPES, "PAYMENT_METHOD_TYPE_INVALID")
        some_of(call, "status", STATUSES, "PAYMENT_METHOD_STATUS_INVALID")
        some_of(call, "reusability", (ONE_TIME, MULTIPLE), "PAYMENT_METHOD_REUSABILITY_INVALID")
        filters = fields("id", "type", "status", "reusability", "customer_id", "reference_id")
        wanted = chosen(call, self._sandbox.ledger.entries(PAYMENT_METHOD, call.owner), filters)
        part = part_of(call, wanted, entry_id, most=LARGEST_LIMIT)
        return Answer({"data": [entry.body for entry in part.items], "has_more": part.has_more})

    async def update(self, call: Call) -> Answer:
        """Change a payment method that has not ended."""
        draft = read(call, MethodChange)
        entry = self.asked_for(call)
        if entry.body["status"] in ENDED:
            raise _ended(entry)
        if draft.status is not None and entry.body["status"] not in {ACTIVE, INACTIVE}:
            raise _not_allowed("it is not active yet; its payer has to agree first")
        changed, expires_at = self._changed(draft, entry)
        change = self._sandbox.change()
        updated = change.replace(
            entry,
            body=entry.body | changed | {"updated": self._sandbox.stamp()},
            hidden=entry.hidden | {"expires_at": expires_at},
            due_at=entry.due_at if expires_at == entry.hidden["expires_at"] else expires_at,
        )
        await self._sandbox.commit(change)
        return Answer(updated.body)

    async def expire(self, call: Call) -> Answer:
        """End a payment method now."""
        entry = self.asked_for(call)
        if entry.body["status"] in ENDED:
            raise _ended(entry)
        change = self._sandbox.change()
        ended, told = self.end(change, entry)
        await self._sandbox.commit(change, *told)
        return Answer(ended.body)

    async def auth(self, call: Call) -> Answer:
        """Agree with the code that the bank has sent to the payer."""
        draft = read(call, AuthDraft)
        entry = self._undecided(self.asked_for(call))
        if not entry.hidden["by_code"]:
            raise _not_allowed("its payer agrees on a page, not by a code; see its actions")
        draft.check()
        return Answer((await self.answer(entry, ACTIVE)).body)

    async def simulate(self, call: Call) -> Answer:
        """Do what the payer would: agree, or not."""
        draft = read_own(call, OutcomeDraft)
        entry = self.asked_for(call)
        return Answer((await self.answer(entry, draft.status, draft.failure_code)).body)

    def asked_for(self, call: Call) -> Entry:
        """Return the payment method that a call's path names.

        Raises:
            Refused: 404 ``DATA_NOT_FOUND``.
        """
        return asked_for(self._sandbox.ledger, call, PAYMENT_METHOD, DATA_MISSING)

    # --- For payment requests -----------------------------------------------------------------------------

    def make(
        self, change: Change, call: Call, draft: MethodDraft, request: RequestDraft | None = None
    ) -> Entry:
        """Make a payment method; ``beginning`` returns what to tell of it.

        Args:
            change: Where to.
            call: Who asks.
            draft: What for.
            request: The payment that is made with it at once: an account or a code takes its amount, and a payer who
                has to agree to later payments does so by paying this one.

        Raises:
            Refused: 400 with the provider's code: there cannot be such a method.
        """
        draft.check()
        customer = self._sandbox.product(Customers).known(call.owner, draft.customer_id)
        currency = draft.currency(None if request is None else request.currency)
        expires_at = self._expiration(draft)
        part = part_body(self._sandbox, draft.part(), currency, expires_at)
        if request is not None and draft.type in SHOWN and _is_open(part):
            part["amount"] = None if request.amount is None else money(request.amount, currency)
        self._check_free(draft, part)
        asks = draft.reusability == MULTIPLE and draft.type not in SHOWN and not _is_simple_card(draft, part)
        by_code = draft.type == DIRECT_DEBIT and part["type"] == DEBIT_CARD
        warns = draft.type == DIRECT_DEBIT and customer is not None and expires_at is not None
        body = self._new(call, draft, currency, part)
        body["status"] = (REQUIRES_ACTION if request is None else PENDING) if asks else ACTIVE
        body["actions"] = _actions(call.site, body["id"], by_code=by_code) if asks and request is None else []
        hidden = {"currency": currency, "expires_at": expires_at, "by_code": by_code, "warns": warns}
        due_at = expires_at - WARNED_BEFORE if warns and expires_at is not None else expires_at
        return change.add(PAYMENT_METHOD, body["id"], call.owner, body, hidden=hidden, due_at=due_at)

    def beginning(self, entry: Entry) -> list[Told]:
        """Return what is told of a new payment method, or of one that has been agreed to."""
        told = {ACTIVE: "payment_method.activated", FAILED: "payment_method.failed"}.get(entry.body["status"])
        return [] if told is None else [method_told(told, entry, self._sandbox.stamp())]

    def decide(
        self, change: Change, entry: Entry, status: str, failure_code: str | None = None
    ) -> tuple[Entry, list[Told]]:
        """Let a method that its payer was asked about become active or fail; return it, and what to tell."""
        decided = change.update(
            entry,
            due_at=entry.due_at if status == ACTIVE else None,
            status=status,
            failure_code=failure_code,
            actions=[],
            updated=self._sandbox.stamp(),
        )
        return decided, self.beginning(decided)

    def end(self, change: Change, entry: Entry, *, but: str | None = None) -> tuple[Entry, list[Told]]:
        """Let a method expire, and the requests that wait for its payer; return it, and what to tell.

        Args:
            change: Where to.
            entry: The method.
            but: The id of a request that has just been paid with it.
        """
        now = self._sandbox.stamp()
        ended = change.update(entry, status=EXPIRED, actions=[], updated=now)
        for request in self._sandbox.ledger.entries(PAYMENT_REQUEST, entry.owner):
            if request.hidden["payment_method_id"] == entry.id and request.id != but and _waits(request):
                change.update(request, status=EXPIRED, actions=[], updated=now)
        told = [method_told("payment_method.expired", ended, now)]
        if entry.body["type"] == DIRECT_DEBIT and entry.body["customer_id"] is not None:
            told.append(old_end_told("payment_method.expiry.expired", ended, self._sandbox.clock()))
        return ended, told

    # --- What happens to a payment method -----------------------------------------------------------------

    async def answer(self, entry: Entry, status: str, failure_code: str | None = None) -> Entry:
        """Let the payer of a method agree or not, and tell of it; return the method.

        Args:
            entry: The method.
            status: ``ACTIVE`` or ``FAILED``.
            failure_code: Why it fails.

        Raises:
            Refused: Its payer was not asked, or has answered already.
        """
        current = self._undecided(self._sandbox.ledger.get(*entry.place) or entry)
        reason = (failure_code or REASON) if status == FAILED else None
        change = self._sandbox.change()
        decided, told = self.decide(change, current, status, reason)
        await self._sandbox.commit(change, *told)
        return decided

    async def _age(self, entry: Entry) -> None:
        """Warn of a method's end, or let it end."""
        now = self._sandbox.clock()
        expires_at: Instant = entry.hidden["expires_at"]
        change = self._sandbox.change()
        if now < expires_at:
            warned = change.replace(entry, hidden=entry.hidden | {"warns": False}, due_at=expires_at)
            told = [old_end_told("payment_method.expiry.expiring", warned, now)]
        else:
            _, told = self.end(change, entry)
        await self._sandbox.commit(change, *told)

    @staticmethod
    def _undecided(entry: Entry) -> Entry:
        status = entry.body["status"]
        if status == REQUIRES_ACTION:
            return entry
        if status == FAILED:
            raise Refused(409, "PAYMENT_METHOD_ALREADY_FAILED", "the payment method has failed; make another")
        if status == PENDING:
            raise _not_allowed("its payer agrees by paying the payment request that made it")
        raise Refused(409, "PAYMENT_METHOD_ALREADY_ACTIVE", f"the payment method is {status}")

    # --- Parts --------------------------------------------------------------------------------------------

    def _new(self, call: Call, draft: MethodDraft, currency: str, part: dict[str, Any]) -> dict[str, Any]:
        now = self._sandbox.stamp()
        parts = {kind.lower(): part if kind == draft.type else None for kind in TYPES}
        return {
            "id": f"pm-{self._sandbox.new_uuid()}",
            "business_id": call.owner.business_id,
            "type": draft.type,
            "country": draft.country or COUNTRIES[currency],
            "customer_id": draft.customer_id,
            "customer": None,
            "reference_id": draft.reference_id or self._sandbox.new_uuid(),
            "description": draft.description,
            "status": ACTIVE,
            "reusability": draft.reusability,
            "actions": [],
            "metadata": draft.metadata,
            "billing_information": draft.billing_information,
            "failure_code": None,
            "created": now,
            "updated": now,
            **parts,
        }

    def _expiration(self, draft: MethodDraft) -> Instant | None:
        now = self._sandbox.clock()
        part = draft.part()
        stated = getattr(part.channel_properties, "expires_at", None)
        if stated is not None:
            return self._later(stated)
        if draft.type in SHOWN:
            return now + (QR_LASTS if draft.type == QR_CODE else LONGEST)
        end = card_end(part)
        if end is not None and end <= now:
            raise Refused(400, "EXPIRED_CARD", "the card's month has passed; use one that can still be used")
        return end

    def _later(self, text: str) -> Instant:
        now = self._sandbox.clock()
        return later(text, "expires_at", now, at_most=now + LONGEST)

    def _changed(self, draft: MethodChange, entry: Entry) -> tuple[dict[str, Any], Instant | None]:
        """Return the fields that an update changes, and when the method ends after it."""
        changed = draft.given()
        name = entry.body["type"].lower()
        others = [other for other in ("over_the_counter", "virtual_account") if other in changed]
        if others not in ([], [name]):
            raise invalid(f"a payment method of the type {entry.body['type']} has no {others[0]}")
        if name not in changed:
            return changed, entry.hidden["expires_at"]
        part = self._part(entry.body[name], changed[name], entry.hidden["currency"])
        text = part["channel_properties"]["expires_at"]
        expires_at = moment(text, "expires_at")
        return changed | {name: part}, expires_at

    def _part(self, old: dict[str, Any], given: dict[str, Any], currency: str) -> dict[str, Any]:
        amounts = {key: money(value, currency) for key, value in given.items() if key.endswith("amount")}
        properties = dict(given.get("channel_properties", {}))
        if "expires_at" in properties:
            properties["expires_at"] = self._sandbox.stamp(self._later(properties["expires_at"]))
        if "suggested_amount" in properties:
            properties["suggested_amount"] = money(properties["suggested_amount"], currency)
        part = old | amounts | {"channel_properties": old["channel_properties"] | properties}
        check_amounts(part)
        return part

    def _check_free(self, draft: MethodDraft, part: dict[str, Any]) -> None:
        """Check that a number which a caller has chosen leads to one active method only."""
        name = _NUMBERS.get(draft.type)
        if name is None or getattr(draft.part().channel_properties, name) is None:
            return
        kind = draft.type.lower()
        for entry in self._sandbox.ledger.entries(PAYMENT_METHOD, type=draft.type):
            other = entry.body[kind]
            same = (
                other["channel_code"] == part["channel_code"]
                and other["channel_properties"][name] == part["channel_properties"][name]
            )
            if same and entry.body["status"] not in ENDED:
                raise Refused(
                    400,
                    "DUPLICATED_FIXED_PAYMENT_INSTRUMENT",
                    f"the {name} is taken by another payment method",
                )


def _is_simple_card(draft: MethodDraft, part: dict[str, Any]) -> bool:
    """Tell whether a card is kept without its owner being asked."""
    return draft.type == CARD and part["channel_properties"]["skip_three_d_secure"] is True


def _is_open(part: dict[str, Any]) -> bool:
    """Tell whether an account or a code takes any amount."""
    return all(part.get(name) is None for name in ("amount", "min_amount", "max_amount"))


def _waits(request: Entry) -> bool:
    """Tell whether a payment request's payer has not done anything yet."""
    return request.body["status"] in WAITING and request.hidden["payment_id"] is None


def _actions(site: str, method_id: str, *, by_code: bool) -> list[dict[str, Any]]:
    """Return how a payer agrees."""
    if by_code:
        url = f"{site}/v2/payment_methods/{method_id}/auth"
        return [{"action": "AUTH", "method": "POST", "url": url, "url_type": "API"}]
    return [{"action": "AUTH", "method": "GET", "url": f"{site}/web/{method_id}", "url_type": "WEB"}]


def _ended(entry: Entry) -> Refused:
    message = f"the payment method is {entry.body['status']}, which is final; make another"
    return Refused(400, "INACTIVE_PAYMENT_METHOD", message)


def _not_allowed(why: str) -> Refused:
    return Refused(400, "OPERATION_NOT_ALLOWED", f"the payment method cannot do that: {why}")
