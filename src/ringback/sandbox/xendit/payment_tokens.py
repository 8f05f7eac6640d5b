"""Payment tokens of the v3 API: ways to pay that a payer has allowed to be used again.

Source: docs.xendit.co on payment tokens. A token needs its payer's consent on a page of the wallet or the bank; here a
call of our own, ``/sandbox/v3/payment_tokens/{id}/simulate``, gives or refuses it. The sources do not say when a token
expires: here, when nobody has consented within a day, and the token of a card with the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ringback.model import Instant
from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route, read, read_own
from ringback.sandbox.xendit.customers import Customers
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.fields import DAY, Draft, Name
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.payment_channels import INVALID_VALUE, PAYER
from ringback.sandbox.xendit.payment_drafts import ChannelDraft, Terms, terms, versioned
from ringback.sandbox.xendit.sandbox import Sandbox

TOKEN = "payment_token"  # noqa: S105 - the ledger's kind of them, no secret
MISSING = "DATA_NOT_FOUND"
INELIGIBLE = "INELIGIBLE_TRANSACTION_STATUS"
WAITING, ACTIVE, FAILED, EXPIRED, CANCELED = "REQUIRES_ACTION", "ACTIVE", "FAILED", "EXPIRED", "CANCELED"
CONSENT_WITHIN = DAY
REASON = "AUTHENTICATION_FAILED"

Told = tuple[Owner, Notice]


class ConsentDraft(Draft, frozen=True):
    """What becomes of a token."""

    status: Literal["ACTIVE", "FAILED", "EXPIRED"] = "ACTIVE"
    failure_code: Name | None = None


class PaymentTokens:
    """Payment tokens.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(TOKEN, self._lapse)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/v3/payment_tokens", versioned(self.create)),
            Route("GET", "/v3/payment_tokens/{id}", versioned(self.get)),
            Route("POST", "/v3/payment_tokens/{id}/cancel", versioned(self.cancel)),
            Route("POST", "/sandbox/v3/payment_tokens/{id}/simulate", self.simulate),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Make a token, which waits for its payer's consent, unless it is a card of which 3-D Secure is skipped."""
        draft = read(call, ChannelDraft)
        asked = terms(draft, call.now)
        if not asked.channel.saves:
            raise Refused(400, INVALID_VALUE, f"{asked.channel.code} cannot be saved; use a card or a wallet")
        change = self._sandbox.change()
        customers = self._sandbox.product(Customers)
        payer = customers.payer(change, call.owner, draft.customer_id, draft.customer)
        entry, told = self._begun(change, call, asked.by(payer))
        await self._sandbox.commit(change, *told)
        return Answer(entry.body, 201)

    async def get(self, call: Call) -> Answer:
        """Show a token."""
        return Answer(asked_for(self._sandbox.ledger, call, TOKEN, MISSING).body)

    async def cancel(self, call: Call) -> Answer:
        """Take a token back, so that nothing is paid with it any more."""
        entry = asked_for(self._sandbox.ledger, call, TOKEN, MISSING)
        _check(entry, WAITING, ACTIVE)
        change = self._sandbox.change()
        canceled = change.update(entry, status=CANCELED, updated=self._sandbox.stamp())
        await self._sandbox.commit(change)
        return Answer(canceled.body)

    async def simulate(self, call: Call) -> Answer:
        """Do what the payer would: consent, fail to, or end a consent."""
        draft = read_own(call, ConsentDraft)
        entry = asked_for(self._sandbox.ledger, call, TOKEN, MISSING)
        if draft.status == FAILED:
            return Answer((await self.fail(entry, draft.failure_code or REASON)).body)
        return Answer((await (self.activate(entry) if draft.status == ACTIVE else self.expire(entry))).body)

    # --- What happens to a token --------------------------------------------------------------------------

    def saved(
        self, change: Change, owner: Owner, source: Mapping[str, Any], ends_at: Instant | None = None
    ) -> tuple[Entry, Told]:
        """Make the token of a payer who has consented elsewhere a part of *change*; return it and what to tell.

        Args:
            change: What it becomes a part of.
            owner: Whose it is.
            source: The payment request or the session where that happened, of which it has its fields.
            ends_at: When the card ends; None: it is none, or that is not known.
        """
        body = self._like(source, ACTIVE) | _details(source["channel_code"])
        token_id, hidden = body["payment_token_id"], {"ends_at": ends_at}
        entry = change.add(TOKEN, token_id, owner, body, hidden=hidden, due_at=ends_at)
        return entry, self._told("payment_token.activation", entry)

    def refused(
        self, change: Change, owner: Owner, source: Mapping[str, Any], failure_code: str | None = None
    ) -> Told:
        """Make the token of a payer who failed to consent elsewhere a part of *change*; as ``saved``."""
        body = self._like(source, FAILED) | {"failure_code": failure_code or REASON}
        entry = change.add(TOKEN, body["payment_token_id"], owner, body, hidden={"ends_at": None})
        return self._told("payment_token.failure", entry)

    def usable(self, call: Call, token_id: str) -> Entry:
        """Return the token by which a call wants to pay.

        Raises:
            Refused: 404 ``DATA_NOT_FOUND``, or 400 ``INVALID_TOKEN`` for one that is not active.
        """
        entry = asked_for(self._sandbox.ledger, call, TOKEN, MISSING, token_id)
        if entry.body["status"] != ACTIVE:
            status = entry.body["status"]
            raise Refused(400, "INVALID_TOKEN", f"the payment token is {status}; ask for a new consent")
        return entry

    async def activate(self, entry: Entry) -> Entry:
        """Let the payer consent, and tell of it.

        Raises:
            Refused: The token does not wait for that.
        """
        current = self._current(entry, WAITING)
        details = _details(current.body["channel_code"])
        return await self._end(
            current, "payment_token.activation", current.hidden["ends_at"], status=ACTIVE, **details
        )

    async def fail(self, entry: Entry, failure_code: str = REASON) -> Entry:
        """Let the consent fail, and tell of it.

        Raises:
            Refused: The token does not wait for it.
        """
        current = self._current(entry, WAITING)
        return await self._end(
            current, "payment_token.failure", None, status=FAILED, failure_code=failure_code
        )

    async def expire(self, entry: Entry) -> Entry:
        """Let a token expire, and tell of it.

        Raises:
            Refused: It has ended already.
        """
        current = self._current(entry, WAITING, ACTIVE)
        return await self._end(current, "payment_token.expiry", None, status=EXPIRED)

    # --- Parts --------------------------------------------------------------------------------------------

    async def _lapse(self, entry: Entry) -> None:
        await self.expire(entry)

    async def _end(self, entry: Entry, event: str, due_at: int | None, **fields: Any) -> Entry:
        change = self._sandbox.change()
        body = fields | {"actions": [], "updated": self._sandbox.stamp()}
        new = change.update(entry, due_at=due_at, **body)
        await self._sandbox.commit(change, self._told(event, new))
        return new

    def _current(self, entry: Entry, *statuses: str) -> Entry:
        current = self._sandbox.ledger.get(*entry.place) or entry
        _check(current, *statuses)
        return current

    def _told(self, event: str, entry: Entry) -> Told:
        body = envelope(event, entry.owner, self._sandbox.stamp(), entry.body, api_version="v3")
        return entry.owner, Notice(event=event, product="Payment token", product_id=entry.id, body=body)

    def _begun(self, change: Change, call: Call, asked: Terms[ChannelDraft]) -> tuple[Entry, list[Told]]:
        """Make a new token a part of *change*; return it and what to tell."""
        body = self._new(call.owner, asked)
        token_id, hidden = body["payment_token_id"], {"ends_at": asked.card_ends_at}
        if asked.needs_payer:
            page = f"{call.site}/web/{token_id}"
            body["actions"] = [asked.channel.action({}, page, self._sandbox.chance)]
            due_at = self._sandbox.after(CONSENT_WITHIN)
            return change.add(TOKEN, token_id, call.owner, body, hidden=hidden, due_at=due_at), []
        body["status"] = ACTIVE
        active = change.add(TOKEN, token_id, call.owner, body, hidden=hidden, due_at=asked.card_ends_at)
        return active, [self._told("payment_token.activation", active)]

    def _like(self, source: Mapping[str, Any], status: str) -> dict[str, Any]:
        """Return a token that has its fields of what its payer was asked for elsewhere."""
        now = self._sandbox.stamp()
        shared = {name: source[name] for name in _SHARED if source.get(name) is not None}
        token_id = f"pt-{self._sandbox.new_uuid()}"
        ending = {"actions": [], "status": status, "created": now, "updated": now}
        return {"payment_token_id": token_id, **shared, **ending}

    def _new(self, owner: Owner, asked: Terms[ChannelDraft]) -> dict[str, Any]:
        draft, now = asked.draft, self._sandbox.stamp()
        body: dict[str, Any] = {
            "payment_token_id": f"pt-{self._sandbox.new_uuid()}",
            "business_id": owner.business_id,
            "reference_id": draft.reference_id,
            "customer_id": asked.customer_id,
            "country": draft.country,
            "currency": draft.currency,
            "channel_code": asked.channel.code,
            "channel_properties": asked.properties,
            "actions": [],
            "status": WAITING,
            "description": draft.description,
            "metadata": draft.metadata,
            "created": now,
            "updated": now,
        }
        return {name: value for name, value in body.items() if value is not None}


# What a token has from the payment request or the session with which it was saved.
_SHARED = (
    "business_id",
    "reference_id",
    "customer_id",
    "country",
    "currency",
    "channel_code",
    "channel_properties",
    "description",
    "metadata",
)


def _check(entry: Entry, *statuses: str) -> None:
    status = entry.body["status"]
    if status not in statuses:
        raise Refused(400, INELIGIBLE, f"the payment token is {status}; this needs {' or '.join(statuses)}")


def _details(channel_code: str) -> dict[str, Any]:
    """Return what a provider tells of an account that was linked; of a card, nothing."""
    return {} if channel_code == "CARDS" else {"token_details": {"account_name": PAYER}}
