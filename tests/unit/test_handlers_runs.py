"""How handlers are run: what they get, what they may answer, and what becomes of it."""

import asyncio
import functools
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pydantic
import pytest
from runs import EVENT, PAID, XENDIT, attempts, opened, raising, run, send

import ringback
from ringback import Discard, Retry
from ringback.errors import ConfigurationError, RingbackError
from ringback.model import OutcomeKind
from ringback.testing import (
    FrozenClock,
    assert_acknowledged,
    assert_dead,
    assert_discarded,
    assert_handled,
    assert_received,
    assert_waiting,
    drain,
    signed_request,
)

# The longest a test waits for what must happen; nothing waits so long that succeeds.
PATIENCE = 10


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def inbox(tmp_path, clock):
    """Return an inbox with one source, closed at the end."""
    with closing(opened(tmp_path, clock=clock, threads=4)) as inbox:
        yield inbox


# --- Kinds of functions ------------------------------------------------------------------------------------


class Callable:
    def __init__(self, seen):
        self.seen = seen

    def __call__(self, message):
        """Handle *message*."""
        self.seen.append(message.event_type)


class AsyncCallable(Callable):
    async def __call__(self, message):
        """Handle *message*."""
        await asyncio.sleep(0)
        self.seen.append(message.event_type)


def plain(seen, message):
    seen.append(message.event_type)


async def coroutine(seen, message):
    await asyncio.sleep(0)
    seen.append(message.event_type)


def decorated(seen):
    @functools.wraps(coroutine)
    def wrapper(message):
        return coroutine(seen, message)

    return wrapper


