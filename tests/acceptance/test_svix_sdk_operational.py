"""Endpoints for operational webhooks through the official SDKs."""

import base64

KEY = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def test_operational_endpoints(sdk, receiver):
    """They are made, listed, replaced, given headers and new secrets, and told what happens to endpoints."""
    made = sdk.call(
        "operational_webhook.endpoint.create",
        {
            "url": f"{receiver.url}/ops",
            "eventTypes": ["endpoint.created"],
            "secret": KEY,
            "metadata": {"a": "b"},
        },
    )
    endpoint = made["id"]
    try:
        assert sdk.call("operational_webhook.endpoint.get", endpoint) == made
        assert endpoint in [
            row["id"] for row in sdk.call("operational_webhook.endpoint.list", limit=250)["data"]
        ]
        assert sdk.call("operational_webhook.endpoint.get_secret", endpoint) == {"key": KEY}
        told_of = sdk.endpoint(sdk.application())["id"]
        receiver.until(lambda: any(told_of.encode() in one.body for one in receiver.ledger))
        arrival = next(one for one in receiver.seen() if told_of.encode() in one.body)
        sdk.verify(KEY, arrival.body, arrival.headers)
        put = {"url": "https://example.com/ops", "description": "put"}
        assert sdk.call("operational_webhook.endpoint.upsert", endpoint, put)["description"] == "put"
        sdk.call("operational_webhook.endpoint.set_headers", endpoint, {"headers": {"x-one": "1"}})
        shown = sdk.call("operational_webhook.endpoint.get_headers", endpoint)
        assert (shown["headers"], shown["sensitive"]) == ({"x-one": "1"}, [])
        sdk.call("operational_webhook.endpoint.rotate_secret", endpoint, {})
        assert sdk.call("operational_webhook.endpoint.get_secret", endpoint)["key"] != KEY
        portal = sdk.as_bearer(sdk.call("authentication.app_portal_access", sdk.application(), {})["token"])
        assert portal.refused("operational_webhook.endpoint.list").status == 403
    finally:
        sdk.call("operational_webhook.endpoint.delete", endpoint)
    assert sdk.refused("operational_webhook.endpoint.get", endpoint).status == 404
