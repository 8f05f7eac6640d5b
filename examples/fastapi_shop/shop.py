"""A shop with FastAPI: the web application. What happens when something is paid is in payments.py."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import checkout
import timeline
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from payments import inbox
from urllib3.exceptions import HTTPError
from xendit import XenditSdkException

from ringback.adapters.asgi import ASGIAdapter

FOLDER = Path(__file__).parent
MAX_TROUBLE = 3
# Where the checkout pages are: a form's answer may lead a browser only to what the policy names.
CHECKOUTS = "https://checkout.xendit.co https://checkout-staging.xendit.co"
SANDBOX = "{0.scheme}://{0.netloc}".format(urlsplit(os.environ.get("XENDIT_API_URL", "")))
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    f"form-action 'self' {CHECKOUTS if SANDBOX == '://' else SANDBOX}; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}

# FastAPI's own pages about an application load scripts from elsewhere; these pages load nothing.
app = FastAPI(title="Toko Ringback", openapi_url=None)
app.mount("/hooks", ASGIAdapter(inbox))
app.mount("/static", StaticFiles(directory=FOLDER / "static"))
templates = Jinja2Templates(directory=FOLDER / "templates")
templates.env.filters["rupiah"] = "Rp\N{NO-BREAK SPACE}{:,}".format


@app.get("/")
def show_shop(request: Request):
    """Show what can be ordered, what was, and what the inbox has done."""
    orders = [(order, timeline.state_of(order), timeline.steps_of(order)) for order in checkout.orders()]
    values = {"items": checkout.ITEMS, "orders": orders, "summary": timeline.summary()}
    return page(request, "shop.html", values)


@app.post("/orders")
def place_order(request: Request, item: str, trouble: int = 0):
    """Take an order, make its invoice, and send the buyer to the page where it is paid."""
    if item not in checkout.ITEMS or not 0 <= trouble <= MAX_TROUBLE:
        return problem(request, 404, "There is no such thing to order", "Choose one that is there.")
    try:
        _, invoice_url = checkout.place(
            item, trouble, lambda reference: str(request.url_for("show_order", reference=reference))
        )
    except (XenditSdkException, HTTPError) as error:
        advice = (
            "Xendit refused, or could not be reached. The order is kept, and nothing was paid: try again."
        )
        return problem(request, 502, "The invoice could not be made", advice, str(error))
    return RedirectResponse(invoice_url, 303, HEADERS)


@app.get("/orders/{reference}")
def show_order(request: Request, reference: str, *, returned: bool = False):
    """Show an order and its steps. That a browser has *returned* from the checkout is not why it counts as paid."""
    if returned:
        checkout.note_return(reference)
    order = checkout.order(reference)
    if order is None:
        return problem(request, 404, "There is no such order", "Maybe its number is another.")
    values = {
        "order": order,
        "state": timeline.state_of(order),
        "steps": timeline.steps_of(order),
        "returned": returned,
    }
    return page(request, "order.html", values)


@app.get("/payments")
def list_payments():
    """Show what the handlers have written."""
    return checkout.payments()


def page(request, name, values, *, status=200):
    """Return a page."""
    return templates.TemplateResponse(request, name, values, status, HEADERS)


def problem(request, status, title, advice, detail=""):
    """Return a page that says what is wrong and what to do."""
    values = {"title": title, "advice": advice, "detail": detail}
    return page(request, "problem.html", values, status=status)
