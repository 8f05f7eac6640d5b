"""The Webhooks tab: what was told, what became of it, and sending it again."""

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
from sandboxes import OWNER

from ringback.model import Outcome, OutcomeKind
from ringback.sandbox.xendit.calls import Owner
from ringback.sandbox.xendit.log_rows import Filter, error_of
from ringback.sandbox.xendit.notices import Notice
from ringback.sandbox.xendit.slots import Sending

MINUTE = 60_000


@pytest.fixture
def play(tmp_path):
    with webhooks(tmp_path, worker=True) as play:
        yield play


def refusing_then_ok(peer):
    return answering(BROKEN, OK)(peer)


async def silent(peer):
    await peer.request()
    await peer.closed_by_sender()


async def resetting(peer):
    await peer.request()
    peer.reset()


def detail(play, notice_id):
    return play.ok("GET", f"{HOOKS}/log/{notice_id}")


def resend(play, notice_id, **body):
    play.advance(10)
    answer = play.ok("POST", f"{HOOKS}/log/{notice_id}/resend", body)
    assert answer["transaction"]["status"] == "Pending"
    play.deliver()
    return detail(play, notice_id)


# --- Statuses ----------------------------------------------------------------------------------------------


def test_what_was_acknowledged_is_completed(play):
    """A webhook is Pending until it is tried and Completed after a 2xx; its history shows the answer."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        shown = detail(play, notice)
        webhook_id = receiver.requests[0].headers["webhook-id"]
        sent = receiver.requests[0].body
    created = play.sandbox.stamp()
    assert shown["transaction"] == {
        "id": notice,
        "status": "Completed",
        "created_at": created,
        "product_id": "inv-1",
        "product": "Invoice",
        "event": "invoice.paid",
        "slot": "invoice",
        "next_redelivery": None,
    }
    assert (shown["webhook_id"], shown["is_test"], shown["mishap"]) == (webhook_id, False, None)
    assert shown["payload"] == json.loads(sent)
    [line] = shown["history"]
    assert (line["at"], line["source"], line["next_redelivery"]) == (created, "Automatic", None)
    assert (line["status"], line["error"], line["body"], line["url"]) == (200, None, "ok", receiver.url)


def test_a_failure_shows_when_it_is_tried_again(play):
    """A Failed webhook names its next redelivery, and each line of its history the one that followed."""
    with received(play, answering(BROKEN, BROKEN, OK)) as receiver:
        set_slot(play, url=receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        first = play.clock()
        shown = detail(play, notice)
        assert shown["transaction"]["status"] == "Failed"
        assert shown["transaction"]["next_redelivery"] == play.sandbox.stamp(first + 15 * MINUTE)
        assert (shown["history"][0]["status"], shown["history"][0]["body"]) == (500, "broken")
        for delay in (15 * MINUTE, 45 * MINUTE):
            play.advance(delay)
            play.deliver()
    shown = detail(play, notice)
    assert shown["transaction"]["status"] == "Completed"
    assert [line["status"] for line in shown["history"]] == [200, 500, 500]
    expected = [None, play.sandbox.stamp(first + 60 * MINUTE), play.sandbox.stamp(first + 15 * MINUTE)]
    assert [line["next_redelivery"] for line in shown["history"]] == expected


def test_silence_is_a_timeout_and_is_not_tried_again(play):
    """A receiver that does not answer in time loses the event: Timeout, with no redelivery, until it is resent."""
    with received(play, silent) as receiver:
        set_slot(play, url=receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        play.advance(24 * 60 * MINUTE)
        play.deliver()
        assert len(receiver.requests) == 1
    shown = detail(play, notice)
    assert (shown["transaction"]["status"], shown["transaction"]["next_redelivery"]) == ("Timeout", None)
    assert (shown["history"][0]["status"], shown["history"][0]["error"]) == (0, "ETIMEDOUT")
    with received(play) as receiver:
        set_slot(play, url=receiver.url)
        assert resend(play, notice)["transaction"]["status"] == "Completed"


def test_silence_is_retried_where_that_is_wanted(tmp_path):
    """With the setting for it, a Timeout has a next redelivery."""
    with webhooks(tmp_path, worker=True, sending=Sending(retries_silence=True)) as play:
        with received(play, silent) as receiver:
            set_slot(play, url=receiver.url)
            tell(play, invoice())
            play.deliver()
        [row] = log_rows(play)
        assert row["status"] == "Timeout"
        assert row["next_redelivery"] is not None


def test_without_a_url_nothing_is_lost(play):
    """URL Not Set is kept, is not sent when a URL comes, cannot be resent without one, and can be with one."""
    notice = tell(play, invoice())
    play.deliver()
    assert statuses(play) == ["URL Not Set"]
    path = f"{HOOKS}/log/{notice}/resend"
    assert play.refused("POST", path, {"user": "Ana"}) == (400, "URL_NOT_SET_ERROR")
    with received(play) as receiver:
        set_slot(play, url=receiver.url)
        play.deliver()
        assert receiver.requests == []
        assert statuses(play) == ["URL Not Set"]
        shown = resend(play, notice, user="Ana")
        assert orders(receiver) == ["order-1"]
    assert shown["transaction"]["status"] == "Completed"
    assert [line["source"] for line in shown["history"]] == ["Ana"]


def test_a_url_taken_away_ends_the_retries(play):
    """When its URL is gone, a Failed webhook stays Failed without a next redelivery, also once another URL is set."""
    with received(play, answering(BROKEN)) as receiver:
        set_slot(play, url=receiver.url)
        tell(play, invoice())
        play.deliver()
        set_slot(play, url=None)
        [row] = log_rows(play)
        assert (row["status"], row["next_redelivery"]) == ("Failed", None)
        set_slot(play, url=receiver.url)
        play.advance(24 * 60 * MINUTE)
        play.deliver()
        assert len(receiver.requests) == 1
    assert statuses(play) == ["Failed"]


@pytest.mark.parametrize(
    ("kind", "detail", "error"),
    [
        ("refused", "", None),
        ("success", "", None),
        ("connect", "refused", "ECONNREFUSED"),
        ("connect", "out_of_sockets", "ECONNABORTED"),
        ("timeout", "wait", "ETIMEDOUT"),
        ("reset", "before_response", "ECONNRESET"),
        ("dns", "failure", "EAI_AGAIN"),
        ("dns", "not_found", "ENOTFOUND"),
        ("tls", "expired", "CERT_HAS_EXPIRED"),
        ("tls", "unknown_issuer", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
        ("tls", "handshake", "EPROTO"),
        ("blocked_address", "private", "EACCES"),
        ("unknown", "interrupted", "ECONNABORTED"),
    ],
)
def test_failures_have_the_names_of_the_providers_client(kind, detail, error):
    """What went wrong on the network is told by the code that the provider's dashboard shows."""
    assert error_of(Outcome(kind=OutcomeKind(kind), detail=detail)) == error


