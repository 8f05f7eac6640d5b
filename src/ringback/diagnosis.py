"""What is wrong with an installation, or will be: findings, each with what, why and what to do.

``examine_…`` functions judge what they are given; only ``survey`` reads, and only from the store. The clock is not
judged: without a network there is nothing to compare it with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum

import msgspec

from ringback.entrance import Entrance
from ringback.errors import InvalidInput, SignatureInvalid
from ringback.intake import MIN_FREE_BYTES
from ringback.model import Duration, Endpoint, Instant, Refusal, Source, iso
from ringback.policy import DAY, MINUTE
from ringback.providers import Profile
from ringback.signing import Request
from ringback.store import Census, Condition, DueEndpoint, Page, Store

# Below the first, requests are refused; the second is time to do something about it.
ROOMY_BYTES = 16 * MIN_FREE_BYTES
UNTAKEN_FOR: Duration = MINUTE
MANY = 10_000
PAGE = 250
NEWEST = Page(limit=PAGE, descending=True)
MIB = 1024 * 1024


class Verdict(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


class Finding(msgspec.Struct, frozen=True):
    """One thing found: about what, what it is, why it matters, and what to do about it."""

    verdict: Verdict
    about: str
    what: str
    why: str = ""
    advice: str = ""


class Door(msgspec.Struct, frozen=True):
    """A source with what is known of it besides what the store holds.

    ``profile`` is the application's own, where it has one. ``secrets`` are None where the application keeps them and
    was not asked.
    """

    source: Source
    profile: Profile | None = None
    secrets: tuple[str, ...] | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the store holds for one source. ``refusals`` are those of the last day."""

    source: Source
    endpoints: tuple[Endpoint, ...]
    census: Census
    refusals: tuple[Refusal, ...]


class Survey(msgspec.Struct, frozen=True):
    """What the store holds for all sources, and which endpoints are past due."""

    accounts: tuple[Account, ...]
    due: tuple[DueEndpoint, ...]


# --- Looking -----------------------------------------------------------------------------------------------


def survey(store: Store, now: Instant) -> Survey:
    """Read what there is to judge.

    Raises:
        ConfigurationError: A secret in the store does not open with its key.
        StoreUnavailable: The database cannot be read.
    """
    accounts = tuple(
        Account(
            source=source,
            endpoints=tuple(store.endpoints(source.id, Page(limit=MANY))),
            census=store.census(source.id),
            refusals=tuple(one for one in store.refusals(source.id, NEWEST) if one.at > now - DAY),
        )
        for source in _all_sources(store)
    )
    return Survey(accounts, tuple(store.due(now - UNTAKEN_FOR, MANY)))


def name_of(source: Source) -> str:
    """Return what commands call a source."""
    return source.uid or source.id


def _all_sources(store: Store) -> Iterator[Source]:
    page = store.sources(Page(limit=PAGE))
    while page:
        yield from page
        page = store.sources(Page(limit=PAGE, cursor=page[-1].id))


# --- The store ---------------------------------------------------------------------------------------------


def examine_condition(condition: Condition, *, shared: bool) -> Finding:
    """Judge a database before it is opened; *shared* means that it may be an application's own."""
    about, path = "store", condition.path
    if not condition.exists or (condition.schema is None and (shared or not condition.foreign)):
        return Finding(
            Verdict.WARNING,
            about,
            f"{path} holds nothing of Ringback's yet",
            "nothing has been received or published here, or this is not the file that is used",
            "the first start makes what is needed; if it was made already, check --store or the inbox's store",
        )
    if condition.schema is None:
        return Finding(
            Verdict.BROKEN,
            about,
            f"{path} belongs to another program",
            "Ringback only shares a file that it is told to share",
            "name another file, or make the inbox with shared=True",
        )
    return _examine_schema(condition, condition.schema)


def _examine_schema(condition: Condition, schema: int) -> Finding:
    about, path = "store", condition.path
    if schema > condition.newest:
        return Finding(
            Verdict.BROKEN,
            about,
            f"{path} was written by a newer Ringback (schema {schema}, this one knows {condition.newest})",
            "this one would not understand what it finds",
            "upgrade Ringback here",
        )
    if schema < condition.newest:
        return Finding(
            Verdict.WARNING,
            about,
            f"{path} has schema {schema}, and this Ringback uses {condition.newest}",
            "the next start changes it, and an older Ringback cannot use it then",
            "stop what runs with the older version, make a backup, then start this one",
        )
    if not condition.durable:
        return Finding(
            Verdict.WARNING,
            about,
            f"{path} was found without its write-ahead log, and has it again now",
            "something else has set another journal_mode; readers and the writer wait for each other then",
            "let nothing but Ringback set the journal_mode of this file",
        )
    return Finding(Verdict.OK, about, f"{path} is there, with the current schema ({schema})")


