"""A shop in plain WSGI: what Xendit says was paid becomes an order in shop.db, once."""

import json
import os
import sqlite3
import sys
from contextlib import closing
from wsgiref.simple_server import make_server

from ringback import Inbox
from ringback.adapters.wsgi import WSGIAdapter

DATABASE = "shop.db"

inbox = Inbox(f"sqlite:///{DATABASE}", shared=True)
inbox.source("xendit", secrets=[os.environ["XENDIT_CALLBACK_TOKEN"]])
hooks = WSGIAdapter(inbox)

with closing(sqlite3.connect(DATABASE)) as database:
    database.execute("CREATE TABLE IF NOT EXISTS orders (reference TEXT, status TEXT, amount INTEGER)")


@inbox.on("xendit", "invoice.paid", "invoice.expired")
def close_invoice(message, tx):
    """Write down how an invoice ended."""
    invoice = message.data
    order = (invoice["external_id"], invoice["status"], invoice["amount"])
    tx.execute("INSERT INTO orders VALUES (?, ?, ?)", order)


@inbox.on("xendit", "fva.paid")
def book_transfer(message, tx):
    """Write down a transfer to a virtual account; that it is told of means that it was paid."""
    transfer = message.data
    tx.execute("INSERT INTO orders VALUES (?, 'PAID', ?)", (transfer["external_id"], transfer["amount"]))


def application(environ, start_response):
    """Answer one request."""
    if environ["PATH_INFO"].startswith("/hooks/"):
        return hooks(environ, start_response)
    if environ["PATH_INFO"] != "/orders":
        start_response("404 Not Found", [("content-type", "text/plain")])
        return [b"There is nothing here. Try /orders.\n"]
    with closing(sqlite3.connect(DATABASE)) as database:
        orders = database.execute("SELECT reference, status, amount FROM orders").fetchall()
    start_response("200 OK", [("content-type", "application/json")])
    return [json.dumps(orders).encode()]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(os.environ.get("PORT", "8000")), application) as server:
        print(f"The shop is at http://127.0.0.1:{server.server_port}", file=sys.stderr)
        server.serve_forever()
