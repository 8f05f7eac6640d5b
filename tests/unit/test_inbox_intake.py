"""What an inbox answers: acknowledgements that are true, refusals, and nothing that a request could break."""

import asyncio
import contextlib
import gc
import json
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from contextlib import closing

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import Inbox, Reply, Request
from ringback.errors import ConfigurationError, InvalidInput, NotFound
from ringback.intake import Intake
from ringback.model import Held
from ringback.providers import PROVIDERS
from ringback.store.sqlite import connection
from ringback.testing import (
    FrozenClock,
    assert_acknowledged,
    assert_not_received,
    assert_quarantined,
    assert_received,
    assert_refused,
    assert_unhandled,
    drain,
    inbox_at,
    secret_for,
    signed_request,
    unsigned_request,
)

XENDIT = "xendit"
# Sends nothing that two deliveries of one event have in common.
WITHOUT_ID = {"adyen-platform"}


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def inbox(tmp_path, clock):
    """Return an inbox with one source, closed at the end."""
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
        yield inbox


def paid(event_id="1001", **parts):
    return signed_request(XENDIT, "invoice.paid", event_id=event_id, **parts)


def post(inbox, request, source=XENDIT):
    return inbox.accept(source, request).result()


def stored(folder):
    # With the store's own library: a second copy of SQLite in one process undoes the locks of the first.
    with closing(apsw.Connection(str(folder / "inbox.db"))) as looking:
        return looking.execute("SELECT count(*) FROM ringback_message").get


# --- Acknowledged means on disk ----------------------------------------------------------------------------


def test_what_is_acknowledged_is_on_disk(tmp_path, inbox):
    """After a 2xx, another inbox finds the message in the file, though the first was never closed."""
    body = b'{"id": "1001", "status": "PAID", "odd": "\\u00e9 \r\n", "odd": 2}\r\n'
    reply = post(inbox, signed_request(XENDIT, body=body, headers={"webhook-id": "1001"}))
    assert_acknowledged(reply)
    with closing(inbox_at(tmp_path)) as other:
        other.source(XENDIT, secrets=[secret_for(XENDIT)])
        assert stored(tmp_path) == 1
        message = other.held(XENDIT, Held.UNHANDLED).result() + other.held(XENDIT, Held.QUARANTINED).result()
        assert [one.payload for one in message] == [body]


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_has_its_answers(tmp_path, clock, name):
    """A genuine request gets the provider's own acknowledgement, one that does not verify its status of refusal."""
    profile, url = PROVIDERS[name], f"https://shop.example/hooks/{name}"
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source("in", provider=name, secrets=[secret_for(name)], url=url)
        good = signed_request(name, now=clock, url=url)
        reply = post(inbox, good, "in")
        assert (reply.status, reply.body) == (profile.ack.status, profile.ack.body)
        assert dict(reply.headers).get("content-type") == profile.ack.content_type
        forged = post(inbox, unsigned_request(name, url=url), "in")
        assert forged.status == profile.reject_status
        assert json.loads(forged.body)["code"]
        assert stored(tmp_path) == 1
        assert_acknowledged(post(inbox, good, "in"))
        assert stored(tmp_path) == (2 if name in WITHOUT_ID else 1)


def test_an_acknowledgement_of_ones_own(inbox):
    """What is given as ack is answered in place of the provider's, for a repetition too."""
    ack = Reply(202, b'{"received": true}', (("Content-Type", "application/json"),))
    inbox.source("mine", provider=XENDIT, secrets=[secret_for(XENDIT)], ack=ack)
    for _ in range(2):
        reply = post(inbox, paid(), "mine")
        assert (reply.status, reply.body) == (202, b'{"received": true}')
        assert reply.headers == (("content-type", "application/json"),)


@pytest.mark.parametrize(
    "ack", [Reply(500), Reply(301), Reply(body=b"\xff"), Reply(headers=(("x-request-id", "7"),))]
)
def test_an_acknowledgement_that_cannot_be(inbox, ack):
    """A status that acknowledges nothing, bytes that are no text and headers that would get lost are refused."""
    with pytest.raises(InvalidInput):
        inbox.source("mine", provider=XENDIT, secrets=["secret"], ack=ack)


