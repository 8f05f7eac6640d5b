"""Portal sessions, as an operator sees and ends them: what is listed, what ends with what, and for whom that is."""

import time

import pytest
from visitors import PATIENCE, enter, visiting

from ringback.model import iso
from ringback.observe import Audited, Deed
from ringback.server.auth import TRUST_SECONDS
from ringback.store import Page as Part
from ringback.store import Token
from ringback.testing import FrozenClock

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def place(tmp_path, clock):
    with visiting(tmp_path, now=clock) as place:
        yield place


@pytest.fixture
def app(api):
    """An application that nobody has been let into."""
    return api.application(name="Acme", uid="acme")["id"]


def listed(guest, app="acme"):
    """Return what the page lists: of each row the session's name, what it is and what it may, in no order."""
    rows = guest.open(f"/applications/{app}/sessions").rows[1:]
    return sorted((row[0].partition("tok_")[0], row[1], row[2]) for row in rows)


def alive(api, app):
    """Return what lets people into an application's portal, whatever pages say."""
    look = api.committer.read(lambda store: store.portal_tokens(app, api.keys.clock(), Part()))
    return {token.id for token in look.result()}


def is_in(guest):
    """Tell whether somebody is in the portal."""
    return guest.send("GET", "/portal").status_code == 200


def sure(guest, label, app="acme"):
    """Press a button of the list, and the one that asks whether that is meant; return both pages that came."""
    asked = guest.press(guest.open(f"/applications/{app}/sessions"), label)
    return asked, guest.press(asked, "End all of them" if label == "End all" else "End it")


def test_what_lets_somebody_in_is_listed(place, api, operator, app):
    """Links that wait, tokens for the API and sessions, by name, with what they may; no key and no operator."""
    assert "Nobody is in" in operator.follow(operator.open(f"/applications/{app}"), "Portal sessions").text
    assert "End all" not in operator.open(f"/applications/{app}/sessions").text
    api.key("read", app=app)
    enter(place, app, sessionId="siti")
    api.post("/auth/app-portal-access/acme", {"readOnly": True, "featureFlags": ["beta"]})
    assert listed(operator) == [
        ("no name", "Link, not opened", "lookflags: beta"),
        ("no name", "Token for the API", "lookflags: beta"),
        ("siti", "Signed in", "everything"),
        ("siti", "Token for the API", "everything"),
    ]
    assert listed(operator, app) == listed(operator)


def test_a_use_is_on_record(api, place, operator, app, clock):
    """When somebody last looked at the portal is there a moment later; it is written once a minute at most."""
    guest, _ = enter(place, app, sessionId="siti")
    clock.advance(61)
    seen, end = clock(), time.monotonic() + PATIENCE
    assert is_in(guest)
    while True:
        tokens = api.committer.read(lambda store: store.portal_tokens(app, seen, Part())).result()
        if seen in {token.last_used_at for token in tokens}:
            break
        assert time.monotonic() < end, "no use is on record"
    assert f'used <time datetime="{iso(seen)}"' in operator.open(f"/applications/{app}/sessions").source
    clock.advance(59)
    assert is_in(guest)
    # What is written before this is there after it.
    api.committer.write(lambda store: None).result()
    tokens = api.committer.read(lambda store: store.portal_tokens(app, seen, Part())).result()
    assert clock() not in {token.last_used_at for token in tokens}


def test_what_has_a_name_ends_with_all_of_that_name(place, api, operator, app, clock):
    """It is asked before; then sessions end at once, tokens within moments, and what has another name goes on."""
    siti, _ = enter(place, app, sessionId="siti")
    budi, _ = enter(place, app, sessionId="budi")
    waiting = api.post("/auth/app-portal-access/acme", {"sessionId": "siti"}).json
    asked = operator.press(operator.open(f"/applications/{app}/sessions"), "End siti")
    assert "goes by the name siti?" in asked.text
    # Of a page that asks, no entry of the menu says that it is that one.
    assert "aria-current" not in asked.source
    assert is_in(siti)
    page = operator.press(asked, "End it")
    assert "Ended." in page.text
    assert (is_in(siti), is_in(budi)) == (False, True)
    assert {name for name, _, _ in listed(operator)} == {"budi"}
    clock.advance(TRUST_SECONDS)
    assert api.get("/app/acme", token=waiting["token"]).status_code == 401
    late = place[1]()
    link = waiting["url"].partition("?")[2]
    late.press(late.open(f"/portal/enter?{link}"), "Go on", expect=401)


def test_what_has_no_name_ends_alone(place, operator, app):
    """Of two that nobody has named, one goes on."""
    guests = [enter(place, app)[0] for _ in range(2)]
    asked, page = sure(operator, "End no name")
    assert "It alone ends" in asked.text
    assert len(page.rows) == 1 + 3
    # Two of the four are tokens for the API, so it need not be a session that ended.
    while len(operator.open("/applications/acme/sessions").rows) > 1:
        before = sum(map(is_in, guests))
        sure(operator, "End no name")
        assert sum(map(is_in, guests)) in {before, before - 1}
    assert not any(map(is_in, guests))


def test_a_session_of_a_key_is_told_from_others(place, api, operator, app):
    """It is named after the key, which goes on: whoever ends it is told so."""
    key = api.key("read", app=app)
    guest = place[1]()
    guest.login(key)
    assert is_in(guest)
    (kept,) = api.committer.read(lambda store: store.tokens()).result()
    asked, page = sure(operator, f"End {kept.id}")
    assert "Whoever has the key can sign in with it again" in asked.text
    assert "Nobody is in" in page.text
    assert not is_in(guest)
    assert api.get("/app/acme", token=key).status_code == 200


