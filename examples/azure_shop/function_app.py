"""A shop on Azure Functions: an HTTP function receives what Xendit sends, a timer function handles it."""

import os
import sqlite3
from contextlib import closing

import azure.functions as func

from ringback import Inbox
from ringback.adapters.azure_functions import register, register_drain

DATABASE = os.environ["SHOP_DATABASE"]

inbox = Inbox(f"sqlite:///{DATABASE}", shared=True)
inbox.source("xendit", secrets=[os.environ["XENDIT_CALLBACK_TOKEN"]])

app = func.FunctionApp()
register(app, inbox)
register_drain(app, inbox)

with closing(sqlite3.connect(DATABASE)) as database:
    database.execute("CREATE TABLE IF NOT EXISTS orders (reference TEXT, status TEXT, amount INTEGER)")


@inbox.on("xendit", "invoice.*")
def close_invoice(message, tx):
    """Write down how an invoice ended: whatever happens to one, its status says."""
    invoice = message.data
    order = {"reference": invoice["external_id"], "status": invoice["status"], "amount": invoice["amount"]}
    tx.execute("INSERT INTO orders VALUES (:reference, :status, :amount)", order)


@inbox.on("xendit", "fva.paid")
def book_transfer(message, tx):
    """Write down a transfer to a virtual account; that it is told of means that it was paid."""
    order = {"reference": message.data["external_id"], "amount": message.data["amount"]}
    tx.execute("INSERT INTO orders VALUES (:reference, 'PAID', :amount)", order)


@app.route(route="orders", auth_level=func.AuthLevel.FUNCTION)
def list_orders(req: func.HttpRequest) -> func.HttpResponse:
    """Show how many orders there are, and what they come to."""
    with closing(sqlite3.connect(DATABASE)) as database:
        count, amount = database.execute(
            "SELECT count(*), coalesce(sum(amount), 0) FROM orders WHERE status = 'PAID'"
        ).fetchone()
    return func.HttpResponse(f"{count} orders, {amount} rupiah\n")
