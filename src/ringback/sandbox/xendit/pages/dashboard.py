"""The dashboard: its pages, put together."""

from __future__ import annotations

from collections.abc import Sequence

from ringback.sandbox.xendit.calls import Action, Answer, Call, Refused, Route
from ringback.sandbox.xendit.pages import assets, compare, events, home, payment_links, settings, webhooks
from ringback.sandbox.xendit.pages.frame import Frame
from ringback.sandbox.xendit.pages.rendering import see, told
from ringback.sandbox.xendit.sandbox import Sandbox


class Dashboard:
    """Shows a developer what the sandbox holds and does, and lets them steer it.

    Args:
        sandbox: What it is about.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        frame = Frame(sandbox)
        self._home = home.Home(sandbox, frame)
        self._invoices = payment_links.PaymentLinks(sandbox, frame)
        self._webhooks = webhooks.Webhooks(sandbox, frame)
        self._events = events.Events(sandbox, frame)
        self._settings = settings.Settings(sandbox, frame)
        self._compare = compare.Compare(frame)

    def routes(self) -> Sequence[Route]:
        """Return what it answers."""
        base = "/dashboard"
        return (
            assets.route(),
            _get("/", self.lead),
            _get(base, self._home.show),
            Route("GET", f"{base}/state", self._home.state, open=True),
            _get(f"{base}/{{place:rest}}", self.missing),
            _get(payment_links.PLACE, self._invoices.overview),
            _post(payment_links.PLACE, self._invoices.create),
            _post(f"{payment_links.PLACE}/{{id}}/expire", self._invoices.expire),
            _get(webhooks.PLACE, self._webhooks.overview),
            _get(f"{webhooks.PLACE}/resend", self._webhooks.preview),
            _post(f"{webhooks.PLACE}/resend", self._webhooks.resend_all),
            _get(f"{webhooks.PLACE}/{{id}}", self._webhooks.detail),
            Route("GET", f"{webhooks.PLACE}/{{id}}/state", self._webhooks.state, open=True),
            _post(f"{webhooks.PLACE}/{{id}}/resend", self._webhooks.resend),
            _get(events.PLACE, self._events.overview),
            _get(f"{events.PLACE}/{{name}}", self._events.show),
            _post(f"{events.PLACE}/{{name}}", self._events.trigger),
            _get(settings.PLACE, self._settings.show),
            _post(f"{settings.PLACE}/slots/{{name}}", self._settings.save_slot),
            _post(f"{settings.PLACE}/all", self._settings.save_all),
            _post(f"{settings.PLACE}/options", self._settings.save_options),
            _post(f"{settings.PLACE}/token", self._settings.rotate),
            _get(compare.PLACE, self._compare.show),
            _post(compare.PLACE, self._compare.start),
            _post(f"{compare.PLACE}/cancel", self._compare.cancel),
            Route("GET", f"{compare.PLACE}/state", self._compare.state, open=True),
            _get(f"{compare.PLACE}/chart.svg", self._compare.picture),
            _get(f"{compare.PLACE}/numbers.json", self._compare.numbers),
        )

    async def missing(self, call: Call) -> Answer:
        """Refuse what is no page of the dashboard, as a page.

        Raises:
            Refused: 404.
        """
        raise Refused(404, "NOT_FOUND", f"the dashboard has no page {call.path['place'][:100]}")

    async def lead(self, call: Call) -> Answer:
        """Lead from the sandbox's address to its first page."""
        del call
        return see("/dashboard")


def _get(template: str, action: Action) -> Route:
    return Route("GET", template, told(action), open=True)


def _post(template: str, action: Action) -> Route:
    return Route("POST", template, told(action), open=True)