KINDS = {
    "function": lambda seen: lambda message: plain(seen, message),
    "partial": lambda seen: functools.partial(plain, seen),
    "async partial": lambda seen: functools.partial(coroutine, seen),
    "object": Callable,
    "async object": AsyncCallable,
    "partial of an async object": lambda seen: functools.partial(AsyncCallable(seen)),
    "bound method": lambda seen: Callable(seen).__call__,
    "async function under a plain decorator": decorated,
    "written in C": lambda seen: functools.partial(plain, seen),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_function_is_run(inbox, kind):
    """Functions, coroutine functions, objects, partials and decorated ones are run to their end."""
    seen = []
    assert run(inbox, KINDS[kind](seen)).ok
    assert seen == [PAID]
    assert_handled(inbox, XENDIT, EVENT, "fulfil", attempts=1)


def test_a_function_that_does_not_tell_its_parameters(inbox):
    """A builtin without a signature is a handler like any other."""
    assert run(inbox, {}.update).kind is OutcomeKind.RAISED


def test_what_a_handler_gets(inbox, clock):
    """A message has the bytes, the JSON, the headers without secrets, the attempt, ids and when it was received."""
    seen = []
    inbox.on(XENDIT, PAID, name="fulfil")(seen.append)
    request = signed_request(XENDIT, PAID, event_id=EVENT, headers={"X-Trace": "t-1"}, fields={"amount": 7})
    assert_acknowledged(inbox.accept(XENDIT, request).result())
    drain(inbox)
    (message,) = seen
    assert message.raw == request.body
    assert message.data["amount"] == 7
    assert message.data is message.data
    assert message.headers["x-trace"] == "t-1"
    assert "x-callback-token" not in message.headers
    assert (message.source, message.event_type, message.attempt) == (XENDIT, PAID, 1)
    assert message.received_at == clock.now
    assert message.id == assert_received(inbox, XENDIT, EVENT).id
    assert message.idempotency_key.startswith("xendit:")
    assert message.model is None
    assert not message.polled


# --- What it may answer ------------------------------------------------------------------------------------


def returning(value):
    return lambda message: value


@pytest.mark.parametrize("answer", [raising, returning])
@pytest.mark.parametrize("after", [90, 90.0, timedelta(seconds=90)])
def test_a_handler_asks_to_be_called_again(inbox, clock, answer, after):
    """Retry, raised or returned, calls the handler again when it says, and its reason is kept."""
    outcome = run(inbox, answer(Retry("the bank is closed", after=after)))
    assert (outcome.kind, outcome.body) == (OutcomeKind.AGAIN, b"the bank is closed")
    assert_waiting(inbox, XENDIT, EVENT)
    assert inbox.next_due().result() == clock() + 90_000


@pytest.mark.parametrize("answer", [raising, returning])
@pytest.mark.parametrize("retry", [Retry, Retry()])
def test_a_retry_without_a_time_takes_the_usual_one(inbox, clock, answer, retry):
    """Retry alone, or its class, is tried again by the handler's own schedule."""
    run(inbox, answer(retry), retries="1h")
    assert 48 * 60_000 <= inbox.next_due().result() - clock() <= 72 * 60_000


@pytest.mark.parametrize("answer", [raising, returning])
@pytest.mark.parametrize(
    ("discard", "reason"), [(Discard("a test order"), "a test order"), (Discard, ""), (Discard(7), "7")]
)
def test_a_handler_wants_nothing_more(inbox, answer, discard, reason):
    """Discard, raised or returned, ends it for good, with the reason on the delivery."""
    assert run(inbox, answer(discard)).kind is OutcomeKind.DISCARDED
    assert_discarded(inbox, XENDIT, EVENT)
    message = assert_received(inbox, XENDIT, EVENT)
    ((delivery, _),) = inbox.deliveries(XENDIT, message.id).result()
    assert (delivery.reason or "") == reason
    assert inbox.next_due().result() is None


@pytest.mark.parametrize("value", [None, 0, False, "text", [], Exception, ValueError])
def test_any_other_return_is_done(inbox, value):
    """Whatever else is returned, the handler is done."""
    assert run(inbox, returning(value)).ok


def failing(message):
    deeper(message)


def deeper(message):
    raise LookupError(f"no order {message.data['external_id']}")


async def failing_coroutine(message):
    deeper(message)


@pytest.mark.parametrize("function", [failing, failing_coroutine])
def test_a_traceback_is_kept(inbox, clock, function):
    """An exception is tried again, and its traceback, frames of the application only, is the attempt's body."""
    outcome = run(inbox, function)
    assert (outcome.kind, outcome.detail) == (OutcomeKind.RAISED, "LookupError")
    text = outcome.body.decode()
    assert "no order" in text
    assert "in deeper" in text
    assert text.count('File "') == 2
    assert str(Path(ringback.__file__).parent) not in text
    assert inbox.next_due().result() > clock()


def test_a_long_traceback_is_cut(inbox):
    """What is kept of an exception is bounded, and the error itself, at the end, is in it."""
    outcome = run(inbox, raising(ValueError("x" * 200_000 + "the end")))
    assert len(outcome.body) == 64 * 1024
    assert outcome.body.endswith(b"the end\n")


@pytest.mark.parametrize("text", ["\ud800", "\x00", "é" * 10])
def test_whatever_an_error_says_can_be_kept(inbox, text):
    """An error's text that is no text is kept in some form."""
    assert run(inbox, raising(ValueError(text))).body


class Unprintable(Exception):  # noqa: N818 - what it is counts here
    def __str__(self):
        raise RuntimeError("not even this")


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        StopIteration(),
        StopAsyncIteration(),
        TimeoutError("the bank's"),
        MemoryError(),
        RecursionError(),
        RingbackError("ours"),
        Unprintable(),
        ExceptionGroup("several", [ValueError("one")]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("kind", ["sync", "async", "key"])
def test_every_error_is_only_the_handlers(inbox, error, kind):
    """Whatever a handler or its key function raises is its own failure: it is tried again, the others go on."""

    async def coroutine(message):
        raise error

    def key(message):
        if message.event_type == PAID:
            raise error
        return "one"

    function = {"sync": raising(error), "async": coroutine, "key": lambda message: None}[kind]
    inbox.on(XENDIT, PAID, name="fulfil", key=key if kind == "key" else None, retries="1h")(function)
    seen = []
    inbox.on(XENDIT, name="other")(seen.append)
    send(inbox)
    send(inbox, "1002", "invoice.expired")
    drained = inbox.drain()
    assert (drained.succeeded, drained.failed, drained.more) == (2, 1, False)
    outcome = next(one for one in attempts(inbox) if not one.ok)
    # Python turns a StopIteration that leaves a coroutine into a RuntimeError.
    assert outcome.detail in {type(error).__name__, "RuntimeError"}
    assert outcome.kind is OutcomeKind.RAISED
    assert_waiting(inbox, XENDIT, EVENT, "fulfil")
    assert len(seen) == 2


def test_a_handlers_own_timeout_is_an_error(inbox):
    """A time limit inside a handler is told as the error it is, not as the handler's own limit."""

    async def handler(message):
        async with asyncio.timeout(0):
            await asyncio.sleep(PATIENCE)

    outcome = run(inbox, handler)
    assert (outcome.kind, outcome.detail) == (OutcomeKind.RAISED, "TimeoutError")
    assert b"asyncio.sleep" in outcome.body


# --- Several handlers --------------------------------------------------------------------------------------


def test_several_handlers_progress_each_by_itself(inbox, clock):
    """Each handler of a message is done or tried again by itself; a retry repeats none that succeeded."""
    runs = []

    @inbox.on(XENDIT, PAID, "invoice.expired")
    def fulfil(message):
        runs.append("fulfil")

    @inbox.on(XENDIT, "invoice.*", retries="1m,1m")
    async def mail(message):
        runs.append(f"mail {message.attempt} {message.idempotency_key}")
        if message.attempt < 3:
            raise ValueError("the mail server is away")

    @inbox.on(XENDIT, "payment.*")
    def other(message):
        runs.append("other")

    send(inbox)
    drain(inbox, clock)
    key = assert_received(inbox, XENDIT, EVENT).inbound.dedupe_key
    assert sorted(runs) == [
        "fulfil",
        f"mail 1 xendit:{key}:mail",
        f"mail 2 xendit:{key}:mail",
        f"mail 3 xendit:{key}:mail",
    ]
    assert_handled(inbox, XENDIT, EVENT, "fulfil", attempts=1)
    assert_handled(inbox, XENDIT, EVENT, "mail", attempts=3)


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        ((), True),
        (("*",), True),
        (("invoice.*",), True),
        (("*.paid",), True),
        (("inv*paid",), True),
        (("invoice.expired", PAID), True),
        (("invoice",), False),
        (("invoice.",), False),
        (("invoice.paid.*",), False),
        (("INVOICE.PAID",), False),
        (("invoice?paid",), False),
        (("[a-z]*.expired",), False),
    ],
)
def test_patterns_of_event_types(inbox, patterns, wanted):
    """A star stands for any characters and everything else for itself; no pattern at all means every type."""
    seen = []
    inbox.on(XENDIT, *patterns, name="fulfil")(seen.append)
    send(inbox)
    drain(inbox)
    assert bool(seen) is wanted


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": 3_601},
        {"timeout": float("nan")},
        {"retries": "soon"},
        {"retries": "1s,,2s"},
    ],
)
def test_a_handler_that_cannot_be(inbox, options):
    """A limit or a schedule out of range is told where the handler is declared."""
    with pytest.raises(ConfigurationError):
        inbox.on(XENDIT, name="fulfil", **options)(lambda message: None)


