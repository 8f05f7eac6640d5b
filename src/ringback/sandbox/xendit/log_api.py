"""The webhook log by API, as the Webhooks tab shows it. The provider has no such calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ringback.model import Instant, iso
from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Refused, Route, read_own
from ringback.sandbox.xendit.fields import moment
from ringback.sandbox.xendit.log import MAX_RESENT, PAGE
from ringback.sandbox.xendit.log_rows import Detail, Filter, Row, Status, Try
from ringback.sandbox.xendit.sandbox import Sandbox

Text = Annotated[str, Meta(max_length=255)]
# Who had a webhook sent again, where a call does not say.
SOMEBODY = "API"


class FilterDraft(msgspec.Struct):
    """Which webhooks; see ``Filter``. ``since`` and ``until`` are times such as ``2026-03-02T04:05:06Z``."""

    status: tuple[Status, ...] = ()
    product: Text | None = None
    event: Text | None = None
    since: Text | None = None
    until: Text | None = None
    text: Text | None = None

    def meant(self) -> Filter:
        """Return the filter; raises ``Refused`` where a time is none."""
        return Filter(
            statuses=self.status,
            product=self.product,
            event=self.event,
            since=None if self.since is None else moment(self.since, "since"),
            until=None if self.until is None else moment(self.until, "until"),
            text=self.text,
        )


class BatchDraft(FilterDraft):
    """Which webhooks to send again, in whose name; with ``preview`` they are only counted."""

    preview: bool = False
    user: Text = SOMEBODY


class ResendDraft(msgspec.Struct):
    """In whose name to send a webhook again."""

    user: Text = SOMEBODY


class LogApi:
    """Shows the log of the owner whose key is used, and sends webhooks again.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._log = sandbox.log

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        base = "/sandbox/webhooks"
        return (
            Route("GET", f"{base}/log", self.page),
            Route("GET", f"{base}/log/{{id}}", self.detail),
            Route("POST", f"{base}/log/{{id}}/resend", self.resend),
            Route("POST", f"{base}/resend", self.resend_all),
        )

    async def page(self, call: Call) -> Answer:
        """``GET /sandbox/webhooks/log``: webhooks, newest first: ``{"data": [...], "has_more", "after"}``.

        Parameters: ``status`` (may be repeated), ``product``, ``event``, ``since``, ``until``, ``text``; ``limit`` (10;
        at most 100) and, for the next page, ``after``, which each answer gives.
        """
        names = ("product", "event", "since", "until", "text")
        given = {name: value for name in names if (value := call.one(name)) is not None}
        where = _converted({**given, "status": list(call.query.get("status", ()))})
        limit = _number(call.one("limit"))
        listing = await self._log.page(call.owner, where.meant(), limit=limit, after=call.one("after"))
        rows = [_row_body(row) for row in listing.rows]
        return Answer({"data": rows, "has_more": listing.after is not None, "after": listing.after})

    async def detail(self, call: Call) -> Answer:
        """``GET /sandbox/webhooks/log/{id}``: transaction information, payload and event history."""
        return Answer(detail_body(await self._log.detail(call.owner, call.path["id"])))

    async def resend(self, call: Call) -> Answer:
        """``POST /sandbox/webhooks/log/{id}/resend``: send it again, in the name of ``user``; answers as ``detail``."""
        await self._log.resend(call.owner, call.path["id"], read_own(call, ResendDraft).user)
        return await self.detail(call)

    async def resend_all(self, call: Call) -> Answer:
        """``POST /sandbox/webhooks/resend``: send again what fits the filter in the body (see ``BatchDraft``).

        With ``"preview": true`` it answers with how many those are, ``{"count", "maximum"}``, and sends nothing;
        otherwise with ``{"sent", "refused"}``.
        """
        draft = read_own(call, BatchDraft)
        if draft.preview:
            return Answer({"count": await self._log.count(call.owner, draft.meant()), "maximum": MAX_RESENT})
        return Answer(msgspec.to_builtins(await self._log.resend_all(call.owner, draft.meant(), draft.user)))


def _converted(given: dict[str, Any]) -> FilterDraft:
    try:
        return msgspec.convert(given, FilterDraft)
    except msgspec.ValidationError as error:
        problem = str(error).replace("`", "")
        raise Refused(400, INVALID, f"There is an error with a parameter: {problem}", [problem]) from None


def _number(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isascii() or not text.isdecimal() or len(text) > len("100"):
        raise Refused(400, INVALID, "limit must be a number from 1 to 100", ["limit"])
    return int(text)


def _row_body(row: Row) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(row)
    return body | {"created_at": iso(row.created_at), "next_redelivery": _stamp(row.next_redelivery)}


def detail_body(detail: Detail) -> dict[str, Any]:
    """Return what ``GET /sandbox/webhooks/log/{id}`` answers with."""
    return {
        "transaction": _row_body(detail.row),
        "webhook_id": detail.webhook_id,
        "is_test": detail.is_test,
        "mishap": detail.mishap,
        "payload": msgspec.Raw(detail.payload.encode()),
        "history": [_try_body(one) for one in detail.history],
    }


def _try_body(one: Try) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(one)
    return body | {"at": iso(one.at), "next_redelivery": _stamp(one.next_redelivery)}


def _stamp(instant: Instant | None) -> str | None:
    return None if instant is None else iso(instant)
