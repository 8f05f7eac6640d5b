"""A canary: one message that waits for a paused endpoint is sent ahead of all others, for whoever waits to see."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from ringback import policy
from ringback.courier import Courier
from ringback.errors import Conflict, NotFound
from ringback.job import attempt_of
from ringback.model import Attempt, Duration, Instant
from ringback.policy import Decision, RetrySchedule, Step
from ringback.store import Lease, Settlement, Store, Work
from ringback.store.commit import TOKEN_BITS, Committer

# What sends one, given an application or a source and its endpoint, and tells what came of it.
SendCanary = Callable[[str, str], Awaitable[Attempt]]

MAX_AT_ONCE = 4
PAUSED = "endpoint_paused"


class Canary:
    """Sends canaries, a few at a time.

    Args:
        committer: Takes and settles.
        courier: Makes attempts.
        deadline: How long one attempt may take.
        clock: Returns the present instant.
        monotonic: Returns seconds that only grow.
        entropy: Returns that many random bytes.
    """

    def __init__(
        self,
        committer: Committer,
        courier: Courier,
        deadline: Duration,
        *,
        clock: Callable[[], Instant],
        monotonic: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._committer = committer
        self._courier = courier
        self._deadline = deadline
        self._clock = clock
        self._monotonic = monotonic
        self._entropy = entropy
        self._room = asyncio.Semaphore(MAX_AT_ONCE)
        self._under_way: set[asyncio.Task[Attempt]] = set()

    async def send(self, application: str, endpoint: str) -> Attempt:
        """Send the oldest message that waits for a paused endpoint, and return the attempt.

        When that succeeds, the message is delivered. When it fails, the message waits on as before. Once begun it goes
        on to its end, whether somebody waits for that or not.

        Raises:
            NotFound: There is no such endpoint, or it is a handler.
            Conflict: The endpoint is not paused, or no message waits for it.
        """
        task = asyncio.get_running_loop().create_task(self._send(application, endpoint))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Wait for what is under way, and give up idle connections."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._courier.aclose()

    async def _send(self, application: str, endpoint: str) -> Attempt:
        async with self._room:
            work = await self._take(application, endpoint)
            now, started = self._clock(), self._monotonic()
            outcome = await self._courier.send(work, work.endpoint, now)
            seconds = self._monotonic() - started
            attempt = attempt_of(
                work, work.endpoint, outcome, started_at=now, seconds=seconds, entropy=self._entropy
            )
            await self._committer.settle_surely(self._settlement(work, attempt))
            return attempt

    async def _take(self, application: str, endpoint: str) -> Work:
        now = self._clock()
        lease = Lease(secrets.randbits(TOKEN_BITS), policy.lease_until(now, self._deadline))

        def take(store: Store) -> Work | None:
            owner = store.application(application).id
            target = store.endpoint(owner, endpoint)
            if target.handler is not None:
                raise NotFound(
                    "this endpoint is a handler: a program of its own runs it, and nothing is sent"
                )
            return store.take_past_pause(owner, target.id, lease, now)

        work = await self._committer.write(take)
        if work is None:
            raise Conflict("no message waits for the endpoint that could go ahead")
        return work

    def _settlement(self, work: Work, attempt: Attempt) -> Settlement:
        now, outcome = self._clock(), attempt.outcome
        decision, reason = policy.decide(outcome, attempt.number, RetrySchedule(()), now, 0.0), None
        if decision.step is Step.EXHAUST:
            # Somebody wished to see: that costs the message none of its attempts.
            decision, reason = Decision(Step.POSTPONE, now), PAUSED
        elif decision.step is Step.CANCEL:
            reason = outcome.body.decode(errors="replace")
        return Settlement(
            work=work,
            decision=decision,
            attempt=attempt if policy.is_try(outcome) else None,
            # No delivery ends here for want of success, so that after how long one would be disabled plays no part.
            health=policy.judge_endpoint(work.endpoint, outcome, decision, now, policy.DAY),
            reason=reason,
        )
