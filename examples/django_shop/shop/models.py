"""What the shop keeps."""

from django.db import models


class Order(models.Model):
    """An order, as its payment left it. Payments of one order add up."""

    reference = models.CharField(max_length=200, unique=True)
    status = models.CharField(max_length=20, default="OPEN")
    amount = models.BigIntegerField(default=0)

    def __str__(self):
        return f"{self.reference} ({self.status})"
