"""What a request holds that is not known: left out and told, or refused."""

import pytest
from management import faults, made, management

from ringback.server import bodies

STRICT = {"prefer": "respond-async, handling=strict"}


@pytest.fixture
def api(tmp_path):
    with management(tmp_path, strict=False) as api:
        api.application(uid="acme")
        yield api


def ignored(result):
    assert result.status_code < 300, result.text
    return result.headers.get("ringback-ignored")


def test_unknown_fields_are_left_out_and_named(api):
    """What is known takes effect, and the answer names the rest."""
    result = api.post("/app", {"name": "Acme", "colour": "red", "uid": "red", "x": {"y": 1}})
    assert ignored(result) == "body.colour, body.x"
    assert made(result)["uid"] == "red"
    assert ignored(api.post("/app", {"name": "Acme"})) is None


def test_deep_inside(api):
    """Fields are left out wherever they are, and payloads stay byte for byte."""
    raw = b'{"messages": [{"eventType": "a", "payload": { "n":  1.50 }, "surprise": {"deep": [1]}}]}'
    result = api.post("/app/acme/msg/batch", raw=raw)
    assert ignored(result) == "body.messages.0.surprise"
    (message,) = result.json["data"]
    stored = api.store.message(api.store.application("acme").id, message["id"])
    assert stored.payload == b'{ "n":  1.50 }'


def test_unknown_parameters(api):
    """The same goes for what follows the question mark."""
    assert ignored(api.get("/app", "expanded_statuses=true&limit=1")) == "query.expanded_statuses"
    assert ignored(api.get("/app", "event_types=a")) == "query.event_types"
    assert ignored(api.get("/app/acme/msg", "event_types[0]=a")) is None


def test_names_are_safe_in_a_header(api):
    """No name can break the header out of its line or make it long."""
    assert ignored(api.post("/app", {"name": "Acme", "a\r\nb: é": 1})) == "body.a%0D%0Ab%3A%20%C3%A9"
    assert len(ignored(api.post("/app", {"name": "Acme", "x" * 5000: 1}))) < 100


def test_a_client_may_ask_to_be_refused(api):
    """With ``Prefer: handling=strict`` what is unknown is a 422 that names it."""
    result = api.post("/app", {"name": "Acme", "colour": "red"}, headers=STRICT)
    assert faults(result) == [("body", "colour")]
    assert result.json["detail"][0]["type"] == "value_error.extra"
    assert faults(api.get("/app", "colour=red", headers=STRICT)) == [("query", "colour")]
    assert (
        ignored(api.post("/app", {"name": "Acme", "x": 1}, headers={"prefer": "handling=lenient"}))
        == "body.x"
    )


def test_known_fields_are_checked_all_the_same(api):
    """Leaving out what is unknown lets nothing wrong through."""
    assert faults(api.post("/app", {"colour": "red", "name": 7})) == [("body", "name")]
    assert faults(api.post("/app", {"colour": "red"})) == [("body", "name")]


def test_too_many(api):
    """A body with more than fifty unknown fields is refused: it is no management request."""
    fields = {f"x{number}": 1 for number in range(51)}
    assert len(faults(api.post("/app", {"name": "Acme", **fields}))) == 1


def test_many_take_one_pass(api, monkeypatch):
    """However many are left out, what they stand beside is read twice, not once more for each."""
    reads = []
    decoded = bodies.decode_json
    monkeypatch.setattr(bodies, "decode_json", lambda *given: reads.append(1) or decoded(*given))
    many = [{"eventType": "a", "payload": {}, "unknown": 1} for _ in range(50)]
    assert ignored(api.post("/app/acme/msg/batch", {"messages": many})).count("unknown") == 50
    assert len(reads) == 2


def test_broken_behind_an_unknown_field(api):
    """What is no JSON is refused as that, whatever stands before it."""
    for raw in (
        b'{"colour": 1, "name": "Acme"',
        b'{"colour": 1, "name": "\xff"}',
        b'{"x": 1, "application": {',
    ):
        result = api.post("/app/acme/msg", raw=raw)
        assert (result.status_code, faults(result)) == (422, [("body",)])
        assert result.json["detail"][0]["type"] == "value_error.jsondecode"


def test_other_names_of_fields_anywhere(api):
    """They are taken wherever the field is; said twice, its own name counts; one that does nothing is no surprise."""
    sent = [{"eventType": "a", "data": {"n": 1}}, {"eventType": "a", "data": {"n": 2}, "payload": {"n": 3}}]
    result = api.post("/app/acme/msg/batch", {"messages": sent}, headers=STRICT)
    assert ignored(result) is None
    assert [one["payload"] for one in result.json["data"]] == [{"n": 1}, {"n": 3}]
    endpoint = {"url": "https://example.com", "version": 1, "rateLimit": 7}
    result = api.post("/app/acme/endpoint", endpoint, headers=STRICT)
    assert (ignored(result), result.json["throttleRate"]) == (None, 7)


def test_payload_may_be_called_data(api):
    """A message's payload may be called ``data``, as older clients do, also where unknown fields are refused."""
    for headers in ({}, STRICT):
        result = api.post("/app/acme/msg", {"eventType": "a", "data": {"n": 1}}, headers=headers)
        assert ignored(result) is None
        assert result.json["payload"] == {"n": 1}
