"""Passwords in addresses are masked wherever the addresses are told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback import engine
from ringback.cli import run
from ringback.config import load
from ringback.errors import ConfigurationError
from ringback.secrecy import MASK, masked, masked_url, unmasked_url

SECRET = "s3cret"
ADDRESSES = [
    f"postgresql://ringback:{SECRET}@db.internal:5432/ringback?sslmode=require",
    f"postgresql://:{SECRET}@db/x",
    f"postgresql://ringback@db/x?user=a&password={SECRET}&sslpassword={SECRET}",
    f"postgresql://ringback:{SECRET}@one,two/x",
    f"postgresql://ringback:a@{SECRET}/b:{SECRET}@db/x",
    f"host=db user=ringback password={SECRET} dbname=x",
    f"host=db password = '{SECRET} \\' {SECRET}' dbname=x",
    f"http://proxy:{SECRET}@proxy.internal:3128",
    f'could not connect: invalid value in "postgres://u:{SECRET}@h/x"',
]
PASSWORDS = st.text(
    st.characters(codec="ascii", exclude_categories=["C", "Z"], exclude_characters="@*'\\&"), min_size=12
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_passwords_are_masked(address):
    """In each form that an address has, the password is gone and the place is still told."""
    told = masked(address)
    assert SECRET not in told
    assert MASK in told
    assert any(place in told for place in ("db", "one", "proxy.internal", "@h"))


@pytest.mark.parametrize(
    "plain",
    [
        "sqlite:////var/lib/ringback/ringback.db",
        "postgresql://ringback@db:5432/x",
        "postgresql:///x?host=/run/pg",
        "",
    ],
)
def test_what_has_no_password_is_told_as_it_is(plain):
    """An address without one is not touched."""
    assert masked(plain) == plain


@given(PASSWORDS)
def test_whatever_the_password(password):
    """No password is ever left, whatever it looks like, as far as it can stand in an address."""
    assert password not in masked(f"postgresql://ringback:{password}@db:5432/x")


def test_settings_tell_no_password(capsys, monkeypatch, tmp_path):
    """Neither the settings nor the commands that show them tell the password of a store or a proxy."""
    monkeypatch.chdir(tmp_path)
    settings = load({"store": ADDRESSES[0], "egress_proxy": ADDRESSES[7]}, {}, None)
    assert SECRET not in repr(settings)
    assert settings.place == f"postgresql://ringback:{MASK}@db.internal:5432/ringback?sslmode=require"
    assert settings.store == ADDRESSES[0]
    assert run(["config", "--store", ADDRESSES[0], "--json"]) == 0
    told = capsys.readouterr().out
    assert SECRET not in told
    assert any(MASK in str(row["value"]) for row in json.loads(told))


def test_refusals_tell_no_password():
    """A value that cannot be used is shown without its password."""
    with pytest.raises(ConfigurationError) as refused:
        load({"egress_proxy": f"ftp://proxy:{SECRET}@h"}, {}, None)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("command", ["doctor", "nodes", "serve", "worker"])
def test_commands_that_fail_tell_no_password(command, capfd, monkeypatch, tmp_path):
    """What cannot be reached is told of, its password is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "ABSENCE_SECONDS", 0.1)
    monkeypatch.setenv("RINGBACK_MAIN_KEY", "A" * 43 + "=")
    assert run([command, "--store", f"postgresql://u:{SECRET}@127.0.0.1:1/x"]) != 0
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err
    assert "127.0.0.1" in told.out + told.err


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:s3cret@a.example/x", "https://me:********@a.example/x"),
        ("https://me:@a.example:8443?q=1", "https://me:********@a.example:8443?q=1"),
        ("https://:s3:cret@a.example#x@y", "https://:********@a.example#x@y"),
        ("https://me@a.example/", "https://me@a.example/"),
        ("https://a.example:8443/of/@me?to=you@b.example", "https://a.example:8443/of/@me?to=you@b.example"),
        ("handler:orders", "handler:orders"),
    ],
)
def test_the_password_of_a_url_is_masked_and_comes_back(url, shown):
    """Nothing behind the host is taken for a password; what is given back as it was shown is what it was."""
    assert masked_url(url) == shown
    assert unmasked_url(shown, url) == url


@pytest.mark.parametrize(
    "typed",
    ["https://me:********@b.example/", "https://you:********@a.example/", "http://me:********@a.example/"],
)
def test_a_mask_stands_for_a_password_where_it_was_alone(typed):
    """To another host, as another user or over another scheme it goes nowhere."""
    with pytest.raises(ValueError, match="type the password again"):
        unmasked_url(typed, "https://me:s3cret@a.example/")
    with pytest.raises(ValueError, match="type the password again"):
        unmasked_url(typed)
