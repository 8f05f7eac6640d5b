"""What the shop does when Xendit tells it of a payment."""

import os
import sqlite3
from contextlib import closing

from pydantic import BaseModel

from ringback import Inbox

DATABASE = "shop.db"

inbox = Inbox(f"sqlite:///{DATABASE}", shared=True)
inbox.source("xendit", secrets=[os.environ["XENDIT_CALLBACK_TOKEN"]])

with closing(sqlite3.connect(DATABASE)) as database:
    database.execute("CREATE TABLE IF NOT EXISTS orders (reference TEXT, status TEXT, amount INTEGER)")


class Invoice(BaseModel):
    """What the shop needs of an invoice."""

    external_id: str
    status: str
    amount: int


class Transfer(BaseModel):
    """What the shop needs of a transfer to a virtual account."""

    external_id: str
    amount: int


def reference_of(message):
    """Return the order that a message is about: what concerns one order is handled in its order of arrival."""
    return message.data["external_id"]


@inbox.on("xendit", "invoice.paid", "invoice.expired", model=Invoice, key=reference_of)
async def close_invoice(message, tx):
    """Write down how an invoice ended."""
    invoice = message.model
    tx.execute(
        "INSERT INTO orders VALUES (?, ?, ?)",
        (invoice.external_id, invoice.status, invoice.amount),
    )


@inbox.on("xendit", "fva.paid", model=Transfer, key=reference_of)
async def book_transfer(message, tx):
    """Write down a transfer to a virtual account; that it is told of means that it was paid."""
    transfer = message.model
    tx.execute("INSERT INTO orders VALUES (?, 'PAID', ?)", (transfer.external_id, transfer.amount))
