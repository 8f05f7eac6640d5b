"""A sandbox in which a shop has sold things, with webhooks in every status."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Iterator

from running import PATIENCE, receiving
from running_site import HANGS, Site, folder, shop
from sandbox_process import Sandbox, sandbox

TIMEOUT = "1s"
ITEMS = [
    {"name": "Enamel kettle, 1.5 l", "quantity": 1, "price": 275_000},
    {"name": "Coffee from Toraja, 250 g", "quantity": 2, "price": 92_500},
]
INVOICES = {
    "pending": {
        "external_id": "order-2026-1047",
        "amount": 478_000,
        "description": "Kitchen things, to be picked up in the shop",
        "payer_email": "payer@example.com",
        "items": ITEMS,
        "fees": [{"type": "Delivery", "value": 18_000}],
        "success_redirect_url": "https://shop.example/orders/1047",
        "failure_redirect_url": "https://shop.example/basket",
    },
    "paid": {
        "external_id": "order-2026-1046",
        "amount": 460_000,
        "description": "Two kettles",
        "items": ITEMS,
    },
    "expired": {"external_id": "order-2026-1045", "amount": 75_000, "description": "A gift voucher"},
}
CHARGE = {
    "currency": "IDR",
    "amount": 129_000,
    "checkout_method": "ONE_TIME_PAYMENT",
    "channel_code": "ID_DANA",
    "channel_properties": {"success_redirect_url": "https://shop.example/thanks"},
}
SESSION = {
    "reference_id": "order-2026-1050",
    "session_type": "PAY",
    "mode": "PAYMENT_LINK",
    "amount": 150_000,
    "currency": "IDR",
    "country": "ID",
    "description": "A tasting for two",
    "success_return_url": "https://shop.example/thanks",
    "cancel_return_url": "https://shop.example/basket",
}
# E-wallet charges, by the name of the page that shows them: how each ended.
CHARGES = {"charge": None, "approved": "SUCCEEDED", "declined": "FAILED"}
# Events of the catalogue, by the name of the page that shows what became of them.
TRIGGERED = {
    "completed": "invoice.paid",
    "retried": "ewallet.capture",
    "late": "qr.payment",
    "kept": "payout.succeeded",
}


@contextlib.contextmanager
def new_sandbox() -> Iterator[Site]:
    """Run a sandbox that nothing has happened in."""
    with folder() as place, sandbox(place, "--seed", "1") as box:
        yield Site(box.url)


@contextlib.contextmanager
def used_sandbox() -> Iterator[Site]:
    """Run a sandbox in which a shop has sold things, with webhooks in every status."""
    with (
        folder() as place,
        receiving(shop) as receiver,
        sandbox(place, "--seed", "7", "--timeout", TIMEOUT) as box,
    ):
        yield Site(box.url, _trade(box, receiver.url))


def _trade(box: Sandbox, shop_url: str) -> dict[str, str]:
    """Let things happen; return what the pages about them are called."""
    for slot, path in {"invoice": "/shop", "ewallet": "/broken", "qr_code": HANGS}.items():
        box.ok("PUT", f"/sandbox/webhooks/slots/{slot}", {"url": shop_url + path})
    box.ok("PUT", "/sandbox/webhooks/slots/invoice", {"also_expired": True})
    for number in range(30):
        box.ok(
            "POST",
            "/v2/invoices",
            {"external_id": f"order-2026-{1000 + number}", "amount": 45_000 + 7_500 * number},
        )
    invoices = {name: box.ok("POST", "/v2/invoices", draft)["id"] for name, draft in INVOICES.items()}
    box.ok("POST", f"/sandbox/invoices/{invoices['paid']}/pay")
    box.ok("POST", f"/invoices/{invoices['expired']}/expire!")
    charges = {
        name: box.ok("POST", "/ewallets/charges", CHARGE | {"reference_id": name})["id"] for name in CHARGES
    }
    for name, status in CHARGES.items():
        if status:
            box.ok("POST", f"/sandbox/ewallets/charges/{charges[name]}/simulate", {"status": status})
    webhooks = {
        name: box.ok("POST", f"/sandbox/events/{event}", {"wait": True})["id"]
        for name, event in TRIGGERED.items()
    }
    _compare(box)
    session = box.ok("POST", "/sessions", SESSION)["payment_link_url"].removeprefix(f"{box.url}/web/")
    box.ok("POST", "/sandbox/webhooks/slots/ewallet/test", {})
    failed = box.ok("GET", "/sandbox/webhooks/log?status=Failed")["data"][0]["id"]
    return {**invoices, **charges, **webhooks, "session": session, "failed": failed}


def _compare(box: Sandbox) -> None:
    """Let a short comparison run to its end."""
    request = urllib.request.Request(f"{box.url}/dashboard/compare", b"invoices=12&outage=30&seed=3")
    urllib.request.urlopen(request, timeout=PATIENCE).close()
    while box.ok("GET", "/dashboard/compare/state")["state"]:
        time.sleep(0.1)
