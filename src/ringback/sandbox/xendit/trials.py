"""Testing a URL before it is saved: a fixed sample sent there, and what came of it."""

from __future__ import annotations

import msgspec

from ringback.model import Duration
from ringback.sandbox.xendit.calls import INVALID, Owner, Refused
from ringback.sandbox.xendit.log_rows import Detail, Status
from ringback.sandbox.xendit.notices import NOTICE
from ringback.sandbox.xendit.outcomes import outcome
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slots import Slot
from ringback.sandbox.xendit.trial_samples import sample_notice


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a test.

    Args:
        ok: Whether the receiver answered with 2xx.
        saved: Whether the settings were saved.
        status: The HTTP status of the answer, 0 without an answer.
        error: Why there was none, such as ``ECONNREFUSED``; None with an answer.
        detail: The same in Ringback's words.
        response_time: How long the answer took, in milliseconds.
        body: The start of the answer's body.
        webhook: The id of the test in the log.
        payload: What was sent.
    """

    ok: bool
    saved: bool
    status: int
    error: str | None
    detail: str
    response_time: Duration
    body: str
    webhook: str
    payload: str


class Trials:
    """Tests URLs, and saves them.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def test(self, owner: Owner, slot: Slot, *, save: bool) -> Trial:
        """Send the sample of a slot to its URL, by the way all webhooks go, and wait for the answer.

        Args:
            owner: Whose.
            slot: The settings as they would be saved; those that are saved now do not matter.
            save: Whether to save them. A failed test prevents that only where the options say so.

        Raises:
            Refused: The settings cannot be had, as in ``Slots.put``; or there is no URL to test.
        """
        slots = self._sandbox.slots
        slots.check(owner, slot)
        if slot.url is None:
            raise Refused(400, INVALID, "there is no URL to test; give one as url", ["url is missing"])
        detail = await outcome(self._sandbox.log, owner, await self._send(owner, slot.name, slot.url))
        ok = detail.row.status is Status.COMPLETED
        saved = save and (ok or not slots.options(owner).requires_test)
        if saved:
            await slots.put(owner, slot)
        return _trial(detail, ok, saved)

    async def _send(self, owner: Owner, name: str, url: str) -> str:
        change = self._sandbox.change()
        await self._sandbox.commit(change, (owner, sample_notice(name, url)))
        return next(entry.id for entry in change.entries if entry.kind == NOTICE)


def _trial(detail: Detail, ok: bool, saved: bool) -> Trial:
    last = detail.history[0] if detail.history else None
    return Trial(
        ok=ok,
        saved=saved,
        status=last.status if last else 0,
        error=last.error if last else "ECONNABORTED",
        detail=last.detail if last else "no worker has sent it; see that one is running",
        response_time=last.response_time if last else 0,
        body=last.body if last else "",
        webhook=detail.row.id,
        payload=detail.payload,
    )
