import functools

import pytest

from ringback import Inbox
from ringback.errors import ConfigurationError


def fine(message):
    """Handle nothing."""


@pytest.mark.parametrize(
    ("arguments", "options", "function", "told"),
    [
        (["xendit", ["invoice.paid"]], {}, fine, "each as a text of its own"),
        (["xendit", "invoice.paid"], {"key": "external_id"}, fine, "is a function"),
        (["xendit", "invoice.paid"], {"model": "Invoice"}, fine, "not its name"),
        (["xendit", "invoice.paid"], {}, lambda: None, "called with one argument"),
        (["xendit", "invoice.paid"], {}, lambda message, db: None, "called with one argument"),
        ([7, "invoice.paid"], {}, fine, "names no source"),
        (["xendit", "invoice.paid"], {"name": "fine"}, 7, "is a function"),
    ],
)
def test_what_could_not_handle_is_refused_at_once(arguments, options, function, told):
    """A handler that would fail at its first message is refused where it is declared, with what to write instead."""
    with pytest.raises(ConfigurationError, match=told):
        Inbox("sqlite:///never-opened.db").on(*arguments, **options)(function)


def test_the_decorator_alone_is_refused():
    """``@inbox.on`` without a source would declare nothing, so it says so."""
    with pytest.raises(ConfigurationError, match="not @inbox"):
        Inbox("sqlite:///never-opened.db").on(fine)


@pytest.mark.parametrize(
    "function",
    [
        fine,
        lambda message, more=1: None,
        lambda *values: None,
        functools.partial(lambda a, message: None, 1),
        print,
    ],
)
def test_whatever_can_be_called_with_a_message_is_taken(function):
    """A handler may have further arguments that need not be given."""
    Inbox("sqlite:///never-opened.db").on("xendit", name="fine")(function)
