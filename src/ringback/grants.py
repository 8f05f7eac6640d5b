"""Tokens for endpoints that want one of an OAuth2 server (RFC 6749, 4.4): asked for once, and used until they end.

A token is asked for as deliveries are sent: over the same destination, so that the same addresses are refused and the
same deadline holds. What is asked for with is told to nobody but the token endpoint.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from ringback.credentials import OAuth
from ringback.destinations import Destination, Request
from ringback.model import Duration, Outcome, OutcomeKind
from ringback.secrecy import MASK

MAX_TOKENS = 10_000
# How long a token is used whose lifetime is not told, and how long before its end no longer, in seconds.
USUAL_LIFETIME = 300.0
MARGIN = 60.0
MAX_LIFETIME = 86_400.0
_TOKEN = re.compile(r"[!-~]{1,16384}")
_ERROR_TEXT = 300


class Grant(msgspec.Struct, frozen=True):
    """A token, and until when it is used, in seconds of a clock that only grows."""

    token: str
    until: float

    def __repr__(self) -> str:
        return f"Grant(until={self.until})"


class _Asking(msgspec.Struct):
    client: OAuth
    task: asyncio.Task[Grant | Outcome]


class _Held(msgspec.Struct):
    client: OAuth
    grant: Grant


class Grants:
    """The tokens of endpoints.

    Args:
        destination: Asks for them.
        user_agent: Who asks.
        monotonic: Returns seconds that only grow.
    """

    def __init__(self, destination: Destination, user_agent: str, monotonic: Callable[[], float]) -> None:
        self._destination = destination
        self._user_agent = user_agent
        self._monotonic = monotonic
        self._held: dict[str, _Held] = {}
        self._asking: dict[str, _Asking] = {}

    def known(self, endpoint_id: str, client: OAuth) -> Grant | None:
        """Return the token of an endpoint that has been fetched and has not ended."""
        held = self._held.get(endpoint_id)
        usable = held is not None and held.client == client and self._monotonic() < held.grant.until
        return held.grant if held is not None and usable else None

    async def fetch(self, endpoint_id: str, client: OAuth, patience: Duration) -> Grant | Outcome:
        """Return a new token for an endpoint, or what is to become of the attempt where there is none.

        Everyone who wants it at once gets what one request brings, and waits no longer than *patience*.
        """
        asking = self._asking.get(endpoint_id)
        if asking is None or asking.client != client:
            asking = self._ask(endpoint_id, client, patience)
        try:
            async with asyncio.timeout(patience / 1000):
                return await asyncio.shield(asking.task)
        except TimeoutError:
            return failed("token_timeout", "the token endpoint did not answer in time")

    def forget(self, endpoint_id: str, grant: Grant) -> None:
        """Use a token no more, unless there is another by now."""
        held = self._held.get(endpoint_id)
        if held is not None and held.grant is grant:
            del self._held[endpoint_id]

    async def aclose(self) -> None:
        """Stop asking, and forget all tokens."""
        tasks = [asking.task for asking in self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._held.clear()

    def _ask(self, endpoint_id: str, client: OAuth, patience: Duration) -> _Asking:
        task = asyncio.get_running_loop().create_task(self._request(endpoint_id, client, patience))
        asking = self._asking[endpoint_id] = _Asking(client, task)
        task.add_done_callback(lambda done: self._answered(endpoint_id, asking, done))
        return asking

    def _answered(self, endpoint_id: str, asking: _Asking, done: asyncio.Task[Grant | Outcome]) -> None:
        if self._asking.get(endpoint_id) is asking:
            del self._asking[endpoint_id]
        if not done.cancelled():
            done.exception()  # looked at here, since everyone who waited may have reached their deadline

    async def _request(self, endpoint_id: str, client: OAuth, patience: Duration) -> Grant | Outcome:
        since = self._monotonic()
        answer = await self._destination.send(_request_of(client, self._user_agent, patience))
        granted = read_answer(answer, client)
        if isinstance(granted, Outcome):
            return granted
        token, lifetime = granted
        grant = Grant(token, since + lifetime - min(MARGIN, lifetime / 4))
        if len(self._held) >= MAX_TOKENS:
            del self._held[next(iter(self._held))]
        self._held[endpoint_id] = _Held(client, grant)
        return grant


def read_answer(answer: Outcome, client: OAuth) -> tuple[str, float] | Outcome:
    """Return the token that a token endpoint gave *client*, and for how many seconds; or why there is none."""
    if answer.status == 0:
        why = " ".join(filter(None, (answer.kind.value, answer.detail)))
        return failed("token_unreachable", f"the token endpoint gave no answer: {why}", answer)
    if not answer.ok:
        told = _told(answer.body, client)
        return failed("token_refused", f"the token endpoint answered {answer.status}{told}", answer)
    fields = _fields(answer.body)
    token, kind = fields.get("access_token"), fields.get("token_type", "Bearer")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return failed(
            "token_malformed", "the token endpoint answered without an access_token that can be sent"
        )
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return failed("token_malformed", "the token endpoint answered with a token that is no bearer token")
    return token, _lifetime(fields.get("expires_in"))


def failed(detail: str, why: str, answer: Outcome | None = None) -> Outcome:
    """Return the outcome of an attempt for which no token could be got."""
    return Outcome(
        kind=OutcomeKind.AUTHORIZATION,
        detail=detail,
        body=why.encode(),
        retry_after=None if answer is None else answer.retry_after,
    )


def _request_of(client: OAuth, user_agent: str, patience: Duration) -> Request:
    headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Accept", "application/json"),
        ("User-Agent", user_agent),
    ]
    if client.header is not None:
        headers.append(("Authorization", client.header))
    return Request(client.token_url, tuple(headers), client.form, patience)


def _lifetime(told: Any) -> float:
    try:
        seconds = float(told)
    except (TypeError, ValueError):
        return USUAL_LIFETIME
    return min(max(seconds, 0.0), MAX_LIFETIME) if math.isfinite(seconds) else USUAL_LIFETIME


def _told(body: bytes, client: OAuth) -> str:
    """Return what an error says (RFC 6749, 5.2), without the secret if it is so careless as to repeat that."""
    fields = _fields(body)
    told = [str(fields[name]) for name in ("error", "error_description") if isinstance(fields.get(name), str)]
    text = ": ".join(told).replace(client.client_secret, MASK)
    return (
        f": {''.join(letter if letter.isprintable() else ' ' for letter in text)[:_ERROR_TEXT]}"
        if told
        else ""
    )


def _fields(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {}
