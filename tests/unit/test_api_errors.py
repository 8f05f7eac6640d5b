import logging

import pytest
from falcon.inspect import inspect_routes
from management import BASE, MAX_BODY, TOKEN, faults, management

from ringback.errors import StoreUnavailable


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


def test_unknown_address(api):
    """An unknown address is a 404 in JSON, inside and outside the API."""
    for path in ("/", "/api/v1", "/api/v1/none", "/api/v1/app/a/b/c/d", "/favicon.ico"):
        result = api.send("GET", path)
        assert (result.status_code, result.json["code"]) == (404, "not_found"), path


def test_unknown_method(api):
    """A method that an address does not answer is a 405 in JSON that says which it does."""
    result = api.delete("/app")
    assert (result.status_code, result.json["code"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(result.headers["allow"].split(", "))


def test_every_address_answers_any_method_with_json(api):
    """Whatever the method, each address of the API answers JSON or nothing, and never a 5xx."""
    for_others = {"/metrics", "/docs"}  # programs that read text, and people
    for route in inspect_routes(api.app):
        path = route.path.replace("{", "").replace("}", "")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "TRACE", "CONNECT"):
            result = api.send(method, path)
            assert result.status_code < 500, (method, path, result.text)
            is_json = result.headers.get("content-type", "").startswith("application/json")
            assert is_json or not result.content or path in for_others


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "value_error.jsondecode"),
        (b"{", "value_error.jsondecode"),
        (b'{"name":"a"} {}', "value_error.jsondecode"),
        (b"\xef\xbb\xbf{}", "value_error.jsondecode"),
        (b'{"name":"\xff"}', "value_error.jsondecode"),
        (b'{"name":"\\ud800"}', "value_error.jsondecode"),
        (b'{"name":NaN}', "value_error.jsondecode"),
        (b'{"metadata":' + b"[" * 10_000, "value_error"),
        (b"[" * 10_000, "value_error"),
        (b'{"name":' + b"9" * 5_000 + b"}", "value_error"),
        (b'{"throttleRate":1e999}', "value_error"),
        (b"null", "value_error"),
    ],
)
def test_bytes_that_are_not_the_json_expected(api, raw, kind):
    """Malformed JSON, bad UTF-8, lone surrogates, deep nesting, huge numbers: each is a 422 of its type."""
    result = api.post("/app", raw=raw)
    assert faults(result)[0][0] == "body"
    assert result.json["detail"][0]["type"] == kind


@pytest.mark.parametrize(
    "raw",
    [
        b'{"":',
        b'{"":1,"name":"a"',
        b'{"x":1,"name":"a"}}',
        b'{"x":\xff,"name":"a"}',
        b'{"a`b":1,"name":"a"}',
        b'{"a - at `$.b`":1,"name":"a"}',
        b'{"a\\nb":1,"name":"a"}',
        b'{"a.b[0]":1,"name":"a"}',
        b'{"\\u0000":1,"name":"a"}',
        b'{"":1,"name":"a"}',
    ],
)
def test_unknown_fields_in_what_is_odd(api, raw):
    """An unknown field is left out or complained of, whatever its name is and whatever follows it: never a 500."""
    assert api.post("/app", raw=raw).status_code in {201, 422}


def test_bad_utf8_where_the_decoder_does_not_look(api):
    """Bad UTF-8 inside what is kept raw is noticed."""
    raw = b'{"name":"a","description":"","schemas":{"1":{"title":"\xff"}}}'
    assert faults(api.post("/event-type", raw=raw)) == [("body",)]
    result = api.post("/app/a/msg", raw=b'{"eventType":"t","payload":{"a":"\xff"}}')
    assert faults(result) == [("body",)]


def test_path_to_the_fault(api):
    """The place of a fault is told step by step, indexes as numbers."""
    body = {"url": "https://example.com", "channels": ["a", 7]}
    assert faults(api.post("/app/a/endpoint", body)) == [("body", "channels", 1)]


def test_body_limit(api):
    """A body above the limit is a 413."""
    result = api.post("/app", raw=b" " * (MAX_BODY + 1))
    assert (result.status_code, result.json["code"]) == (413, "payload_too_large")
    assert faults(api.post("/app", raw=b" " * MAX_BODY))


