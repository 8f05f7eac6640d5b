"""Payments into payment methods, version 2: whoever knows an account or a code can pay it, asked or not.

Source: xendit-python 7, whose models leave the form of the list open. A payment goes to the newest payment request that
waits for this method and this amount, and is one of its own where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read
from ringback.sandbox.xendit.fields import Draft, invalid, moment
from ringback.sandbox.xendit.filters import LARGEST_LIMIT, chosen, entry_id, fields, period
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import LARGEST, Amount, check_least, check_most, money
from ringback.sandbox.xendit.paging import part_of
from ringback.sandbox.xendit.payment_methods import ACTIVE, PaymentMethods
from ringback.sandbox.xendit.payment_requests import PaymentRequests, simulated
from ringback.sandbox.xendit.payment_v2_bodies import (
    PAYMENT,
    PAYMENT_REQUEST,
    PENDING,
    SUCCEEDED,
    WAITING,
    channel_of,
)
from ringback.sandbox.xendit.payment_v2_channels import SHOWN
from ringback.sandbox.xendit.sandbox import Sandbox


class AmountDraft(Draft, frozen=True):
    """How much somebody pays."""

    amount: Amount | None = None


class PaymentsV2:
    """Payments into payment methods.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("GET", "/v2/payment_methods/{id}/payments", self.find),
            Route("POST", "/v2/payment_methods/{id}/payments/simulate", self.simulate),
        )

    async def find(self, call: Call) -> Answer:
        """List the payments made with a payment method, newest first."""
        method = self._sandbox.product(PaymentMethods).asked_for(call)
        filters = fields("payment_request_id", "reference_id", "status", "currency") | {
            "payment_method_id": lambda entry: entry.body["payment_method"]["id"],
            "payment_method_type": lambda entry: entry.body["payment_method"]["type"],
            "channel_code": lambda entry: channel_of(entry.body["payment_method"]),
        }
        created = period(call, "created")
        updated = period(call, "updated")
        wanted = [
            entry
            for entry in chosen(call, self._sandbox.ledger.entries(PAYMENT, call.owner), filters)
            if entry.body["payment_method"]["id"] == method.id
            and created.holds(entry.created_at)
            and updated.holds(moment(entry.body["updated"], "updated"))
        ]
        part = part_of(call, wanted, entry_id, most=LARGEST_LIMIT)
        return Answer({"data": [entry.body for entry in part.items], "has_more": part.has_more})

    async def simulate(self, call: Call) -> Answer:
        """Let somebody pay into a payment method."""
        draft = read(call, AmountDraft)
        method = self._sandbox.product(PaymentMethods).asked_for(call)
        if method.body["type"] not in SHOWN:
            message = f"nobody pays into a method of the type {method.body['type']}; make a payment request"
            raise Refused(400, "PAYMENT_METHOD_NOT_SUPPORTED", message)
        if method.body["status"] != ACTIVE:
            raise Refused(400, "INACTIVE_PAYMENT_METHOD", f"the payment method is {method.body['status']}")
        await self._pay(method, _amount(method, draft.amount))
        message = simulated("payment method", method.id)
        return Answer({"status": PENDING, "message": message})

    async def _pay(self, method: Entry, amount: float) -> None:
        requests = self._sandbox.product(PaymentRequests)
        request = next(
            (
                entry
                for entry in self._sandbox.ledger.entries(PAYMENT_REQUEST, method.owner)
                if entry.hidden["payment_method_id"] == method.id
                and entry.body["status"] in WAITING
                and entry.body["amount"] in {None, amount}
            ),
            None,
        )
        if request is not None:
            await requests.decide(request, SUCCEEDED, amount=amount)
            return
        change = self._sandbox.change()
        payment = requests.new_payment(change, method, _standing_in(method, amount), {"status": SUCCEEDED})
        await self._sandbox.commit(change, *requests.payment_news(change, payment, method))


def _standing_in(method: Entry, amount: float) -> dict[str, Any]:
    """Return what a payment says of its request where there is none."""
    shown = ("reference_id", "customer_id", "country", "description", "metadata")
    rest = {"id": None, "currency": method.hidden["currency"], "amount": amount, "channel_properties": None}
    return {name: method.body[name] for name in shown} | rest


def _amount(method: Entry, paid: float | None) -> int | float:
    """Return how much is paid, which has to be what the method takes."""
    part = method.body[method.body["type"].lower()]
    closed = part["amount"]
    given = closed if paid is None else money(paid, method.hidden["currency"])
    if given is None:
        raise invalid("the payment method has no amount of its own; say how much is paid")
    check_least(given, part.get("min_amount") or 1, "INCORRECT_AMOUNT")
    check_most(given, part.get("max_amount") or LARGEST, "INCORRECT_AMOUNT")
    if closed not in {None, given}:
        raise Refused(400, "INCORRECT_AMOUNT", f"the payment method takes {closed}, not {given}")
    amount: int | float = given
    return amount
