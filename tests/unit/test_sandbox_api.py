"""The sandbox's API as such: keys, faults in the provider's shape, idempotency, and pages."""

import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandboxes import OWNER, playing

from ringback.sandbox.xendit.calls import Answer, Owner, Refused, Route, read
from ringback.sandbox.xendit.sandbox import DEFAULT_KEY
from xendit_requests import OTHER_BUSINESS, OTHERS


class Thing(msgspec.Struct):
    name: str
    size: int = 0


class Things:
    """Counts the things that it makes."""

    def __init__(self, sandbox):
        self._sandbox = sandbox
        self.fails = False
        self.fails_at_last = False

    def routes(self):
        """Return what it answers."""
        return (
            Route("POST", "/things", self.make),
            Route("GET", "/things/{id}", self.get),
            Route("GET", "/things/name={name:rest}/it", self.named),
            Route("GET", "/page", self.page, open=True),
            Route("POST", "/page", self.page, open=True),
        )

    async def make(self, call):
        """Make a thing."""
        draft = read(call, Thing)
        if self.fails:
            raise ValueError(draft.name)
        change = self._sandbox.change()
        number = len(self._sandbox.ledger.entries("thing")) + 1
        body = {"id": str(number), "name": draft.name, "owner": str(call.owner)}
        change.add("thing", str(number), call.owner, body)
        await self._sandbox.commit(change)
        if self.fails_at_last:
            raise ValueError(draft.name)
        return Answer(body)

    async def get(self, call):
        """Show a thing."""
        entry = self._sandbox.ledger.get("thing", call.path["id"], call.owner)
        if entry is None:
            raise Refused(404, "THING_NOT_FOUND_ERROR", "there is no such thing", ["id"])
        return Answer({**entry.body, "many": list(call.query.get("many", ())), "one": call.one("one")})

    async def named(self, call):
        """Show what the path named."""
        return Answer({"name": call.path["name"]})

    async def page(self, call):
        """Show what a form sent."""
        return Answer(repr(call.body).encode(), content_type="text/plain")


@pytest.fixture
def play(tmp_path):
    with playing(tmp_path, products=(Things,)) as play:
        yield play


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    with playing(tmp_path_factory.mktemp("sandbox"), products=(Things,)) as play:
        yield play


def authorization(text):
    return {"authorization": "Basic " + base64.b64encode(text).decode()}


# --- Keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer xnd_development_ringback"},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic é"},
        authorization(b"xnd_development_other:"),
        authorization(b"\xff\xfe:"),
        authorization(b""),
    ],
)
def test_a_wrong_key_is_refused(play, headers):
    """Whatever is sent in place of the key, the answer is 401 in the provider's shape."""
    assert play.refused("GET", "/things/1", headers=headers, key=None) == (401, "INVALID_API_KEY")


def test_a_sub_account_has_its_own_things(play):
    """What is made for one business cannot be seen by another, nor by its owner."""
    made = play.ok("POST", "/things", {"name": "a"}, headers=OTHERS)
    assert made["owner"] == str(Owner(OTHER_BUSINESS))
    assert play.refused("GET", "/things/1") == (404, "THING_NOT_FOUND_ERROR")
    assert play.ok("GET", "/things/1", headers=OTHERS)["name"] == "a"
    assert play.refused("GET", "/things/1", headers={"for-user-id": "me"}) == (400, "API_VALIDATION_ERROR")


# --- Requests ----------------------------------------------------------------------------------------------


def test_a_place_that_is_not_there_is_said(play):
    """An unknown path is 404 and a known path's other methods are 405, both naming what was asked for."""
    assert play.refused("GET", "/nowhere") == (404, "NOT_FOUND")
    answer = play.call("DELETE", "/things/1")
    assert (answer.status, answer.body["error_code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in answer.body["message"]


def test_paths_hold_what_they_name(play):
    """A segment ends at a slash; where an id may hold slashes, it does not."""
    assert play.refused("GET", "/things/1/2") == (404, "NOT_FOUND")
    assert play.ok("GET", "/things/name=a/b?c/it")["name"] == "a/b?c"


def test_parameters_are_read(play):
    """Parameters may come several times where they are lists, and once where they are not."""
    play.ok("POST", "/things", {"name": "a"})
    found = play.ok("GET", "/things/1", query=[("many", "a"), ("many", "b"), ("one", "é ")])
    assert (found["many"], found["one"]) == (["a", "b"], "é ")
    twice = play.refused("GET", "/things/1", query=[("one", "a"), ("one", "b")])
    assert twice == (400, "API_VALIDATION_ERROR")


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"name": "\\ud800"}', b"nul"])
def test_what_is_no_json_is_said(play, body):
    """A body that cannot be read is 400 INVALID_JSON_FORMAT, however deep or broken it is."""
    assert play.refused("POST", "/things", body) == (400, "INVALID_JSON_FORMAT")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"1", b"null", b"{}", b'{"name":1}', b'{"name":"a","size":"b"}']
)
def test_what_does_not_fit_is_said(play, body):
    """A body of another shape is 400 API_VALIDATION_ERROR."""
    assert play.refused("POST", "/things", body) == (400, "API_VALIDATION_ERROR")


