"""The journeys of whoever looks after what all applications share: event types, and who may use the API."""

import json

from hands import by
from playwright.sync_api import expect
from running import Api

PAID = {"type": "object", "examples": [{"order": 1001, "amount": 75_000}]}
REFUNDED = {"type": "object", "examples": [{"order": 1001, "refunded": 25_000}]}


@by("hand")
def test_an_event_type(place, hand, name, application):
    """Made with a schema, it has a sample, which an endpoint is sent; a wrong schema is said, and stays as typed."""
    hand.open("/")
    hand.press("link", "Event types")
    hand.press("link", "New event type")
    hand.type("Name", name)
    hand.type("Description", "Somebody paid")
    hand.type("JSON Schema", '{"type": 7}')
    hand.press("button", "Make the event type")
    schema = hand.page.get_by_label("JSON Schema")
    expect(schema).to_have_attribute("aria-invalid", "true")
    hand.visit.expect_fault("status of 400")
    expect(schema).to_have_value('{"type": 7}')
    hand.type("JSON Schema", json.dumps(PAID))
    hand.press("button", "Make the event type")
    hand.arrives(name)
    sample = hand.page.get_by_role("region", name="Sample")
    expect(sample).to_contain_text("75000")
    hand.press("link", "Change")
    hand.type("JSON Schema, newest version", json.dumps(REFUNDED))
    hand.press("button", "Save")
    hand.reads("The event type is changed.")
    expect(sample).to_contain_text("25000")
    one = place.api.post(f"/app/{application}/endpoint", {"url": f"{place.shop.url}/{name}"})["id"]
    hand.open(f"/applications/{application}/endpoints/{one}")
    hand.choose("Event type", name)
    hand.press("button", "Send it")
    hand.reads("is queued: what comes of it shows here in a moment.")
    place.shop.until(lambda: [one for one in place.shop.ledger if one.path == f"/{name}"])
    assert b"refunded" in next(one.body for one in place.shop.ledger if one.path == f"/{name}")


@by("hand")
def test_an_event_type_is_archived(place, hand, name):
    """When that is confirmed; it can be taken back from there."""
    place.api.post("/event-type", {"name": name, "description": "Nobody listens any more"})
    hand.open(f"/event-types/{name}")
    hand.press("button", "Archive")
    hand.reads(f"Archive {name}?")
    hand.press("button", "Archive it")
    hand.reads("It is archived.")
    hand.press("link", "Event types")
    expect(hand.page.get_by_role("link", name=name)).to_have_count(0)
    hand.press("link", "With archived ones")
    hand.press("link", name)
    hand.press("button", "Offer it again")
    hand.reads("It is offered again.")


@by("hand")
def test_a_key(place, hand, application, name):
    """Made for one purpose, it is seen once and works for that; revoked when that is confirmed, it is gone."""
    hand.open("/")
    hand.press("link", "API keys")
    hand.type("Name", name)
    hand.choose("For", "Reading everything but secrets")
    hand.press("button", "Make the key")
    hand.arrives("The key is made")
    text = hand.page.locator("#text").inner_text()
    with Api(place.node.port, text) as reader:
        assert reader.get(f"/app/{application}")["name"] == name
        assert reader.ask("POST", "/api/v1/app", b'{"name": "no"}')[0] == 403
    hand.press("link", "I have it")
    hand.arrives("Make a key")
    row = hand.page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("Reading everything but secrets")
    assert text not in hand.page.content()
    hand.press("button", f"Revoke {name}")
    hand.reads(f"Revoke {name}?")
    hand.press("button", "Revoke it")
    hand.reads("The key is revoked.")
    expect(row).to_have_count(0)
