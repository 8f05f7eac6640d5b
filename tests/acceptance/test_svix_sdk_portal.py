"""Tokens for an application's own people through the official SDKs."""

import secrets


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