def test_a_reset_and_a_refused_connection_are_failures(play):
    """A connection broken off or refused is Failed with the client's code, and is tried again."""
    with received(play, resetting) as receiver:
        set_slot(play, url=receiver.url)
        first = tell(play, invoice(1))
        play.deliver()
    play.advance(1)
    second = tell(play, invoice(2))
    play.deliver()
    for notice, error in ((first, "ECONNRESET"), (second, "ECONNREFUSED")):
        shown = detail(play, notice)
        assert shown["transaction"]["status"] == "Failed"
        assert shown["transaction"]["next_redelivery"] is not None
        assert shown["history"][-1]["error"] == error


# --- Sending again -----------------------------------------------------------------------------------------


def test_a_resend_keeps_its_id_and_names_who_asked(play):
    """What was completed can be sent again: the same webhook-id and body, and the user's name as its source."""
    with received(play) as receiver:
        set_slot(play, url=receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        shown = resend(play, notice, user="Ana")
        play.advance(1)
        shown = resend(play, notice, user="Budi")
        first, *others = receiver.requests
        assert {(one.headers["webhook-id"], one.body) for one in others} == {
            (first.headers["webhook-id"], first.body)
        }
    assert [line["source"] for line in shown["history"]] == ["Budi", "Ana", "Automatic"]


def test_retries_after_a_resend_are_automatic(play):
    """A resend that fails is retried like a first attempt; those lines are not the user's."""
    with received(play, answering(BROKEN, BROKEN, OK)) as receiver:
        set_slot(play, url=receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        resend(play, notice, user="Ana")
        play.advance(15 * MINUTE)
        play.deliver()
    history = detail(play, notice)["history"]
    assert [line["source"] for line in history] == ["Automatic", "Ana", "Automatic"]
    assert [line["status"] for line in history] == [200, 500, 500]


def test_a_custom_resend_counts_first_and_then_sends(play):
    """The preview counts by status, product and date; the resend sends just those, oldest first."""
    with received(play, answering(BROKEN)) as receiver:
        set_slot(play, url=receiver.url)
        for number in (1, 2):
            tell(play, invoice(number))
            play.deliver()
            play.advance(1)
    with received(play) as receiver:
        set_slot(play, url=receiver.url)
        tell(play, invoice(3))
        play.deliver()
        meant = {"status": ["Failed"], "product": "invoice", "until": play.sandbox.stamp()}
        path = f"{HOOKS}/resend"
        assert play.ok("POST", path, meant | {"preview": True}) == {"count": 2, "maximum": 500}
        assert play.ok("POST", path, {"preview": True, "product": "Payout"})["count"] == 0
        assert play.ok("POST", path, meant | {"user": "Ana"}) == {"sent": 2, "refused": 0}
        play.deliver()
        assert sorted(orders(receiver)) == ["order-1", "order-2", "order-3"]
        assert play.ok("POST", path, meant) == {"sent": 0, "refused": 0}
    assert statuses(play) == ["Completed"] * 3


def test_a_custom_resend_has_a_limit(tmp_path):
    """More than 500 at a time are refused before any is sent; what cannot be sent is counted."""
    with webhooks(tmp_path) as play:
        change = play.sandbox.change()
        play.run(play.sandbox.commit(change, *((OWNER, invoice(number)) for number in range(501))))
        assert play.ok("POST", f"{HOOKS}/resend", {"preview": True})["count"] == 501
        assert play.refused("POST", f"{HOOKS}/resend", {}) == (400, "TOO_MANY_WEBHOOKS_ERROR")
        assert play.ok("POST", f"{HOOKS}/resend", {"text": "order-5"}) == {"sent": 0, "refused": 12}


def test_what_is_under_way_is_not_sent_twice_at_once(tmp_path):
    """A webhook that waits for its first attempt can be resent; it is still sent once then."""
    with webhooks(tmp_path, worker=True) as play, received(play) as receiver:
        set_slot(play, url=receiver.url)
        notice = tell(play, invoice())
        answer = play.call("POST", f"{HOOKS}/log/{notice}/resend")
        assert answer.status in {200, 409}
        play.deliver()
        assert len(receiver.requests) in {1, 2}
        assert statuses(play) == ["Completed"]


# --- Finding -----------------------------------------------------------------------------------------------


def test_the_log_is_filtered_and_paged(tmp_path):
    """Each filter narrows, all together; pages follow one another, newest first, without gap or overlap."""
    with webhooks(tmp_path) as play:
        for number in range(1, 13):
            tell(play, invoice(number))
            play.advance(1_000)
        body = {"event": "payout.succeeded", "data": {"id": "disb-1"}}
        tell(play, Notice(event="payout.succeeded", product="Payout", product_id="disb-1", body=body))
        found, after = [], None
        while not found or after:
            query = {"limit": 5} | ({"after": after} if after else {})
            page = play.ok("GET", f"{HOOKS}/log", query=query)
            found += [row["product_id"] for row in page["data"]]
            after = page["after"]
            assert page["has_more"] is (after is not None)
        assert found == ["disb-1", *(f"inv-{number}" for number in range(12, 0, -1))]
        start = play.clock() - 12_000

        def ids(**query):
            return [row["product_id"] for row in log_rows(play, **query)]

        assert ids(event="payout.succeeded") == ids(product="PAYOUT") == ids(text="DISB-1") == ["disb-1"]
        assert ids(text="order-7") == ["inv-7"]
        since, until = (play.sandbox.stamp(start + second * 1_000) for second in (3, 5))
        assert ids(since=since, until=until) == ["inv-5", "inv-4"]
        assert ids(status=["Failed", "Timeout"]) == []
        assert len(ids(status=["Failed", "URL Not Set"], limit=100)) == 13
        assert ids(status="URL Not Set", product="invoice", limit=1) == ["inv-12"]
        assert play.sandbox.log.products(OWNER) == ["Invoice", "Payout"]
        assert play.sandbox.log.events(OWNER) == ["invoice.paid", "payout.succeeded"]


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", "log/nothing", None, ()),
        ("POST", "log/nothing/resend", None, ()),
        ("GET", "log", None, {"after": "nothing"}),
        ("GET", "log", None, {"limit": "0"}),
        ("GET", "log", None, {"limit": "101"}),
        ("GET", "log", None, {"limit": "²"}),
        ("GET", "log", None, {"limit": "9" * 9}),
        ("GET", "log", None, {"status": "Lost"}),
        ("GET", "log", None, {"since": "yesterday"}),
        ("GET", "log", None, {"text": ["a", "b"]}),
        ("GET", "log", None, {"text": "a" * 300}),
        ("POST", "resend", {"status": "Failed"}, ()),
        ("POST", "resend", {"since": "9999-99-99"}, ()),
        ("POST", "resend", {"user": None}, ()),
    ],
)
def test_what_cannot_be_found_is_refused(tmp_path, method, path, body, query):
    """Unknown ids and parameters that make no sense are told in the provider's shape."""
    with webhooks(tmp_path) as play:
        status, _ = play.refused(method, f"{HOOKS}/{path}", body, query=query)
        assert status in {400, 404}