# --- Challenges --------------------------------------------------------------------------------------------


CHALLENGES = {
    "slack": ({"type": "url_verification", "challenge": "3eZbrw1a"}, 200, b"3eZbrw1a"),
    "zoom": ({"event": "endpoint.url_validation", "payload": {"plainToken": "q9ib"}}, 200, None),
    "discord": ({"type": 0}, 204, b""),
    "sns": (
        {
            "Type": "SubscriptionConfirmation",
            "TopicArn": "arn:aws:sns:eu-west-1:1:orders",
            "Message": "You have chosen to subscribe",
            "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Token=t",
            "Token": "t",
        },
        200,
        b"",
    ),
}


@pytest.mark.parametrize("name", CHALLENGES)
def test_a_trial_of_the_address_is_answered(tmp_path, clock, name):
    """A provider that tries the address out gets the answer it wants and leaves no message; a forger gets none."""
    body, status, answer = CHALLENGES[name]
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source(name, secrets=[secret_for(name)])
        request = signed_request(name, body=body, now=clock)
        reply = post(inbox, request, name)
        assert reply.status == status
        if answer is None:
            assert json.loads(reply.body)["plainToken"] == "q9ib"
        else:
            assert reply.body == answer
        assert stored(tmp_path) == 0
        assert_refused(post(inbox, unsigned_request(name, body=body), name))


def test_an_address_that_a_person_must_open_is_kept_for_one(tmp_path, clock):
    """SNS sends nothing before its address has been opened, so the record that people look at has it."""
    body, *_ = CHALLENGES["sns"]
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source("sns", secrets=[secret_for("sns")])
        post(inbox, signed_request("sns", body=body, now=clock), "sns")
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source("sns", secrets=[secret_for("sns")])
        (kept,) = inbox.refusals("sns").result()
    assert kept.reason == "confirmation_requested"
    assert kept.hints == (body["SubscribeURL"],)


@pytest.mark.parametrize(("token", "status"), [("hello", 200), ("hullo", 401), ("", 401)])
def test_metas_subscription_is_a_get(tmp_path, token, status):
    """A GET that knows the verify token gets its challenge back, any other is refused."""
    url = f"https://shop.example/meta?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158"
    with closing(inbox_at(tmp_path)) as inbox:
        inbox.source("meta", secrets=["app-secret", "verify_token:hello"], url="https://shop.example/meta")
        reply = post(inbox, Request("GET", url, {}, b""), "meta")
        assert reply.status == status
        assert (reply.body == b"1158") is (status == 200)


# --- Sources -----------------------------------------------------------------------------------------------


def test_every_secret_of_a_source_is_accepted(inbox):
    """While secrets are rotated, what either of them signs is accepted, and what neither does is not."""
    inbox.source("stripe", secrets=["whsec_old", "whsec_new"])
    now = FrozenClock()
    for number, secret in enumerate(("whsec_old", "whsec_new")):
        assert_acknowledged(
            post(inbox, signed_request("stripe", secret=secret, now=now, event_id=f"evt_{number}"), "stripe")
        )
    assert_refused(post(inbox, signed_request("stripe", secret="whsec_other", now=now), "stripe"))


@pytest.mark.parametrize("secrets", [[], [""], ["good", ""], "a text and no list", b"bytes", [None]])
def test_a_source_without_proper_secrets_cannot_be(inbox, secrets):
    """No secret, an empty one, or a text in place of a list (each character would be a secret) is refused."""
    with pytest.raises(ConfigurationError):
        inbox.source("other", provider=XENDIT, secrets=secrets)


@pytest.mark.parametrize("name", ["twilio", "square"])
def test_the_registered_address_is_what_is_verified(tmp_path, clock, name):
    """Where the address is signed, the one registered with the provider counts, not the one behind a proxy."""
    url = f"https://shop.example/hooks/{name}"
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source("known", provider=name, secrets=[secret_for(name)], url=url)
        inbox.source("unknown", provider=name, secrets=[secret_for(name)])
        request = signed_request(name, url=url, now=clock)
        inside = Request(request.method, f"http://10.0.0.7:8000/{name}", request.headers, request.body)
        assert_acknowledged(post(inbox, inside, "known"))
        assert_refused(post(inbox, inside, "unknown"))


