"""Webhook settings as the provider's dashboard has them: one URL for each product's slot, in each mode."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import hashlib
import random
import re
import string
from collections.abc import Callable
from typing import Any

import msgspec

from ringback.drafts import ApplicationDraft, PlayedDraft
from ringback.errors import NotFound
from ringback.model import Duration, Instant, Manner
from ringback.outbox import Outbox
from ringback.policy import XENDIT_SCHEDULE
from ringback.sandbox.xendit.calls import INVALID, Owner, Refused
from ringback.sandbox.xendit.ledger import Change, Entry, Ledger
from ringback.sandbox.xendit.slot_names import SLOTS, slot_of
from ringback.sandbox.xendit.url_rules import strict_url_problem, url_problem
from ringback.store import Page

SLOT = "slot"
TOKEN = "webhook_token"  # noqa: S105 - a kind of entry
OPTIONS = "webhook_options"
TOKEN_HEADER = "x-callback-token"  # noqa: S105 - a header's name
TOKEN_LENGTH = 48
TOKEN_LETTERS = string.ascii_letters + string.digits
_TOKEN = re.compile(r"[!-~]{1,512}")
# How the uids begin of endpoints for a URL that one call named, and for one that is being tested.
TARGET = "target-"
TEST = "test-"
INVALID_URL = "INVALID_URL_FORMAT"
MAX_DELAY: Duration = 30 * 24 * 3_600_000
# An application of Ringback has a thousand endpoints at most.
MAX_TARGETS = 500
MAX_ENDPOINTS = 1_000


class Mishap(enum.StrEnum):
    """What may go wrong with a slot's webhooks, on purpose."""

    DUPLICATE = "duplicate"  # sent once more after it was acknowledged
    REORDER = "reorder"  # held back until the next one has gone out, for a day at most
    DELAY = "delay"  # held back for a time
    DROP = "drop"  # never sent
    LATE_PAYMENT = "late_payment"  # an invoice that expires is paid afterwards all the same
    ATTEMPT_TIME = "attempt_time"  # the envelope's `created` is the time of each attempt


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One slot's settings.

    Args:
        name: One of ``SLOTS``.
        url: Where its webhooks go; None: nowhere.
        also_expired: Whether an invoice's expiry is told, too.
        also_late: Whether a payment after an invoice's expiry is told, too.
        mishaps: What goes wrong on purpose.
        delay: For how long ``Mishap.DELAY`` holds back, in milliseconds of the provider's time.
    """

    name: str
    url: str | None = None
    also_expired: bool = False
    also_late: bool = False
    mishaps: frozenset[Mishap] = frozenset()
    delay: Duration = 60_000


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What the documentation leaves open of how webhooks are sent, and how fast time passes."""

    user_agent: str = "axios/1.7.9"
    retries_silence: bool = False
    stamps_attempts: bool = False
    time_scale: float = 1.0

    def shortened(self, duration: Duration) -> Duration:
        """Return how long something takes here that takes *duration* there; a millisecond at least."""
        return max(1, round(duration / self.time_scale))


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an owner has chosen for all slots.

    Args:
        automatic_retry: Whether webhooks that fail are tried again; for those that fail from now on.
        strict_urls: Whether the provider's rules for URLs hold: HTTPS, a public name, no port.
        requires_test: Whether "Test and save" saves only a URL that answered the test with 2xx.
    """

    automatic_retry: bool = True
    strict_urls: bool = False
    requires_test: bool = False


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An owner's verification token.

    Args:
        current: What webhooks carry now.
        next: What they carry from ``switches_at`` on; None: no change is under way.
        switches_at: When they change; None as above.
    """

    current: str
    next: str | None = None
    switches_at: Instant | None = None


