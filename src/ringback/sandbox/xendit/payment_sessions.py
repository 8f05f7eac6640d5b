"""Payment sessions: a page of the provider's on which somebody pays, saves a way to pay, or both.

Source: docs.xendit.co on sessions. Each try of the payer is a payment request and a payment of the v3 API, or a payment
token, of which is told as of any other; ``payment_session.completed`` comes in addition, with the same ids. A payer
who fails may try again until the session expires. A call of our own, ``/sandbox/sessions/{id}/simulate``, does what the
payer would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback.sandbox.xendit.calls import Answer, Call, Owner, Refused, Route, read, read_own
from ringback.sandbox.xendit.customers import Customers
from ringback.sandbox.xendit.envelopes import envelope
from ringback.sandbox.xendit.ledger import Change, Entry
from ringback.sandbox.xendit.lookup import asked_for
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.payment_channels import payment_channel
from ringback.sandbox.xendit.payment_drafts import (
    AUTOMATIC,
    KnownProperties,
    PaymentRequestDraft,
    RequestType,
    Terms,
)
from ringback.sandbox.xendit.payment_tokens import PaymentTokens
from ringback.sandbox.xendit.payments_v3 import PaymentsV3
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.session_draft import (
    COMPONENTS,
    FORCED,
    LASTS,
    OPTIONAL,
    PAY,
    PAYMENT_LINK,
    SAVE,
    SHORTEST,
    SessionDraft,
    SessionOutcomeDraft,
)

SESSION = "payment_session"
MISSING = "NOT_FOUND"
INVALID_STATUS = "INVALID_SESSION_STATUS"
ACTIVE, COMPLETED, EXPIRED, CANCELED = "ACTIVE", "COMPLETED", "EXPIRED", "CANCELED"
# What the API shows of a session, but its webhooks do not.
_UNTOLD = frozenset(
    {
        "capture_method",
        "channel_properties",
        "allowed_payment_channels",
        "metadata",
        "components_sdk_key",
        "components_configuration",
    }
)

Told = tuple[Owner, Notice]


class PaymentSessions:
    """Payment sessions.

    Args:
        sandbox: What they belong to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        sandbox.on_due(SESSION, self._expire)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/sessions", self.create),
            Route("GET", "/sessions/{id}", self.get),
            Route("POST", "/sessions/{id}/cancel", self.cancel),
            Route("POST", "/sandbox/sessions/{id}/simulate", self.simulate),
        )

    # --- Calls --------------------------------------------------------------------------------------------

    async def create(self, call: Call) -> Answer:
        """Make a session, which waits for its payer."""
        draft = read(call, SessionDraft)
        draft.check()
        later, soonest = self._sandbox.after(LASTS), self._sandbox.after(SHORTEST)
        ends_at = draft.ends_at(call.now, later, soonest)
        hidden = {"channels": [channel.code for channel in draft.channels()]}
        change = self._sandbox.change()
        customers = self._sandbox.product(Customers)
        payer = customers.payer(change, call.owner, draft.customer_id, draft.customer)
        body = self._new(call, draft, payer, self._sandbox.stamp(ends_at))
        session_id = body["payment_session_id"]
        change.add(SESSION, session_id, call.owner, body, hidden=hidden, due_at=ends_at)
        await self._sandbox.commit(change)
        return Answer(body, 201)

    async def get(self, call: Call) -> Answer:
        """Show a session."""
        return Answer(asked_for(self._sandbox.ledger, call, SESSION, MISSING).body)

    async def cancel(self, call: Call) -> Answer:
        """Cancel an active session."""
        session = self._active(asked_for(self._sandbox.ledger, call, SESSION, MISSING))
        change = self._sandbox.change()
        canceled = change.update(session, status=CANCELED, updated=self._sandbox.stamp())
        await self._sandbox.commit(change)
        return Answer(canceled.body)

    async def simulate(self, call: Call) -> Answer:
        """Do what the payer would: pay or save, or fail to; answers with the session."""
        draft = read_own(call, SessionOutcomeDraft)
        session = asked_for(self._sandbox.ledger, call, SESSION, MISSING)
        if draft.status == COMPLETED:
            return Answer((await self.pay(session, draft.channel_code, saves=draft.saves)).body)
        return Answer((await self.fail(session, draft.channel_code, draft.failure_code)).body)

    # --- What happens to a session ------------------------------------------------------------------------

    async def pay(self, entry: Entry, channel_code: str | None = None, *, saves: bool = False) -> Entry:
        """Let the payer of an active session pay, or save a way to pay, and tell of it.

        Args:
            entry: The session.
            channel_code: Such as ``DANA``; None: the first of its channels.
            saves: Whether the payer wants the channel to be saved, where the session leaves that open.

        Returns:
            The completed session.

        Raises:
            Refused: The session is not active, or cannot be paid that way.
        """
        session = self._active(entry)
        change = self._sandbox.change()
        if session.body["session_type"] == SAVE:
            fields, told = self._saved(change, session, channel_code)
        else:
            fields, told = self._paid(change, session, channel_code, saves=saves)
        done = change.update(session, status=COMPLETED, updated=self._sandbox.stamp(), **fields)
        await self._sandbox.commit(change, *told, self._told("payment_session.completed", done))
        return done

    async def fail(
        self, entry: Entry, channel_code: str | None = None, failure_code: str | None = None
    ) -> Entry:
        """Let the payer of an active session fail, and tell of it; the session stays active.

        Args:
            entry: The session.
            channel_code: As for ``pay``.
            failure_code: Why; None: as is usual for the channel.

        Raises:
            Refused: As ``pay``.
        """
        session = self._active(entry)
        change = self._sandbox.change()
        if session.body["session_type"] == SAVE:
            source = self._source(session, self._chosen(session, channel_code))
            tokens = self._sandbox.product(PaymentTokens)
            told = tokens.refused(change, session.owner, source, failure_code)
        else:
            payments = self._sandbox.product(PaymentsV3)
            request = self._request(change, session, channel_code, saves=False)
            _, told = payments.failed(change, request, session.body["amount"], failure_code)
        await self._sandbox.commit(change, told)
        return session

    def channels(self, entry: Entry) -> list[str]:
        """Return the codes of the channels that the payer of a session may choose from."""
        return list(entry.hidden["channels"])

    # --- Parts --------------------------------------------------------------------------------------------

    async def _expire(self, session: Entry) -> None:
        change = self._sandbox.change()
        expired = change.update(session, status=EXPIRED, updated=self._sandbox.stamp())
        await self._sandbox.commit(change, self._told("payment_session.expired", expired))

    def _paid(
        self, change: Change, session: Entry, channel_code: str | None, *, saves: bool
    ) -> tuple[dict[str, Any], list[Told]]:
        """Make a payment a part of *change*; return what it means for the session, and what to tell."""
        request = self._request(change, session, channel_code, saves=saves)
        _, payment, told = self._sandbox.product(PaymentsV3).paid(change, request, session.body["amount"])
        fields = {"payment_request_id": request.id, "payment_id": payment.id}
        token_id = payment.body.get("payment_token_id")
        return fields | ({} if token_id is None else {"payment_token_id": token_id}), told

    def _saved(
        self, change: Change, session: Entry, channel_code: str | None
    ) -> tuple[dict[str, Any], list[Told]]:
        """Make a token a part of *change*; as ``_paid``."""
        source = self._source(session, self._chosen(session, channel_code))
        token, told = self._sandbox.product(PaymentTokens).saved(change, session.owner, source)
        return {"payment_token_id": token.id}, [told]

    def _request(self, change: Change, session: Entry, channel_code: str | None, *, saves: bool) -> Entry:
        """Make the payment request of a try to pay a part of *change*; return it."""
        code = self._chosen(session, channel_code)
        channel = payment_channel(code, session.body["currency"])
        allows = session.body["allow_save_payment_method"]
        keeps = channel.saves and (allows == FORCED or (saves and allows == OPTIONAL))
        kind: RequestType = "PAY_AND_SAVE" if keeps else "PAY"
        source = self._source(session, code)
        draft = PaymentRequestDraft(
            reference_id=source["reference_id"],
            type=kind,
            country=source["country"],
            currency=source["currency"],
            request_amount=session.body["amount"],
            capture_method=session.body["capture_method"],
            channel_code=code,
            channel_properties=source["channel_properties"],
            description=source["description"],
            metadata=source["metadata"],
            items=session.body["items"],
        )
        asked = Terms(draft, channel, KnownProperties(), session.body["customer_id"])
        return self._sandbox.product(PaymentsV3).requested(change, session.owner, asked, expires_at=None)

    def _source(self, session: Entry, channel_code: str) -> dict[str, Any]:
        """Return what payments and tokens have from their session."""
        urls = {name: session.body[name] for name in ("success_return_url", "cancel_return_url")}
        given = {name: url for name, url in urls.items() if url is not None}
        return session.body | {"channel_code": channel_code, "channel_properties": given}

    def _chosen(self, session: Entry, channel_code: str | None) -> str:
        channels = self.channels(session)
        chosen = channels[0] if channel_code is None else channel_code
        if chosen not in channels:
            wrong = f"the session is paid by {', '.join(channels)}, not by {chosen[:50]}"
            raise Refused(400, "INVALID_PAYMENT_CHANNEL", wrong)
        return chosen

    def _active(self, entry: Entry) -> Entry:
        """Return a session as it is now, which must be active."""
        current = self._sandbox.ledger.get(*entry.place) or entry
        if current.body["status"] != ACTIVE:
            status = current.body["status"]
            raise Refused(422, INVALID_STATUS, f"the session is {status}; this needs {ACTIVE}")
        return current

    def _told(self, event: str, session: Entry) -> Told:
        shown = session.body.items()
        data = {name: value for name, value in shown if value is not None and name not in _UNTOLD}
        body = envelope(event, session.owner, self._sandbox.stamp(), data)
        return session.owner, Notice(event=event, product="Payment session", product_id=session.id, body=body)

    def _new(self, call: Call, draft: SessionDraft, payer: str | None, expires: str) -> dict[str, Any]:
        session_id, now = f"ps-{self._sandbox.new_hex()}", self._sandbox.stamp()
        pays, by_components = draft.session_type == PAY, draft.mode == COMPONENTS
        return {
            "payment_session_id": session_id,
            "created": now,
            "updated": now,
            "reference_id": draft.reference_id,
            "customer_id": payer,
            "session_type": draft.session_type,
            "allow_save_payment_method": draft.allow_save_payment_method,
            "currency": draft.currency,
            "amount": draft.sum(),
            "country": draft.country,
            "mode": draft.mode,
            "capture_method": (draft.capture_method or AUTOMATIC) if pays else None,
            "channel_properties": draft.channel_properties or {},
            "allowed_payment_channels": draft.allowed_payment_channels or [],
            "expires_at": expires,
            "locale": draft.locale,
            "metadata": draft.metadata,
            "description": draft.description,
            "items": draft.items,
            "success_return_url": draft.success_return_url,
            "cancel_return_url": draft.cancel_return_url,
            "status": ACTIVE,
            "payment_link_url": f"{call.site}/web/{session_id}" if draft.mode == PAYMENT_LINK else None,
            "payment_token_id": None,
            "payment_request_id": None,
            "payment_id": None,
            "business_id": call.owner.business_id,
            "components_sdk_key": self._sandbox.new_hex(40) if by_components else None,
            "components_configuration": draft.components_configuration,
        }