def test_all_end_together(place, api, operator, app):
    """Whatever lets people into this application's portal ends; its keys and other applications' sessions do not."""
    other = api.application(uid="globex")["id"]
    key = api.key("read", app=app)
    mine = [enter(place, app, **named)[0] for named in ({"sessionId": "siti"}, {})]
    theirs, _ = enter(place, other)
    asked, page = sure(operator, "End all")
    assert "Acme" in asked.text
    assert "Nobody is in" in page.text
    assert not any(map(is_in, mine))
    assert is_in(theirs)
    assert api.get("/app/acme", token=key).status_code == 200
    again, _ = enter(place, app)
    assert is_in(again)


def test_what_has_ended_is_not_listed(api, operator, app, clock):
    """The list is of what is good now."""
    api.post("/auth/app-portal-access/acme", {"expiry": 3600, "sessionId": "short"})
    api.post("/auth/app-portal-access/acme", {"expiry": 7200, "sessionId": "long"})
    clock.advance(3600)
    assert {name for name, _, _ in listed(operator)} == {"long"}


def test_another_application_s_are_not_there(place, api, operator, app):
    """In one application's address neither a session of another's ends nor an API key: there are none such."""
    other = api.application(uid="globex")["id"]
    guest, _ = enter(place, other)
    api.key("read", app=app)
    key = api.committer.read(lambda store: store.tokens()).result()[-1].id
    kept = alive(api, other)
    csrf = operator.open(f"/applications/{app}/sessions").csrf
    for token in (*kept, key, "none", "tok_" + "0" * 27):
        path = f"/applications/acme/sessions/{token}/end"
        assert operator.send("POST", path, {"csrf": csrf, "sure": "yes"}).status_code == 404
    assert alive(api, other) == kept
    assert is_in(guest)
    assert api.committer.read(lambda store: store.tokens()).result()[-1].id == key
    operator.open("/applications/nobody/sessions", expect=404)


def test_neither_readers_nor_customers_nor_other_sites_end_them(place, api, operator, app):
    """Names of sessions are for operators: the addresses are closed to others, and a form must be one of ours."""
    customer, first = enter(place, app)
    reader = place[1]()
    page = reader.login(api.key("read"))
    assert "Portal sessions" not in reader.open(f"/applications/{app}").text
    kept = alive(api, app)
    for guest, csrf in ((reader, page.csrf), (customer, first.csrf), (operator, "wrong")):
        for way in ("end", f"{next(iter(kept))}/end"):
            sent = {"csrf": csrf, "sure": "yes"}
            guest.send("POST", f"/applications/acme/sessions/{way}", sent)
        assert alive(api, app) == kept
    assert reader.send("GET", "/applications/acme/sessions").status_code == 403
    assert customer.open("/applications/acme/sessions").headings == ["Sign in"]


def test_names_are_text(api, operator, app):
    """A platform names sessions as it likes."""
    for name in (HOSTILE, "x" * 256, " "):
        api.post("/auth/app-portal-access/acme", {"sessionId": name})
    page = operator.open(f"/applications/{app}/sessions")
    assert HOSTILE not in page.source
    assert {HOSTILE, "x" * 79 + "…", "(no name)"} == {name for name, _, _ in listed(operator)}
    asked, page = sure(operator, f"End {HOSTILE}")
    assert HOSTILE in asked.text
    assert HOSTILE not in asked.source
    assert HOSTILE not in page.text


def test_many_are_listed_some_at_a_time(api, operator, app, clock):
    """Newest first, with a way to the older ones and back."""
    made = [
        Token(
            id=f"tok_{number:027}",
            name="link",
            digest=b"%032d" % number,
            created_at=clock(),
            application_id=app,
            session=f"s{number}",
        )
        for number in range(60)
    ]
    api.committer.write(lambda store: [store.add_token(token) for token in made]).result()
    first = operator.open(f"/applications/{app}/sessions")
    assert [row[0].partition("tok_")[0] for row in first.rows[1:]] == [f"s{n}" for n in range(59, 9, -1)]
    second = operator.follow(first, "Older")
    assert [row[0].partition("tok_")[0] for row in second.rows[1:]] == [f"s{n}" for n in range(9, -1, -1)]
    assert operator.follow(second, "Newer").rows == first.rows


def test_what_is_ended_is_told_for_the_log(place, api, operator, app):
    """By a page and by a program alike: who did it, in which application, and which one it was about."""
    told = []
    enter(place, app)
    api.post("/auth/app-portal-access/acme", {"sessionId": "siti"})
    api.observer.subscribe(Audited, told.append)
    page = operator.open(f"/applications/{app}/sessions")
    (one,) = [row[0].removeprefix("siti") for row in page.rows if row[1:2] == ["Link, not opened"]]
    operator.press(operator.press(page, f"End siti ({one})"), "End it")
    sure(operator, "End all")
    assert api.post("/auth/app/acme/expire-all", {"sessionIds": ["siti"]}).status_code == 204
    assert api.post("/auth/app/nobody/expire-all").status_code == 404
    assert [(t.deed, t.who, t.application_id, t.token_id) for t in told] == [
        (Deed.PORTAL_ENDED, "admin", app, one),
        (Deed.PORTAL_ENDED, "admin", app, None),
        (Deed.PORTAL_ENDED, "admin", app, None),
    ]