def examine_free_space(free: int | None) -> Finding:
    """Judge how many bytes are free where the store is."""
    about = "disk"
    if free is None:
        return Finding(
            Verdict.WARNING, about, "how much space is free cannot be told", "a full disk would be a surprise"
        )
    told = f"{free // MIB:,} MiB are free where the store is"
    if free < MIN_FREE_BYTES:
        why = f"with less than {MIN_FREE_BYTES // MIB} MiB, every webhook is answered with 503"
        return Finding(
            Verdict.BROKEN, about, told, why, "free some space now; providers try again for a while"
        )
    if free < ROOMY_BYTES:
        why = f"with less than {MIN_FREE_BYTES // MIB} MiB, no webhook is accepted any more"
        return Finding(Verdict.WARNING, about, told, why, "free some space, or shorten the setting retention")
    return Finding(Verdict.OK, about, told)


# --- Sources -----------------------------------------------------------------------------------------------


def examine_door(door: Door, now: Instant) -> list[Finding]:
    """Judge one source: its provider, its options, its secrets, and what its scheme leaves open."""
    about = f"source {name_of(door.source)}"
    try:
        profile = Entrance(door.source, door.profile).profile
    except InvalidInput as error:
        return [_unusable(door, about, error)]
    problems = list(_examine_secrets(door, profile, about, now))
    if not problems and door.secrets is not None:
        count = len(door.secrets)
        told = f"{profile.title}, with {'one secret' if count == 1 else f'{count} secrets'} of the right form"
        problems = [Finding(Verdict.OK, about, told)]
    return [*problems, *_examine_cover(profile, about)]


def _unusable(door: Door, about: str, error: InvalidInput) -> Finding:
    if door.secrets is None:
        return Finding(
            Verdict.WARNING,
            about,
            f"it cannot be judged from here: {error.fields[0].msg}",
            "the application may have a provider's profile of its own",
            "run this with --inbox",
        )
    return Finding(
        Verdict.BROKEN,
        about,
        error.fields[0].msg,
        "nothing that is sent to it can be verified",
        "correct the source's provider or options",
    )


def _examine_secrets(door: Door, profile: Profile, about: str, now: Instant) -> Iterator[Finding]:
    if door.secrets is None:
        yield Finding(
            Verdict.OK,
            about,
            f"{profile.title}; its secrets are kept by the application, --inbox checks them",
        )
        return
    if not door.secrets:
        yield Finding(
            Verdict.BROKEN,
            about,
            "it has no secret",
            "every request to it is refused",
            f"give it {profile.configured_with}",
        )
    for number, secret in enumerate(door.secrets, 1):
        told = f"secret {number} of {len(door.secrets)}"
        problem = _problem_with(secret, profile, now)
        if problem is not None:
            yield Finding(
                Verdict.BROKEN,
                about,
                f"{told} cannot be used: {problem}",
                "nothing signed with it verifies",
                f"{profile.title} wants {profile.configured_with}",
            )
        elif secret != secret.strip() and "\n" not in secret.strip():  # PEM ends with a line break
            yield Finding(
                Verdict.WARNING,
                about,
                f"{told} has blanks or a line break around it",
                "they are taken as part of it, so that what is signed with the real one is refused",
                "remove them where the secret is kept",
            )


def _problem_with(secret: str, profile: Profile, now: Instant) -> str | None:
    """Return why a secret has not the form that the scheme wants: each reads its secrets before anything else."""
    try:
        profile.scheme.verify((secret,), Request("POST", "", {}, b""), now)
    except SignatureInvalid as error:
        return (
            error.detail.rpartition("no secret can be used: ")[2]
            if error.reason == "secret_unusable"
            else None
        )
    return None


def _examine_cover(profile: Profile, about: str) -> Iterator[Finding]:
    if profile.uncovered is not None:
        yield Finding(
            Verdict.WARNING,
            about,
            f"what {profile.title} sends is not fully protected",
            profile.uncovered,
            "receive over HTTPS only; repeats are de-duplicated; before acting on what has value, ask the provider "
            "for the object by its id, and have inbox.reconcile() find what never came",
        )


def examine_absent_sources(accounts: Iterable[Account], declared: Collection[str]) -> list[Finding]:
    """List the sources that only the application received for, and that it has no longer."""
    return [
        Finding(
            Verdict.WARNING,
            f"source {name_of(one.source)}",
            "the application has it no longer",
            "what is sent to it is answered with 404; what was received is kept",
            "declare it again with inbox.source(), or tell the provider not to send",
        )
        for one in accounts
        if one.source.token is None and name_of(one.source) not in declared
    ]


