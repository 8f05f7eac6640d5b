"""What a business has.

Sources: xendit-python 7's ``BalanceApi`` and docs.xendit.co. ``CASH`` is what can be spent, ``HOLDING`` what is on its
way in or out; for ``TAX`` nothing is ever kept back.
"""

from __future__ import annotations

from collections.abc import Sequence

from ringback.sandbox.xendit.books import OPENING, Books
from ringback.sandbox.xendit.calls import Answer, Call, Route
from ringback.sandbox.xendit.fields import invalid, moment
from ringback.sandbox.xendit.money import check_currency
from ringback.sandbox.xendit.movements import CASH, HOLDING
from ringback.sandbox.xendit.sandbox import Sandbox

ACCOUNTS = (CASH, HOLDING, "TAX")
CURRENCY = "IDR"


class Balance:
    """Answers what a business has.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (Route("GET", "/balance", self.get),)

    async def get(self, call: Call) -> Answer:
        """Show what is in an account, or was at ``at_timestamp``."""
        account = call.one("account_type") or CASH
        if account not in ACCOUNTS:
            raise invalid(f"account_type is one of {', '.join(ACCOUNTS)}")
        currency = check_currency(call.one("currency") or CURRENCY, OPENING)
        text = call.one("at_timestamp")
        at = None if text is None else moment(text, "at_timestamp")
        return Answer({"balance": self._sandbox.product(Books).balance(call.owner, currency, account, at)})
