"""One-time codes that a bank sends to a payer's phone, and the codes that are refused on purpose.

Source: docs.xendit.co on testing direct debit. Any other code of six digits is the right one. That linking an account
refuses the same codes is our choice.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ringback.sandbox.xendit.calls import Refused
from ringback.sandbox.xendit.fields import Draft

REFUSED_CODES = {
    "222001": ("EXPIRED_OTP_ERROR", "the code has expired; ask for another one"),
    "222002": ("MAX_OTP_ATTEMPTS_ERROR", "the payer has tried too often"),
    "222003": ("INVALID_OTP_ERROR", "the code is not the one that was sent"),
    "222005": ("INSUFFICIENT_BALANCE", "the payer's account does not hold the amount"),
}


class AuthDraft(Draft, frozen=True):
    """The code that a payer was sent."""

    auth_code: Annotated[str, Meta(pattern=r"^[0-9]{6}$")]

    def check(self) -> None:
        """Check the code.

        Raises:
            Refused: 400 with the provider's code: it is one of those that are refused.
        """
        refusal = REFUSED_CODES.get(self.auth_code)
        if refusal is not None:
            raise Refused(400, *refusal)