def test_an_unknown_source_is_not_found(inbox):
    """A source that is not declared answers 404, and reading it raises NotFound."""
    assert post(inbox, paid(), "nobody").status == 404
    for look in (
        lambda: inbox.refusals("nobody"),
        lambda: inbox.message("nobody", "msg_1"),
        lambda: inbox.replay("nobody", "msg_1"),
    ):
        with pytest.raises(NotFound):
            look().result()


def test_a_large_body_is_refused(tmp_path):
    """A body of max_body bytes is accepted, one byte more is 413 and leaves nothing."""
    with closing(inbox_at(tmp_path, max_body=2_000)) as inbox:
        inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
        assert_acknowledged(post(inbox, signed_request(XENDIT, body=b" " * 2_000)))
        assert post(inbox, signed_request(XENDIT, body=b" " * 2_001)).status == 413
        assert stored(tmp_path) == 1


# --- What becomes of it ------------------------------------------------------------------------------------


def test_what_does_not_verify_is_not_stored(tmp_path, inbox):
    """A forgery leaves no message, and the genuine event after it is news."""
    assert_refused(post(inbox, paid(secret="forged")), "token_mismatch", inbox=inbox, source=XENDIT)
    assert_not_received(inbox, XENDIT, "1001")
    assert stored(tmp_path) == 0
    assert_acknowledged(post(inbox, paid()))
    assert_received(inbox, XENDIT, "1001")


def test_what_is_not_understood_is_kept_apart(inbox):
    """What verifies and is nothing known is acknowledged and in quarantine, and no handler gets it."""
    seen = []
    inbox.on(XENDIT, name="all")(seen.append)
    assert_acknowledged(post(inbox, signed_request(XENDIT, body=b"\xff\x00", headers={"webhook-id": "w1"})))
    drain(inbox)
    (message,) = inbox.held(XENDIT, Held.QUARANTINED).result()
    assert message.payload == b"\xff\x00"
    assert_quarantined(inbox, XENDIT, message.id)
    assert seen == []


def test_what_nothing_handles_stays_unhandled(inbox):
    """A known event without a handler is unhandled, never done; a handler added later gets it by a new match."""
    assert_acknowledged(post(inbox, paid()))
    assert drain(inbox).succeeded == 0
    assert_unhandled(inbox, XENDIT, "1001")
    seen = []
    inbox.on(XENDIT, "invoice.*", name="fulfil")(seen.append)
    message = assert_received(inbox, XENDIT, "1001")
    assert inbox.replay(XENDIT, message.id).result() == 0
    assert inbox.replay(XENDIT, message.id, rematch=True).result() == 1
    drain(inbox)
    assert [one.event_type for one in seen] == ["invoice.paid"]


def test_no_secret_is_written_down(tmp_path, clock):
    """Neither secrets nor what the sender shows as one are anywhere in the files, in headers or refusals."""
    secrets = {XENDIT: "xendit-token-4711", "api-key": "own-api-key-4712", "basic": "user:password-4713"}
    with closing(inbox_at(tmp_path, clock=clock)) as inbox:
        inbox.source(XENDIT, secrets=[secrets[XENDIT]])
        inbox.source("basic", secrets=[secrets["basic"]])
        inbox.source(
            "keyed", provider="api-key", secrets=[secrets["api-key"]], options={"header": "X-Shop-Key"}
        )
        for source, provider in ((XENDIT, XENDIT), ("basic", "basic"), ("keyed", "api-key")):
            good = signed_request(provider, secret=secrets[provider])
            if source == "keyed":
                good.headers["x-shop-key"] = good.headers.pop("x-api-key")
            good.headers["cookie"] = "session=cookie-of-session-4714"
            assert_acknowledged(post(inbox, good, source))
            shown = {name: f"{value}-wrong-4715" for name, value in good.headers.items()}
            assert_refused(post(inbox, Request("POST", good.url, shown, good.body), source))
        drain(inbox)
        while len(inbox.refusals(XENDIT).result()) < 1:
            pass
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (*secrets.values(), "password-4713", "dXNlcjpwYXNzd29yZC00NzEz", "session-4714", "4715"):
        assert secret.encode() not in written, secret


