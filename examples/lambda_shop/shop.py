"""A shop on AWS Lambda: ``intake`` receives what Xendit sends, ``drain`` runs on a schedule and handles it."""

import os
import sqlite3
from contextlib import closing

from ringback import Inbox
from ringback.adapters.aws_lambda import lambda_drain, lambda_intake

DATABASE = os.environ["SHOP_DATABASE"]

inbox = Inbox(f"sqlite:///{DATABASE}", shared=True)
inbox.source("xendit", secrets=[os.environ["XENDIT_CALLBACK_TOKEN"]])

intake = lambda_intake(inbox)
drain = lambda_drain(inbox)

with closing(sqlite3.connect(DATABASE)) as database:
    database.execute("CREATE TABLE IF NOT EXISTS orders (reference TEXT, status TEXT, amount INTEGER)")


@inbox.on("xendit", "invoice.paid", "invoice.expired")
def close_invoice(message, tx):
    """Write down how an invoice ended."""
    write_order(tx, message, message.data["status"])


@inbox.on("xendit", "fva.paid")
def book_transfer(message, tx):
    """Write down a transfer to a virtual account; that it is told of means that it was paid."""
    write_order(tx, message, "PAID")


def write_order(tx, message, status):
    """Write one order."""
    order = (message.data["external_id"], status, message.data["amount"])
    tx.execute("INSERT INTO orders VALUES (?, ?, ?)", order)
