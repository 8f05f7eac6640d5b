"""`ringback event-type import` against a server: what it prints where, and the exit codes it leaves with."""

import json

import pytest
from management import listed, made
from served import served

from ringback.cli import run

DOCUMENT = """
openapi: 3.1.0
info: {title: Acme, version: '1'}
webhooks:
  invoice.paid:
    post:
      requestBody: {content: {application/json: {schema: {required: [id]}}}}
  invoice.late: {post: {}}
paths: {}
"""


@pytest.fixture
def api(tmp_path, monkeypatch):
    with served(tmp_path, monkeypatch) as api:
        (tmp_path / "api.yaml").write_text(DOCUMENT, "utf-8")
        yield api


def names(api):
    return [row["name"] for row in listed(api.get("/event-type"))["data"]]


def test_import(api, capsys):
    """What is done is a table on standard output and a line on standard error; a dry run does nothing."""
    api.event_type("old")
    assert run(["event-type", "import", "api.yaml", "--dry-run", "--replace-all"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1:] == ["created   invoice.late", "created   invoice.paid", "archived  old"]
    assert "this was a dry run" in err
    assert names(api) == ["old"]
    assert run(["event-type", "import", "api.yaml", "--json"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)["created"]) == ["invoice.late", "invoice.paid"]
    assert names(api) == ["invoice.late", "invoice.paid", "old"]
    assert run(["event-type", "import", "api.yaml"]) == 0
    assert capsys.readouterr().err == "0 created, 0 updated, 2 unchanged, 0 archived\n"


def test_faults(api, tmp_path, capsys):
    """What is wrong with a document is told by path before anything is sent."""
    (tmp_path / "bad.yaml").write_text(DOCUMENT.replace("required: [id]", "$ref: x.json"), "utf-8")
    (tmp_path / "binary.json").write_bytes(b"\xff")
    for file, told in (
        (
            "bad.yaml",
            "bad.yaml.webhooks.invoice.paid.post.requestBody.content.application/json.schema.$ref: ",
        ),
        ("binary.json", "is not text"),
        ("nowhere.json", "cannot be read"),
    ):
        assert run(["event-type", "import", file]) == 2
        assert told in capsys.readouterr().err
    assert names(api) == []


def test_publishing_with_validation(api, capsys):
    """`ringback publish --validate` sends nothing that does not obey, and says where."""
    assert run(["event-type", "import", "api.yaml"]) == 0
    app = made(api.post("/app", {"name": "Acme"}))["id"]
    capsys.readouterr()
    assert run(["publish", app, "invoice.paid", "{}", "--validate"]) == 1
    assert '"id" is a required property' in capsys.readouterr().err
    assert run(["publish", app, "invoice.paid", '{"id": 1}', "--validate"]) == 0
    assert len(listed(api.get(f"/app/{app}/msg"))["data"]) == 1
