"""What the shop does when Xendit tells it of a payment. The worker needs this file only."""

import os
import sqlite3
import time
from contextlib import closing

from pydantic import BaseModel

from ringback import Inbox

DATABASE = os.environ.get("SHOP_DATABASE", "shop.db")
# Six times within half a day, the first soon: a warehouse that is closed for a moment delays an order by a moment.
RETRIES = "1s,5s,1m,10m,1h,11h"
TABLES = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, item TEXT, amount INTEGER, trouble INTEGER, placed_at INTEGER,
    invoice TEXT, invoice_url TEXT, invoiced_at INTEGER, invoiced_in REAL, returned_at INTEGER
);
CREATE TABLE IF NOT EXISTS payments (
    reference TEXT, status TEXT, amount INTEGER, written_at INTEGER, message TEXT
);
"""

inbox = Inbox(f"sqlite:///{DATABASE}", shared=True)
inbox.source("xendit", secrets=[os.environ["XENDIT_CALLBACK_TOKEN"]])

with closing(sqlite3.connect(DATABASE)) as database:
    database.executescript(TABLES)


class Invoice(BaseModel):
    """What the shop needs of an invoice."""

    external_id: str
    status: str
    amount: int


class Transfer(BaseModel):
    """What the shop needs of a transfer to a virtual account."""

    external_id: str
    amount: int


class WarehouseClosedError(Exception):
    """The warehouse takes no order now."""


def reference_of(message):
    """Return the order that a message is about: what concerns one order is handled in its order of arrival."""
    return message.data["external_id"]


@inbox.on("xendit", "invoice.paid", "invoice.expired", model=Invoice, key=reference_of, retries=RETRIES)
async def close_invoice(message, tx):
    """Write down how an invoice ended, and have the order packed where it was paid."""
    write_payment(tx, message, message.model.status)
    if message.model.status == "PAID":
        pack(message, tx)


@inbox.on("xendit", "fva.paid", model=Transfer, key=reference_of, retries=RETRIES)
async def book_transfer(message, tx):
    """Write down a transfer to a virtual account; that it is told of means that it was paid."""
    write_payment(tx, message, "PAID")


def write_payment(tx, message, status):
    """Write a payment: exactly once, for "done" is written in the same transaction."""
    told = message.model
    tx.execute(
        "INSERT INTO payments VALUES (?, ?, ?, ?, ?)",
        (told.external_id, status, told.amount, now(), message.id),
    )


def now():
    """Return the present, in milliseconds."""
    return time.time_ns() // 1_000_000


def pack(message, tx):
    """Have an order packed. An order that was placed with trouble finds the warehouse closed that many times.

    What has been written before is undone then, and written again by the next attempt.
    """
    reference = message.model.external_id
    order = tx.execute("SELECT trouble FROM orders WHERE 'order-' || number = ?", (reference,)).fetchone()
    if order is not None and message.attempt <= order[0]:
        raise WarehouseClosedError(f"{reference} cannot be packed now")
