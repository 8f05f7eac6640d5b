"""Signing in to the pages: tokens and links, what a session may, how it ends, and forms that are not ours."""

import asyncio

import pytest
from management import TOKEN, made
from visitors import visiting

from ringback.access import Scope
from ringback.api_keys import ApiKeyDraft
from ringback.server.pages.cookies import is_safe
from ringback.sessions import LIFETIME, LINK_LIFETIME, Grant, Sessions
from ringback.signed_tokens import Signer
from ringback.testing import FrozenClock

COOKIE = "__Host-ringback"


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def place(tmp_path, clock):
    with visiting(tmp_path, now=clock) as place:
        yield place


def sessions_of(api, **more):
    return Sessions(api.committer, bytes(32), admin=TOKEN, clock=api.keys.clock, **more)


def is_in(guest):
    """Tell whether a visitor is signed in."""
    return guest.send("GET", "/look").status_code == 200


def test_whoever_is_not_signed_in_is_asked_to_and_then_gets_where_they_wanted(place):
    """A page leads to where people sign in, a token begins a session, and the way goes on to the page."""
    _, visitor = place
    guest = visitor()
    page = guest.open("/look?x=1")
    assert page.headings == ["Sign in"]
    page = guest.press(page, "Sign in", token=TOKEN)
    assert page.url == "/look?x=1"
    assert page.headings[0] == "Keyboard and colours"
    assert guest.open("/login").headings[0] == "Overview"


def test_the_cookie_is_for_this_host_only_and_holds_no_token(place):
    """The cookie is a ``__Host-`` one, unread by scripts, unsent by other sites, and goes with the browser."""
    _, visitor = place
    guest = visitor()
    kept = guest.send("POST", "/login", {"token": TOKEN}).headers["set-cookie"]
    assert kept.startswith(f"{COOKIE}=")
    assert kept.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert TOKEN not in kept


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "a.b.c", "\N{SNOWMAN}" * 10_000])
def test_a_token_that_is_none_begins_nothing(place, token):
    """What is no token is refused with a page that says so, and no cookie."""
    _, visitor = place
    guest = visitor()
    page = guest.press(guest.open("/login"), "Sign in", token=token, expect=401)
    assert "This token is unknown, or was revoked, or has expired." in page.text
    assert guest.cookies == {}


def test_what_a_session_may_is_what_its_token_may(place):
    """A token for reading is enough to look; one that may not read gets no session."""
    api, visitor = place
    guest = visitor()
    page = guest.press(guest.open("/login"), "Sign in", token=api.key("publish"), expect=403)
    assert "may not read" in page.text
    guest.login(api.key("read"))
    assert is_in(guest)


def test_a_session_ends_when_its_time_is_over(place, clock):
    """After half a day a session is over, and earlier if its token is."""
    api, visitor = place
    long, short = visitor(), visitor()
    long.login()
    short.login(api.key("read", expires_at=clock() + 60_000))
    clock.advance(60)
    assert (is_in(long), is_in(short)) == (True, False)
    clock.advance(LIFETIME / 1_000 - 61)
    assert is_in(long)
    clock.advance(1)
    assert not is_in(long)


def test_signing_out_ends_the_session_itself(place):
    """Whoever kept a copy of the cookie is signed out, too; other sessions go on."""
    _, visitor = place
    guest, thief, other = visitor(), visitor(), visitor()
    page = guest.login()
    other.login()
    thief.cookies = dict(guest.cookies)
    assert guest.press(page, "Sign out").headings == ["Sign in"]
    assert guest.cookies == {}
    assert (is_in(thief), is_in(other)) == (False, True)


def test_a_session_ends_with_the_token_that_it_began_with(place):
    """Whoever revokes a token ends the sessions that began with it, and no others."""
    api, visitor = place
    guest, other = visitor(), visitor()
    other.login(api.key("read"))
    token = api.keys.create(ApiKeyDraft(name="ana")).result()
    guest.login(token[1])
    assert api.delete(f"/auth/api-token/{token[0].id}").status_code == 204
    assert (is_in(guest), is_in(other)) == (False, True)


