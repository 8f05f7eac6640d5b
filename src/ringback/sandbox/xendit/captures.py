"""Captures: how a card payment that waits for its merchant is collected, at once or in parts.

Sources: xendit-python 7 for paths, fields and error codes; the catalogue for the webhooks. Not documented, and done
plainly: the first capture makes the request and its payment ``SUCCEEDED``, and what is left of the authorized
amount can be captured later. ``/sandbox/payment_requests/{id}/captures/simulate`` makes the next capture fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.sandbox.xendit.calls import Answer, Call, Refused, Route, read, read_own
from ringback.sandbox.xendit.fields import Draft, Name
from ringback.sandbox.xendit.filters import LARGEST_LIMIT, entry_id
from ringback.sandbox.xendit.ledger import Entry
from ringback.sandbox.xendit.money import Amount, check_least, less, money
from ringback.sandbox.xendit.paging import part_of
from ringback.sandbox.xendit.payment_requests import PaymentRequests
from ringback.sandbox.xendit.payment_v2_bodies import (
    AWAITING_CAPTURE,
    CAPTURE,
    FAILED,
    SUCCEEDED,
    capture_told,
    embedded,
)
from ringback.sandbox.xendit.sandbox import Sandbox

REASON = "PROCESSOR_ERROR"


class CaptureDraft(Draft, frozen=True):
    """A capture to be made."""

    capture_amount: Amount
    reference_id: Name | None = None


class FailureDraft(Draft, frozen=True):
    """How the next capture fails."""

    failure_code: Name | None = None


class Captures:
    """Captures.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/payment_requests/{id}/captures", self.create),
            Route("GET", "/payment_requests/{id}/captures", self.find),
            Route("POST", "/sandbox/payment_requests/{id}/captures/simulate", self.simulate),
        )

    async def create(self, call: Call) -> Answer:
        """Collect an authorized amount, or a part of it."""
        draft = read(call, CaptureDraft)
        request = self._requests.asked_for(call)
        _check_capturable(request)
        amount = money(draft.capture_amount, request.body["currency"])
        check_least(amount, 1, "API_VALIDATION_ERROR")
        rest = less(request.body["amount"], request.hidden["captured"])
        if amount > rest:
            raise Refused(400, "EXCEEDS_CAPTURABLE_AMOUNT", f"{rest} can be captured, not {amount}")
        return Answer((await self._capture(request, amount, draft.reference_id)).body)

    async def find(self, call: Call) -> Answer:
        """List the captures of a request, newest first."""
        request = self._requests.asked_for(call)
        entries = self._sandbox.ledger.entries(CAPTURE, call.owner, payment_request_id=request.id)
        part = part_of(call, entries, entry_id, most=LARGEST_LIMIT)
        return Answer({"data": [entry.body for entry in part.items], "has_more": part.has_more})

    async def simulate(self, call: Call) -> Answer:
        """Let the next capture of a request fail."""
        draft = read_own(call, FailureDraft)
        request = self._requests.asked_for(call)
        _check_capturable(request)
        change = self._sandbox.change()
        hidden = request.hidden | {"next_capture": draft.failure_code or REASON}
        waiting = change.replace(request, hidden=hidden)
        await self._sandbox.commit(change)
        return Answer(self._requests.shown(waiting))

    @property
    def _requests(self) -> PaymentRequests:
        return self._sandbox.product(PaymentRequests)

    async def _capture(self, request: Entry, amount: float, reference_id: str | None) -> Entry:
        reason = request.hidden["next_capture"]
        authorized, before = request.body["amount"], request.hidden["captured"]
        captured = before if reason is not None else less(authorized, less(authorized, before, amount))
        method = self._requests.method_of(request)
        body = self._new(request, amount, reason) | {"payment_method": embedded(method.body)}
        if reference_id is not None:
            body["reference_id"] = reference_id
        change = self._sandbox.change()
        capture = change.add(CAPTURE, body["id"], request.owner, body)
        told = [capture_told(capture, self._sandbox.stamp())]
        shown = request.body
        if reason is None:
            payment = self._requests.payment(change, request, method, status=SUCCEEDED, amount=captured)
            if request.body["status"] == AWAITING_CAPTURE:
                told += self._requests.payment_news(change, payment, method)
            shown |= {"status": SUCCEEDED, "actions": [], "updated": self._sandbox.stamp()}
        change.replace(
            request, body=shown, hidden=request.hidden | {"captured": captured, "next_capture": None}
        )
        await self._sandbox.commit(change, *told)
        return capture

    def _new(self, request: Entry, amount: float, reason: str | None) -> dict[str, Any]:
        now = self._sandbox.stamp()
        body = request.body
        return {
            "id": f"cptr-{self._sandbox.new_uuid()}",
            "payment_request_id": request.id,
            "payment_id": request.hidden["payment_id"],
            "reference_id": body["reference_id"],
            "currency": body["currency"],
            "authorized_amount": body["amount"],
            "captured_amount": amount,
            "status": SUCCEEDED if reason is None else FAILED,
            "payment_method": None,
            "failure_code": reason,
            "customer_id": body["customer_id"],
            "metadata": body["metadata"],
            "channel_properties": body["channel_properties"],
            "created": now,
            "updated": now,
        }


def _check_capturable(request: Entry) -> None:
    body = request.body
    if body["status"] == FAILED:
        raise Refused(409, "PAYMENT_REQUEST_ALREADY_FAILED", "the payment has failed; ask for another")
    if body["status"] not in {AWAITING_CAPTURE, SUCCEEDED}:
        message = f"the payment request is {body['status']}; it can be captured when it is AWAITING_CAPTURE"
        raise Refused(400, "OPERATION_NOT_ALLOWED", message)
    if body["capture_method"] != "MANUAL":
        raise Refused(409, "PAYMENT_REQUEST_ALREADY_COMPLETED", "the payment was captured by itself")
    if request.hidden["captured"] >= body["amount"]:
        raise Refused(409, "PAYMENT_REQUEST_ALREADY_FULLY_CAPTURED", "nothing is left to be captured")