# --- When the store cannot be used -------------------------------------------------------------------------


def assert_try_again(reply):
    assert reply.status == 503
    assert int(dict(reply.headers)["retry-after"]) > 0


@pytest.mark.parametrize("obstacle", ["a file", "a folder", "foreign"])
def test_a_store_that_cannot_be_opened_is_a_503(tmp_path, obstacle, caplog):
    """Where the store cannot be opened, nothing is acknowledged; the provider is told when to come again."""
    path = tmp_path / "inbox.db"
    if obstacle == "a folder":
        path.mkdir()
    elif obstacle == "a file":
        (tmp_path / "folder").write_text("no folder")
        path = tmp_path / "folder" / "inbox.db"
    else:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE theirs (x)")
    with closing(Inbox(f"sqlite:///{path}")) as inbox:
        inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
        for _ in range(3):
            assert_try_again(post(inbox, paid()))
    assert "cannot be opened" in caplog.text


def test_an_outage_keeps_no_requests(tmp_path):
    """However many requests come while the store cannot be opened, none stays in memory."""
    (tmp_path / "inbox.db").mkdir()
    with closing(inbox_at(tmp_path)) as inbox:
        inbox.source(XENDIT, secrets=[secret_for(XENDIT)])
        assert_try_again(post(inbox, paid()))
        tracemalloc.start()
        for number in range(100):
            assert_try_again(post(inbox, Request("POST", "", {}, bytes(100_000 + number))))
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert kept < 1_000_000


def test_a_locked_store_is_a_503(tmp_path, inbox, monkeypatch):
    """While another program holds the file's lock nothing is acknowledged; afterwards the same request is."""
    monkeypatch.setattr(connection, "BUSY_TIMEOUT", 50)
    assert_acknowledged(post(inbox, paid("1")))
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        " c.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read()"
    )
    with running(code, tmp_path / "inbox.db"):
        assert_try_again(post(inbox, paid("2")))
    assert_acknowledged(post(inbox, paid("2")))
    assert_received(inbox, XENDIT, "2")


@contextlib.contextmanager
def running(code, path):
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield
        process.stdin.close()


def test_a_removed_file_is_a_503(tmp_path, inbox):
    """When the file is taken away below an open inbox, nothing is acknowledged into the void."""
    assert_acknowledged(post(inbox, paid("1")))
    for name in ("inbox.db", "inbox.db-wal", "inbox.db-shm"):
        (tmp_path / name).unlink()
    assert_try_again(post(inbox, paid("2")))


def test_a_full_disk_is_a_503(inbox, clock):
    """With less room than asked for nothing is accepted, and what verifies not is refused all the same."""
    opened = inbox._open()
    intake = Intake(opened.engine.committer, inbox.observer, clock=clock, min_free_bytes=1 << 62)
    assert_try_again(intake.accept(opened.entrances[XENDIT], paid()).result())
    assert intake.accept(opened.entrances[XENDIT], paid(secret="forged")).result().status == 401
    assert_not_received(inbox, XENDIT, "1001")


def test_a_closed_inbox_opens_again(inbox):
    """After close the next request opens the store again."""
    assert_acknowledged(post(inbox, paid("1")))
    inbox.close()
    inbox.close()
    assert_acknowledged(post(inbox, paid("2")))
    assert_received(inbox, XENDIT, "1")


def test_closing_while_requests_come_loses_none(inbox):
    """Requests that come while the inbox is closed again and again are stored or told to come again."""
    replies = {}

    def send(first):
        for number in range(first, 600, 3):
            replies[str(number)] = post(inbox, paid(str(number)))

    threads = [threading.Thread(target=send, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        inbox.close()
    assert len(replies) == 600
    for number, reply in replies.items():
        assert reply.status in {200, 503}
        if reply.status == 200:
            assert_received(inbox, XENDIT, number)


# --- Hostile requests --------------------------------------------------------------------------------------

HOSTILE = (
    "xendit",
    "stripe",
    "slack",
    "twilio",
    "meta",
    "sns",
    "discord",
    "paypal",
    "plaid",
    "hmac",
    "basic",
)
HEADERS = sorted(
    {
        name
        for provider in PROVIDERS
        for name in signed_request(provider, url=f"https://shop.example/hooks/{provider}").headers
    }
)
TEXT = st.text(max_size=60)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"[" * 5_000, b"{" * 900 + b"}" * 900, b"[" * 900 + b"]" * 900, b"9" * 5_000, b"null"]),
    st.sampled_from([json.dumps(body).encode() for body, *_ in CHALLENGES.values()]),
)


