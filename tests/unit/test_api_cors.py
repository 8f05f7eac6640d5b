"""Pages of other origins: they may use the API with a token, and nothing that a cookie lets somebody into."""

import pytest
from management import BASE, management
from visitors import visiting

SHOP = {"origin": "https://shop.example"}
ASKING = SHOP | {
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization, content-type",
}


@pytest.fixture
def api(tmp_path):
    with management(tmp_path, strict=False) as api:
        api.application(uid="acme")
        yield api


def shared(result):
    return {name for name in result.headers if name.startswith("access-control-")}


@pytest.mark.parametrize(
    "path", [f"{BASE}/app/acme/endpoint/one", "/ingest/api/v1/source", f"{BASE}/nowhere"]
)
def test_preflight(api, path):
    """A browser that asks first is told that all is well, without a token, and for how long that is good."""
    result = api.send("OPTIONS", path, token=None, headers=ASKING)
    assert (result.status_code, result.content) == (204, b"")
    assert result.headers["access-control-allow-origin"] == "*"
    assert "PUT" in result.headers["access-control-allow-methods"]
    assert result.headers["access-control-allow-headers"].startswith("authorization, content-type")
    assert "access-control-allow-credentials" not in result.headers


def test_answers(api):
    """A page may read every answer, also one that refuses, and the headers that clients go by."""
    for path, token, status in (
        ("/app/acme?x=1", api.key("read"), 200),
        ("/app/none", api.key("read"), 404),
        ("/app/acme", "nobody", 401),
    ):
        result = api.get(path, token=token, headers=SHOP)
        assert (result.status_code, result.headers["access-control-allow-origin"]) == (status, "*")
        assert result.headers["access-control-expose-headers"] == "ringback-ignored, retry-after"
        assert "access-control-allow-credentials" not in result.headers


def test_who_is_no_page_is_told_nothing(api):
    """Programs send no origin, and their answers carry nothing more."""
    assert shared(api.get("/app/acme")) == set()
    assert api.send("OPTIONS", f"{BASE}/app/acme", token=None, headers=SHOP).status_code == 401
    assert shared(api.send("GET", "/livez", headers=SHOP)) == set()


def test_pages_are_not_shared(tmp_path):
    """What a cookie lets somebody into, no page of another origin may read, nor ask for with its visitor's cookie."""
    with visiting(tmp_path) as (_api, visitor):
        guest = visitor()
        guest.login()
        for path in ("/", "/apps", "/portal", "/in/token"):
            for method, headers in (("GET", SHOP), ("OPTIONS", ASKING)):
                assert shared(guest.send(method, path, headers=headers)) == set()
