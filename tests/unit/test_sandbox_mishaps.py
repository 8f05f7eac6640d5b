"""What goes wrong with webhooks on purpose, slot by slot."""

import json

import pytest
from receivers import answering
from sandbox_receivers import (
    BROKEN,
    HOOKS,
    OK,
    invoice,
    log_rows,
    orders,
    received,
    set_slot,
    statuses,
    tell,
    webhooks,
)

from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.slots import Sending

DAY = 24 * 3_600_000
MINUTE = 60_000


@pytest.fixture
def play(tmp_path):
    with webhooks(tmp_path, worker=True) as play:
        yield play


def settle(play, milliseconds=0):
    play.advance(milliseconds)
    play.deliver()


def told(play):
    return [body["external_id"] for _, _, body in play.told()]


# --- Dropped and delayed -----------------------------------------------------------------------------------


def test_what_is_dropped_never_arrives_unless_it_is_resent(play):
    """A dropped webhook stays Pending for ever, also after a restart; somebody may send it by hand."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url, mishaps=["drop"])
        notice = tell(play, invoice())
        settle(play, 30 * DAY)
        play.run(play.sandbox.start())
        settle(play)
        assert receiver.requests == []
        assert statuses(play) == ["Pending"]
        assert play.ok("GET", f"{HOOKS}/log/{notice}")["mishap"] == "drop"
        play.ok("POST", f"{HOOKS}/log/{notice}/resend", {"user": "Ana"})
        settle(play)
        assert orders(receiver) == ["order-1"]
    assert statuses(play) == ["Completed"]
    assert play.ok("GET", f"{HOOKS}/log/{notice}")["history"][0]["source"] == "Ana"


def test_what_is_delayed_arrives_later(play):
    """A delayed webhook is Pending and goes out when its time has come, no earlier."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url, mishaps=["delay"], delay=5 * MINUTE)
        tell(play, invoice())
        settle(play, 5 * MINUTE - 1)
        assert receiver.requests == []
        assert statuses(play) == ["Pending"]
        settle(play, 1)
        assert orders(receiver) == ["order-1"]


def test_a_delay_is_of_the_providers_time(tmp_path):
    """When time is made to pass faster, a delay is shorter by as much."""
    with webhooks(tmp_path, sending=Sending(time_scale=60)) as play:
        set_slot(play, mishaps=["delay"], delay=5 * MINUTE)
        tell(play, invoice())
        play.advance(5_000 - 1)
        assert told(play) == []
        play.advance(1)
        assert told(play) == ["order-1"]


def test_a_delayed_webhook_outlives_a_restart(tmp_path):
    """What was held back when the sandbox stopped goes out after the next start."""
    with webhooks(tmp_path) as play:
        set_slot(play, mishaps=["delay"])
        tell(play, invoice())
        at = play.clock()
    with webhooks(tmp_path) as play:
        play.advance(at + MINUTE - play.clock())
        assert told(play) == ["order-1"]


# --- Reordered ---------------------------------------------------------------------------------------------


def test_reordered_webhooks_change_places(play):
    """Each second webhook of the slot overtakes the one before; other slots are left alone."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url, mishaps=["reorder"])
        tell(play, invoice(1))
        body = {"external_id": "va"}
        tell(play, Notice(event="fva.paid", product="VA", product_id="va", body=body))
        settle(play)
        assert receiver.requests == []
        tell(play, invoice(2))
        settle(play)
        assert orders(receiver) == ["order-2", "order-1"]
    assert told(play) == ["order-1", "va", "order-2"]


def test_the_last_webhook_is_held_for_a_day_at_most(play):
    """Where no other follows, a reordered webhook goes out a day later; three at once are told as 2, 1 and later 3."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url, mishaps=["reorder"])
        tell(play, invoice(1), invoice(2), invoice(3))
        settle(play)
        settle(play, DAY - 1)
        assert sorted(orders(receiver)) == ["order-1", "order-2"]
        settle(play, 1)
        # By which connection it came is left to chance.
        assert sorted(orders(receiver)) == ["order-1", "order-2", "order-3"]


