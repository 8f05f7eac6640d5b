"""A shop with Flask: orders and the day's takings are in shop.db, and the two always agree."""

import os
import sqlite3
from contextlib import closing

from flask import Flask, jsonify

from ringback import Discard, Inbox
from ringback.adapters.flask import blueprint

DATABASE = "shop.db"
SCHEMA = """
    CREATE TABLE IF NOT EXISTS orders (reference TEXT, status TEXT, amount INTEGER);
    CREATE TABLE IF NOT EXISTS takings (day TEXT PRIMARY KEY, amount INTEGER);
"""

inbox = Inbox(f"sqlite:///{DATABASE}", shared=True)
inbox.source("xendit", secrets=[os.environ["XENDIT_CALLBACK_TOKEN"]])

app = Flask(__name__)
app.register_blueprint(blueprint(inbox), url_prefix="/hooks")

with closing(sqlite3.connect(DATABASE)) as database:
    database.executescript(SCHEMA)


@inbox.on("xendit", "invoice.paid")
def sell(message, tx):
    """Book a paid invoice."""
    if message.data["currency"] != "IDR":
        raise Discard("we sell for rupiah only")
    book(tx, message.data["external_id"], message.data["amount"], day=message.data["paid_at"][:10])


@inbox.on("xendit", "fva.paid")
def receive_transfer(message, tx):
    """Book a transfer to a virtual account."""
    transfer = message.data
    book(tx, transfer["external_id"], transfer["amount"], day=transfer["transaction_timestamp"][:10])


@inbox.on("xendit", "invoice.expired")
def give_up(message, tx):
    """Write down an order that nobody paid."""
    order = (message.data["external_id"], message.data["amount"])
    tx.execute("INSERT INTO orders VALUES (?, 'EXPIRED', ?)", order)


def book(tx, reference, amount, *, day):
    """Write a paid order and add it to the day's takings: in one transaction, both or neither."""
    tx.execute("INSERT INTO orders VALUES (?, 'PAID', ?)", (reference, amount))
    tx.execute(
        "INSERT INTO takings VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET amount = amount + excluded.amount",
        (day, amount),
    )


@app.get("/orders")
def list_orders():
    """Show every order."""
    with closing(sqlite3.connect(DATABASE)) as database:
        return jsonify(database.execute("SELECT reference, status, amount FROM orders").fetchall())


@app.get("/takings")
def list_takings():
    """Show what each day brought in."""
    with closing(sqlite3.connect(DATABASE)) as database:
        return jsonify(database.execute("SELECT day, amount FROM takings ORDER BY day").fetchall())
