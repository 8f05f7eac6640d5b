import pytest
from management import management

from ringback.errors import StoreUnavailable


@pytest.fixture
def api(tmp_path):
    with management(tmp_path) as api:
        yield api


@pytest.mark.parametrize("path", ["/readyz", "/api/v1/health"])
def test_ready(api, path):
    """A node that serves says so, without a token, to GET and HEAD."""
    result = api.send("GET", path, token=None)
    assert (result.status_code, result.json) == (200, {"status": "ok"})
    assert api.send("HEAD", path, token=None).status_code == 200


@pytest.mark.parametrize("path", ["/readyz", "/api/v1/health"])
def test_not_ready(api, path):
    """A node that is starting or draining is a 503 that says why, while it stays alive."""
    api.standing["reason"] = "draining"
    result = api.send("GET", path, token=None)
    assert (result.status_code, result.json["code"]) == (503, "unavailable")
    assert "draining" in result.json["detail"]
    assert api.send("GET", "/livez", token=None).status_code == 200


def test_not_ready_without_a_store(api, monkeypatch):
    """A node whose store cannot be read is not ready."""

    def fail(*_):
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(type(api.store), "catalog_version", fail)
    result = api.send("GET", "/readyz", token=None)
    assert result.status_code == 503
    assert "the disk is gone" in result.json["detail"]


def test_ping(api):
    """The ping is a 204 to GET and HEAD, with or without a slash at the end."""
    for method in ("GET", "HEAD"):
        for path in ("/api/v1/health/ping", "/api/v1/health/ping/"):
            result = api.send(method, path, token=None)
            assert (result.status_code, result.content) == (204, b"")
