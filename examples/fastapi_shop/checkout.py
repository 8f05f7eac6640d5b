"""Orders and their invoices, made by Xendit's official SDK. It blocks: for threads, not for the event loop."""

import os
import sqlite3
import time
from contextlib import closing

import xendit
from payments import DATABASE, now
from xendit.apis import InvoiceApi
from xendit.invoice.model.create_invoice_request import CreateInvoiceRequest

ITEMS = {"coffee": ("Kopi Gayo, 1 kg", 250_000), "tea": ("Teh melati, 500 g", 85_000)}
# What is known of orders: with how an order ended, and how many payments were written for it.
ORDERS = """
SELECT 'order-' || number AS reference, orders.*,
    (SELECT count(*) FROM payments WHERE reference = 'order-' || number) AS payments,
    (SELECT status FROM payments WHERE reference = 'order-' || number ORDER BY status = 'PAID' DESC) AS status,
    (SELECT group_concat(message) FROM payments WHERE reference = 'order-' || number) AS messages,
    (SELECT min(written_at) FROM payments WHERE reference = 'order-' || number) AS written_at
FROM orders
"""

invoices = InvoiceApi(
    xendit.ApiClient(
        xendit.Configuration(
            host=os.environ.get("XENDIT_API_URL", "https://api.xendit.co"),
            api_key=os.environ.get("XENDIT_API_KEY", ""),
        )
    )
)


def place(item, trouble, url_of):
    """Write down an order, make its invoice and return its reference and where it is paid.

    Args:
        item: A name of ``ITEMS``.
        trouble: How many times the handler shall fail at this order.
        url_of: Returns the address of an order's page, which the buyer comes back to.

    Raises:
        xendit.XenditSdkException: Xendit refuses.
        urllib3.exceptions.HTTPError: Xendit cannot be reached.
    """
    name, amount = ITEMS[item]
    number = write(
        "INSERT INTO orders (number, item, amount, trouble, placed_at) "
        "SELECT max(1000, coalesce(max(number), 0)) + 1, ?, ?, ?, ? FROM orders",
        (name, amount, trouble, now()),
    )
    since, reference = time.perf_counter(), f"order-{number}"
    invoice = invoices.create_invoice(
        CreateInvoiceRequest(
            external_id=reference,
            amount=float(amount),
            currency="IDR",
            description=name,
            success_redirect_url=f"{url_of(reference)}?returned=1",
            failure_redirect_url=url_of(reference),
        )
    )
    milliseconds = (time.perf_counter() - since) * 1000
    write(
        "UPDATE orders SET invoice = ?, invoice_url = ?, invoiced_at = ?, invoiced_in = ? WHERE number = ?",
        (invoice.id, invoice.invoice_url, now(), milliseconds, number),
    )
    return reference, invoice.invoice_url


def note_return(reference):
    """Write down when the buyer's browser first came back from the checkout. It proves nothing."""
    write(
        "UPDATE orders SET returned_at = ? WHERE returned_at IS NULL AND 'order-' || number = ?",
        (now(), reference),
    )


def orders():
    """Return the latest orders, newest first."""
    return read(f"{ORDERS} ORDER BY number DESC LIMIT 20")


def order(reference):
    """Return an order, None where there is none."""
    return next(iter(read(f"{ORDERS} WHERE 'order-' || number = ?", (reference,))), None)


def payments():
    """Return the latest payments, newest first."""
    return read("SELECT reference, status, amount FROM payments ORDER BY rowid DESC LIMIT 100")


def read(query, values=()):
    """Return rows as dictionaries."""
    with closing(sqlite3.connect(DATABASE)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query, values)]


def write(statement, values):
    """Change a row, and return the number of one that was added."""
    with closing(sqlite3.connect(DATABASE, timeout=30)) as database, database:
        return database.execute(statement, values).lastrowid
