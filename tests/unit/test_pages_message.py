"""The page of one message: what it says, where it goes and why not, every attempt, and what can be done about it."""

import pytest
from management import gateway_of, made
from visitors import enter

from ringback.design.differences import Change, difference
from ringback.server.pages import comparison
from ringback.server.pages import message as pages
from ringback.testing import secret_for, signed_request

DASH = "\N{EN DASH}"
EVIL = "</script><img src=x onerror=alert(1)>\"'"


@pytest.fixture
def guest(operator):
    return operator


def sent(api, status=200, body=b"thanks", **fields):
    """Publish a message to one endpoint and try it once; return the address of its page, and the endpoint's id."""
    app = api.application(name="Acme")["id"]
    endpoint = api.endpoint(app)["id"]
    message = api.message(app, **fields)["id"]
    api.attempt(status, body)
    return f"/messages/{app}/{message}", endpoint


def test_what_it_says_and_where_it_went(api, guest):
    """The ids, the payload pretty and raw, the endpoint with its state, and the attempt with what was answered."""
    address, _ = sent(
        api, eventId="order-1", channels=["blue"], tags=["vip"], payload={"amount": 1, "to": "Siti"}
    )
    page = guest.open(address)
    assert page.headings[:3] == ["invoice.paid", "Message", "Where it goes"]
    assert page.title == "invoice.paid, Delivered · Ringback"
    for said in (
        "order-1",
        "blue",
        "vip",
        "Acme",
        address.rpartition("/")[2],
        '"amount": 1',
        '{"amount": 1, "to": "Siti"}',
    ):
        assert said in page.text
    assert page.rows[1][:5] == ["https://example.com/hook", "Delivered", "1", DASH, DASH]
    assert "Attempt 1, automatic, took 12 ms to https://example.com/hook" in page.text
    assert "thanks" in page.text
    # By its event id it is found as well.
    assert guest.open(f"{address.rpartition('/')[0]}/order-1").headings[0] == "invoice.paid"


def test_why_nothing_was_sent(api, guest):
    """Each endpoint that gets nothing is named with the reason; without any, that is said."""
    app = api.application()["id"]
    nobody = api.message(app)["id"]
    assert "Nothing was sent: the application had no endpoint" in guest.open(f"/messages/{app}/{nobody}").text
    api.event_type("user.created")
    api.endpoint(app, filterTypes=["user.created"])
    api.endpoint(app, channels=["red"])
    api.endpoint(app, disabled=True)
    message = api.message(app)["id"]
    reasons = {row[4] for row in guest.open(f"/messages/{app}/{message}").rows[1:]}
    assert reasons == {
        "The endpoint does not listen to this event type.",
        "The endpoint listens to other channels.",
        "The endpoint was disabled when the message was accepted.",
    }


def test_an_example_goes_to_one_endpoint_and_the_page_says_so(place, guest):
    """A message for one endpoint alone has a page as any other, for operators and in the portal."""
    api, _ = place
    app = api.application()["id"]
    endpoint = api.endpoint(app)["id"]
    api.endpoint(app, url="https://other.example/hook")
    page = guest.press(guest.open(f"/applications/{app}/endpoints/{endpoint}"), "Send it")
    assert "is queued" in page.text
    message = api.get(f"/app/{app}/msg").json["data"][0]["id"]
    customer, _ = enter(place, app)
    for shown in (guest.open(f"/messages/{app}/{message}"), customer.open(f"/portal/messages/{message}")):
        assert [row[0] for row in shown.rows[1:3]] == ["https://example.com/hook", "All other endpoints"]
        assert "The message was for one endpoint alone." in shown.rows[2]
        assert "(deleted)" not in shown.text


def test_it_is_sent_again_and_the_page_does_not_promise_more(api, guest):
    """Resending is queued, and the page says no more than that; what is under way cannot be sent again."""
    address, _ = sent(api, 500)
    page = guest.open(address)
    assert page.rows[1][1] == "Retrying"
    page = guest.press(page, "Resend")
    assert "Queued to be sent again" in page.text
    assert page.rows[1][1:3] == ["Waiting", "0"]
    assert "Queued" not in guest.open(address).text


def test_what_waits_is_cancelled_when_that_is_confirmed(api, guest):
    """It is asked about first; then nothing of it waits, and there is no button."""
    address, _ = sent(api, 500)
    asked = guest.press(guest.open(address), "Cancel what waits")
    assert "What is being sent just now is not stopped." in asked.text
    assert guest.open(address).rows[1][1] == "Retrying"
    page = guest.press(asked, "Cancel what waits")
    assert "One delivery was cancelled." in page.text
    assert page.rows[1][1] == "Cancelled"
    assert page.rows[1][4] == "It was cancelled on request."
    assert "Cancel what waits" not in page.text