def test_sessions_of_the_administrator_end_when_the_setting_is_changed(place):
    """With another administrator's token, what began with the one before is over."""
    api, visitor = place
    guest = visitor()
    guest.login()
    cookie = guest.cookies[COOKIE]
    assert api.app is not None
    later = Sessions(api.committer, bytes(32), admin="another", clock=api.keys.clock)
    assert run(sessions_of(api).find(cookie)) is not None
    assert run(later.find(cookie)) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cookie: "",
        lambda cookie: cookie[:-1] + ("A" if cookie[-1] != "A" else "B"),
        lambda cookie: "x" + cookie,
        lambda cookie: cookie.partition(".")[0],
        lambda cookie: ".",
        lambda cookie: TOKEN,
        lambda cookie: "\N{SNOWMAN}.\N{SNOWMAN}",
    ],
)
def test_a_cookie_that_we_did_not_make_is_nobody(place, spoil):
    """A cookie that was changed or made up is no session."""
    api, visitor = place
    guest = visitor()
    guest.login()
    assert run(sessions_of(api).find(spoil(guest.cookies[COOKIE]))) is None


def test_a_cookie_is_no_token_and_a_token_no_cookie(place):
    """The API takes no session, and pages no token but to sign in."""
    api, visitor = place
    guest = visitor()
    guest.login()
    cookie = guest.cookies[COOKIE]
    for text in (cookie, *cookie.split(".")):
        assert api.get("/app", token=text).status_code == 401
    assert guest.send("GET", "/api/v1/app").status_code == 401
    bare = visitor()
    assert bare.send("GET", "/look", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 303


def test_a_link_is_for_one_use_and_not_used_up_by_looking(place, clock):
    """Programs that look at links do not use them up, the button does; the second one who presses it gets nothing."""
    api, visitor = place
    code = sessions_of(api).link().result()
    guest, second = visitor(), visitor()
    first_look, page = second.open(f"/login?link={code}"), guest.open(f"/login?link={code}")
    assert guest.press(page, "Sign in").headings[0] == "Overview"
    assert "used before or is too old" in second.press(first_look, "Sign in", expect=401).text
    late = sessions_of(api).link().result()
    clock.advance(LINK_LIFETIME / 1_000)
    assert "too old" in second.press(second.open(f"/login?link={late}"), "Sign in", expect=401).text


def test_a_link_lets_in_whom_it_is_for(place):
    """A link for an application begins a session that is bound to it, with what it grants and no more."""
    api, _ = place
    app = api.application()["id"]
    grant = Grant(scopes=(Scope.READ,), origin="ana", application_id=app, feature_flags=("beta",))
    sessions = sessions_of(api)
    begun = sessions.redeem(sessions.link(grant).result()).result()
    session = run(sessions.find(begun.cookie))
    assert (session.application_id, session.principal.feature_flags) == (app, frozenset({"beta"}))
    assert not session.may("operate")
    # Whoever ends the portal's tokens ends what they let in.
    api.post(f"/auth/app/{app}/expire-all", {"sessionIds": ["ana"]})
    assert run(sessions.find(begun.cookie)) is None


def test_signed_tokens_begin_sessions_too(place):
    """The token of the organisation lets an operator in, that of an application into no page of operators."""
    api, _ = place
    signer = Signer(secrets=("x" * 32,))
    sessions = sessions_of(api, signer=signer)
    now = api.keys.clock()
    begun = sessions.login(signer.make(now, 3_600_000)).result()
    assert run(sessions.find(begun.cookie)).may("operate")
    app = api.application()["id"]
    bound = sessions.login(signer.make(now, 3_600_000, app)).result()
    assert run(sessions.find(bound.cookie)).application_id == app


def test_an_applications_own_people_see_no_page_of_operators(place):
    """A token that is bound to an application leads to its portal, and opens nothing that is above it."""
    api, visitor = place
    app = api.application()["id"]
    guest = visitor()
    assert "Endpoints" in guest.login(api.key("admin", app=app)).headings
    guest.cookies["__Host-ringback"] = guest.cookies["__Host-ringback-portal"]
    assert guest.send("GET", "/").status_code == 403
    assert guest.send("GET", "/look").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": None, "origin": "https://evil.example"},
        {"sec-fetch-site": None, "origin": "null"},
        {"sec-fetch-site": None, "origin": "http://127.0.0.1:8400.evil.example"},
        {"sec-fetch-site": None, "origin": "http://[::1"},
    ],
)
def test_a_form_of_another_site_does_nothing(place, headers):
    """A form that was not sent from our own page is refused: the one that signs in, and one of a session."""
    _, visitor = place
    guest = visitor()
    assert guest.send("POST", "/login", {"token": TOKEN}, headers=headers).status_code == 403
    page = guest.login()
    csrf = page.button("Sign out")[0].fields[0][1]
    assert guest.send("POST", "/logout", {"csrf": csrf}, headers=headers).status_code == 403
    assert is_in(guest)


