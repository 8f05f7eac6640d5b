"""One attempt at a place on the network: the letter is written, dressed as its endpoint asks for, and sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from ringback import letters, policy
from ringback.credentials import NO_CREDENTIALS, OAuth
from ringback.destinations import Destination, Request
from ringback.grants import Grant, Grants, failed
from ringback.model import Duration, Endpoint, Instant, Outcome, OutcomeKind, Transformation, iso
from ringback.store import Work
from ringback.transforming import Subject, TransformationFailed, transformed

UNAUTHORIZED = 401


class Courier:
    """Makes attempts.

    Args:
        destination: Sends.
        user_agent: Who sends.
        deadline: How long one attempt may take, with all that belongs to it.
        monotonic: Returns seconds that only grow.
    """

    def __init__(
        self, destination: Destination, user_agent: str, deadline: Duration, monotonic: Callable[[], float]
    ) -> None:
        self._destination = destination
        self._user_agent = user_agent
        self._deadline = deadline
        self._monotonic = monotonic
        self._grants = Grants(destination, user_agent, monotonic)

    def send(self, work: Work, endpoint: Endpoint, now: Instant) -> Awaitable[Outcome]:
        """Make one attempt at *endpoint*, as it is now, that starts *now*; return what comes of it."""
        if endpoint.manner is not None:
            return self._destination.send(
                letters.played(work, endpoint, endpoint.manner, now, self._deadline)
            )
        if endpoint.credentials is None and endpoint.transformation is None:
            return self._destination.send(
                letters.signed(work, endpoint, self._user_agent, now, self._deadline)
            )
        return self._send_dressed(work, endpoint, now)

    async def aclose(self) -> None:
        """Give up idle connections, and forget tokens."""
        await self._grants.aclose()
        await self._destination.aclose()

    async def _send_dressed(self, work: Work, endpoint: Endpoint, now: Instant) -> Outcome:
        expires = self._monotonic() + self._deadline / 1000
        if endpoint.transformer is not None:
            made = payload_made(endpoint.transformer, work)
            if isinstance(made, Outcome):
                return made
            work = letters.rewritten(work, made)
        letter = letters.signed(work, endpoint, self._user_agent, now, self._deadline)
        credentials = endpoint.credentials or NO_CREDENTIALS
        if credentials.certificate is not None:
            letter = msgspec.structs.replace(letter, certificate=credentials.certificate)
        if isinstance(credentials.authorization, OAuth):
            return await self._send_granted(letter, endpoint.id, credentials.authorization, expires)
        if credentials.authorization is not None:
            letter = letters.authorized(letter, credentials.authorization.header)
        return await self._destination.send(letter)

    async def _send_granted(
        self, letter: Request, endpoint_id: str, client: OAuth, expires: float
    ) -> Outcome:
        """Send with a token; where it is not new and is refused, once more with another."""
        known = self._grants.known(endpoint_id, client)
        grant = known or await self._grants.fetch(endpoint_id, client, self._left(expires))
        outcome = await self._send_with(grant, letter, expires)
        if outcome.status != UNAUTHORIZED or isinstance(grant, Outcome):
            return outcome
        # Not even the next attempt has any use for it, however new it is.
        self._grants.forget(endpoint_id, grant)
        if known is None:
            return outcome
        newer = self._grants.known(endpoint_id, client)
        return await self._send_with(
            newer or await self._grants.fetch(endpoint_id, client, self._left(expires)), letter, expires
        )

    async def _send_with(self, grant: Grant | Outcome, letter: Request, expires: float) -> Outcome:
        if isinstance(grant, Outcome):
            return grant
        left = self._left(expires)
        if not left:
            return failed("token_timeout", "the token endpoint left no time to deliver in")
        shown = letters.authorized(letter, f"Bearer {grant.token}")
        return await self._destination.send(msgspec.structs.replace(shown, deadline=left))

    def _left(self, expires: float) -> Duration:
        return max(0, round((expires - self._monotonic()) * 1000))


def payload_made(transformation: Transformation, work: Work) -> bytes | Outcome:
    """Return what a transformation makes of a message, or what is to become of the attempt where it is nothing."""
    subject = Subject(
        id=work.message_id,
        event_type=work.event_type,
        timestamp=iso(work.accepted_at),
        payload=work.payload,
        variables=transformation.variables,
    )
    try:
        made = transformed(transformation.code or "", subject)
    except TransformationFailed as failure:
        told = f"the transformation failed: {failure.why}"
        return Outcome(
            kind=OutcomeKind.TRANSFORMATION, detail=failure.detail, body=told.encode(errors="replace")
        )
    if made is not None:
        return made
    why = policy.TRANSFORMED_TO_NULL
    return Outcome(kind=OutcomeKind.DISCARDED, detail=why, body=why.encode())