@given(st.binary(max_size=300), st.text(max_size=50), st.text(max_size=50))
@settings(deadline=None, max_examples=100)
def test_no_bytes_surprise_it(lasting, body, path, header):
    """Whatever comes, the answer is one of the provider's: never a 500, never an exception."""
    for method in ("POST", "GET"):
        answer = lasting.call(method, "/things/" + path, body, headers={"idempotency-key": header})
        assert answer.status < 500
        answer = lasting.call(method, "/things", body, headers={"for-user-id": header})
        assert answer.status < 500


def test_a_fault_of_ours_is_told_without_its_text(play, caplog):
    """Where the sandbox itself fails, the caller gets SERVER_ERROR and the log the reason."""
    play.sandbox.product(Things).fails = True
    answer = play.call("POST", "/things", {"name": "what nobody else should read"})
    assert (answer.status, answer.body["error_code"]) == (500, "SERVER_ERROR")
    assert "what nobody else should read" not in answer.body["message"]
    assert "what nobody else should read" in caplog.text


# --- Idempotency -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-IDEMPOTENCY-KEY"])
def test_the_same_key_makes_one_thing(play, name):
    """A request that comes again with its key gets the first answer; with another body it is refused."""
    first = play.ok("POST", "/things", {"name": "a"}, headers={name: "k"})
    assert play.ok("POST", "/things", {"name": "a"}, headers={name: "k"}) == first
    assert play.call("POST", "/things", {"name": "b"}, headers={name: "k"}).status == 409
    assert play.ok("POST", "/things", {"name": "a"}, headers={name: "other"}) != first


def test_a_key_outlives_the_process(tmp_path):
    """After a restart, the first answer is still given."""
    with playing(tmp_path, products=(Things,)) as play:
        first = play.ok("POST", "/things", {"name": "a"}, headers={"idempotency-key": "k"})
    with playing(tmp_path, products=(Things,)) as play:
        assert play.ok("POST", "/things", {"name": "a"}, headers={"idempotency-key": "k"}) == first


def test_what_was_done_but_not_answered_is_not_done_again(tmp_path):
    """Where something goes wrong between the commit and the answer, a repeated request is told what there is."""
    with playing(tmp_path, products=(Things,)) as play:
        play.sandbox.product(Things).fails_at_last = True
        assert play.call("POST", "/things", {"name": "a"}, headers={"idempotency-key": "k"}).status == 500
    with playing(tmp_path, products=(Things,)) as play:
        again = play.call("POST", "/things", {"name": "a"}, headers={"idempotency-key": "k"})
        assert (again.status, again.body["error_code"]) == (409, "IDEMPOTENCY_ERROR")
        assert "look for thing 1" in again.body["message"]
        assert len(play.sandbox.ledger.entries("thing")) == 1


def test_a_refused_request_may_be_mended(play):
    """A refusal takes no key: the mended request is done."""
    assert play.refused("POST", "/things", {}, headers={"idempotency-key": "k"})[0] == 400
    assert play.ok("POST", "/things", {"name": "a"}, headers={"idempotency-key": "k"})["id"] == "1"


def test_keys_of_others_do_not_meet(play):
    """Two businesses may choose the same key."""
    play.ok("POST", "/things", {"name": "a"}, headers={"idempotency-key": "k"})
    other = {"idempotency-key": "k"} | OTHERS
    assert play.ok("POST", "/things", {"name": "b"}, headers=other)["name"] == "b"


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_is_bounded(play, key):
    """A key of no or too many characters is refused, not cut."""
    assert play.refused("POST", "/things", {"name": "a"}, headers={"idempotency-key": key})[0] == 400


# --- Pages -------------------------------------------------------------------------------------------------


def test_pages_need_no_key(play):
    """A person opens a page without a key, and a form's fields arrive as text."""
    assert play.call("GET", "/page", key=None).status == 200
    assert play.call("POST", "/page", key=None, form={"a": "é&b"}).body == repr({"a": "é&b"}).encode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example", "host": "127.0.0.1:8700"}, 403),
        ({"origin": "null", "host": "127.0.0.1:8700"}, 403),
        ({"origin": "http://[", "host": "127.0.0.1:8700"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "http://127.0.0.1:8700", "host": "127.0.0.1:8700"}, 200),
        ({}, 200),
    ],
)
def test_no_other_site_presses_buttons(play, headers, status):
    """A form is taken from the sandbox's own pages alone; a page may be linked to from anywhere."""
    assert play.call("POST", "/page", key=None, form={"a": "b"}, headers=headers).status == status
    assert play.call("GET", "/page", key=None, headers=headers).status == 200


def test_the_key_is_whose_it_is(play):
    """The default key is the default business's in test mode."""
    assert play.ok("POST", "/things", {"name": "a"}, key=DEFAULT_KEY)["owner"] == str(OWNER)
