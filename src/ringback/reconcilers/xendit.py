"""Xendit: asks for invoices that were paid or have expired.

    inbox.reconcile("xendit", invoices(os.environ["XENDIT_SECRET_KEY"]))

The object that ``GET /v2/invoices`` returns holds what the invoice webhook holds, by the same names, so both have the
same business key: the invoice's id and status. A webhook says ``PAID``, and none tells of the settlement that
follows; so an invoice that the API calls ``SETTLED`` is handed on as ``PAID``, or one whose webhook was lost could
never be found any more once it is settled.

Sources: the query parameters and paths are those of xendit-python 7; of the two names for the cursor, its
``last_invoice`` and the ``last_invoice_id`` of xendit-java, the one that the API heeds is found out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ringback.errors import ConfigurationError, NotFound, Unavailable
from ringback.reconcilers.client import Client

BASE_URL = "https://api.xendit.co"
PAID, SETTLED, EXPIRED = "PAID", "SETTLED", "EXPIRED"
FINAL = (PAID, SETTLED, EXPIRED)
# Which moment of an invoice's life a status is looked for by.
SINCE = {"paid_after": (PAID, SETTLED), "expired_after": (EXPIRED,)}
CURSORS = ("last_invoice", "last_invoice_id")
PAGE = 50
TIMEOUT = 10.0

Invoice = dict[str, Any]

logger = logging.getLogger("ringback.reconcilers.xendit")


def invoices(
    api_key: str,
    *,
    base_url: str = BASE_URL,
    statuses: Sequence[str] = FINAL,
    invoice_ids: Callable[[], Iterable[str]] | None = None,
    for_user_id: str | None = None,
    page: int = PAGE,
    timeout: float = TIMEOUT,
    pause: Callable[[float], None] = time.sleep,
) -> Callable[[datetime], Iterator[Invoice]]:
    """Return a ``fetch`` for ``Inbox.reconcile`` that yields invoices in the shape of their webhooks.

    Args:
        api_key: The secret key, allowed to read invoices.
        base_url: Where the API is; ``https`` unless it is on this machine.
        statuses: Invoices to list: those that reached one of ``PAID``, ``SETTLED`` and ``EXPIRED`` since the last
            look. Without any, nothing is listed.
        invoice_ids: Called at each look, on its thread; returns the ids of invoices to look at one by one, such as
            those that the application still takes for pending, near or past their expiry.
        for_user_id: The xenPlatform sub-account to ask for.
        page: How many invoices to ask for at once, 1 to 100.
        timeout: Seconds to wait for each part of an answer.
        pause: Waits that many seconds before a request is tried again.

    Raises:
        ConfigurationError: The key is empty, or a value is wrong.
    """
    if not api_key or not api_key.isascii():
        raise ConfigurationError("Xendit's API key is missing or no key. Is a variable empty?")
    unknown = sorted(set(statuses) - set(FINAL))
    if unknown:
        raise ConfigurationError(
            f"no webhook tells of invoices that are {', '.join(unknown)}; use {', '.join(FINAL)}"
        )
    if not 1 <= page <= 100:  # noqa: PLR2004 - said so in the message
        raise ConfigurationError("page is 1 to 100")
    headers = {} if for_user_id is None else {"for-user-id": for_user_id}

    def client() -> Client:
        return Client(base_url, user=api_key, headers=headers, timeout=timeout, pause=pause)

    client()  # what is wrong with the address is told here, not at the first look

    def fetch(since: datetime) -> Iterator[Invoice]:
        with client() as api:
            for moment, reached in SINCE.items():
                wanted = [status for status in statuses if status in reached]
                if wanted:
                    yield from map(_as_told, _listed(api, moment, since, wanted, page))
            for invoice_id in invoice_ids() if invoice_ids is not None else ():
                found = _one(api, invoice_id)
                if found is not None:
                    yield _as_told(found)

    return fetch


def _listed(api: Client, moment: str, since: datetime, wanted: list[str], page: int) -> Iterator[Invoice]:
    query = [("statuses", status) for status in wanted]
    query += [("limit", str(page)), (moment, since.astimezone(UTC).isoformat(timespec="milliseconds"))]
    cursors = list(CURSORS)
    found = _page(api, query)
    # A page shorter than asked for may still not be the last: the API may have a limit of its own.
    while found:
        # Where the API does not heed a filter, the wrong ones are left out here.
        yield from (invoice for invoice in found if invoice.get("status") in wanted)
        last = str(found[-1].get("id"))
        further = _page(api, [*query, (cursors[0], last)])
        while further and _repeats(further, found):
            del cursors[0]
            if not cursors:
                raise Unavailable(
                    "Xendit answers with the same page of invoices again and again", retry_after=300
                )
            further = _page(api, [*query, (cursors[0], last)])
        found = further


def _page(api: Client, query: list[tuple[str, str]]) -> list[Invoice]:
    answer = api.get("/v2/invoices", query)
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise Unavailable("Xendit answers something that is no list of invoices")
    return answer


def _repeats(page: list[Invoice], before: list[Invoice]) -> bool:
    return page[0].get("id") in {invoice.get("id") for invoice in before}


def _one(api: Client, invoice_id: str) -> Invoice | None:
    try:
        answer = api.get("/v2/invoices/" + quote(invoice_id, safe=""))
    except NotFound:
        logger.warning("Xendit knows no invoice %r; is it another account's?", invoice_id[:100])
        return None
    if not isinstance(answer, dict):
        raise Unavailable("Xendit answers something that is no invoice")
    return answer


def _as_told(invoice: Invoice) -> Invoice:
    return {**invoice, "status": PAID} if invoice.get("status") == SETTLED else invoice
