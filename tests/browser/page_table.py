"""Every page that there is, for the tests that look at all of them and for their pictures: a new page is one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from playwright.sync_api import Page, Response
from running_site import Site


class Press(NamedTuple):
    """What is done on a page to come to another one: fields, by their labels, are filled in, a button is pressed."""

    button: str
    fields: Mapping[str, str] = {}


class Shown(NamedTuple):
    """A page.

    Args:
        name: What its picture is called.
        site: The site that it is on, see ``sites.SITES``.
        path: Its address; ``{name}`` stands for what the site has there.
        status: What it is answered with.
        who: Who sees it, see the ``sessions`` of a site.
        press: What leads to it from the page that is at *path*.
        seldom: Whether it is much like others, so that looking at it on a phone, when it is light, is enough.
        more: What there is so much of, all alike, that rules are tried on one part of it: the rest, as a selector.
    """

    name: str
    site: str
    path: str
    status: int = 200
    who: str = "operator"
    more: str | None = None
    press: Press | None = None
    seldom: bool = False

    def open(self, page: Page, site: Site) -> Response | None:
        """Open it in a tab, or come to it as the table says; return what that was answered with."""
        answer = page.goto(site.url + self.path.format(**site.places))
        if self.press is None:
            return answer
        for label, text in self.press.fields.items():
            page.get_by_label(label, exact=True).fill(text)
        with page.expect_navigation() as led:
            page.get_by_role("button", name=self.press.button, exact=True).click()
        return led.value


PAGES = (
    Shown(
        "docs", "server", "/docs", more="section ~ section article, article ~ article ~ article, nav li ~ li"
    ),
    Shown("look", "server", "/look"),
    Shown("overview", "server", "/"),
    Shown("overview-new", "new server", "/"),
    Shown("overview-read-only", "server", "/", who="reader"),
    Shown("login", "server", "/login", who="nobody"),
    Shown("login-link", "server", "/login?link=code", who="nobody"),
    Shown("login-not-kept", "server", "/login/kept", 400, who="nobody", seldom=True),
    Shown("messages", "server", "/messages"),
    Shown("messages-new", "new server", "/messages"),
    Shown("messages-filtered", "server", "/messages?status=failed&type=invoice.paid"),
    Shown("messages-none", "server", "/messages?text=nothing"),
    Shown("message", "server", "/messages/{app}/{message}"),
    Shown("message-for-one", "server", "/messages/{app}/{example}", seldom=True),
    Shown("message-first", "server", "/messages/{app}/{first}"),
    Shown("message-unheard", "server", "/messages/{quiet}/{unheard}"),
    Shown("message-compare", "server", "/messages/{app}/{message}/compare?with={first}"),
    Shown(
        "message-compare-attempts",
        "server",
        "/messages/{app}/{first}/compare",
        press=Press("Compare"),
    ),
    Shown("message-forget", "server", "/messages/{app}/{message}/forget"),
    Shown("applications", "server", "/applications"),
    Shown("applications-new", "new server", "/applications"),
    Shown("applications-none", "server", "/applications?find=nothing"),
    Shown("application", "server", "/applications/{app}"),
    Shown("application-quiet", "server", "/applications/{quiet}"),
    Shown("application-portal", "server", "/applications/{app}/portal", seldom=True),
    Shown(
        "application-portal-link",
        "server",
        "/applications/{app}/portal",
        press=Press("Make the link"),
        seldom=True,
    ),
    Shown("application-sessions", "server", "/applications/{app}/sessions"),
    Shown("application-sessions-none", "server", "/applications/kopi-tiga/sessions", seldom=True),
    Shown("application-make", "server", "/applications/new"),
    Shown("application-edit", "server", "/applications/{app}/edit"),
    Shown("endpoint", "server", "/applications/{app}/endpoints/{broken}"),
    Shown("endpoint-healthy", "server", "/applications/{app}/endpoints/{healthy}"),
    Shown("endpoint-slow", "server", "/applications/{app}/endpoints/{slow}"),
    Shown("endpoint-paused", "server", "/applications/{app}/endpoints/{paused}"),
    Shown("endpoint-read-only", "server", "/applications/{app}/endpoints/{broken}", who="reader"),
    Shown("endpoint-attempts", "server", "/applications/{app}/endpoints/{broken}/attempts"),
    Shown("endpoint-messages", "server", "/applications/{app}/endpoints/{broken}/messages"),
    Shown("endpoint-secret", "server", "/applications/{app}/endpoints/{broken}/secret"),
    Shown(
        "endpoint-secret-shown",
        "server",
        "/applications/{app}/endpoints/{broken}/secret",
        press=Press("Show it"),
        seldom=True,
    ),
    Shown(
        "endpoint-checked",
        "server",
        "/applications/{app}/endpoints/{broken}",
        press=Press("Check now"),
        seldom=True,
    ),
    Shown("endpoint-disabled", "server", "/applications/{app}/endpoints/{disabled}", seldom=True),
    Shown(
        "endpoint-delete",
        "server",
        "/applications/{app}/endpoints/{disabled}",
        press=Press("Delete the endpoint"),
        seldom=True,
    ),
    Shown(
        "endpoint-faults",
        "server",
        "/applications/{app}/endpoints/new",
        400,
        press=Press("Add the endpoint", {"URL": "nowhere"}),
        seldom=True,
    ),
    Shown("endpoint-edit", "server", "/applications/{app}/endpoints/{broken}/edit"),
    Shown("endpoint-make", "server", "/applications/{app}/endpoints/new"),
    Shown("endpoint-credentials", "server", "/applications/{app}/endpoints/{disabled}/credentials"),
    Shown("endpoint-credentials-none", "server", "/applications/{app}/endpoints/{healthy}/credentials"),
    Shown(
        "endpoint-credentials-faults",
        "server",
        "/applications/{app}/endpoints/{disabled}/credentials",
        400,
        press=Press("Save the client", {"Token URL": "nowhere"}),
        seldom=True,
    ),
    Shown("endpoint-transformation", "server", "/applications/{app}/endpoints/{picky}/transformation"),
    Shown(
        "endpoint-transformation-tried",
        "server",
        "/applications/{app}/endpoints/{healthy}/transformation",
        press=Press("Try it", {"Expression": "{text: eventType, order: payload}"}),
    ),
    Shown(
        "endpoint-transformation-faults",
        "server",
        "/applications/{app}/endpoints/{healthy}/transformation",
        400,
        press=Press("Try it", {"Expression": "{text:"}),
        seldom=True,
    ),
    Shown("endpoint-start", "server", "/applications/{app}/endpoints/{picky}/start"),
    Shown("endpoint-handler", "server", "/applications/{source}/endpoints/{handler}"),
    Shown("endpoint-replay", "server", "/applications/{app}/endpoints/{broken}/replay"),
    Shown(
        "endpoint-replay-preview",
        "server",
        "/applications/{app}/endpoints/{healthy}/replay?which=rest&window=1h",
    ),
    Shown("watch", "server", "/watch"),
    Shown("watch-new", "new server", "/watch"),
    Shown("replays", "server", "/replays"),
    Shown("replays-new", "new server", "/replays"),
    Shown("replay", "server", "/replays/{replay}"),
    Shown("sources", "server", "/sources"),
    Shown("sources-new", "new server", "/sources"),
    Shown("source", "server", "/sources/{source}"),
    Shown("source-refused", "server", "/sources/{source}/refused"),
    Shown("source-edit", "server", "/sources/{source}/edit"),
    Shown("source-address", "server", "/sources/{source}/address"),
    Shown("source-forward", "server", "/sources/{source}/endpoints/new"),
    Shown(
        "source-forward-faults",
        "server",
        "/sources/{source}/endpoints/new",
        400,
        press=Press("Forward to it", {"URL": "nowhere"}),
        seldom=True,
    ),
    Shown("forward-start", "server", "/applications/{source}/endpoints/books/start", seldom=True),
    Shown("forward-edit", "server", "/applications/{source}/endpoints/books/edit", seldom=True),
    Shown("source-dead", "server", "/sources/{source}/dead"),
    Shown("dead-letters", "server", "/dead-letters"),
    Shown("source-polled", "server", "/sources/{source}/polled"),
    Shown("source-unhandled", "server", "/sources/{source}/unhandled"),
    Shown("source-quarantined", "server", "/sources/{source}/quarantined", seldom=True),
    Shown("source-make", "server", "/sources/new"),
    Shown("event-types", "server", "/event-types"),
    Shown("event-types-new", "new server", "/event-types"),
    Shown("event-type", "server", "/event-types/{kind}"),
    Shown("event-type-edit", "server", "/event-types/{kind}/edit"),
    Shown("event-type-make", "server", "/event-types/new"),
    Shown("keys", "server", "/keys"),
    Shown("key-made", "server", "/keys", press=Press("Make the key", {"Name": "Shop"}), seldom=True),
    Shown("settings", "server", "/settings"),
    Shown("portal", "server", "/portal", who="customer"),
    Shown("portal-new", "server", "/portal", who="newcomer"),
    Shown("portal-enter", "server", "/portal/enter", who="nobody"),
    Shown("portal-elsewhere", "server", "/portal/enter?link={elsewhere}", who="customer"),
    Shown("portal-messages", "server", "/portal/messages", who="customer"),
    Shown(
        "portal-messages-filtered",
        "server",
        "/portal/messages?status=failed&tag=checkout",
        who="customer",
        seldom=True,
    ),
    Shown("portal-event-types", "server", "/portal/event-types", who="customer"),
    Shown("portal-event-type", "server", "/portal/event-types/{kind}", who="customer", seldom=True),
    Shown("portal-endpoint", "server", "/portal/endpoints/{broken}", who="customer"),
    Shown("portal-endpoint-make", "server", "/portal/endpoints/new", who="customer"),
    Shown("portal-endpoint-start", "server", "/portal/endpoints/{broken}/start", who="customer"),
    Shown("portal-read-only", "server", "/portal/endpoints/{broken}", who="onlooker", seldom=True),
    Shown("portal-attempts", "server", "/portal/endpoints/{broken}/attempts", who="customer", seldom=True),
    Shown("portal-secret", "server", "/portal/endpoints/{broken}/secret", who="customer", seldom=True),
    Shown(
        "portal-credentials", "server", "/portal/endpoints/{broken}/credentials", who="customer", seldom=True
    ),
    Shown("portal-replay", "server", "/portal/endpoints/{broken}/replay", who="customer", seldom=True),
    Shown("portal-replays", "server", "/portal/replays", who="customer", seldom=True),
    Shown("portal-message", "server", "/portal/messages/{message}", who="customer", seldom=True),
    Shown("portal-look", "server", "/portal/look", who="customer", seldom=True),
    Shown("problem", "server", "/nothing", 404),
    Shown("sandbox-home-new", "new sandbox", "/dashboard"),
    Shown("sandbox-home", "sandbox", "/dashboard"),
    Shown("sandbox-invoices", "sandbox", "/dashboard/invoices?made={pending}"),
    Shown("sandbox-invoices-new", "new sandbox", "/dashboard/invoices"),
    Shown("sandbox-invoices-none", "sandbox", "/dashboard/invoices?text=nothing"),
    Shown("sandbox-checkout", "sandbox", "/web/{pending}"),
    Shown("sandbox-checkout-bank", "sandbox", "/web/{pending}?way=BANK_TRANSFER/BCA"),
    Shown("sandbox-checkout-code", "sandbox", "/web/{pending}?way=QR_CODE/QRIS"),
    Shown("sandbox-checkout-shop", "sandbox", "/web/{pending}?way=RETAIL_OUTLET/ALFAMART"),
    Shown("sandbox-checkout-paid", "sandbox", "/web/{paid}"),
    Shown("sandbox-checkout-expired", "sandbox", "/web/{expired}"),
    Shown("sandbox-session", "sandbox", "/web/{session}"),
    Shown("sandbox-approval", "sandbox", "/web/{charge}"),
    Shown("sandbox-approved", "sandbox", "/web/{approved}"),
    Shown("sandbox-declined", "sandbox", "/web/{declined}"),
    Shown("sandbox-webhooks", "sandbox", "/dashboard/webhooks"),
    Shown(
        "sandbox-webhooks-filtered",
        "sandbox",
        "/dashboard/webhooks?status=Failed&status=Timeout&product=Invoice",
    ),
    Shown("sandbox-webhooks-new", "new sandbox", "/dashboard/webhooks"),
    Shown("sandbox-webhook-completed", "sandbox", "/dashboard/webhooks/{completed}"),
    Shown("sandbox-webhook-retried", "sandbox", "/dashboard/webhooks/{retried}"),
    Shown("sandbox-webhook-late", "sandbox", "/dashboard/webhooks/{late}"),
    Shown("sandbox-webhook-kept", "sandbox", "/dashboard/webhooks/{kept}"),
    Shown("sandbox-webhook-failed", "sandbox", "/dashboard/webhooks/{failed}"),
    Shown("sandbox-resend", "sandbox", "/dashboard/webhooks/resend?status=Completed"),
    Shown("sandbox-events", "sandbox", "/dashboard/events"),
    Shown("sandbox-event", "sandbox", "/dashboard/events/invoice.paid"),
    Shown("sandbox-event-sent", "sandbox", "/dashboard/events/invoice.paid?sent={completed}"),
    Shown("sandbox-settings", "sandbox", "/dashboard/settings"),
    Shown("sandbox-settings-live", "sandbox", "/dashboard/settings?mode=live"),
    Shown("sandbox-compare-new", "new sandbox", "/dashboard/compare"),
    Shown("sandbox-compare", "sandbox", "/dashboard/compare"),
    Shown("sandbox-missing", "sandbox", "/dashboard/nothing", 404),
)
