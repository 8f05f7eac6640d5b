"""Who was shown a secret, made a key, let somebody in: told for the log, whether a page or a program did it."""

import json

import pytest
from management import made
from test_logs import logging_of
from visitors import enter, visiting

from ringback.observe import Audited, Deed
from ringback.outbox import system_clock
from ringback.signed_tokens import Signer

SIGNER = Signer(secrets=("the secret that signs the tokens",))


@pytest.fixture
def place(tmp_path):
    with visiting(tmp_path, signer=SIGNER) as place:
        yield place


@pytest.fixture
def told(api):
    """What is told of, as it comes."""
    told = []
    api.observer.subscribe(Audited, told.append)
    return told


def taken(told):
    """Return what was told since this was asked last, but for sessions."""
    found = [(one.deed, one.who, one.application_id, one.endpoint_id, one.token_id) for one in told]
    told.clear()
    return found


def test_what_programs_do_is_told(api, told):
    """With the token that they used: a key's id, the administrator's, or one that was signed."""
    app = api.application(uid="acme")["id"]
    endpoint = api.endpoint(app)["id"]
    key = made(api.post("/auth/api-token", {"name": "Billing", "scopes": ["admin"], "appId": "acme"}))
    assert taken(told) == [(Deed.KEY_MADE, "admin", app, None, key["id"])]
    for token, who in (
        (key["token"], key["id"]),
        (SIGNER.make(system_clock(), 60_000, app), "signed"),
    ):
        assert api.get(f"/app/{app}/endpoint/{endpoint}/secret", token=token).status_code == 200
        assert api.post(f"/app/acme/endpoint/{endpoint}/secret/rotate", {}, token=token).status_code == 200
        assert taken(told) == [
            (deed, who, app, endpoint, None) for deed in (Deed.SECRET_SHOWN, Deed.SECRET_ROTATED)
        ]
    link = api.post("/auth/app-portal-access/acme", {"sessionId": "shift-1"}).json
    assert taken(told) == [(Deed.PORTAL_LINK_MADE, "admin", app, None, None)]
    assert api.get(f"/app/{app}/endpoint/{endpoint}/secret", token=link["token"]).status_code == 200
    assert told[0].session_id.startswith("tok_")
    assert taken(told) == [(Deed.SECRET_SHOWN, "portal:shift-1", app, endpoint, None)]
    assert api.delete(f"/auth/api-token/{key['id']}").status_code == 204
    assert taken(told) == [(Deed.KEY_REVOKED, "admin", None, None, key["id"])]
    # What is refused did not happen.
    assert api.get(f"/app/{app}/endpoint/none/secret").status_code == 404
    assert api.delete("/auth/api-token/none").status_code == 404
    assert taken(told) == []


def test_what_people_do_is_told(place, api, operator, told):
    """With what their session began with, and its id."""
    app = api.application()["id"]
    endpoint = api.endpoint(app)["id"]
    customer, _ = enter(place, app, sessionId="shift-1")
    assert taken(told) == [(Deed.PORTAL_LINK_MADE, "admin", app, None, None)]
    for guest, way, who in (
        (operator, f"/applications/{app}", "admin"),
        (customer, "/portal", "portal:shift-1"),
    ):
        page = guest.press(guest.open(f"{way}/endpoints/{endpoint}/secret"), "Show it")
        guest.press(page, "Make a new secret")
        assert len({one.session_id for one in told}) == 1
        assert taken(told) == [
            (deed, who, app, endpoint, None) for deed in (Deed.SECRET_SHOWN, Deed.SECRET_ROTATED)
        ]
    operator.press(operator.open(f"/applications/{app}/portal"), "Make the link")
    assert taken(told) == [(Deed.PORTAL_LINK_MADE, "admin", app, None, None)]
    operator.press(operator.open("/keys"), "Make the key", name="Billing", scope="read")
    operator.press(operator.press(operator.open("/keys"), "Revoke"), "Revoke it")
    (made_one, revoked) = taken(told)
    assert (made_one[:2], revoked[:2]) == ((Deed.KEY_MADE, "admin"), (Deed.KEY_REVOKED, "admin"))
    assert made_one[4] == revoked[4]


def test_it_is_a_line_of_the_log(api, capsys):
    """One line for each, in the same words whoever did it, with nothing secret in it."""
    app = api.application()["id"]
    endpoint = api.endpoint(app)["id"]
    with logging_of(api.observer, level="info"):
        key = api.get(f"/app/{app}/endpoint/{endpoint}/secret").json["key"]
    (line,) = [json.loads(text) for text in capsys.readouterr().err.splitlines()]
    assert key not in json.dumps(line)
    assert (line["message"], line["level"]) == ("secret shown", "warning")
    assert (line["who"], line["application_id"], line["endpoint_id"]) == ("admin", app, endpoint)
