"""Log lines about the inbox: they say what a person needs, never a payload, and nobody can flood them."""

import contextlib
import json

import pytest

from ringback.config import load
from ringback.handlers import Discard, Retry
from ringback.model import Source
from ringback.observe import Observer, RequestRefused
from ringback.server import logs
from ringback.testing import FrozenClock, drain, inbox_at, secret_for, signed_request, unsigned_request
from ringback.testing.samples import sample_of

SECRET_OF_THE_BUYER = "buyer@example.com"


@contextlib.contextmanager
def logging_of(observer, level="debug", form="json"):
    """Log what *observer* tells until the end of the block."""
    stop = logs.start_logging(load({"log_level": level, "log_format": form}, {}, None), observer)
    try:
        yield
    finally:
        stop()


@pytest.fixture
def shop(tmp_path):
    clock = FrozenClock()
    shop = inbox_at(tmp_path, clock=clock)
    shop.clock = clock
    shop.source("xendit", secrets=[secret_for("xendit")])
    yield shop
    shop.close()


def lines(capsys):
    """Return the lines written, by message."""
    written = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in written if line["message"] != "message accepted"]


def receive(shop):
    assert shop.accept("xendit", signed_request("xendit", "invoice.paid")).result().status == 200


def handled(shop, function, capsys):
    """Return the lines about one message that a handler gets, until it is done with."""
    shop.on("xendit", name="fulfil", retries="1s")(function)
    with logging_of(shop.observer):
        receive(shop)
        drain(shop, shop.clock)
    return [line for line in lines(capsys) if "handler" in line]


def test_handled(shop, capsys):
    """A success reads as handled, by the handler's name, with the message's id."""
    (line,) = handled(shop, lambda message: None, capsys)
    assert (line["level"], line["message"], line["handler"]) == ("debug", "handled", "xendit/fulfil")
    assert line["message_id"].startswith("msg_")
    assert "endpoint_id" not in line
    assert "status" not in line


def test_a_handler_that_fails(shop, capsys):
    """A failure is a warning with the exception's name, and no word of the message or of the exception."""

    def fulfil(message):
        raise LookupError(message.data["payer_email"])

    first, last = handled(shop, fulfil, capsys)
    assert (first["level"], first["message"], first["detail"]) == ("warning", "handler failed", "LookupError")
    assert first["next_at"]
    assert (last["level"], last["message"], last["attempt"]) == ("warning", "handling given up", 2)
    assert SECRET_OF_THE_BUYER in sample_of("xendit", "invoice.paid").draft().raw().decode()
    assert SECRET_OF_THE_BUYER not in json.dumps([first, last])


def test_what_a_handler_asks_for_is_no_failure(shop, capsys):
    """To be called again, and to have no more of a message, are told at info, in those words."""
    answers = [Retry("later", after=1), Discard("not ours")]
    again, discarded = handled(shop, lambda message: answers.pop(0), capsys)
    assert (again["level"], again["message"]) == ("info", "to be handled again")
    assert (discarded["level"], discarded["message"]) == ("info", "discarded by its handler")


def test_refusals(shop, capsys):
    """The first refusal of a source for a reason is told with the reason, and no flood of them is."""
    with logging_of(shop.observer, "info"):
        for _ in range(50):
            assert shop.accept("xendit", unsigned_request("xendit")).result().status == 401
    (line,) = lines(capsys)
    assert {name: line[name] for name in ("level", "message", "source", "provider")} == {
        "level": "info",
        "message": "webhook refused",
        "source": "xendit",
        "provider": "xendit",
    }
    assert line["reason"] == "header_missing"


def test_refusals_left_out_are_counted(capsys, monkeypatch):
    """The next line, ten seconds later, says how many there were in between; other reasons have their own."""
    now = [0.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    source = Source(id="src_1", name="shop", provider="hmac", created_at=0, updated_at=0)
    observer = Observer()
    with logging_of(observer, "info"):
        for reason in ("a", "a", "b", "a"):
            observer.emit(RequestRefused(source=source, reason=reason))
        now[0] = 10.0
        observer.emit(RequestRefused(source=source, reason="a"))
    told = [(line["reason"], line["more"]) for line in lines(capsys)]
    assert told == [("a", None), ("b", None), ("a", 2)]


def test_found_by_poll(shop, capsys):
    """What polling found is told at info, with the message's id and why nothing handles it."""
    shop.reconcile("xendit", lambda _: [sample_of("xendit", "invoice.paid").draft().raw()])
    with logging_of(shop.observer, form="json"):
        shop.reconcile_once("xendit")
    found, asked = (line for line in lines(capsys) if "source" in line)
    assert (found["level"], found["message"]) == ("info", "found by poll before its webhook")
    assert (found["source"], found["event_type"], found["held"]) == ("xendit", "invoice.paid", "unhandled")
    assert found["message_id"].startswith("msg_")
    assert (asked["level"], asked["news"]) == ("debug", 1)


def test_lines_for_people(shop, capsys):
    """In text, what is not known is left out."""
    shop.on("xendit", name="fulfil")(lambda message: None)
    with logging_of(shop.observer, form="text"):
        receive(shop)
        drain(shop, shop.clock)
    told = next(line for line in capsys.readouterr().err.splitlines() if "handled" in line)
    assert " debug   handled handler=xendit/fulfil message_id=msg_" in told
    assert "None" not in told