def test_the_payload_is_forgotten_when_that_is_confirmed(api, guest):
    """What cannot be undone is asked about first; afterwards the page says that the payload is gone."""
    address, _ = sent(api)
    page = guest.open(f"{address}/forget")
    assert "It cannot be shown, downloaded or sent again." in page.text
    page = guest.press(page, "Forget the payload")
    assert "The payload is forgotten." in page.text
    assert "It has been removed" in page.text
    assert guest.send("GET", f"{address}/payload").status_code == 404


def test_files_are_saved_and_never_shown(api, guest):
    """Payloads and answers come as attachments that no browser takes for a page."""
    address, _ = sent(api, body=b"<script>alert(1)</script>")
    attempt = next(href for _, href in guest.open(address).links if href.endswith("/answer"))
    answer = guest.send("GET", f"/messages{attempt.partition('messages')[2]}")
    payload = guest.send("GET", f"{address}/payload")
    assert (payload.content, answer.content) == (b'{"n": 1}', b"<script>alert(1)</script>")
    for file, kind in ((payload, "application/json"), (answer, "application/octet-stream")):
        assert file.headers["content-type"] == kind
        assert file.headers["content-disposition"].startswith("attachment; filename=")
        assert file.headers["x-content-type-options"] == "nosniff"
        assert file.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_whoever_may_only_look_changes_nothing(place):
    """A session for reading sees no button that changes something, and cannot send such a form."""
    api, visitor = place
    address, endpoint = sent(api, 500)
    guest = visitor()
    guest.login(api.key("read"))
    page = guest.open(address)
    forms = {form.action.rpartition("/")[2] for form in page.forms if form.method == "POST"}
    assert forms == {"look", "logout"}
    csrf = page.forms[0].fields[0][1]
    for step in ("resend", "cancel", "forget"):
        assert (
            guest.send("POST", f"{address}/{step}", {"csrf": csrf, "endpoint": endpoint}).status_code == 403
        )
    assert guest.send("GET", f"{address}/forget").status_code == 403


def test_what_is_not_there_is_said(api, guest):
    """Another application's message, one that there is not, and an attempt that there is not are pages that say so."""
    address, _ = sent(api)
    other = api.application()["id"]
    for path in (
        f"/messages/{other}/{address.rpartition('/')[2]}",
        f"/messages/{other}/msg_none",
        "/messages/none/none",
        f"{address}/attempts/none/answer",
    ):
        assert guest.open(path, expect=404).headings[0] == "There is nothing here"
    page = guest.send("POST", f"{address}/resend", {"csrf": "wrong"})
    assert page.status_code == 403


def test_what_strangers_wrote_is_text(api, guest):
    """A payload, an answer, an event id and an application's name are shown to the letter, and open no element."""
    app = api.application(name=EVIL)["id"]
    api.endpoint(app)
    message = made_message(api, app)
    api.attempt(500, EVIL.encode() + b"\x00\xff\xf0")
    page = guest.open(f"/messages/{app}/{message}")
    assert not [attrs for _, attrs in page.elements if "onerror" in attrs]
    assert page.text.count("<img src=x onerror=alert(1)>") >= 3


def made_message(api, app):
    """Publish a message that means harm; return its id."""
    result = api.post(f"/app/{app}/msg", {"eventType": "a.b", "eventId": "e-1", "payload": {EVIL: EVIL}})
    assert result.status_code == 202
    return result.json["id"]


def test_a_large_payload_is_cut_and_light(api, guest):
    """Only the beginning of what is large is shown, so that the page stays small; all of it can be downloaded."""
    address, _ = sent(api, payload={"x": "y" * 30_000}, body=b"z" * 16_000)
    result = guest.send("GET", address)
    assert len(result.content) < 60_000
    assert "Only the beginning is shown, of 30.0 kB." in result.text
    assert len(guest.send("GET", f"{address}/payload").content) > 30_000


def test_attempts_come_in_slices(api, guest, monkeypatch):
    """A message that was tried often lists its newest attempts, and leads to the older ones."""
    monkeypatch.setattr(pages, "ATTEMPTS", 1)
    app = api.application()["id"]
    api.endpoint(app)
    api.endpoint(app)
    message = api.message(app)["id"]
    api.attempt(200)
    api.attempt(500)
    page = guest.open(f"/messages/{app}/{message}")
    seen = [page.text.count("Attempt 1,")]
    page = guest.open(f"/messages{page.link('Older attempts').partition('messages')[2]}")
    assert [*seen, page.text.count("Attempt 1,")] == [1, 1]
    assert "Older attempts" not in page.text


