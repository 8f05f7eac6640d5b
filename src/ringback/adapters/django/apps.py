"""The Django application, for ``INSTALLED_APPS``; it has no models."""

from __future__ import annotations

from django.apps import AppConfig


class RingbackConfig(AppConfig):
    """Makes ``manage.py ringback_worker`` known."""

    name = "ringback.adapters.django"
    label = "ringback"
    verbose_name = "Ringback"
