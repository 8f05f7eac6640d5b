"""The tables of sources in ringback.toml: what they may hold, and what is said when they hold something else."""

import pytest

from ringback.config import load, value_here
from ringback.errors import ConfigurationError
from ringback.model import CustomAck


def read(folder, text, **environment):
    """Return the settings that a file makes."""
    file = folder / "ringback.toml"
    file.write_text(text)
    return load({}, environment, file)


def test_everything(tmp_path):
    """Every key of a source and of a forward is read; values such as env:NAME are the variables'."""
    settings = read(
        tmp_path,
        """
        worker_slots = 7
        [sources.xendit]
        provider = "hmac"
        secrets = ["env:XENDIT_CALLBACK_TOKEN", "plain"]
        token = "env:XENDIT_INGEST_TOKEN"
        url = "https://shop.example/in"
        options = { header = "x-sign" }
        ack = { status = 202, body = "OK", content_type = "text/plain" }
        forward = [
            "https://shop.internal/hooks",
            { url = "https://b.example", events = ["invoice.*"], secret = "env:KEY", headers = { x-a = "env:A" } },
        ]
        [sources.stripe]
        secrets = ["s"]
        """,
        XENDIT_CALLBACK_TOKEN="one ",
        XENDIT_INGEST_TOKEN="a-token-of-some-length",
        KEY="whsec_x",
        A="b",
    )
    first, second = settings.sources
    draft = first.draft
    assert settings.worker_slots == 7
    assert (draft.uid, draft.name, draft.provider) == ("xendit", "xendit", "hmac")
    assert (draft.secrets, draft.token) == (("one", "plain"), "a-token-of-some-length")
    assert (draft.url, draft.options) == ("https://shop.example/in", {"header": "x-sign"})
    assert draft.ack == CustomAck(status=202, body="OK", content_type="text/plain")
    assert [(one.url, one.event_types, one.secret, one.headers) for one in first.forwards] == [
        ("https://shop.internal/hooks", None, None, {}),
        ("https://b.example", ("invoice.*",), "whsec_x", {"x-a": "b"}),
    ]
    assert (second.draft.provider, second.forwards, second.draft.token) == ("stripe", (), None)
    assert first.missing == second.missing == ()


def test_without_sources(tmp_path):
    """A file without sources, and no file, declare none."""
    assert read(tmp_path, "").sources == load({}, {}, None).sources == ()


def test_a_forward_is_known_by_its_address(tmp_path):
    """A forward's uid follows from its URL alone, whatever else is said of it."""
    plain = read(tmp_path, '[sources.a]\nsecrets=["s"]\nforward=["https://x.example"]').sources
    rich = read(
        tmp_path, '[sources.b]\nsecrets=["s"]\nforward=[{url="https://x.example", events=["a"]}]'
    ).sources
    assert plain[0].forwards[0].uid == rich[0].forwards[0].uid
    assert plain[0].forwards[0].uid.startswith("forward-")


def test_variables_that_are_not_set_hinder_nobody_else(tmp_path):
    """Commands that need no secret load the file all the same; what is missing is noted, empty counts as missing."""
    settings = read(tmp_path, '[sources.a]\nsecrets=["env:A", "env:B", "env:C"]', B="b", C="")
    assert settings.sources[0].missing == ("A", "C")


def test_no_secret_is_shown(tmp_path):
    """What is printed of settings holds no secret of a source."""
    settings = read(tmp_path, '[sources.a]\nsecrets=["hidden"]\ntoken="hidden-token-of-a-source"')
    assert "hidden" not in repr(settings) + repr(settings.sources[0].draft)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources = 1", ["[sources.xendit]"]),
        ("[sources]\nxendit = 1", ["[sources.xendit]"]),
        ("[sources.x]", ["[sources.x]", "secrets"]),
        ('[sources.x]\nsecrets="s"', ["secrets", "array"]),
        (
            '[sources.x]\nsecrets=["s"]\nsecret="s"',
            ["'secret'", "secrets, provider, token, url, options, ack, forward"],
        ),
        (
            '[sources.x]\nsecrets=["s"]\nack={code=200}',
            ["[sources.x] ack", "'code'", "status, body, content_type"],
        ),
        ('[sources.x]\nsecrets=["s"]\nforward="https://x"', ["forward", "array"]),
        (
            '[sources.x]\nsecrets=["s"]\nforward=[{url="https://x", event="a"}]',
            ["[sources.x] forward", "'event'", "url, events, secret, headers"],
        ),
        ('[sources.x]\nsecrets=["s"]\nforward=[{events=["a"]}]', ["forward[0]", "url"]),
        ('[sources.x]\nsecrets=["s"]\nforward=["https://x", {url="https://x"}]', ["twice"]),
        ('[source.x]\nsecrets=["s"]', ["unknown key", "Did you mean sources"]),
    ],
)
def test_nothing_is_silently_ignored(tmp_path, text, words):
    """What is unknown or of another kind is refused, with the file, the table and what is known."""
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, text)
    said = str(refused.value)
    assert "ringback.toml" in said
    for word in words:
        assert word in said


def test_a_value_of_a_command(monkeypatch):
    """A command's value is itself, or that of the variable it names, which must be there."""
    monkeypatch.setenv("SOME_SECRET", "hidden")
    assert (value_here("plain"), value_here("env:SOME_SECRET")) == ("plain", "hidden")
    with pytest.raises(ConfigurationError, match="NO_SUCH_VARIABLE"):
        value_here("env:NO_SUCH_VARIABLE")
