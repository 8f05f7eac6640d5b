"""``POST /callback_urls/{type}``: webhook URLs set by API, as for the products that the provider has it for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.sandbox.xendit.calls import INVALID, Answer, Call, Refused, Route, read
from ringback.sandbox.xendit.sandbox import Sandbox
from ringback.sandbox.xendit.slot_names import SETTABLE


class UrlDraft(msgspec.Struct):
    """A URL to have webhooks sent to."""

    url: str


class CallbackUrls:
    """Sets the URLs of slots. Those of the newer products are set on the settings page alone.

    Args:
        sandbox: What it belongs to.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._slots = sandbox.slots

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        return (
            Route("POST", "/callback_urls/{type}", self.set),
            Route("POST", "/callback_urls/{type}/", self.set),
        )

    async def set(self, call: Call) -> Answer:
        """Set the URL of a type of webhook, of the business that the call is for."""
        name = call.path["type"]
        if name not in SETTABLE:
            problem = f"type must be one of {', '.join(SETTABLE)}"
            raise Refused(
                400, INVALID, f"there is no type {name[:100]} of webhook URL to be set here", [problem]
            )
        draft = read(call, UrlDraft)
        slot = msgspec.structs.replace(self._slots.get(call.owner, name), url=draft.url)
        await self._slots.put(call.owner, slot)
        return Answer(
            {
                "status": "SUCCESSFUL",
                "user_id": call.owner.business_id,
                "url": draft.url,
                "environment": call.owner.mode,
                "callback_token": self._slots.token(call.owner).current,
            }
        )