class Slots:
    """The settings of all owners, and the endpoints that follow from them.

    Args:
        outbox: Where the endpoints are.
        ledger: Where the settings are kept.
        sending: How webhooks are sent.
        clock: Returns the present instant.
        chance: Makes tokens.
    """

    def __init__(
        self,
        outbox: Outbox,
        ledger: Ledger,
        sending: Sending,
        *,
        clock: Callable[[], Instant],
        chance: random.Random,
    ) -> None:
        self._outbox = outbox
        self._ledger = ledger
        self._sending = sending
        self._clock = clock
        self._chance = chance
        self._changing = asyncio.Lock()
        # Of each owner that is open, the endpoints made for URLs that calls named, oldest first.
        self._targets: dict[Owner, dict[str, None]] = {}

    # --- Owners -------------------------------------------------------------------------------------------

    async def open(self, owner: Owner) -> None:
        """Make sure that there is all that an owner needs: the application, the token, and an endpoint for each URL.

        Costs nothing for an owner that is open already.
        """
        if owner in self._targets:
            return
        async with self._changing:
            if owner in self._targets:
                return
            draft = ApplicationDraft(name=f"Xendit {owner}", uid=str(owner))
            await self._outbox.create_application(draft, reuse=True)
            if self._ledger.get(TOKEN, str(owner)) is None:
                await self._keep(TOKEN, str(owner), owner, {"token": self._new_token()})
            await self._follow(owner)

    # --- Slots --------------------------------------------------------------------------------------------

    def get(self, owner: Owner, name: str) -> Slot:
        """Return a slot's settings; without any, nothing is sent."""
        entry = self._ledger.get(SLOT, f"{owner}/{name}")
        return Slot(name=name) if entry is None else msgspec.convert(entry.body, Slot)

    def all(self, owner: Owner) -> list[Slot]:
        """Return the settings of all slots, in the order of ``SLOTS``."""
        return [self.get(owner, name) for name in SLOTS]

    async def put(self, owner: Owner, slot: Slot) -> None:
        """Put settings in place of those that the slot of that name has, and deliver accordingly from now on.

        Raises:
            Refused: 404 where there is no such slot; 400 where the URL or the delay cannot be had.
        """
        self.check(owner, slot)
        await self.open(owner)
        async with self._changing:
            await self._keep(SLOT, f"{owner}/{slot.name}", owner, msgspec.to_builtins(slot, order="sorted"))
            await self._deliver_to(owner, slot)

    def check(self, owner: Owner, slot: Slot) -> None:
        """Refuse settings that cannot be had; see ``put``."""
        self.check_name(slot.name)
        if not 0 <= slot.delay <= MAX_DELAY:
            raise Refused(400, INVALID, f"delay is between 0 and {MAX_DELAY} milliseconds")
        if slot.url is not None:
            self.check_url(owner, slot.url)

    @staticmethod
    def check_name(name: str) -> None:
        """Refuse a name that no slot has: 404."""
        if name not in SLOTS:
            message = f"there is no setting {name[:100]}; those that are: {', '.join(SLOTS)}"
            raise Refused(404, "WEBHOOK_SETTING_NOT_FOUND_ERROR", message)

    def check_url(self, owner: Owner, url: str) -> None:
        """Refuse a URL that webhooks cannot go to; with ``strict_urls``, one that the provider does not take.

        Raises:
            Refused: 400 ``INVALID_URL_FORMAT``, with why.
        """
        problem = url_problem(url)
        if problem is None and self.options(owner).strict_urls:
            problem = strict_url_problem(url)
        if problem is not None:
            raise Refused(400, INVALID_URL, f"the URL cannot be used: {problem}", [problem])

    async def channel(self, owner: Owner, name: str, url: str | None, *, test: bool = False) -> str:
        """Return the channel that a message has to be in: the uid of the endpoint that listens to it, made if need be.

        Args:
            owner: Whose.
            name: The slot, which decides unless there is a *url*.
            url: The one URL that this message is for. One that is no URL gets nothing.
            test: Whether to try once only.
        """
        channel = channel_of(name, url, test=test)
        known = url is None or channel in self._targets.get(owner, {})
        if not known and url_problem(url or "") is None:
            await self._add_target(owner, channel, url or "")
        return channel

    # --- What holds for all slots -------------------------------------------------------------------------

    def options(self, owner: Owner) -> Options:
        """Return what an owner has chosen."""
        entry = self._ledger.get(OPTIONS, str(owner))
        return Options() if entry is None else msgspec.convert(entry.body, Options)

    async def put_options(self, owner: Owner, options: Options) -> None:
        """Choose otherwise; endpoints follow at once."""
        await self.open(owner)
        async with self._changing:
            await self._keep(OPTIONS, str(owner), owner, msgspec.to_builtins(options))
            await self._follow(owner)

    def token(self, owner: Owner) -> Token:
        """Return the verification token.

        Raises:
            Refused: 404: the owner was never opened.
        """
        entry = self._ledger.get(TOKEN, str(owner))
        if entry is None:
            message = "there is no verification token yet; it is made with the first setting or webhook"
            raise Refused(404, "CALLBACK_AUTHENTICATION_TOKEN_NOT_FOUND_ERROR", message)
        following = entry.body.get("next")
        return Token(
            current=entry.body["token"],
            next=following,
            switches_at=None if following is None else entry.due_at,
        )

    async def rotate_token(self, owner: Owner, overlap: Duration) -> Token:
        """Make a new token, which webhooks carry when *overlap* has passed.

        Until then it is shown as ``Token.next``, so that a receiver can be taught to accept both. A rotation that is
        under way is replaced.

        Args:
            owner: Whose.
            overlap: In milliseconds of the provider's time, from 0 to 30 days; with 0 the change is made at once.

        Raises:
            Refused: 400: *overlap* is none of these.
        """
        if not 0 <= overlap <= MAX_DELAY:
            raise Refused(400, INVALID, f"the overlap is between 0 and {MAX_DELAY} milliseconds")
        await self.open(owner)
        async with self._changing:
            body = {"token": self.token(owner).current, "next": self._new_token()}
            due_at = self._clock() + self._sending.shortened(overlap)
            await self._keep(TOKEN, str(owner), owner, body, due_at=due_at)
        return self.token(owner) if overlap else await self.switch_token(owner)

    async def switch_token(self, owner: Owner) -> Token:
        """Let webhooks carry the new token now; without one, nothing changes."""
        await self.open(owner)
        async with self._changing:
            following = self.token(owner).next
            if following is not None:
                await self._keep(TOKEN, str(owner), owner, {"token": following})
                await self._follow(owner)
        return self.token(owner)

    async def put_token(self, owner: Owner, token: str) -> None:
        """Let webhooks carry a token that was chosen elsewhere, such as the one that a receiver knows already.

        Raises:
            Refused: 400: a header cannot carry it.
        """
        if _TOKEN.fullmatch(token) is None:
            raise Refused(
                400, INVALID, "a token is 1 to 512 letters, digits and signs of ASCII, without spaces"
            )
        await self.open(owner)
        async with self._changing:
            await self._keep(TOKEN, str(owner), owner, {"token": token})
            await self._follow(owner)

    async def switch_due(self, entry: Entry) -> None:
        """Let webhooks carry the new token, for its time has come."""
        await self.switch_token(entry.owner)

    # --- Endpoints ----------------------------------------------------------------------------------------

    async def _follow(self, owner: Owner) -> None:
        """Make all endpoints of an owner as the settings want them; until that is done, the owner is not open."""
        self._targets.pop(owner, None)
        page = Page(limit=MAX_ENDPOINTS)
        endpoints = await self._outbox.read(lambda store: store.endpoints(str(owner), page))
        there = {endpoint.uid or "": endpoint.url for endpoint in endpoints}
        targets = {uid: url for uid, url in there.items() if _is_target(uid)}
        slots = {slot.name: slot.url for slot in self.all(owner) if slot.url is not None}
        for uid, url in (slots | targets).items():
            await self._outbox.put_endpoint(str(owner), uid, self._draft(owner, uid, url))
        # One whose URL was taken away, if the sandbox ended before it could take the endpoint away, too.
        for uid in sorted(SLOTS.keys() & there.keys() - slots.keys()):
            await self._outbox.remove_endpoint(str(owner), uid)
        self._targets[owner] = dict.fromkeys(targets)

    async def _deliver_to(self, owner: Owner, slot: Slot) -> None:
        if slot.url is not None:
            draft = self._draft(owner, slot.name, slot.url)
            await self._outbox.put_endpoint(str(owner), slot.name, draft)
            return
        with contextlib.suppress(NotFound):
            await self._outbox.remove_endpoint(str(owner), slot.name)

    def _draft(self, owner: Owner, channel: str, url: str) -> PlayedDraft:
        stamps = Mishap.ATTEMPT_TIME in self.get(owner, channel).mishaps
        manner = Manner(
            user_agent=self._sending.user_agent,
            retries_silence=self._sending.retries_silence,
            stamps_attempts=stamps or self._sending.stamps_attempts,
        )
        retries = self.options(owner).automatic_retry and not channel.startswith(TEST)
        return PlayedDraft(
            url=url,
            uid=channel,
            channels=(channel,),
            headers={TOKEN_HEADER: self.token(owner).current},
            retry_schedule=self._schedule() if retries else (),
            manner=manner,
        )

    def _schedule(self) -> tuple[float, ...]:
        return tuple(self._sending.shortened(delay) / 1000 for delay in XENDIT_SCHEDULE.delays)

    async def _add_target(self, owner: Owner, channel: str, url: str) -> None:
        await self.open(owner)
        async with self._changing:
            await self._outbox.put_endpoint(str(owner), channel, self._draft(owner, channel, url))
            targets = self._targets.get(owner, {})
            targets[channel] = None
            while len(targets) > MAX_TARGETS:
                oldest = next(iter(targets))
                del targets[oldest]
                await self._outbox.remove_endpoint(str(owner), oldest)

    # --- Keeping ------------------------------------------------------------------------------------------

    async def _keep(
        self, kind: str, name: str, owner: Owner, body: dict[str, Any], due_at: Instant | None = None
    ) -> None:
        change = Change(self._ledger, self._clock())
        change.add(kind, name, owner, body, due_at=due_at)
        await self._ledger.keep(change.entries)

    def _new_token(self) -> str:
        return "".join(self._chance.choices(TOKEN_LETTERS, k=TOKEN_LENGTH))


def channel_of(name: str, url: str | None, *, test: bool) -> str:
    """Return the channel of a message for a slot, or for one *url*; see ``Slots.channel``."""
    if url is None:
        return name
    digest = hashlib.sha256(url.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{TEST if test else TARGET}{digest}"


def _is_target(uid: str) -> bool:
    return uid.startswith((TARGET, TEST))


__all__ = [
    "SLOT",
    "SLOTS",
    "TOKEN_HEADER",
    "Mishap",
    "Options",
    "Sending",
    "Slot",
    "Slots",
    "Token",
    "slot_of",
]