@pytest.mark.parametrize(
    ("declared", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ('Application/JSON;charset="UTF-8"', 201),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_media_type(api, declared, status):
    """A body declared to be other than JSON in UTF-8 is a 415."""
    assert api.post("/app", raw=b'{"name":"a"}', headers={"content-type": declared}).status_code == status


def test_media_type_may_be_left_out(api):
    """A body without a declared type is taken for JSON."""
    assert api.post("/app", raw=b'{"name":"a"}').status_code == 201


def test_addresses_with_anything_in_them(api):
    """Strange ids are not found, or refused; nothing breaks on them."""
    api.application(uid="acme")
    for ref in ("%00", "%FF", "%ED%A0%80", "a%2Fb", "..", "%F0%9F%A6%86", "'", "x" * 3000, "%25", "{}"):
        for path in (
            f"/app/{ref}",
            f"/app/acme/endpoint/{ref}",
            f"/app/acme/msg/{ref}",
            f"/event-type/{ref}",
        ):
            assert api.get(path).status_code == 404, path
        assert api.put(f"/event-type/{ref}", {"description": ""}).status_code in {404, 422}
        assert api.put(f"/app/{ref}", {"name": "x"}).status_code in {404, 422}


def test_the_store_fails(api, monkeypatch):
    """A store that fails is a 503 that says when to come back."""

    def fail(*_):
        raise StoreUnavailable("the disk is full", retry_after=7)

    monkeypatch.setattr(type(api.store), "applications", fail)
    result = api.get("/app")
    assert (result.status_code, result.json) == (
        503,
        {"code": "store_unavailable", "detail": "the disk is full"},
    )
    assert result.headers["retry-after"] == "7"


def test_a_bug(api, monkeypatch, caplog):
    """An unforeseen exception is a 500 without a word of what it was; the log has it all, except secrets."""

    def fail(*_):
        raise ZeroDivisionError("oh dear")

    monkeypatch.setattr(type(api.store), "applications", fail)
    with caplog.at_level(logging.ERROR, "ringback.server"):
        result = api.get("/app")
    assert (result.status_code, result.json["code"]) == (500, "internal_error")
    assert "oh dear" not in result.text
    assert "ZeroDivisionError: oh dear" in caplog.text
    assert TOKEN not in caplog.text


def test_answers_are_not_kept(api):
    """Answers that hold somebody's data are kept by no cache and guessed at by no browser."""
    result = api.get("/app")
    assert result.headers["cache-control"] == "no-store"
    assert result.headers["x-content-type-options"] == "nosniff"
    assert result.headers["content-type"] == "application/json"


def test_heads(api):
    """What answers GET answers HEAD with the same head and no body, and asks for the same rights."""
    api.application(uid="acme")
    api.endpoint("acme", uid="hook")
    for path in ("/app", "/app/acme", "/app/acme/msg", "/event-type", "/health", "/openapi.json"):
        got, headed = (api.send(method, BASE + path) for method in ("GET", "HEAD"))
        assert (headed.status_code, headed.content) == (got.status_code, b"")
        assert headed.headers == got.headers
    reader = api.key("read")
    assert api.send("HEAD", f"{BASE}/app/acme/endpoint/hook/secret", token=reader).status_code == 403
    assert api.send("HEAD", f"{BASE}/app/acme/endpoint/hook/recover").status_code == 405


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/app/acme/msg", "channel=a%20b", "channel"),
        ("/app/acme/msg", "event_types=a,b%20c", "event_types"),
        ("/app/acme/endpoint/hook/msg", "event_types=", "event_types"),
        ("/app/acme/attempt/endpoint/hook", f"channel={'a' * 257}", "channel"),
        ("/event-type", "iterator=no%20name", "iterator"),
    ],
)
def test_what_is_no_name(api, path, query, field):
    """What names an event type or a channel in a query is held to the rules for their names."""
    api.application(uid="acme")
    api.endpoint("acme", uid="hook")
    assert faults(api.get(path, query)) == [("query", field)]
