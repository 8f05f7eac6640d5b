"""What an endpoint's owner may ask for: URLs in one canonical form, headers that cannot break a request."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.errors import InvalidInput
from ringback.target import RESERVED_HEADERS, RESERVED_PREFIXES, check_header, parse_target


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com:443/Path?Q=1", "https://example.com/Path?Q=1"),
        ("http://example.com:80", "http://example.com/"),
        ("http://example.com:8080?a=b", "http://example.com:8080/?a=b"),
        ("http://example.com./x", "http://example.com/x"),
        ("http://example.com/x#fragment", "http://example.com/x"),
        ("http://example.com/a%20b/ü", "http://example.com/a%20b/%C3%BC"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://user:p%40ss@example.com/", "http://user:p%40ss@example.com/"),
        ("http://my_service:9000/", "http://my_service:9000/"),
        ("http://192.0.2.1/", "http://192.0.2.1/"),
        ("http://①②⑦.0.0.1/", "http://127.0.0.1/"),
        ("http://[2001:DB8:0::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://example.com/a?b?c/d", "http://example.com/a?b?c/d"),
        ("http://example.com//a/../b", "http://example.com//a/../b"),
    ],
)
def test_canonical_form(url, canonical):
    """One URL has one form, and that form is its own."""
    assert parse_target(url).url == canonical
    assert parse_target(canonical).url == canonical


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("", "http://"),
        ("example.com", "http://"),
        ("ftp://example.com/", "http://"),
        ("javascript:alert(1)", "http://"),
        ("//example.com/", "http://"),
        ("http:/example.com", "http://"),
        ("http://", "no host"),
        ("http:///path", "no host"),
        ("http://:80/", "no host"),
        ("http://example.com:0/", "1 and 65535"),
        ("http://example.com:65536/", "1 and 65535"),
        ("http://example.com:99999999/", "65535"),
        ("http://example.com:80a/", "65535"),
        ("http://example.com:-1/", "65535"),
        ("http://127.0.0.1\\@example.com/", "backslash"),
        ("http://exam ple.com/", "spaces"),
        ("http://example.com/\r\nHost: x", "control"),
        ("http://example.com/\t", "control"),
        ("http://example.com/\0", "control"),
        ("http://example.com/\x7f", "control"),
        ("http://example.com/\u202egpj", "control"),
        ("http://exam\u00a0ple.com/", "spaces"),
        ("http://a@b@example.com/", "%40"),
        ("http://2130706433/", "IPv4"),
        ("http://0x7f000001/", "IPv4"),
        ("http://0x7f.1/", "IPv4"),
        ("http://0177.0.0.1/", "IPv4"),
        ("http://127.1/", "IPv4"),
        ("http://1.2.3.4.5/", "IPv4"),
        ("http://256.1.1.1/", "IPv4"),
        ("http://example.0x1/", "IPv4"),
        ("http://[::1/", "host"),
        ("http://[127.0.0.1]/", "IPv6"),
        ("http://[fe80::1%25eth0]/", "IPv6"),
        ("http://[fe80::1%eth0]/", "zone"),
        ("http://%31%32%37.0.0.1/", "letters, digits"),
        ("http://exa%6dple.com/", "letters, digits"),
        ("http://-a.example/", "letters, digits"),
        ("http://a..b/", "IDNA"),
        ("http://a,b/", "letters, digits"),
        ("http://" + "a" * 64 + ".example/", "IDNA"),
        ("http://" + "a." * 127 + "example/", "letters, digits"),
        ("http://faß.de/", "xn--"),
        ("http://example.com/" + "a" * 2048, "2048"),
    ],
)
def test_refused_urls(url, hint):
    """A URL that is malformed, or that parsers disagree about, is refused with what to change."""
    with pytest.raises(InvalidInput) as caught:
        parse_target(url)
    assert caught.value.fields[0].loc == ("body", "url")
    assert hint in caught.value.fields[0].msg


@given(
    st.text(max_size=60),
    st.sampled_from(["", "http://", "https://user@", "http://a/", "http://[", "http://a:"]),
)
@example("\ud800", "http://")
@example("\uff11", "http://a:")
def test_any_text_is_parsed_or_refused(text, start):
    """Whatever is written, the result is a canonical URL in ASCII or a refusal that names the field."""
    try:
        target = parse_target(start + text)
    except InvalidInput:
        return
    assert target.url.isascii()
    assert target.url.isprintable()
    assert parse_target(target.url) == target


def test_credentials_stay_out_of_sight():
    """Credentials become an Authorization value, and show neither in Host, nor in logs, nor in the repr."""
    target = parse_target("https://user:s3cret@example.com/hook?token=s3cret")
    assert target.authorization == "Basic dXNlcjpzM2NyZXQ="
    assert target.authority == "example.com"
    assert target.redacted == "https://example.com/hook"
    assert "s3cret" not in repr(target)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-api-key", "abc"),
        ("Authorization", "Bearer a.b-c_d~e+/="),
        ("X-Empty", ""),
        ("x-tab", "a\tb c"),
        ("x-" + "a" * 200, "~" * 4096),
        ("!#$%&'*+.^_`|~", "1"),
    ],
)
def test_acceptable_headers(name, value):
    """An ordinary header is accepted as it is."""
    check_header(name, value)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("", "1", "name"),
        ("x y", "1", "name"),
        ("x:", "1", "name"),
        ("x\r\ny", "1", "name"),
        ("x\n", "1", "name"),
        ("é", "1", "name"),
        ("x", "1\r\ny: 2", "one line"),
        ("x", "1\ny: 2", "one line"),
        ("x", "1\n", "one line"),
        ("x", "1\r", "one line"),
        ("x", "1\r\n folded", "one line"),
        ("x", "a\0b", "one line"),
        ("x", " a", "one line"),
        ("x", "a ", "one line"),
        ("x", "é", "one line"),
        ("x", "a" * 4097, "4096"),
        ("Host", "a", "reserved"),
        ("Content-Length", "1", "reserved"),
        ("TRANSFER-ENCODING", "chunked", "reserved"),
        ("Webhook-Signature", "v1,a", "reserved"),
        ("svix-id", "a", "reserved"),
        ("x-amz-date", "a", "reserved"),
    ],
)
def test_refused_headers(name, value, hint):
    """A header that would break out of its line, or that Ringback sets itself, is refused with the reason."""
    with pytest.raises(InvalidInput) as caught:
        check_header(name, value)
    assert caught.value.fields[0].loc == ("body", "headers", name)
    assert hint in caught.value.fields[0].msg


@pytest.mark.parametrize("name", sorted(RESERVED_HEADERS | {prefix + "x" for prefix in RESERVED_PREFIXES}))
def test_reserved_headers(name):
    """Every reserved name is refused in any case."""
    for spelling in (name, name.upper(), name.title()):
        with pytest.raises(InvalidInput, match="reserved"):
            check_header(spelling, "1")
