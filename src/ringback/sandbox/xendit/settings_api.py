"""The webhook settings by API, as the settings page has them. The provider has no such calls.

Instants are written as the provider writes times; durations are in milliseconds of the provider's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ringback.model import Duration, iso
from ringback.sandbox.xendit.calls import Answer, Call, Owner, Route, read_own
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slot_names import SLOTS
from ringback.sandbox.xendit.slots import MAX_DELAY, Mishap, Slot, Token
from ringback.sandbox.xendit.trials import Trials

Span = Annotated[int, Meta(ge=0, le=MAX_DELAY)]
Url = Annotated[str, Meta(max_length=2_048)]


class SlotDraft(msgspec.Struct):
    """What to change of a slot; see ``Slot``. What is left out stays as it is; a ``url`` of null takes it away."""

    url: Url | UnsetType | None = UNSET
    also_expired: bool | UnsetType = UNSET
    also_late: bool | UnsetType = UNSET
    mishaps: frozenset[Mishap] | UnsetType = UNSET
    delay: Span | UnsetType = UNSET

    def applied(self, slot: Slot) -> Slot:
        """Return *slot* with the changes."""
        return msgspec.structs.replace(slot, **_given(self))


class TrialDraft(SlotDraft):
    """What to test: the slot with these changes; with ``save`` they are saved afterwards."""

    save: bool = True

    def applied(self, slot: Slot) -> Slot:
        """Return *slot* with the changes."""
        return msgspec.structs.replace(
            slot, **{name: value for name, value in _given(self).items() if name != "save"}
        )


class OptionsDraft(msgspec.Struct):
    """What to change of the options; see ``Options``. What is left out stays as it is."""

    automatic_retry: bool | UnsetType = UNSET
    strict_urls: bool | UnsetType = UNSET
    requires_test: bool | UnsetType = UNSET


class RotationDraft(msgspec.Struct):
    """For how long webhooks go on carrying the old token."""

    overlap: Span = 24 * 3_600_000


class SettingsApi:
    """Shows and changes the webhook settings of the owner whose key is used.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._slots = sandbox.slots
        self.trials = Trials(sandbox)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        base = "/sandbox/webhooks"
        return (
            Route("GET", f"{base}/slots", self.slots),
            Route("PUT", f"{base}/slots", self.put_slots),
            Route("GET", f"{base}/slots/{{name}}", self.slot),
            Route("PUT", f"{base}/slots/{{name}}", self.put_slot),
            Route("POST", f"{base}/slots/{{name}}/test", self.test),
            Route("GET", f"{base}/options", self.options),
            Route("PUT", f"{base}/options", self.put_options),
            Route("GET", f"{base}/token", self.token),
            Route("POST", f"{base}/token/rotate", self.rotate_token),
            Route("POST", f"{base}/token/switch", self.switch_token),
        )

    async def slots(self, call: Call) -> Answer:
        """``GET /sandbox/webhooks/slots``: all slots, ``{"mode", "slots": [...]}``."""
        slots = [_slot_body(slot) for slot in self._slots.all(call.owner)]
        return Answer({"mode": call.owner.mode, "slots": slots})

    async def put_slots(self, call: Call) -> Answer:
        """``PUT /sandbox/webhooks/slots``: change every slot alike, such as ``{"url": ...}``; answers with all."""
        draft = read_own(call, SlotDraft)
        for slot in self._slots.all(call.owner):
            await self._slots.put(call.owner, draft.applied(slot))
        return await self.slots(call)

    async def slot(self, call: Call) -> Answer:
        """``GET /sandbox/webhooks/slots/{name}``: one slot; 404 where there is none of that name."""
        slot = self._slots.get(call.owner, call.path["name"])
        self._slots.check_name(slot.name)
        return Answer(_slot_body(slot))

    async def put_slot(self, call: Call) -> Answer:
        """``PUT /sandbox/webhooks/slots/{name}``: change a slot (see ``SlotDraft``); answers with it."""
        slot = read_own(call, SlotDraft).applied(self._slots.get(call.owner, call.path["name"]))
        await self._slots.put(call.owner, slot)
        return Answer(_slot_body(slot))

    async def test(self, call: Call) -> Answer:
        """``POST /sandbox/webhooks/slots/{name}/test``: send the sample and wait for the answer; see ``Trial``.

        The body may change settings as for ``PUT`` (most often ``url``); they are saved, unless ``save`` is false.
        """
        draft = read_own(call, TrialDraft)
        slot = draft.applied(self._slots.get(call.owner, call.path["name"]))
        return Answer(msgspec.to_builtins(await self.trials.test(call.owner, slot, save=draft.save)))

    async def options(self, call: Call) -> Answer:
        """``GET /sandbox/webhooks/options``: what holds for all slots; see ``Options``."""
        return Answer(msgspec.to_builtins(self._slots.options(call.owner)))

    async def put_options(self, call: Call) -> Answer:
        """``PUT /sandbox/webhooks/options``: change what holds for all slots; answers with it."""
        given = _given(read_own(call, OptionsDraft))
        options = msgspec.structs.replace(self._slots.options(call.owner), **given)
        await self._slots.put_options(call.owner, options)
        return Answer(msgspec.to_builtins(options))

    async def token(self, call: Call) -> Answer:
        """``GET /sandbox/webhooks/token``: ``{"current", "next", "switches_at"}``, the last two null mostly."""
        return Answer(await self._token_body(call.owner))

    async def rotate_token(self, call: Call) -> Answer:
        """``POST /sandbox/webhooks/token/rotate``: make a new token, carried after ``overlap`` (a day by default)."""
        await self._slots.rotate_token(call.owner, read_own(call, RotationDraft).overlap)
        return Answer(await self._token_body(call.owner))

    async def switch_token(self, call: Call) -> Answer:
        """``POST /sandbox/webhooks/token/switch``: carry the new token from now on."""
        await self._slots.switch_token(call.owner)
        return Answer(await self._token_body(call.owner))

    async def _token_body(self, owner: Owner) -> dict[str, Any]:
        await self._slots.open(owner)
        token: Token = self._slots.token(owner)
        switches_at: Duration | None = token.switches_at
        return {
            "current": token.current,
            "next": token.next,
            "switches_at": None if switches_at is None else iso(switches_at),
        }


def _slot_body(slot: Slot) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(slot, order="sorted")
    return {"name": slot.name, "label": SLOTS[slot.name]} | body


def _given(draft: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(draft).items() if value is not UNSET}
