"""What to try when the story is over, with the values of this run filled in: pages to open and commands to paste."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.demo.selling import Invoiced
from ringback.demo.shop import HOOK
from ringback.demo.view import Line
from ringback.model import Endpoint, Message

PUBLISHED = '{"eventType": "invoice.paid", "payload": {"external_id": "order-1", "amount": 250000}}'
TRANSFER = '{"set": {"external_id": "transfer-1"}, "wait": true}'
FORGED = '{"external_id": "order-1", "status": "PAID"}'


def suggestions(
    *,
    api: str,
    token: str,
    shop: str,
    sandbox: str,
    key: str,
    unpaid: Invoiced,
    message: Message,
    endpoint: Endpoint,
) -> Iterator[Line]:
    """Yield the lines.

    Args:
        api: The address of the demonstration's application in Ringback's API.
        token: The token to that API.
        shop: Where the shop is.
        sandbox: Where the sandbox is.
        key: The key to the sandbox's API.
        unpaid: An invoice that nobody has paid yet.
        message: One that was published.
        endpoint: One that got it.
    """
    yield Line("\nOpen in a browser, and watch here what happens:")
    pages = {
        f"{shop}/": "The shop: its orders step by step, and a button for a new one",
        unpaid.url: f"Pay {unpaid.order} yourself",
        f"{sandbox}/dashboard": "The sandbox's dashboard: webhooks, their settings, mishaps on purpose",
    }
    width = max(map(len, pages))
    for url, what in pages.items():
        yield Line(f"  {url:<{width}}  {what}")
    yield Line("\nOr in another terminal:")
    as_merchant = f"curl -sS -u {key}:"
    as_owner = f"curl -sS -H 'Authorization: Bearer {token}'"
    yield from _command(
        f"Pay {unpaid.order}", f"{as_merchant} -X POST \\\n  {sandbox}/sandbox/invoices/{unpaid.id}/pay"
    )
    yield from _command(
        "Trigger a webhook of another product: a virtual account is paid",
        f"{as_merchant} -H 'Content-Type: application/json' \\\n  {sandbox}/sandbox/events/fva.paid -d '{TRANSFER}'",
    )
    yield from _command(
        "Forge a webhook: 401", f"curl -sS -i -H 'x-callback-token: a-guess' \\\n  {shop}{HOOK} -d '{FORGED}'"
    )
    yield from _command(
        "Publish a message",
        f"{as_owner} -H 'Content-Type: application/json' \\\n  {api}/msg -d '{PUBLISHED}'",
    )
    yield from _command("List a message's attempts", f"{as_owner} \\\n  {api}/attempt/msg/{message.id}")
    yield from _command(
        "Send it again to one endpoint",
        f"{as_owner} -X POST \\\n  {api}/msg/{message.id}/endpoint/{endpoint.id}/resend",
    )
    yield Line("")


def _command(title: str, command: str) -> Iterator[Line]:
    yield Line(f"\n# {title}", "bold")
    yield Line(command)