# --- Handlers and what is left over ------------------------------------------------------------------------


def examine_handlers(account: Account, handlers: Collection[str]) -> list[Finding]:
    """List the handlers that the store has messages for and the application, whose *handlers* these are, has not."""
    return [
        Finding(
            Verdict.WARNING,
            f"handler {endpoint.handler}",
            f"the application has no such handler; {_deliveries(account.census.waiting.get(endpoint.id, 0))} for it",
            "each message that fits is still kept for it, and nobody takes what waits",
            f"give a handler that name again, or run: ringback inbox forget {name_of(account.source)} {endpoint.uid}",
        )
        for endpoint in account.endpoints
        if endpoint.handler is not None and endpoint.handler not in handlers
    ]


def examine_untaken(account: Account, due: Collection[DueEndpoint]) -> list[Finding]:
    """List the handlers whose deliveries nobody takes although they are due."""
    endpoints = {one.id: one for one in account.endpoints}
    return [
        Finding(
            Verdict.WARNING,
            f"handler {one.handler}",
            f"{_deliveries(account.census.waiting.get(one.endpoint_id, 0))} for it, the oldest due since "
            f"{iso(one.oldest_due_at)}",
            "no worker that has this handler runs, or it cannot keep up",
            "start ringback worker --inbox MODULE:NAME; if the handler is gone for good, run: "
            f"ringback inbox forget {name_of(account.source)} {endpoints[one.endpoint_id].uid}",
        )
        for one in due
        if one.handler is not None and one.endpoint_id in endpoints
    ]


def examine_leftovers(account: Account) -> list[Finding]:
    """Tell what nothing handles, what was given up and what was refused in the last day."""
    name, census = name_of(account.source), account.census
    return [
        *_examine_retrying(account),
        *_examine_held(name, census),
        *_examine_dead(name, census),
        *_examine_refusals(account),
    ]


def _examine_retrying(account: Account) -> Iterator[Finding]:
    for endpoint in account.endpoints:
        failing = account.census.retrying.get(endpoint.id, 0)
        if failing:
            whose = f"handler {endpoint.handler}" if endpoint.handler else f"forward {endpoint.url}"
            yield Finding(
                Verdict.WARNING,
                whose,
                f"{counted(failing, 'message')} failed at it and wait for the next attempt",
                "each is tried again by its schedule, and given up at its end",
                f"see ringback inbox messages {name_of(account.source)}, then ringback inbox show with one of them:"
                " its last attempt says what went wrong",
            )


def _examine_held(name: str, census: Census) -> Iterator[Finding]:
    if census.unhandled:
        yield Finding(
            Verdict.WARNING,
            f"source {name}",
            f"{counted(census.unhandled, 'message')} of types that no handler wants",
            "they are kept, and nothing was done about them",
            f"see ringback inbox held {name} --unhandled; add a handler, then: ringback inbox replay {name} "
            "--since 1d --rematch (handlers that are done with a message are left alone)",
        )
    if census.quarantined:
        yield Finding(
            Verdict.WARNING,
            f"source {name}",
            f"{counted(census.quarantined, 'message')} in quarantine",
            "they verified, but what they are about is not understood",
            f"see ringback inbox held {name} --quarantined",
        )


def _examine_dead(name: str, census: Census) -> Iterator[Finding]:
    if census.dead:
        yield Finding(
            Verdict.WARNING,
            f"source {name}",
            f"{counted(census.dead, 'delivery', 'deliveries')} given up",
            "every attempt failed",
            f"see ringback inbox dead {name}; when the cause is mended: ringback inbox replay {name} MESSAGE",
        )


def _examine_refusals(account: Account) -> Iterator[Finding]:
    if not account.refusals:
        return
    name = name_of(account.source)
    (reason, times), *_ = Counter(one.reason for one in account.refusals).most_common(1)
    total = len(account.refusals) + sum(one.more for one in account.refusals)
    example = next(one for one in account.refusals if one.reason == reason)
    yield Finding(
        Verdict.WARNING,
        f"source {name}",
        f"{counted(total, 'request')} refused in the last day; of the {len(account.refusals)} looked at, {times} for "
        f"{reason}",
        "; ".join([example.detail, *example.hints]),
        f"see ringback inbox refusals {name}",
    )


def _deliveries(count: int) -> str:
    return counted(count, "delivery waits", "deliveries wait") if count else "nothing waits"


def counted(count: int, one: str, several: str = "") -> str:
    """Return a count with what is counted; *several* is for all counts but one, by default *one* with an s."""
    if count == 1:
        return f"1 {one}"
    return f"{'at least ' if count >= MANY else ''}{count:,} {several or f'{one}s'}"