def test_two_handlers_of_one_name(inbox):
    """A source has one handler of a name; another source may have the same."""
    inbox.on(XENDIT, PAID, name="fulfil")(lambda message: None)
    with pytest.raises(ConfigurationError, match="give one name="):
        inbox.on(XENDIT, PAID, name="fulfil")(lambda message: None)
    inbox.source("second", provider=XENDIT, secrets=["secret"])
    inbox.on("second", PAID, name="fulfil")(lambda message: None)


def test_a_handler_of_no_source_is_told_at_the_start(inbox):
    """A handler of a source that is not declared stops the worker at its start, by name."""
    inbox.on("stripes", PAID, name="fulfil")(lambda message: None)
    with pytest.raises(ConfigurationError, match="stripes"):
        inbox.drain()


# --- Typed bodies ------------------------------------------------------------------------------------------


class InvoiceStruct(msgspec.Struct):
    external_id: str
    amount: int


class InvoiceModel(pydantic.BaseModel):
    external_id: str
    amount: int


@pytest.mark.parametrize("model", [InvoiceStruct, InvoiceModel, dict[str, object]])
def test_a_body_as_a_type(inbox, model):
    """With model= the body is an instance of that type."""
    seen = []
    assert run(inbox, lambda message: seen.append(message.model), model=model).ok
    assert isinstance(seen[0], dict if model not in {InvoiceStruct, InvoiceModel} else model)