@pytest.fixture(scope="module")
def fortress(tmp_path_factory):
    """Return an inbox with a source of each kind of scheme."""
    with closing(inbox_at(tmp_path_factory.mktemp("fortress"))) as inbox:
        for name in HOSTILE:
            inbox.source(name, secrets=[secret_for(name), "verify_token:hello"])
        yield inbox


@settings(max_examples=150, deadline=None)
@given(
    source=st.sampled_from([*HOSTILE, "nobody", "", "\ud800"]),
    request=st.builds(
        Request,
        st.one_of(st.sampled_from(["GET", "POST", "PUT", ""]), TEXT),
        st.one_of(st.just("https://shop.example/?hub.mode=subscribe"), st.just("https://["), TEXT),
        st.dictionaries(st.one_of(st.sampled_from(HEADERS), TEXT), TEXT, max_size=8),
        BODIES,
    ),
)
def test_no_request_raises(fortress, source, request):
    """Whatever the bytes, the answer is a refusal for good, or an acknowledgement of what is stored."""
    reply = fortress.accept(source, request).result()
    assert reply.status in {200, 204, 401, 404}


@settings(max_examples=60, deadline=None)
@given(
    method=TEXT,
    headers=st.dictionaries(TEXT.filter(lambda name: name != "x-callback-token"), TEXT, max_size=8),
    body=BODIES,
)
def test_no_genuine_request_raises(fortress, method, headers, body):
    """Whoever has the token is acknowledged whatever else is sent, even what cannot be written as text."""
    request = Request(method, "", {**headers, "x-callback-token": secret_for(XENDIT)}, body)
    assert fortress.accept(XENDIT, request).result().status == 200


# --- Loops and threads -------------------------------------------------------------------------------------


def test_ten_thousand_posts_of_one_event_have_one_effect(tmp_path, inbox):
    """10,000 posts of one event at once, from threads and several event loops, are one message and one run."""
    seen = []
    inbox.on(XENDIT, "invoice.paid", name="fulfil")(seen.append)
    request, statuses = paid(), []
    assert_acknowledged(inbox.accept(XENDIT, paid("opens the store")).result())

    async def wave(count):
        async def one():
            return (await inbox.accept(XENDIT, request)).status

        statuses.extend(await asyncio.gather(*(one() for _ in range(count))))

    def one_by_one(count):
        statuses.extend(post(inbox, request).status for _ in range(count))

    threads = [threading.Thread(target=lambda: asyncio.run(wave(4_500))) for _ in range(2)]
    threads += [threading.Thread(target=one_by_one, args=(250,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 10_000
    assert set(statuses) == {200}
    assert stored(tmp_path) == 2
    drain(inbox)
    assert sorted(message.event_id or message.data["id"] for message in seen) == ["1001", "opens the store"]


def test_a_coroutine_that_blocks_is_told_to_await(inbox):
    """On an event loop result() says what to do instead, for waiting there would stop the loop for ever."""

    async def wrong():
        pending = inbox.accept(XENDIT, paid())
        with pytest.raises(RuntimeError, match="await"):
            pending.result()
        return await pending

    assert_acknowledged(asyncio.run(wrong()))


def test_a_caller_that_goes_away_changes_nothing(inbox):
    """When a client hangs up before the answer, its event is stored all the same and the loop goes on."""

    async def impatient():
        async def one(event_id):
            return await inbox.accept(XENDIT, paid(event_id))

        gone = asyncio.create_task(one("1"))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await one("2")

    assert_acknowledged(asyncio.run(impatient()))
    assert_received(inbox, XENDIT, "1")