def test_a_log_is_its_owners(play):
    """Nobody sees or resends another business's webhooks."""
    notice = tell(play, invoice(), owner=Owner("b" * 24))
    assert log_rows(play) == []
    assert play.refused("GET", f"{HOOKS}/log/{notice}")[0] == 404
    assert play.refused("POST", f"{HOOKS}/log/{notice}/resend")[0] == 404


def test_the_log_outlives_a_restart(tmp_path):
    """Statuses, histories and who resent are there after a restart."""
    with webhooks(tmp_path, worker=True) as play, received(play, refusing_then_ok) as receiver:
        set_slot(play, url=receiver.url)
        notice = tell(play, invoice())
        play.deliver()
        shown = resend(play, notice, user="Ana")
    with webhooks(tmp_path) as play:
        assert detail(play, notice) == shown
        assert [line["source"] for line in shown["history"]] == ["Ana", "Automatic"]


def test_a_filter_by_status_reads_thousands(tmp_path):
    """Counting by status looks at every webhook that there is, however many."""
    with webhooks(tmp_path) as play:
        change = play.sandbox.change()
        play.run(play.sandbox.commit(change, *((OWNER, invoice(number)) for number in range(600))))
        log = play.sandbox.log
        assert play.run(log.count(OWNER, Filter(statuses=("URL Not Set",)))) == 600
        assert play.run(log.count(OWNER, Filter(statuses=("Completed",)))) == 0
