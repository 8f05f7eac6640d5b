"""``manage.py ringback_worker``: run the handlers of the inbox that ``settings.RINGBACK_INBOX`` names."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string


class Command(BaseCommand):
    """Handle received webhooks until asked to stop."""

    help = "Handle received webhooks until SIGTERM or SIGINT; settings.RINGBACK_INBOX names the inbox."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Run the worker.

        Raises:
            CommandError: There is no such setting, or it names no inbox.
        """
        self._inbox().run_worker()

    def _inbox(self) -> Any:
        name = getattr(settings, "RINGBACK_INBOX", None)
        if not isinstance(name, str):
            raise CommandError('set RINGBACK_INBOX to where your inbox is, such as "shop.webhooks.inbox"')
        try:
            inbox = import_string(name)
        except ImportError as error:
            raise CommandError(f"RINGBACK_INBOX is {name!r}, which cannot be imported: {error}") from error
        if not callable(getattr(inbox, "run_worker", None)):
            raise CommandError(f"RINGBACK_INBOX is {name!r}, which is a {type(inbox).__name__}, not an inbox")
        return inbox
