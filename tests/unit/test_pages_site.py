"""How pages are served: where, with which headers, from which files, and what is said where something is wrong."""

import hashlib
import re

import pytest
from management import TOKEN
from visitors import visiting

from ringback.design.assets import ASSETS, FOLDER
from ringback.server.pages import overview

HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def test_htmx_is_the_file_that_was_released():
    """The vendored script is htmx 4.0.1 to the byte, and its licence lies beside it."""
    assert hashlib.sha256((FOLDER / "htmx.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (FOLDER / "htmx-LICENSE").read_text()


def test_the_scripts_and_the_style_sheet_are_small():
    """What is written by hand stays small."""
    assert len(ASSETS.named(ASSETS.path("ringback.js").removeprefix("assets/")).content) <= 10_000
    packed = sum(
        len(ASSETS.named(ASSETS.path(name).removeprefix("assets/")).packed)
        for name in ("ringback.js", "ringback.css")
    )
    assert packed < 16_000


def test_every_page_has_a_strict_policy_and_is_not_kept(place):
    """Pages load nothing from elsewhere, run no script of their own, and are in no cache and no frame."""
    _, visitor = place
    guest = visitor()
    for page in (guest.open("/login"), guest.login(), guest.open("/look"), guest.open("/none", expect=404)):
        assert page.headers["content-security-policy"] == CSP
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
        for tag, attrs in page.elements:
            assert tag != "style"
            assert tag != "script" or attrs["src"]
            assert not [name for name in attrs if name.startswith("on") or name == "style"]


def test_links_work_below_any_prefix(place):
    """No address on a page begins with a slash, so that it works wherever the first page is."""
    _, visitor = place
    guest = visitor()
    guest.login()
    for path in ("/", "/look", "/none/of/these"):
        page = guest.ask("GET", path)[1].text
        assert re.findall(r'(?:href|src|action)="(/[^"]*)"', page) == []
        assert f'src="{"../" * (path.count("/") - 1) or "./"}assets/ringback-' in page


@pytest.mark.parametrize(
    ("prefix", "base"),
    [
        ("/hooks/", "https://acme.example/hooks"),
        ("/a/b-c", "https://acme.example/a/b-c"),
        ("", "https://acme.example"),
        ("//evil.example", "https://acme.example"),
        ("/<script>", "https://acme.example"),
        ("/a?b", "https://acme.example"),
    ],
)
def test_addresses_to_be_copied_have_the_prefix_that_a_proxy_tells(place, prefix, base):
    """Those of portals and sources, and of commands; where none is told, the page's script knows where it is."""
    api, visitor = place
    guest = visitor("https://acme.example")
    guest.login()
    app = api.application()["id"]
    csrf = guest.open("/").forms[0].fields[0][1]
    form = {"csrf": csrf, "name": "Shop", "provider": "xendit", "secrets": "x" * 20}
    behind = {"x-forwarded-prefix": prefix}
    assert guest.send("POST", "/sources/new", form).status_code == 303
    source = api.send("GET", "/ingest/api/v1/source").json["data"][0]["id"]
    for method, path, tail in (
        ("GET", "/", "/api/v1/app"),
        ("GET", "/watch", "/api/v1/app"),
        ("GET", f"/sources/{source}", "/in/"),
        ("POST", f"/applications/{app}/portal", "/portal/enter?link="),
    ):
        page = guest.send(method, path, {"csrf": csrf} if method == "POST" else None, headers=behind)
        assert f"{base}{tail}" in page.text, path
        assert f'data-base="{base}"' in page.text
        assert "data-address" in page.text
    assert "https://acme.example/hooks" not in guest.send("GET", "/").text


def test_addresses_that_are_set_stay_as_they_are(tmp_path):
    """Where the setting says how this server is reached, neither a proxy nor a script knows better."""
    with visiting(tmp_path, settings={"public_url": "https://hooks.acme.example/x/"}) as (_, visitor):
        guest = visitor()
        guest.login()
        page = guest.send("GET", "/watch", headers={"x-forwarded-prefix": "/hooks"})
        assert "https://hooks.acme.example/x/api/v1/app" in page.text
        assert "data-base" not in page.text


def test_files_are_kept_for_ever_under_a_name_that_is_never_used_again(place):
    """A file's name holds a digest of its content, and it is sent compressed to whoever takes that."""
    _, visitor = place
    guest = visitor()
    for file in ("ringback.css", "ringback.js", "htmx.js", "ringback.svg"):
        url = f"/{ASSETS.path(file)}"
        assert re.fullmatch(r"/assets/\w+-[0-9a-f]{12}\.\w+", url)
        plain, packed = guest.send("GET", url), guest.send("GET", url, headers={"accept-encoding": "gzip"})
        assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert plain.content == (FOLDER / file).read_bytes()
        assert packed.headers["content-encoding"] == "gzip"
    assert guest.send("GET", "/assets/ringback-000000000000.css").status_code == 404
    assert guest.send("GET", "/assets/..%2f..%2fassets.py").status_code == 404


def test_programs_are_answered_as_before(place):
    """Where there is no page, whoever does not ask for one gets what the API says; its own addresses stay its own."""
    _, visitor = place
    guest = visitor()
    for path in ("/", "/nothing", "/favicon.ico"):
        result = guest.send("GET", path, headers={"accept": "application/json"})
        assert (result.status_code, result.json["code"]) == (404, "not_found")
    for path in ("/livez", "/readyz", "/metrics", "/docs", "/api/v1/openapi.json", "/api/v1/health"):
        result = guest.send("GET", path)
        assert result.status_code in {200, 204}
        assert "Sign in" not in result.text
    assert guest.send("GET", "/api/v1/nothing").json["code"] == "not_found"
    assert guest.send("POST", "/in/unknown").status_code == 404


def test_where_there_is_nothing_a_page_says_so(place):
    """An unknown address, a method that is not answered and a form of another kind are pages, with a way on."""
    _, visitor = place
    guest = visitor()
    guest.login()
    assert "There is nothing here" in guest.open("/none", expect=404).headings[0]
    result = guest.send("DELETE", "/look")
    assert (result.status_code, result.headers["allow"]) == (405, "GET, HEAD, POST")
    wrong = guest.send("POST", "/look", {"a": "b"}, headers={"content-type": "application/json"})
    assert wrong.status_code == 415
    many = guest.send("GET", "/look", query="&".join(f"a{n}=1" for n in range(1_001)))
    assert many.status_code == 400
    head = guest.send("HEAD", "/look")
    assert (head.status_code, head.content) == (200, b"")


def test_what_nobody_foresaw_tells_nothing_of_the_program(place, monkeypatch, caplog):
    """An error is a page without a traceback; the log has it."""
    _, visitor = place
    guest = visitor()
    guest.login()

    def broken(*_):
        raise LookupError("secret inside")

    monkeypatch.setattr(overview, "page", broken)
    page = guest.open("/", expect=500)
    assert page.headings[0] == "Something went wrong"
    assert "secret" not in page.source
    assert "Traceback" not in page.source
    assert "secret inside" in caplog.text


def test_a_form_that_is_too_large_is_refused(tmp_path):
    """What is larger than any form of ours is not read to its end."""
    with visiting(tmp_path, settings={"max_form": 1_000}) as (_, visitor):
        assert visitor().send("POST", "/login", {"token": "x" * 2_000}).status_code == 413


def test_whoever_is_signed_out_while_a_part_is_renewed_loads_the_page_again(place):
    """A script's request for a part tells it to load the page, which leads to where people sign in."""
    _, visitor = place
    result = visitor().send("GET", "/", headers={"hx-request": "true"})
    assert (result.status_code, result.headers["hx-refresh"]) == (401, "true")
    lost = visitor().send("POST", "/logout", {"csrf": "x"})
    assert lost.status_code == 401
    assert "nothing was done" in lost.text
    assert TOKEN not in lost.text
