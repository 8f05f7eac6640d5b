import pytest
from management import faults, listed, management, walk


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        api.application(uid="acme")
        yield api


def test_shown(api):
    """An attempt is shown with every field of the wire format and Ringback's own."""
    endpoint = api.endpoint("acme", uid="hook")
    message = api.message("acme", eventId="evt-1")
    made = api.attempt(status=503, body=b"busy \xff")
    out = api.get(f"/app/acme/msg/evt-1/attempt/{made.id}").json
    assert (out["id"], out["msgId"], out["endpointId"]) == (made.id, message["id"], endpoint["id"])
    assert (out["url"], out["response"], out["responseStatusCode"]) == (
        endpoint["url"],
        "busy \N{REPLACEMENT CHARACTER}",
        503,
    )
    assert (out["status"], out["statusText"], out["triggerType"]) == (2, "fail", 0)
    assert (out["responseDurationMs"], out["outcome"], out["number"]) == (12, "refused", 1)
    assert set(out["phases"]) == {"dns", "connect", "tls", "write", "wait", "read"}
    assert listed(api.get("/app/acme/attempt/msg/evt-1"))["data"] == [out]
    assert listed(api.get("/app/acme/attempt/endpoint/hook"))["data"] == [out]
    bare = listed(api.get("/app/acme/attempt/endpoint/hook", "with_content=false"))["data"]
    assert bare == [out | {"response": ""}]
    assert api.get("/app/acme/msg/evt-1/attempt/atmpt_none").status_code == 404


def test_filters(api):
    """Attempts are filtered by success, class of status, type, channel, time and endpoint."""
    api.endpoint("acme", uid="hook")
    api.endpoint("acme", uid="quiet", channels=["none"])
    for status in (200, 404, 500):
        api.message("acme", eventType=f"t.{status}", channels=[f"c{status}"])
        api.attempt(status=status)
    for query, count in [
        ("", 3),
        ("expanded_statuses=true", 3),
        ("status=0", 1),
        ("status=2", 2),
        ("status=1", 0),
        ("status=3", 0),
        ("status_code_class=400", 1),
        ("status_code_class=0", 0),
        ("event_types=t.200,t.500", 2),
        ("channel=c404", 1),
        ("before=2020-01-01T00:00:00Z", 0),
        ("after=2020-01-01T00:00:00Z&before=2100-01-01T00:00:00Z", 3),
    ]:
        assert len(listed(api.get("/app/acme/attempt/endpoint/hook", query))["data"]) == count, query
    newest = listed(api.get("/app/acme/msg"))["data"][0]["id"]
    assert len(listed(api.get(f"/app/acme/attempt/msg/{newest}", "endpoint_id=hook"))["data"]) == 1
    assert listed(api.get(f"/app/acme/attempt/msg/{newest}", "endpoint_id=quiet"))["data"] == []
    assert api.get(f"/app/acme/attempt/msg/{newest}", "endpoint_id=none").status_code == 404


def test_newest_first(api):
    """Attempts come newest first, page by page, forward and back."""
    api.endpoint("acme", uid="hook")
    made = []
    for _ in range(5):
        api.message("acme")
        made.append(api.attempt().id)
    made.sort(reverse=True)
    pages = walk(api, "/app/acme/attempt/endpoint/hook", "limit=2")
    assert [row["id"] for page in pages for row in page["data"]] == made
    back = listed(api.get("/app/acme/attempt/endpoint/hook", f"limit=2&iterator={pages[2]['prevIterator']}"))
    assert [row["id"] for row in back["data"]] == made[2:4]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=7", "status"),
        ("status_code_class=201", "status_code_class"),
        ("with_content=perhaps", "with_content"),
        ("after=soon", "after"),
        ("iterator=msg_000000000000000000000000000", "iterator"),
        ("endpoint_id=x", "endpoint_id"),
        ("tags=x", "tags"),
    ],
)
def test_bad_query(api, query, field):
    """A query parameter that is unknown or malformed is a 422 that names it."""
    api.endpoint("acme", uid="hook")
    assert faults(api.get("/app/acme/attempt/endpoint/hook", query)) == [("query", field)]


def test_unknown(api):
    """Attempts of something unknown are a 404, not an empty list."""
    assert api.get("/app/none/attempt/endpoint/x").status_code == 404
    assert api.get("/app/acme/attempt/endpoint/x").status_code == 404
    assert api.get("/app/acme/attempt/msg/x").status_code == 404