def test_what_is_held_is_released_after_a_restart(tmp_path):
    """A webhook that was held when the sandbox stopped goes out behind the next one, even if all is well again."""
    with webhooks(tmp_path) as play:
        set_slot(play, mishaps=["reorder"])
        tell(play, invoice(1))
    with webhooks(tmp_path) as play:
        assert told(play) == []
        set_slot(play, mishaps=[])
        tell(play, invoice(2))
        assert sorted(told(play)) == ["order-1", "order-2"]
        tell(play, invoice(3))
        assert sorted(told(play)) == ["order-1", "order-2", "order-3"]


# --- Duplicated --------------------------------------------------------------------------------------------


def test_a_duplicate_follows_the_acknowledgement(play):
    """After a 2xx the webhook is sent exactly once more, with the same id and body, as the provider's own doing."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url, mishaps=["duplicate"])
        notice = tell(play, invoice())
        play.deliver()
        assert len(receiver.requests) == 1
        settle(play, MINUTE)
        settle(play, DAY)
        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
    history = play.ok("GET", f"{HOOKS}/log/{notice}")["history"]
    assert [line["source"] for line in history] == ["Automatic", "Automatic"]


def test_a_duplicate_waits_for_the_acknowledgement(play):
    """A webhook that fails at first is sent again only after the retry that succeeds; one without a URL never is."""
    with received(play, answering(BROKEN, OK)) as receiver:
        set_slot(play, url=receiver.url, mishaps=["duplicate"])
        tell(play, invoice())
        play.deliver()
        settle(play, 14 * MINUTE)
        assert len(receiver.requests) == 1
        settle(play, MINUTE)
        assert len(receiver.requests) == 2
        settle(play, MINUTE)
        settle(play, DAY)
        assert len(receiver.requests) == 3
        set_slot(play, url=None)
        tell(play, invoice(2))
        settle(play, DAY)
        assert log_rows(play)[0]["status"] == "URL Not Set"
    assert play.sandbox.ledger.next_due() is None


def test_mishaps_combine(play):
    """A webhook that is delayed can be duplicated, too."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url, mishaps=["delay", "duplicate"], delay=MINUTE)
        tell(play, invoice())
        settle(play, MINUTE - 1)
        assert receiver.requests == []
        settle(play, 1)
        settle(play, MINUTE)
        assert orders(receiver) == ["order-1", "order-1"]


def test_a_test_of_the_url_is_spared(play):
    """What goes wrong on purpose does not befall the sample that "Test and save" sends."""
    with received(play) as receiver:
        set_slot(play, mishaps=["drop", "delay", "reorder", "duplicate"])
        assert play.ok("POST", f"{HOOKS}/slots/invoice/test", {"url": receiver.url})["ok"]
        settle(play, DAY)
        assert len(receiver.requests) == 1


# --- The time of each attempt ------------------------------------------------------------------------------


def test_created_may_be_the_time_of_each_attempt(play):
    """With attempt times, the envelope's `created` differs from attempt to attempt, and nothing else does."""
    body = {"created": play.sandbox.stamp(), "event": "payout.succeeded", "data": {"id": "disb-1"}}
    with received(play, answering(BROKEN, OK)) as receiver:
        set_slot(play, "payout", url=receiver.url, mishaps=["attempt_time"])
        tell(play, Notice(event="payout.succeeded", product="Payout", product_id="disb-1", body=body))
        play.deliver()
        first = play.sandbox.stamp()
        settle(play, 15 * MINUTE)
        bodies = [json.loads(request.body) for request in receiver.requests]
    assert bodies == [body | {"created": first}, body | {"created": play.sandbox.stamp()}]


def test_the_same_mishaps_end_in_the_same_state(tmp_path):
    """With the same seed and the same calls, all that the log shows is the same, ids included."""
    shown = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with webhooks(tmp_path / name, seed=11) as play:
            set_slot(play, mishaps=["reorder", "duplicate"])
            for number in range(5):
                tell(play, invoice(number))
                play.advance(MINUTE)
            play.advance(7 * DAY)
            shown.append(log_rows(play, limit=100))
    assert shown[0] == shown[1]
