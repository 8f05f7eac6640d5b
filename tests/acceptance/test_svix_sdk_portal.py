"""Tokens through the official SDKs: for an application's own people, and signed as a Svix server signs them."""

import base64
import hashlib
import hmac
import json
import secrets
import time

from svix_sdk import JWT_SECRET, ORGANISATION


def test_a_portal_token(sdk):
    """It reads and manages its own application, is refused what is the operator's, and knows of no other."""
    app, other = sdk.application(), sdk.application()
    access = sdk.call("authentication.app_portal_access", app, {})
    assert access["url"].startswith("http")
    portal = sdk.as_bearer(access["token"])
    assert portal.call("application.get", app)["id"] == app
    endpoint = portal.endpoint(app)["id"]
    portal.call("endpoint.patch", app, endpoint, {"description": "mine"})
    portal.call("endpoint.get_secret", app, endpoint)
    for method, arguments in {
        "application.list": (),
        "application.create": ({"name": "Mine"},),
        "application.patch": (app, {"name": "Mine"}),
        "application.delete": (app,),
        "message.create": (app, {"eventType": "a", "payload": {}}),
        "event_type.create": ({"name": "a", "description": ""},),
    }.items():
        assert portal.refused(method, *arguments).status == 403, method
    assert portal.refused("application.get", other).status == 404
    assert portal.refused("endpoint.list", other).status == 404


def test_an_application_on_the_way(sdk):
    """An application that is not there is created with the access, and left as it is where it is there."""
    uid = f"portal-{secrets.token_hex(6)}"
    assert sdk.refused("authentication.app_portal_access", uid, {}).status == 404
    sdk.call("authentication.app_portal_access", uid, {"application": {"name": "New", "uid": uid}})
    sdk.call("authentication.app_portal_access", uid, {"application": {"name": "Other", "uid": "unlike"}})
    assert sdk.call("application.get", uid)["name"] == "New"
    for application in ({"name": "N"}, {"name": "N", "uid": "unlike"}):
        faults = sdk.faults("authentication.app_portal_access", f"{uid}-2", {"application": application})
        assert faults == [("body", "application", "uid")]


def test_flags_and_looking_only(sdk):
    """A token knows event types by its flags; one for looking only changes nothing."""
    app = sdk.application()
    name = f"flagged.{secrets.token_hex(6)}"
    made = sdk.event_type(name, **({"featureFlag": "beta"} if sdk.is_first else {"featureFlags": ["beta"]}))
    assert (made["featureFlag"], made["featureFlags"]) == ("beta", ["beta"])
    plain = sdk.as_bearer(sdk.call("authentication.app_portal_access", app, {"readOnly": True})["token"])
    beta = sdk.as_bearer(
        sdk.call("authentication.app_portal_access", app, {"featureFlags": ["beta"]})["token"]
    )
    assert plain.refused("event_type.get", name).status == 404
    listed = [{row["name"] for row in pages_of(one, "event_type.list")} for one in (sdk, beta, plain)]
    assert [name in names for names in listed] == [True, True, False]
    assert beta.call("event_type.get", name)["name"] == name
    assert plain.refused("endpoint.create", app, {"url": "https://example.com"}).status == 403


def test_logging_out(sdk):
    """A token that is logged out is a 401; the operator's own cannot be."""
    app = sdk.application()
    portal = sdk.as_bearer(sdk.call("authentication.app_portal_access", app, {"expiry": 3600})["token"])
    portal.call("authentication.logout")
    assert portal.refused("application.get", app).status == 401
    assert sdk.refused("authentication.logout").status == 403


def test_the_older_call(sdk):
    """SDKs before 2.0 have a call without a body."""
    app = sdk.application()
    if sdk.is_first:
        token = sdk.call("authentication.dashboard_access", app)["token"]
        assert sdk.as_bearer(token).call("application.get", app)["id"] == app


def pages_of(sdk, method):
    """Return the rows of a list."""
    found = [sdk.call(method, limit=250)]
    while not found[-1]["done"]:
        found.append(sdk.call(method, limit=250, iterator=found[-1]["iterator"]))
    return [row for page in found for row in page["data"]]


def test_capabilities(sdk):
    """A token may do what its capabilities name, and no more."""
    app = sdk.application()
    endpoint = sdk.endpoint(app)["id"]
    asked = {"capabilities": ["ViewBase", "ManageEndpoint"], "sessionId": "one"}
    portal = sdk.as_bearer(sdk.call("authentication.app_portal_access", app, asked)["token"])
    portal.call("endpoint.patch", app, endpoint, {"description": "mine"})
    assert portal.refused("endpoint.rotate_secret", app, endpoint, {}).status == 403
    window = {"since": "2099-01-01T00:00:00Z", "until": "2099-01-02T00:00:00Z"}
    assert portal.refused("endpoint.recover", app, endpoint, window).status == 403


def test_ending_all(sdk):
    """The tokens of a session end, or all of an application; those of other applications stay."""
    app, other = sdk.application(), sdk.application()

    def access(whose, **fields):
        return sdk.as_bearer(sdk.call("authentication.app_portal_access", whose, fields)["token"])

    one, two, stranger = access(app, sessionId="one"), access(app, sessionId="two"), access(other)
    sdk.call("authentication.expire_all", app, {"sessionIds": ["one"]})
    assert one.refused("application.get", app).status == 401
    assert two.call("application.get", app)["id"] == app
    three = access(app, sessionId="three")
    sdk.call("authentication.expire_all", app, {})
    assert three.refused("application.get", app).status == 401
    assert stranger.call("application.get", other)["id"] == other


def signed(secret=JWT_SECRET, **claims):
    """Return a token as a Svix server makes one."""
    now = int(time.time())
    told = {"iat": now, "nbf": now, "exp": now + 600, "iss": "svix-server", **claims}
    parts = [_part(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, told)]
    digest = hmac.new(secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _part(digest)])


def _part(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_signed_tokens(sdk):
    """A Svix server's tokens go on working: an organisation's does all, an application's what a portal's does."""
    operator = sdk.as_bearer(signed(sub=ORGANISATION))
    app, other = operator.application(), operator.application()
    name = f"signed.{secrets.token_hex(6)}"
    operator.event_type(name, **({"featureFlag": "beta"} if sdk.is_first else {"featureFlags": ["beta"]}))
    plain = sdk.as_bearer(signed(sub=app, org=ORGANISATION))
    assert plain.endpoint(app)["url"]
    assert plain.refused("application.list").status == 403
    assert plain.refused("application.get", other).status == 404
    assert plain.refused("event_type.get", name).status == 404
    beta = sdk.as_bearer(signed(sub=app, org=ORGANISATION, feature_flags=["beta"]))
    assert beta.call("event_type.get", name)["name"] == name
    for wrong in (
        signed("another secret, of which nobody knows", sub=ORGANISATION),
        signed(sub=ORGANISATION, exp=1),
        signed(sub="org_another"),
        signed(sub=app, org="org_another"),
    ):
        assert sdk.as_bearer(wrong).refused("application.get", app).code == "authentication_failed"
    assert "not a token" in sdk.as_bearer(JWT_SECRET).refused("application.get", app).detail
