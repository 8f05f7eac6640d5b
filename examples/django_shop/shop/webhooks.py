"""What the shop does when Xendit tells it of a payment.

A handler that asks for ``tx`` runs inside ``transaction.atomic``, and its end is recorded in the same transaction.
So ``order.amount += ...`` is right here: it happens once for each payment.
"""

from django.conf import settings

from ringback import Inbox
from ringback.adapters.django.effects import DjangoEffects
from shop.models import Order

inbox = Inbox(f"sqlite:///{settings.DATABASES['default']['NAME']}", effects=DjangoEffects())
inbox.source("xendit", secrets=[settings.XENDIT_CALLBACK_TOKEN])


@inbox.on("xendit", "invoice.paid", "invoice.expired")
def close_invoice(message, tx):
    """Write down how an invoice ended."""
    invoice = message.data
    add_to_order(invoice["external_id"], invoice["status"], invoice["amount"])


@inbox.on("xendit", "fva.paid")
def book_transfer(message, tx):
    """Write down a transfer to a virtual account; that it is told of means that it was paid."""
    add_to_order(message.data["external_id"], "PAID", message.data["amount"])


def add_to_order(reference, status, amount):
    """Write down what came in for an order, the first time or once more."""
    order, _ = Order.objects.get_or_create(reference=reference)
    order.status = status
    order.amount += amount
    order.save()