def test_a_form_holds_what_only_a_page_of_the_session_knows(place):
    """Without the session's own word, or with that of another session, nothing is done."""
    _, visitor = place
    guest, other = visitor(), visitor()
    guest.login()
    foreign = other.login().button("Sign out")[0].fields[0][1]
    for form in ({}, {"csrf": ""}, {"csrf": foreign}, {"csrf": "\N{SNOWMAN}"}):
        assert guest.send("POST", "/logout", form).status_code == 403
    assert is_in(guest)


def test_programs_that_send_no_origin_may_sign_in(place):
    """A client that says nothing of where it comes from is no browser that another site could use."""
    _, visitor = place
    guest = visitor()
    bare = {"sec-fetch-site": None, "origin": None}
    assert guest.send("POST", "/login", {"token": TOKEN}, headers=bare).status_code == 303


@pytest.mark.parametrize(
    ("site", "headers", "safe"),
    [
        ("http://localhost:8400", {}, True),
        ("http://127.8.0.1:8400", {}, True),
        ("https://hooks.example", {}, True),
        ("http://hooks.example", {"x-forwarded-proto": "https"}, True),
        # Only over safe ways do browsers say where a request comes from.
        ("http://hooks.example", {"sec-fetch-site": "same-origin"}, True),
        ("http://hooks.example", {"origin": "https://hooks.example"}, True),
        ("http://hooks.example", {}, False),
        ("http://127.0.0.1.evil.example", {}, False),
    ],
)
def test_over_plain_http_from_another_machine_there_is_no_session(place, site, headers, safe):
    """Where somebody could listen, nobody can sign in, and the page says what to do instead."""
    _, visitor = place
    guest = visitor(site)
    own = {"sec-fetch-site": None, "origin": site} | headers
    result = guest.send("POST", "/login", {"token": TOKEN}, headers=own)
    assert result.status_code == (303 if safe else 403)
    assert (COOKIE in guest.cookies) is safe
    if not safe:
        assert "plain HTTP" in result.text


@pytest.mark.parametrize(
    ("origin", "safe"),
    [
        ("http://[::1]:8400", True),
        ("http://a.localhost", True),
        ("http://10.0.0.1", False),
        ("http://[", False),
    ],
)
def test_which_addresses_are_the_browsers_own_machine(origin, safe):
    """Browsers trust plain HTTP to loopback addresses and to ``localhost``, and to nothing else."""
    assert is_safe(origin, {}) is safe


def test_plain_http_can_be_allowed(tmp_path):
    """Where the setting allows it, cookies go without the prefix and over plain HTTP."""
    site = "http://hooks.internal"
    with visiting(tmp_path, settings={"plain_http": True}) as (_, visitor):
        guest = visitor(site)
        bare = {"sec-fetch-site": None, "origin": site}
        kept = guest.send("POST", "/login", {"token": TOKEN}, headers=bare).headers["set-cookie"]
        assert "Secure" not in kept
        assert list(guest.cookies) == ["ringback"]
        assert is_in(guest)


def test_a_browser_that_keeps_no_cookie_is_told_so(place):
    """Instead of asking for the token for ever, a page says why the session was not kept."""
    _, visitor = place
    result = visitor().send("GET", "/login/kept")
    assert result.status_code == 400
    assert "did not keep the session" in result.text


@pytest.mark.parametrize(
    "goal",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
        "../../evil", "http:evil", "x" * 3_000, "a\nb", "\N{SNOWMAN}:x",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(place, goal):
    """Where to go on is below the first page, whatever a link says."""
    _, visitor = place
    guest = visitor()
    page = guest.press(guest.open("/login"), "Sign in", token=TOKEN, next=goal)
    assert page.headings[0] == "Overview"


def test_themes_and_shortcuts_are_kept(place):
    """How pages look is a choice that stays, made with plain forms."""
    _, visitor = place
    guest = visitor()
    page = guest.login()
    assert '<html lang="en" data-shortcuts>' in page.source
    page = guest.press(guest.open("/look"), "Dark")
    assert 'data-theme="dark" data-shortcuts' in page.source
    page = guest.press(page, "Turn them off")
    assert '<html lang="en" data-theme="dark">' in page.source
    page = guest.press(page, "As the system")
    assert '<html lang="en">' in page.source


def test_what_has_ended_is_forgotten(place, clock):
    """The store does not fill up with sessions that are over, nor shows them among the tokens."""
    api, visitor = place
    visitor().login()
    clock.advance(LIFETIME / 1_000)
    visitor().login()
    assert api.store.tokens() == []
    assert made(api.get("/auth/api-token"))["data"] == []


def run(coroutine):
    """Return what a coroutine returns."""
    return asyncio.run(coroutine)
