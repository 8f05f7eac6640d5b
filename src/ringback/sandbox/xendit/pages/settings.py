"""Webhook settings: where each slot's webhooks go, tested and saved, and the verification token."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback.model import Duration
from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Owner, Refused
from ringback.sandbox.xendit.log_rows import Detail
from ringback.sandbox.xendit.pages.forms import asked, field, is_ticked
from ringback.sandbox.xendit.pages.frame import Frame
from ringback.sandbox.xendit.pages.rendering import link_of, see, viewed
from ringback.sandbox.xendit.pages.slot_groups import grouped
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slots import Mishap, Options, Slot
from ringback.sandbox.xendit.trials import Trials

PLACE = "/dashboard/settings"
SECOND: Duration = 1_000
MAX_SECONDS = 30 * 86_400
OVERLAPS = {0: "at once", 3_600: "in an hour", 86_400: "in a day", 7 * 86_400: "in a week"}
MISHAPS = {
    Mishap.DUPLICATE: "Send again what was acknowledged",
    Mishap.REORDER: "Hold one back until the next has gone out",
    Mishap.DELAY: "Hold all back for a time",
    Mishap.DROP: "Never send",
    Mishap.ATTEMPT_TIME: "Write the time of each attempt into “created”",
}
LATE_PAYMENT = "An invoice that expires is paid afterwards all the same"
DONE = {
    "saved": "The settings are saved.",
    "all": "Every slot has this URL now.",
    "options": "The options are saved.",
    "rotated": "There is a new token. Accept both until the change.",
    "switched": "Webhooks carry the new token from now on.",
}


class Fault(msgspec.Struct, frozen=True):
    """What was wrong with a form: which one, what was typed, and what to do."""

    form: str
    url: str
    message: str
    slot: Slot | None = None


class Settings:
    """The settings' page and its forms.

    Args:
        sandbox: Whose settings.
        frame: Makes its page.
    """

    def __init__(self, sandbox: Sandbox, frame: Frame) -> None:
        self._slots = sandbox.slots
        self._log = sandbox.log
        self._trials = Trials(sandbox)
        self._frame = frame

    async def show(self, call: Call) -> Answer:
        """Show the settings, and what came of a test."""
        return await self._page(call)

    async def save_slot(self, call: Call) -> Answer:
        """Save a slot's settings, after a test where that was asked for."""
        owner, name = viewed(call), call.path["name"]
        self._slots.check_name(name)
        slot = _slot(call, self._slots.get(owner, name))
        try:
            slot = _delayed(call, slot)
            if field(call, "action") == "test":
                trial = await self._trials.test(owner, slot, save=True)
                return _back(call, name, tested=trial.webhook)
            await self._slots.put(owner, slot)
        except Refused as refused:
            return await self._page(call, Fault(name, field(call, "url"), refused.message, slot))
        return _back(call, name, done="saved", slot=name)

    async def save_all(self, call: Call) -> Answer:
        """Give every slot one URL."""
        owner, url = viewed(call), field(call, "url")
        try:
            for slot in self._slots.all(owner):
                await self._slots.put(owner, msgspec.structs.replace(slot, url=url or None))
        except Refused as refused:
            return await self._page(call, Fault("all", url, refused.message))
        return _back(call, "main", done="all")

    async def save_options(self, call: Call) -> Answer:
        """Save what holds for all slots."""
        chosen = {name: is_ticked(call, name) for name in Options.__struct_fields__}
        await self._slots.put_options(viewed(call), Options(**chosen))
        return _back(call, "main", done="options")

    async def rotate(self, call: Call) -> Answer:
        """Make a new token, or let webhooks carry the one that was made."""
        if field(call, "action") == "switch":
            await self._slots.switch_token(viewed(call))
            return _back(call, "token", done="switched")
        overlap = _seconds(call, "overlap") * SECOND
        await self._slots.rotate_token(viewed(call), overlap)
        return _back(call, "token", done="rotated" if overlap else "switched")

    async def _page(self, call: Call, fault: Fault | None = None) -> Answer:
        owner = viewed(call)
        await self._slots.open(owner)
        values = {
            "place": PLACE,
            "groups": grouped(self._shown(owner, fault)),
            "options": self._slots.options(owner),
            "token": self._slots.token(owner),
            "overlaps": OVERLAPS,
            "mishaps": MISHAPS,
            "late_payment": LATE_PAYMENT,
            "tested": await self._tested(owner, asked(call, "tested")),
            "done": DONE.get(asked(call, "done")),
            "done_slot": asked(call, "slot"),
            "fault": fault,
        }
        return self._frame.page(call, "settings.html", values, status=400 if fault else 200)

    def _shown(self, owner: Owner, fault: Fault | None) -> list[Slot]:
        """Return the slots as they are set, but for one whose form is to be corrected: as that was typed."""
        typed = None if fault is None else fault.slot
        slots = self._slots.all(owner)
        return slots if typed is None else [typed if slot.name == typed.name else slot for slot in slots]

    async def _tested(self, owner: Owner, webhook: str) -> Detail | None:
        try:
            return await self._log.detail(owner, webhook) if webhook else None
        except Refused:
            return None


def _slot(call: Call, slot: Slot) -> Slot:
    """Return a slot's settings as its form has them."""
    mishaps = frozenset(mishap for mishap in Mishap if is_ticked(call, mishap.value))
    return msgspec.structs.replace(
        slot,
        url=field(call, "url") or None,
        also_expired=is_ticked(call, "also_expired"),
        also_late=is_ticked(call, "also_late"),
        mishaps=mishaps,
    )


def _delayed(call: Call, slot: Slot) -> Slot:
    """Return a slot with the delay of its form, where that matters."""
    if Mishap.DELAY not in slot.mishaps:
        return slot
    return msgspec.structs.replace(slot, delay=_seconds(call, "seconds") * SECOND)


def _seconds(call: Call, name: str) -> int:
    text = field(call, name)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_SECONDS))):
        raise Refused(400, INVALID, f"give a whole number of seconds from 0 to {MAX_SECONDS}")
    return int(text)


def _back(call: Call, part: str, **query: Any) -> Answer:
    return see(f"{link_of(call)(PLACE, **query)}#{part}")
