"""The payment provider of a shop, who sends webhooks to the server's source."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from running import Api

SOURCES = "/ingest/api/v1/source"
UID = "payments"
TOKEN = "the callback token"


def add_source(api: Api, shop_url: str) -> None:
    """Add the source that the provider sends to, and where it forwards to: one of these gives up at once."""
    draft = {"name": "Payments", "uid": UID, "type": "xendit", "config": {"secret": TOKEN}}
    api.ask("POST", SOURCES, json.dumps(draft).encode())
    for forward in (
        {"uid": "books", "url": f"{shop_url}/orders/payments", "description": "Books each payment"},
        {"url": f"{shop_url}/broken", "description": "Gives up at once", "retrySchedule": []},
    ):
        api.ask("POST", f"{SOURCES}/{UID}/endpoint", json.dumps(forward).encode())


class Provider:
    """Sends webhooks.

    Args:
        api: The server's, which has the source.
    """

    def __init__(self, api: Api) -> None:
        _, source = api.ask("GET", f"{SOURCES}/{UID}")
        self.source_id = str(source["id"])
        self._api = api
        self._path = urlsplit(source["ingestUrl"]).path

    def send(self, body: dict[str, Any], token: str = TOKEN) -> None:
        """Send one webhook; it is refused where the *token* is not the source's."""
        self._api.ask("POST", self._path, json.dumps(body).encode(), x_callback_token=token)