@pytest.mark.parametrize("model", [InvoiceStruct, InvoiceModel])
def test_a_body_that_does_not_fit_is_a_dead_letter(tmp_path, clock, model):
    """A misfit is a dead letter at once, with why; after the fix it is replayed and handled."""
    seen = []

    def declared(model):
        inbox = opened(tmp_path, clock=clock)
        inbox.on(XENDIT, PAID, name="fulfil", model=model)(lambda message: seen.append(message.model))
        return inbox

    with closing(declared(model)) as inbox:
        send(inbox, amount="a lot")
        inbox.drain()
        (outcome,) = attempts(inbox)
        assert outcome.detail == "model_mismatch"
        assert b"amount" in outcome.body
        assert_dead(inbox, XENDIT, EVENT)
        ((delivery, message),) = inbox.dead_letters(XENDIT).result()
        assert delivery.message_id == message.id == assert_received(inbox, XENDIT, EVENT).id
        assert seen == []
    with closing(declared(dict)) as inbox:
        assert inbox.replay(XENDIT, message.id).result() == 1
        drain(inbox)
        assert_handled(inbox, XENDIT, EVENT)
        assert seen[0]["amount"] == "a lot"
        assert inbox.dead_letters(XENDIT).result() == []


# --- Giving up and again -----------------------------------------------------------------------------------


def test_what_is_given_up_is_a_dead_letter(inbox, clock):
    """After its schedule a delivery is a dead letter; a replay has attempts from one on and the same key."""
    keys = []

    def handler(message):
        keys.append((message.attempt, message.idempotency_key))
        if len(keys) <= 3:
            raise ValueError("not yet")

    inbox.on(XENDIT, PAID, name="fulfil", retries="1m,1h")(handler)
    send(inbox)
    drain(inbox, clock)
    assert_dead(inbox, XENDIT, EVENT)
    message = assert_received(inbox, XENDIT, EVENT)
    assert inbox.replay(XENDIT, message.id).result() == 1
    drain(inbox, clock)
    assert_handled(inbox, XENDIT, EVENT)
    assert [attempt for attempt, _ in keys] == [1, 2, 3, 1]
    assert len({key for _, key in keys}) == 1


def test_a_renamed_handler_is_missed(tmp_path, clock):
    """The old name is listed as missing and its message waits; by a new match the new name gets it."""
    seen = []

    def declared(name):
        inbox = opened(tmp_path, clock=clock)
        inbox.on(XENDIT, PAID, name=name)(lambda message: seen.append(name))
        return inbox

    with closing(declared("old")) as inbox:
        assert inbox.missing_handlers().result() == []
        send(inbox)
    with closing(declared("new")) as inbox:
        assert inbox.missing_handlers().result() == ["xendit/old"]
        drained = inbox.drain()
        assert (drained.succeeded, drained.failed, drained.more) == (0, 0, False)
        assert_waiting(inbox, XENDIT, EVENT, "old")
        message = assert_received(inbox, XENDIT, EVENT)
        assert inbox.replay(XENDIT, message.id, rematch=True).result() >= 1
        inbox.drain()
        assert seen == ["new"]
        assert_handled(inbox, XENDIT, EVENT, "new")