def test_two_attempts_side_by_side(api, guest):
    """What was answered is compared line by line, and every fact of the two attempts."""
    app = api.application()["id"]
    api.endpoint(app)
    api.endpoint(app)
    message = api.message(app)["id"]
    api.attempt(500, b'{"error":"full","retry":true}')
    api.attempt(200, b'{"error":null,"retry":true}')
    page = guest.open(f"/messages/{app}/{message}")
    page = guest.open(f"/messages{page.link('Compare two').partition('messages')[2]}")
    assert page.headings[0] == "Two attempts"
    assert {("-gone", '"error": "full",'), ("+new", '"error": null,')} <= {
        tuple(row[:2]) for row in page.rows
    } or {
        ("-gone", '"error": null,'),
        ("+new", '"error": "full",'),
    } <= {tuple(row[:2]) for row in page.rows}
    assert ["HTTP status", "differs"] in [[row[0], row[3]] for row in page.rows if len(row) > 3]
    none = guest.open(f"/messages/{app}/{message}/compare?first=x&second=y", expect=404)
    assert "This message has no such attempt." in none.text


def test_attempts_to_compare_are_of_one_endpoint_and_each_says_which(api, guest, monkeypatch):
    """A message for two endpoints: the link leads to two attempts at the one that was tried again."""
    monkeypatch.setattr(comparison, "MAX_CHOICES", 2)
    app = api.application()["id"]
    urls = {}
    for number in (1, 2):
        urls[api.endpoint(app, url=f"https://{number}.example.com/")["id"]] = f"https://{number}.example.com/"
    message = api.message(app)["id"]
    first = api.attempt(503, b"first").endpoint_id
    second = api.attempt(200, b"second", later=5).endpoint_id
    api.again(app, message, first)
    api.attempt(503, b"third", later=10)
    page = guest.follow(guest.open(f"/messages/{app}/{message}"), "Compare two")
    assert {("-gone", "first"), ("+new", "third")} <= {tuple(row) for row in page.rows}
    assert ["Endpoint", first, first, "same"] in page.rows
    # What is compared is offered, too, however old it is.
    assert "The latest 2 attempts are offered." in page.text
    assert page.text.count(f"1 to {urls[first]}: Refused by the receiver 503") == 4
    assert page.text.count(f"1 to {urls[second]}: Delivered 200") == 2


def test_two_messages_side_by_side(api, guest):
    """A message is compared with another one of its application, never with one of another."""
    address, _ = sent(api, eventId="one", payload={"a": 1, "b": 2})
    app = address.split("/")[2]
    api.message(app, eventId="two", payload={"a": 1, "b": 3})
    foreign = api.message(api.application()["id"], eventId="three")["id"]
    page = guest.press(guest.open(address), "Compare", **{"with": "two"})
    assert page.headings[0] == "Two messages"
    assert [row for row in page.rows if row[:1] == ["-gone"]] == [["-gone", '"b": 2']]
    assert guest.open(f"{address}/compare?with=one").text.count("No difference") == 1
    for ref in (foreign, "three", EVIL):
        page = guest.press(guest.open(address), "Compare", expect=404, **{"with": ref})
        assert "has no message" in page.text


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (b'{"a":1}', b'{"a": 1}', ["left out"]),
        (b"a\nb\nc", b"a\nc", ["same", "gone", "same"]),
        (b"", b"x", ["new"]),
        (b"\xff", b"\xfe", ["same"]),
        (b"0\n1\n2\n3\n4\n5\n6\nx", b"0\n1\n2\n3\n4\n5\n6\ny",
         ["left out", "same", "same", "same", "gone", "new"]),
        (b"[" * 2_000, b"[" * 2_000, ["same"]),
    ],
)  # fmt: skip
def test_lines_that_are_gone_or_new(old, new, changes):
    """JSON is compared as it is written for people, anything else line by line; what is far is left out."""
    assert [line.change.value for line in difference(old, new).lines] == changes


def test_long_texts_are_compared_from_their_beginning():
    """However long two texts are, comparing them takes a moment, and what was left out is said."""
    many = b"\n".join(b"%d" % n for n in range(5_000))
    found = difference(many, many[::-1])
    assert found.cut
    assert not found.is_none
    assert difference(many, many).is_none
    assert Change.LEFT_OUT in {line.change for line in difference(many, many).lines}


def test_received_messages_show_what_came(api, guest):
    """A message of a source shows its headers without secrets, and why nothing handles it where nothing does."""
    body = {"name": "Shop", "type": "xendit", "uid": "shop", "config": {"secret": secret_for("xendit")}}
    source = made(api.send("POST", "/ingest/api/v1/source", body))["id"]
    token = api.store.source(source).token
    request = signed_request("xendit", "invoice.paid", event_id="ev-1")
    assert gateway_of(api.committer).accept(token, request).result().status == 200
    (row,) = guest.open("/messages?application=" + source).rows[1:]
    assert row[:3] == ["invoice.paid", "Unhandled", "Shop"]
    page = guest.open(f"/messages/{source}/{row[4].partition('ev-1')[0]}")
    assert "Nothing was sent: no handler and no endpoint of this source wants this event type." in page.text
    assert ["content-type", "application/json"] in page.rows
    assert secret_for("xendit") not in page.source
    assert "ev-1" in page.text
