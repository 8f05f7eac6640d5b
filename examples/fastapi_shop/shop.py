"""A shop with FastAPI: the web application. What happens when something is paid is in payments.py."""

import sqlite3
from contextlib import closing

from fastapi import FastAPI
from payments import DATABASE, inbox

from ringback.adapters.asgi import ASGIAdapter

app = FastAPI()
app.mount("/hooks", ASGIAdapter(inbox))


@app.get("/orders")
def list_orders() -> list[tuple[str, str, int]]:
    """Show every order."""
    with closing(sqlite3.connect(DATABASE)) as database:
        return database.execute("SELECT reference, status, amount FROM orders").fetchall()
