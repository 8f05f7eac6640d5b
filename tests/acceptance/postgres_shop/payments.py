"""A shop whose tables and inbox are in one PostgreSQL database."""

import os

import psycopg

from ringback import Inbox

DATABASE = os.environ["SHOP_DATABASE"]

inbox = Inbox(DATABASE, shared=True)
inbox.source("xendit", secrets=[os.environ["XENDIT_CALLBACK_TOKEN"]])

with psycopg.connect(DATABASE) as database:
    # Of two processes that start at once, one waits for the other.
    database.execute("SELECT pg_advisory_xact_lock(1)")
    database.execute("CREATE TABLE IF NOT EXISTS payments (reference text, amount integer)")


@inbox.on("xendit", "invoice.paid", key=lambda message: message.data["external_id"])
def book(message, tx):
    """Write a payment: exactly once, for "done" is written in the same transaction."""
    tx.execute("INSERT INTO payments VALUES (%s, %s)", (message.data["external_id"], message.data["amount"]))
