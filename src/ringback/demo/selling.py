"""The receiving half of the demonstration: a buyer pays the shop's orders, and what becomes of their webhooks.

Everything goes over HTTP as it does with the provider: the shop makes invoices with the official SDK, the buyer
presses the buttons of the checkout's pages, and webhooks come from the sandbox.
"""

from __future__ import annotations

import asyncio
import base64
from http import HTTPStatus
from typing import Any

import msgspec

from ringback.demo.buyer import Page, ask, browse, press
from ringback.demo.shop import HOOK
from ringback.demo.till import AGAIN, DONE, FAILED, NOBODY, REFUSED, Till
from ringback.demo.view import Line, Printer

CHOICE, BANK = "BANK_TRANSFER/BCA", "BCA"
JSON = {"content-type": "application/json"}
FORGED_TOKEN = "a-guess"  # noqa: S105 - a token that is none


class Invoiced(msgspec.Struct, frozen=True):
    """An order's invoice, as the provider's API shows it; the page where it is paid; how long ordering took."""

    body: dict[str, Any]
    page: Page
    seconds: float

    @property
    def order(self) -> str:
        """The order's reference."""
        return str(self.body["external_id"])

    @property
    def id(self) -> str:
        """The invoice's id."""
        return str(self.body["id"])

    @property
    def url(self) -> str:
        """Where it is paid."""
        return str(self.body["invoice_url"])


class Wrong(Exception):  # noqa: N818 - named for what is the matter
    """Something is not as it must be; the message says what."""


class Selling:
    """Plays the receiving half.

    Args:
        shop: Where the shop is.
        sandbox: Where the sandbox is.
        key: The key to the sandbox's API.
        till: Knows what the shop's inbox does.
        show: Prints.
    """

    def __init__(self, shop: str, sandbox: str, key: str, till: Till, show: Printer) -> None:
        self._shop = shop
        self._sandbox = sandbox
        self._headers = JSON | {"authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}
        self._till = till
        self._show = show

    async def play(self) -> Invoiced:
        """Play all of it, and return an invoice that nobody has paid yet.

        Raises:
            Wrong: Something is not as it must be.
            LookupError: A page has not the button that it should have.
            Unanswered: Somebody does not answer.
        """
        self._title("An order is paid")
        paid = await self._buy("item=coffee")
        await self._till.until(DONE, paid.order)
        await self._check_books(paid)
        self._title("The handler fails at the next order, and recovers")
        troubled = await self._buy("trouble=1")
        await self._till.until(FAILED, troubled.order)
        await self._till.until(DONE, troubled.order)
        await self._check_books(troubled)
        self._title("The first webhook comes a second time, and a forged one comes")
        await self._send_again(paid)
        await self._forge(paid)
        return await self._ordered("item=tea")

    # --- What the buyer does ------------------------------------------------------------------------------

    async def _ordered(self, item: str) -> Invoiced:
        front, _ = await asyncio.to_thread(browse, self._shop)
        page, answer = await asyncio.to_thread(press, front.leading_to(item))
        invoice = await self._asked("GET", f"/v2/invoices/{page.url.rpartition('/')[2]}")
        return Invoiced(invoice, page, answer.seconds)

    async def _buy(self, item: str) -> Invoiced:
        made = await self._ordered(item)
        status, amount = made.body["status"], made.body["amount"]
        text = f"by xendit-python, the official SDK, in {_ms(made.seconds)}: {status}, Rp {amount:,}"
        self._tell(made.order, "invoiced", text)
        self._tell(made.order, "page", made.url)
        chosen, _ = await asyncio.to_thread(press, made.page.button("way", CHOICE))
        paid, answer = await asyncio.to_thread(press, chosen.button("outcome", "success"))
        self._tell(made.order, "paid", f"by transfer to {BANK} on that page, in {_ms(answer.seconds)}")
        if paid.leads_to is None:
            raise Wrong(f"the checkout does not lead back to the shop: {paid.url}")
        _, back = await asyncio.to_thread(browse, paid.leads_to)
        self._tell(
            made.order,
            "came back",
            f"the browser is at the shop again in {_ms(back.seconds)}: that proves nothing",
        )
        return made

    # --- What goes wrong on purpose -----------------------------------------------------------------------

    async def _send_again(self, paid: Invoiced) -> None:
        (row,) = (await self._asked("GET", f"/sandbox/webhooks/log?text={paid.id}"))["data"]
        await self._asked("POST", f"/sandbox/webhooks/log/{row['id']}/resend", {"user": "ringback dev"})
        self._tell(paid.order, "resent", "the sandbox sends the same webhook again, as a person can there")
        await self._till.until(AGAIN, paid.order)
        await self._check_books(paid)

    async def _forge(self, paid: Invoiced) -> None:
        body = msgspec.json.encode(paid.body | {"status": "PAID", "external_id": "order-forged"})
        headers = JSON | {"x-callback-token": FORGED_TOKEN}
        answer = await asyncio.to_thread(ask, "POST", f"{self._shop}{HOOK}", body, headers)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            raise Wrong(f"the shop answered {answer.status} to a forged webhook")
        text = f"invoice.paid with a guessed x-callback-token: answered with {answer.status} in {_ms(answer.seconds)}"
        self._tell(NOBODY, "forged", text)
        await self._till.until(REFUSED, NOBODY)

    # --- Looking ------------------------------------------------------------------------------------------

    async def _check_books(self, paid: Invoiced) -> None:
        answer = await asyncio.to_thread(ask, "GET", f"{self._shop}/payments")
        payments = [one for one in msgspec.json.decode(answer.body) if one["reference"] == paid.order]
        if len(payments) != 1:
            raise Wrong(f"{len(payments)} payments are written for {paid.order} instead of one")
        self._tell(paid.order, "written", "once: its payment is in the shop's database one time")

    async def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        content = None if body is None else msgspec.json.encode(body)
        answer = await asyncio.to_thread(ask, method, f"{self._sandbox}{path}", content, self._headers)
        if answer.status != HTTPStatus.OK:
            raise Wrong(
                f"{method} {answer.url}: {answer.status} {answer.body[:200].decode('utf-8', 'replace')}"
            )
        return msgspec.json.decode(answer.body)

    def _title(self, text: str) -> None:
        self._show(Line(f"\n{text}", "bold"))

    def _tell(self, order: str, what: str, text: str) -> None:
        self._show(Line(f"{order:<10} {what:<9} {text}"))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
