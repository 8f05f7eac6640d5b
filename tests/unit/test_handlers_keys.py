"""What a handler's key may be."""

import json

from runs import PAID, XENDIT, opened, send


def test_a_key_that_cannot_be_stored_keeps_nobody_from_being_handled(tmp_path):
    """A key with half of a pair of surrogates, which ``json.loads`` lets through, orders as any other does."""
    inbox = opened(tmp_path)
    seen = []

    def key(message):
        return json.loads('"\\ud800"') + message.data["external_id"]

    inbox.on(XENDIT, PAID, name="ordered", key=key)(lambda message: seen.append(message.event_id))
    inbox.on(XENDIT, PAID, name="other")(lambda message: seen.append("other"))
    send(inbox, "1001", external_id="A-1")
    send(inbox, "1002", external_id="A-1")
    drained = inbox.drain(10)
    inbox.close()
    assert (drained.succeeded, drained.failed, drained.more) == (4, 0, False)
    assert [one for one in seen if one != "other"] == sorted(one for one in seen if one != "other")
