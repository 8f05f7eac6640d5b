"""Fixed payment codes: said at the till of a retail outlet, where they are paid in cash.

Sources: docs.xendit.co on fixed payment codes, the older SDKs' types, and public receivers of the webhook. The
``regional_ro_paid`` webhook of the Philippines is not known and not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read
from ringback.sandbox.xendit.channels import channels_by, payment_code
from ringback.sandbox.xendit.fields import DAY, Draft, Name, invalid, later
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.lookup import asked_for, missing
from ringback.sandbox.xendit.money import Amount, check_least, check_most, money
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.sandbox import Sandbox

CODE, PAYMENT = "fixed_payment_code", "fixed_payment_code_payment"
MISSING = "FIXED_PAYMENT_CODE_NOT_FOUND_ERROR"
ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
PREFIX = "TEST"
LONGEST = 31 * 365 * DAY
LEAST = 10_000
MOST = {"ALFAMART": 2_500_000, "INDOMARET": 5_000_000}

Code = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,20}$")]


class CodeDraft(Draft, frozen=True):
    """A code to be made."""

    external_id: Name
    retail_outlet_name: Name
    name: Name
    expected_amount: Amount
    payment_code: Code | None = None
    expiration_date: Name | None = None
    is_single_use: bool | None = None


class CodeUpdate(Draft, frozen=True):
    """What is to change of a code."""

    name: Name | None = None
    expected_amount: Amount | None = None
    expiration_date: Name | None = None


class CashDraft(Draft, frozen=True):
    """Somebody pays at the till."""

    retail_outlet_name: Name
    payment_code: Name
    transfer_amount: Amount


class RetailOutlets:
    """Fixed payment codes.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(CODE, self._end)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/fixed_payment_code", self.create),
            Route("POST", "/fixed_payment_code/simulate_payment", self.simulate),
            Route("GET", "/fixed_payment_code/{id}", self.get),
            Route("PATCH", "/fixed_payment_code/{id}", self.update),
        )

    async def create(self, call: Call) -> Answer:
        """Make a code, which can be paid at once."""
        draft = read(call, CodeDraft)
        outlet = draft.retail_outlet_name
        if outlet not in channels_by("RETAIL_OUTLET", "IDR"):
            raise Refused(400, "RETAIL_OUTLET_NOT_SUPPORTED_ERROR", f"there is no outlet {outlet[:100]}")
        amount = _expected(draft.expected_amount, outlet)
        expires_at = self._expiration(draft.expiration_date)
        body: dict[str, Any] = {
            "id": self._sandbox.new_hex(),
            "owner_id": call.owner.business_id,
            "external_id": draft.external_id,
            "retail_outlet_name": outlet,
            "prefix": PREFIX,
            "name": draft.name,
            "payment_code": self._code(draft),
            "type": "USER",
            "expected_amount": amount,
            "is_single_use": bool(draft.is_single_use),
            "expiration_date": self._sandbox.stamp(expires_at),
            "status": ACTIVE,
        }
        change = self._sandbox.change()
        change.add(CODE, body["id"], call.owner, body, due_at=expires_at)
        await self._sandbox.commit(change)
        return Answer(body)

    async def get(self, call: Call) -> Answer:
        """Show a code."""
        return Answer(asked_for(self._sandbox.ledger, call, CODE, MISSING).body)

    async def update(self, call: Call) -> Answer:
        """Change a code that can still be paid."""
        draft = read(call, CodeUpdate)
        entry = asked_for(self._sandbox.ledger, call, CODE, MISSING)
        if entry.body["status"] == INACTIVE:
            raise _inactive()
        changed: dict[str, Any] = draft.given()
        due_at = entry.due_at
        if draft.expected_amount is not None:
            changed["expected_amount"] = _expected(draft.expected_amount, entry.body["retail_outlet_name"])
        if draft.expiration_date is not None:
            due_at = self._expiration(draft.expiration_date)
            changed["expiration_date"] = self._sandbox.stamp(due_at)
        change = self._sandbox.change()
        updated = change.update(entry, due_at=due_at, **changed)
        await self._sandbox.commit(change)
        return Answer(updated.body)

    async def simulate(self, call: Call) -> Answer:
        """Let somebody pay a code at the till."""
        draft = read(call, CashDraft)
        entry = self._payable(call, draft)
        await self.pay(entry, draft.transfer_amount)
        message = (
            f"Payment for the Fixed payment code {draft.payment_code} is currently being processed. "
            "Please ensure that you have set a callback URL for retail outlet payments via the dashboard settings."
        )
        return Answer({"status": "COMPLETED", "message": message})

    async def pay(self, entry: Entry, amount: float) -> None:
        """Let somebody pay a code, and tell of it.

        Raises:
            Refused: The code cannot be paid any more, or by another amount only.
        """
        code = entry.body
        if code["status"] == INACTIVE:
            raise _inactive()
        if amount != code["expected_amount"]:
            raise invalid(f"the till asks for {code['expected_amount']}")
        change = self._sandbox.change()
        if code["is_single_use"]:
            change.update(entry, status=INACTIVE)
        else:
            change.replace(entry)
        body = self._payment(code)
        change.add(PAYMENT, body["fixed_payment_code_payment_id"], entry.owner, body)
        notice = Notice(event="fpc.paid", product="Retail outlet", product_id=entry.id, body=body)
        await self._sandbox.commit(change, (entry.owner, notice))

    async def _end(self, entry: Entry) -> None:
        change = self._sandbox.change()
        change.update(entry, status=INACTIVE)
        await self._sandbox.commit(change)

    def _payment(self, code: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self._sandbox.new_hex(),
            "external_id": code["external_id"],
            "prefix": code["prefix"],
            "payment_code": code["payment_code"],
            "retail_outlet_name": code["retail_outlet_name"],
            "name": code["name"],
            "amount": code["expected_amount"],
            "status": "COMPLETED",
            "transaction_timestamp": self._sandbox.stamp(),
            "payment_id": self._sandbox.new_digits(13),
            "fixed_payment_code_payment_id": self._sandbox.new_hex(),
            "fixed_payment_code_id": code["id"],
            "owner_id": code["owner_id"],
        }

    def _code(self, draft: CodeDraft) -> str:
        if draft.payment_code is None:
            return payment_code(PREFIX, self._sandbox.chance)
        code = PREFIX + draft.payment_code
        outlet = draft.retail_outlet_name
        if self._sandbox.ledger.entries(CODE, payment_code=code, retail_outlet_name=outlet, status=ACTIVE):
            raise Refused(400, "DUPLICATE_PAYMENT_CODE_ERROR", f"the payment code {code} is taken")
        return code

    def _expiration(self, text: str | None) -> int:
        now = self._sandbox.clock()
        if text is None:
            return now + LONGEST
        return later(
            text, "expiration_date", now, at_most=now + LONGEST, code="EXPIRATION_DATE_INVALID_ERROR"
        )

    def _payable(self, call: Call, draft: CashDraft) -> Entry:
        found = self._sandbox.ledger.entries(
            CODE,
            call.owner,
            payment_code=draft.payment_code,
            retail_outlet_name=draft.retail_outlet_name,
        )
        if not found:
            raise missing(CODE, MISSING, draft.payment_code)
        return found[0]


def _expected(amount: float, outlet: str) -> int | float:
    expected = money(amount, "IDR")
    check_least(expected, LEAST, "MINIMUM_EXPECTED_AMOUNT_ERROR")
    check_most(expected, MOST[outlet], "MAXIMUM_EXPECTED_AMOUNT_ERROR")
    return expected


def _inactive() -> Refused:
    return Refused(400, "INACTIVE_FIXED_PAYMENT_CODE_ERROR", "the payment code cannot be paid any more")
