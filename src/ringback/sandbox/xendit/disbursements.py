"""Disbursements, one by one: the older way to send money, to Indonesian banks and wallets.

Sources: docs.xendit.co on disbursements and their test scenarios, the older SDKs, and answers recorded by a public
client. In test mode some account numbers at Mandiri stand for failures; the provider asks for certain names with
them, too, which here do not matter. ``/sandbox/disbursements/{id}/simulate`` ends one otherwise. Those in Philippine
pesos are not known well enough: the slot ``ph_disbursement`` gets nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta

from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.course import Course, Stages
from ringback.sandbox.xendit.fields import Draft, Name, Recipients, Text, invalid
from ringback.sandbox.xendit.lookup import asked_for, missing
from ringback.sandbox.xendit.money import Amount, check_least, check_most, money
from ringback.sandbox.xendit.outgoing import DISBURSEMENT, Fate
from ringback.sandbox.xendit.payout_channels import BANKS, WALLETS
from ringback.sandbox.xendit.sandbox import Sandbox

MISSING = "DIRECT_DISBURSEMENT_NOT_FOUND_ERROR"
REUSED = "DUPLICATE_TRANSACTION_ERROR"
LEAST, MOST = 10_000, 1_999_999_999_999
BCA_DIGITS = 10
STAGES = Stages(
    first="PENDING",
    done="COMPLETED",
    events={"COMPLETED": "disbursement.completed", "FAILED": "disbursement.failed"},
)
FailureCode = Literal[
    "INSUFFICIENT_BALANCE",
    "INVALID_DESTINATION",
    "REJECTED_BY_BANK",
    "SWITCHING_NETWORK_ERROR",
    "TEMPORARY_BANK_NETWORK_ERROR",
    "TEMPORARY_TRANSFER_ERROR",
    "TRANSFER_ERROR",
    "UNKNOWN_BANK_NETWORK_ERROR",
]
# What account numbers at Mandiri stand for in test mode.
_FAILURES = {
    "7654321": "INVALID_DESTINATION",
    "12121212": "SWITCHING_NETWORK_ERROR",
    "987654321": "UNKNOWN_BANK_NETWORK_ERROR",
    "321321321": "TEMPORARY_BANK_NETWORK_ERROR",
    "8787878": "REJECTED_BY_BANK",
    "1351357": "TRANSFER_ERROR",
    "868686": "TEMPORARY_TRANSFER_ERROR",
}


class DisbursementDraft(Draft, frozen=True):
    """A disbursement to be made."""

    external_id: Name
    bank_code: Name
    account_holder_name: Name
    account_number: Name
    description: Annotated[Text, Meta(min_length=1)]
    amount: Amount
    email_to: Recipients | None = None
    email_cc: Recipients | None = None
    email_bcc: Recipients | None = None


class OutcomeDraft(Draft, frozen=True):
    """How a disbursement ends."""

    status: Literal["COMPLETED", "FAILED"] = "COMPLETED"
    failure_code: FailureCode | None = None


class Disbursements:
    """Disbursements.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._course = Course(sandbox, DISBURSEMENT, "Disbursement", STAGES, lambda _event, entry: entry.body)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("GET", "/available_disbursements_banks", self.banks),
            Route("POST", "/disbursements", self.create, reused=REUSED),
            Route("GET", "/disbursements", self.search),
            Route("GET", "/disbursements/{id}", self.get),
            Route("POST", "/sandbox/disbursements/{id}/simulate", self.simulate),
        )

    async def banks(self, call: Call) -> Answer:  # noqa: ARG002 - every action takes the call
        """List where money can be sent to."""
        return Answer(
            [
                {"name": name, "code": code, "can_disburse": True, "can_name_validate": True}
                for code, name in (BANKS | WALLETS).items()
            ]
        )

    async def create(self, call: Call) -> Answer:
        """Send money; whether it arrives is told a moment later."""
        draft = read(call, DisbursementDraft)
        amount = checked_amount(draft.amount)
        check_destination(draft.bank_code, draft.account_number)
        body = self._new(call, draft, amount)
        fate = Fate() if call.owner.live else fate_at(draft.bank_code, draft.account_number)
        entry = await self._course.accept(
            call.owner, body["id"], body, fate, cost=(amount, "IDR"), account_number=draft.account_number
        )
        return Answer(entry.body)

    async def get(self, call: Call) -> Answer:
        """Show a disbursement."""
        return Answer(asked_for(self._sandbox.ledger, call, DISBURSEMENT, MISSING).body)

    async def search(self, call: Call) -> Answer:
        """List the disbursements with an ``external_id``, newest first; without any, that is 404."""
        external_id = call.one("external_id")
        if external_id is None:
            raise invalid("external_id is needed")
        found = self._sandbox.ledger.entries(DISBURSEMENT, call.owner, external_id=external_id)
        if not found:
            raise missing(DISBURSEMENT, MISSING, external_id)
        return Answer([entry.body for entry in found])

    async def simulate(self, call: Call) -> Answer:
        """Let a pending disbursement end now."""
        draft = read_own(call, OutcomeDraft)
        entry = asked_for(self._sandbox.ledger, call, DISBURSEMENT, MISSING)
        return Answer((await self._course.move(entry, draft.status, draft.failure_code)).body)

    def _new(self, call: Call, draft: DisbursementDraft, amount: float) -> dict[str, Any]:
        now = self._sandbox.stamp()
        recipients = {name: value for name, value in draft.given().items() if name.startswith("email_")}
        return {
            "id": self._sandbox.new_hex(),
            "user_id": call.owner.business_id,
            "external_id": draft.external_id,
            "amount": amount,
            "bank_code": draft.bank_code,
            "account_holder_name": draft.account_holder_name,
            "disbursement_description": draft.description,
            "status": STAGES.first,
            **recipients,
            "is_instant": True,
            "created": now,
            "updated": now,
        }


def checked_amount(amount: float) -> int | float:
    """Return an amount of rupiah that can be sent.

    Raises:
        Refused: 400 with the provider's code.
    """
    cut = money(amount, "IDR")
    check_least(cut, LEAST, "RECIPIENT_AMOUNT_ERROR")
    check_most(cut, MOST, "MAXIMUM_TRANSFER_LIMIT_ERROR")
    return cut


def check_destination(bank_code: str, account_number: str) -> None:
    """Check that money can be sent to an account.

    Raises:
        Refused: 400 with the provider's code.
    """
    if bank_code not in BANKS and bank_code not in WALLETS:
        raise Refused(400, "BANK_CODE_NOT_SUPPORTED_ERROR", f"there is no bank {bank_code[:100]}")
    if not (account_number.isascii() and account_number.isdigit()):
        raise Refused(400, "RECIPIENT_ACCOUNT_NUMBER_ERROR", "an account number has digits only")
    if bank_code == "BCA" and len(account_number) != BCA_DIGITS:
        raise Refused(400, "RECIPIENT_ACCOUNT_NUMBER_ERROR", "BCA account numbers must be 10 digits long")


def fate_at(bank_code: str, account_number: str) -> Fate:
    """Return what becomes of money that is sent to an account in test mode."""
    return Fate(failure_code=_FAILURES.get(account_number) if bank_code == "MANDIRI" else None)
