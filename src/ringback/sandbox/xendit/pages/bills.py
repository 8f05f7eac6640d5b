"""What payers are sent to approve, whichever product sends them: one shape for one page."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from ringback.design.writing import web_address
from ringback.sandbox.xendit import ewallets, paylaters
from ringback.sandbox.xendit.ewallets import EWallets
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.paylaters import Paylaters
from ringback.sandbox.xendit.sandbox import Sandbox


class Standing(enum.Enum):
    """Where a bill stands, in its payer's eyes."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    OVER = "over"


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer is asked to approve.

    Args:
        id: The id of the object that asks for it.
        amount: How much; None: the payer agrees to later payments.
        currency: Of what.
        channel: Whom the payer pays through, such as ``ID_DANA``.
        reference: The merchant's name for it.
        status: The object's status, as the API shows it.
        standing: What that means to the payer.
        updated: Since when, as the API writes it.
        returns: Where the payer goes then, by what the standing has become; None: nowhere.
        leaves_to: Where the payer goes who neither approves nor declines; None: nowhere.
        code: What the QR code says that the payer scans; None: there is none.
        can_be_declined: Whether the payer can answer no; a plan that nobody links just waits.
    """

    id: str
    amount: Any
    currency: str
    channel: str
    reference: str
    status: str
    standing: Standing
    updated: str
    returns: dict[Standing, str | None]
    leaves_to: str | None = None
    code: str | None = None
    can_be_declined: bool = True


class Biller(Protocol):
    """Asks payers to approve one kind of object."""

    kind: str

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked."""
        ...

    async def approve(self, entry: Entry) -> None:
        """Do what follows when the payer approves.

        Raises:
            Refused: It is not waiting.
        """
        ...

    async def decline(self, entry: Entry) -> None:
        """Do what follows when the payer declines.

        Raises:
            Refused: It is not waiting.
        """
        ...


class WalletCharges:
    """Asks for e-wallet charges.

    Args:
        sandbox: Whose.
    """

    kind = ewallets.CHARGE
    standings: Mapping[str, Standing] = {
        ewallets.PENDING: Standing.WAITING,
        ewallets.SUCCEEDED: Standing.APPROVED,
        ewallets.FAILED: Standing.DECLINED,
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked."""
        body, given = entry.body, entry.body["channel_properties"]
        return Bill(
            id=entry.id,
            amount=body["charge_amount"],
            currency=body["currency"],
            channel=body["channel_code"] or "",
            reference=body["reference_id"],
            status=body["status"],
            standing=self.standings.get(body["status"], Standing.OVER),
            updated=body["updated"],
            returns=returns(given),
            leaves_to=web_address(given.get("cancel_redirect_url") or given.get("pending_redirect_url")),
        )

    async def approve(self, entry: Entry) -> None:
        """Let the charge be paid."""
        await self._sandbox.product(EWallets).pay(entry)

    async def decline(self, entry: Entry) -> None:
        """Let the charge fail."""
        await self._sandbox.product(EWallets).fail(entry)


class PaylaterCharges:
    """Asks for pay-later charges.

    Args:
        sandbox: Whose.
    """

    kind = paylaters.CHARGE
    standings: Mapping[str, Standing] = {
        paylaters.PENDING: Standing.WAITING,
        paylaters.SUCCEEDED: Standing.APPROVED,
        paylaters.FAILED: Standing.DECLINED,
    }

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def bill(self, entry: Entry) -> Bill:
        """Return what is asked."""
        body = entry.body
        return Bill(
            id=entry.id,
            amount=body["amount"],
            currency=body["currency"],
            channel=body["channel_code"],
            reference=body["reference_id"],
            status=body["status"],
            standing=self.standings.get(body["status"], Standing.OVER),
            updated=body["updated"],
            returns=returns(body["redirects"]),
        )

    async def approve(self, entry: Entry) -> None:
        """Let the plan be accepted."""
        await self._sandbox.product(Paylaters).finish(entry, paylaters.SUCCEEDED)

    async def decline(self, entry: Entry) -> None:
        """Let the charge fail."""
        await self._sandbox.product(Paylaters).finish(entry, paylaters.FAILED)


def returns(given: Mapping[str, Any]) -> dict[Standing, str | None]:
    """Return where payers go, from the fields in which merchants say so: the older ones or those of newer APIs."""
    outcomes = {Standing.APPROVED: "success", Standing.DECLINED: "failure"}
    return {
        standing: web_address(given.get(f"{outcome}_redirect_url") or given.get(f"{outcome}_return_url"))
        for standing, outcome in outcomes.items()
    }
