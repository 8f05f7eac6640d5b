"""What happened to an order, step by step, as the shop and its inbox know it."""

import json
from collections import Counter
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from payments import inbox, now

from ringback.errors import NotFound
from ringback.observe import MessageAccepted, WebhookReceived

SOURCE = "xendit"
REMEMBERED = 1_000


class Step(NamedTuple):
    """One thing that happened: when, in milliseconds; what; and whether that is ``good``, ``bad`` or neither."""

    at: int
    what: str
    tone: str = ""


class Arrivals:
    """Knows which webhooks came for which order, and how fast each was acknowledged, since the shop was started."""

    def __init__(self):
        self.counts = Counter()
        self.latest = None
        self._of_order = {}
        self._acknowledged = {}
        self._repeats = {}
        inbox.observer.subscribe(MessageAccepted, self._accepted)
        inbox.observer.subscribe(WebhookReceived, self._received)

    def of(self, reference):
        """Return the ids of an order's messages."""
        return tuple(self._of_order.get(reference, ()))

    def acknowledged(self, message_id):
        """Return how long a message's acknowledgement took, in milliseconds; None where that is not known."""
        return self._acknowledged.get(message_id)

    def repeats(self, message_id):
        """Return when a message came again, in milliseconds, and how long each acknowledgement of that took."""
        return tuple(self._repeats.get(message_id, ()))

    def _accepted(self, event):
        reference = read(event.message.payload).get("external_id")
        self._of_order.setdefault(reference, []).append(event.message.id)
        while len(self._of_order) > REMEMBERED:
            for message_id in self._of_order.pop(next(iter(self._of_order))):
                self._acknowledged.pop(message_id, None)
                self._repeats.pop(message_id, None)

    def _received(self, event):
        self.counts[event.outcome] += 1
        self.latest = event.seconds * 1000
        if event.outcome == "accepted":
            self._acknowledged[event.message_id] = self.latest
        elif event.outcome == "repeated":
            self._repeats.setdefault(event.message_id, []).append((now(), self.latest))


def read(payload):
    """Return what a webhook's body holds; nothing where that is no JSON object."""
    try:
        body = json.loads(payload)
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


arrivals = Arrivals()


def steps_of(order):
    """Return an order's steps, the oldest first."""
    steps = [Step(order["placed_at"], "Ordered")]
    if order["invoiced_at"]:
        took = order["invoiced_in"]
        steps.append(
            Step(order["invoiced_at"], f"Invoice made with the official SDK in {took:.0f} ms: PENDING")
        )
    paid_at = None
    for message in messages_about(order):
        paid_at = paid_at or milliseconds(read(message.payload).get("paid_at"))
        steps += message_steps(message)
    if paid_at:
        steps.append(Step(paid_at, "Paid on the checkout page"))
    if order["returned_at"]:
        steps.append(
            Step(order["returned_at"], "The browser came back from the checkout, which proves nothing")
        )
    if order["written_at"]:
        steps.append(Step(order["written_at"], ending(order, paid_at), "good"))
    # What happened within one millisecond stays as it is told here.
    return sorted(steps, key=lambda step: step.at)


def messages_about(order):
    """Return the webhooks about an order: those that came since the start, and those that were written before."""
    written = (order["messages"] or "").split(",")
    found = []
    for message_id in filter(None, dict.fromkeys([*written, *arrivals.of(order["reference"])])):
        # What the inbox keeps is removed after a time.
        with suppress(NotFound):
            found.append(inbox.message(SOURCE, message_id).result())
    return found


def state_of(order):
    """Return where an order stands, in a word."""
    if order["status"]:
        return "fulfilled" if order["status"] == "PAID" else "expired"
    if arrivals.of(order["reference"]):
        return "paid"
    return "pending" if order["invoice_url"] else "without invoice"


def ending(order, paid_at):
    """Write how an order ended, how often that was written, and how long after the payment."""
    what = "Fulfilled" if order["status"] == "PAID" else "Closed as expired"
    times = "once" if order["payments"] == 1 else f"{order['payments']} times"
    later = f", {order['written_at'] - paid_at} ms after the payment" if paid_at else ""
    return f"{what}: written {times}{later}"


def message_steps(message):
    """Return what happened to one webhook: its arrival, each time it came again, and each attempt."""
    took = arrivals.acknowledged(message.id)
    in_time = "" if took is None else f" in {took:.1f} ms"
    steps = [Step(message.created_at, f"Webhook {message.event_type} stored and acknowledged{in_time}")]
    for at, again in arrivals.repeats(message.id):
        steps.append(Step(at, f"The same webhook again: acknowledged in {again:.1f} ms, not handled again"))
    attempts = inbox.attempts(SOURCE, message.id).result()
    return steps + [attempt_step(attempt) for attempt in reversed(attempts)]


def attempt_step(attempt):
    """Return what came of one attempt at handling a webhook."""
    at, outcome = attempt.started_at + attempt.duration, attempt.outcome
    took = f"{max(1, attempt.duration)} ms"
    if outcome.ok:
        return Step(at, f"Handled in {took}, attempt {attempt.number}")
    why = f"attempt {attempt.number} failed in {took}: {outcome.detail or outcome.kind}"
    return Step(at, f"The handler's {why}; what it wrote was undone", "bad")


def milliseconds(text):
    """Return a time that Xendit has written, in milliseconds; None where it is none."""
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except (TypeError, ValueError):
        return None


def summary():
    """Return what the inbox has done, as pairs of a number and what it counts."""
    refused = sum(1 + refusal.more for refusal in inbox.refusals(SOURCE).result())
    latest = "none yet" if arrivals.latest is None else f"{arrivals.latest:.1f} ms"
    return [
        (arrivals.counts["accepted"], "webhooks stored"),
        (latest, "last acknowledged in"),
        (arrivals.counts["repeated"], "duplicates absorbed"),
        (refused, "forged ones refused"),
    ]
