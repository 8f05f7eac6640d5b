"""One source, its events and what came of a handler's runs, for the tests of handlers."""

from ringback.testing import assert_acknowledged, assert_received, inbox_at, secret_for, signed_request

XENDIT, PAID, EVENT = "xendit", "invoice.paid", "1001"


def opened(folder, **options):
    inbox = inbox_at(folder, **options)
    inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
    return inbox


def send(inbox, event_id=EVENT, event_type=PAID, **fields):
    request = signed_request(XENDIT, event_type, event_id=event_id, fields=fields)
    assert_acknowledged(inbox.accept(XENDIT, request).result())


def attempts(inbox, event_id=EVENT):
    """Return the outcomes of an event's attempts, in their order."""
    message = assert_received(inbox, XENDIT, event_id)
    made = inbox.attempts(XENDIT, message.id).result()
    return [one.outcome for one in sorted(made, key=lambda one: one.number)]


def run(inbox, function, **options):
    """Send one event to one handler, and return the outcome of its first run."""
    inbox.on(XENDIT, PAID, **{"name": "fulfil", **options})(function)
    send(inbox)
    inbox.drain()
    return attempts(inbox)[0]


def raising(error):
    def handler(message):
        raise error

    return handler
