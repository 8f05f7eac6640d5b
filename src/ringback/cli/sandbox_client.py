"""A client of a running sandbox, for the commands that talk to one."""

from __future__ import annotations

import base64
from typing import Any, TypedDict

import msgspec

from ringback import __version__
from ringback.cli.client import exchange
from ringback.cli.output import printable
from ringback.errors import NotAuthenticated, NotFound, RingbackError

# The sandbox waits half a minute for a receiver, and a little for its worker.
TIMEOUT = 60.0
ADVICE = (
    "Is `ringback sandbox xendit` running there? Give --sandbox URL for another, or --to URL to do without"
)
STRANGE = "what answers there is no sandbox of Ringback's. Does --sandbox name one?"


class _Row(TypedDict):
    status: str
    event: str
    product_id: str
    slot: str


class _Try(TypedDict):
    status: int
    error: str | None
    detail: str
    response_time: int


class Sent(TypedDict):
    """What the sandbox tells of a webhook; see ``GET /sandbox/webhooks/log/{id}``."""

    transaction: _Row
    webhook_id: str | None
    mishap: str | None
    payload: Any
    history: list[_Try]


class _Payload(msgspec.Struct):
    payload: msgspec.Raw


class _Refusal(msgspec.Struct):
    error_code: str
    message: str


class SandboxClient:
    """Calls one sandbox.

    Args:
        url: Its address.
        key: The API key whose events are sent.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._key = key

    def trigger(self, name: str, draft: bytes) -> dict[str, Any]:
        """Have an event of the catalogue sent; return what came of it, which fits ``Sent``.

        Args:
            name: The entry's.
            draft: JSON, as ``TriggerDraft`` has it.

        Raises:
            RingbackError: The sandbox refused; the subclass says why.
            ConnectionError: There is none.
            TimeoutError: It did not answer in time.
        """
        user = base64.b64encode(f"{self._key}:".encode()).decode()
        headers = {
            "Authorization": f"Basic {user}",
            "Content-Type": "application/json",
            "User-Agent": f"ringback/{__version__}",
        }
        status, answer = exchange(
            self._url, "POST", f"/sandbox/events/{name}", draft, headers, timeout=TIMEOUT, advice=ADVICE
        )
        if not 200 <= status < 300:  # noqa: PLR2004 - the class of HTTP status
            raise _refused(status, answer)
        return sent_of(answer)


def sent_of(answer: bytes) -> dict[str, Any]:
    """Return what is told of a webhook.

    Raises:
        RingbackError: It is something else.
    """
    try:
        value: dict[str, Any] = msgspec.json.decode(answer)
        msgspec.convert(value, Sent)
        # The payload as it is, not as Python would write its numbers.
        return value | {"payload": msgspec.json.decode(answer, type=_Payload).payload}
    except (msgspec.MsgspecError, RecursionError):
        raise RingbackError(STRANGE) from None


def _refused(status: int, answer: bytes) -> RingbackError:
    try:
        refusal = msgspec.json.decode(answer, type=_Refusal)
    except (msgspec.MsgspecError, RecursionError):
        return RingbackError(STRANGE)
    message = printable(refusal.message)
    match status:
        case 401:
            return NotAuthenticated(f"{message}. Give the sandbox's key with --key")
        case 404:
            return NotFound(message)
    return RingbackError(message)
