"""Pages about event types, API keys and settings."""

import json

import pytest
from visitors import visiting

from ringback import __version__
from ringback.server.pages.behind import SettingShown

HOSTILE = "<script>alert(1)</script>"
SCHEMA = {"type": "object", "examples": [{"id": "inv_1", "amount": 75000}]}


@pytest.fixture
def place(tmp_path):
    shown = (
        SettingShown("admin_token", "********", "RINGBACK_ADMIN_TOKEN", "A token that may do everything."),
    )
    with visiting(tmp_path, settings={"settings": shown}) as found:
        yield found


def listed(page):
    """Return the rows of a page's only table."""
    return page.rows[1:]


def test_an_event_type_from_nothing_to_the_archive(api, operator):
    """It is made with its schema, shown with a sample, changed, archived when that is confirmed, and offered again."""
    empty = operator.open("/event-types")
    assert "No event types yet" in empty.headings
    form = operator.follow(empty, "Make the first one")
    shown = operator.press(
        form,
        "Make the event type",
        name="invoice.paid",
        description=HOSTILE,
        schema=json.dumps(SCHEMA),
        featureFlags="beta",
    )
    assert HOSTILE in shown.text
    assert HOSTILE not in shown.source
    assert "inv_1" in shown.text
    changed = operator.press(operator.follow(shown, "Change"), "Save", description="An invoice was paid.")
    assert "An invoice was paid." in changed.text
    stored = api.get("/event-type/invoice.paid").json
    assert (stored["schemas"]["1"], stored["featureFlags"]) == (SCHEMA, ["beta"])
    archived = operator.press(operator.press(changed, "Archive"), "Archive it")
    assert "Archived." in archived.text
    assert "invoice.paid" not in operator.open("/event-types").text
    assert listed(operator.open("/event-types?archived=yes"))[0][4] == "Archived"
    assert "Archived." not in operator.press(archived, "Offer it again").text


def test_saving_loses_nothing(api, operator):
    """What the form shows and nobody touches stays as it is: lines of a description, and a schema of any size."""
    schema = {"type": "object", "$comment": "x" * 50_000}
    written = {"name": "invoice.paid", "description": "An invoice\nwas paid", "schemas": {"1": schema}}
    api.event_type(**written)
    operator.press(operator.open("/event-types/invoice.paid/edit"), "Save", deprecated="yes")
    stored = api.get("/event-type/invoice.paid").json
    assert {name: stored[name] for name in written} == written
    assert stored["deprecated"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"name": "a b"}, "is 1 to 256 characters"),
        ({"name": "a", "schema": "{"}, "is no JSON"),
        ({"name": "a", "schema": '{"type": 7}'}, "schema"),
        ({"name": "a", "schema": f'{{"title": "{"x" * 300_000}"}}'}, "has more than 262,144 characters"),
        ({"name": "a", "description": "x" * 20_001}, "has more than 20,000 characters"),
    ],
)
def test_what_is_wrong_with_an_event_type_is_said(operator, typed, told):
    """Nothing is made, and what was typed is still there."""
    form = operator.open("/event-types/new")
    again = operator.press(form, "Make the event type", **typed, expect=400)
    assert told in again.text
    kept = dict(again.button("Make the event type")[0].fields)
    assert {name: kept[name] for name in typed} == typed


def test_versions_of_a_schema_and_of_the_server_are_two_things(api, operator):
    """At the foot of an event type's page is the server's version, whichever the schema's is."""
    api.event_type("invoice.paid", schemas={"7": {"type": "object"}})
    assert f"Ringback {__version__}" in operator.open("/event-types/invoice.paid").text


def test_a_schema_may_be_as_long_as_the_api_takes_it(api, operator):
    """Longer than other fields: it is kept whole."""
    schema = {"title": "x" * 30_000, "type": "object"}
    form = operator.open("/event-types/new")
    operator.press(form, "Make the event type", name="invoice.paid", schema=json.dumps(schema))
    assert api.get("/event-type/invoice.paid").json["schemas"] == {"1": schema}


def test_a_key_is_shown_once_and_works_until_it_is_revoked(api, operator):
    """Its text is on the page after the form, and on no other; revoking asks first."""
    made = operator.press(operator.open("/keys"), "Make the key", name="Billing", scope="read")
    text = next(word for word in made.text.split() if word.startswith("ringback_"))
    assert api.get("/app", token=text).status_code == 200
    page = operator.open("/keys")
    assert text not in page.source
    assert listed(page)[0][1] == "Reading everything but secrets"
    operator.press(operator.press(page, "Revoke"), "Revoke it")
    assert "No API keys" in operator.open("/keys").headings


@pytest.mark.parametrize(
    ("typed", "status", "told"),
    [
        ({"name": ""}, 400, "printable characters"),
        ({"name": "a", "application": "nobody"}, 404, "application"),
        ({"name": "a", "until": "2001-01-01T00:00"}, 400, "lies in the future"),
    ],
)
def test_what_is_wrong_with_a_key_is_said(operator, typed, status, told):
    """Nothing is made."""
    again = operator.press(operator.open("/keys"), "Make the key", **typed, expect=status)
    assert told in again.text
    assert "No API keys" in operator.open("/keys").headings


def test_settings_say_where_they_come_from_and_mask_secrets(operator):
    """Each with its value, where that was found, and what it does."""
    assert listed(operator.open("/settings")) == [
        ["admin_token", "********", "RINGBACK_ADMIN_TOKEN", "A token that may do everything."]
    ]


def test_who_may_only_look_sees_event_types_and_neither_keys_nor_settings(place):
    """Neither does the menu lead there."""
    api, visitor = place
    api.event_type("invoice.paid")
    reader = visitor()
    reader.login(api.key("read"))
    page = reader.open("/event-types")
    assert "New event type" not in page.text
    assert "API keys" not in page.text
    for path in ("/keys", "/settings", "/event-types/new"):
        reader.open(path, expect=403)
