"""The pages that show what an endpoint's messages are signed with, and make it anew."""

from __future__ import annotations

from ringback.drafts import SecretRotation
from ringback.errors import NotFound
from ringback.model import Application, Endpoint
from ringback.observe import Deed
from ringback.server.pages.behind import Behind
from ringback.server.pages.endpoints import pair_of
from ringback.server.pages.forms import REFUSED, faults, status_of
from ringback.server.pages.page import Page, Said, Visit, see
from ringback.server.pages.rendering import page
from ringback.server.pages.ways import Ways
from ringback.signing.standard import shown_key

# For how long the secret before signs along: what is offered, in seconds.
GRACES = ((0, "Not at all"), (3_600, "1 hour"), (86_400, "1 day"), (604_800, "7 days"))
USUAL_GRACE = 86_400


class EndpointSecrets:
    """An endpoint's secrets. Whoever is shown one is named in the log.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show(self, visit: Visit) -> Page:
        """Show the one that signs now: only on a press of a button, so that no link or prefetch does."""
        application, endpoint = await pair_of(self._behind, visit)
        _check_signed(endpoint)
        self._behind.audit.of_secret(visit.who.caller, Deed.SECRET_SHOWN, endpoint)
        return _page(visit, application, endpoint, secret=shown_key(endpoint.secrets[0].key))

    async def ask(self, visit: Visit) -> Page:
        """Say what there is, and ask for how long the old one is to sign along."""
        application, endpoint = await pair_of(self._behind, visit)
        _check_signed(endpoint)
        return _page(visit, application, endpoint)

    async def rotate(self, visit: Visit) -> Page:
        """Make a new one."""
        application, endpoint = await pair_of(self._behind, visit)
        _check_signed(endpoint)
        grace = visit.form.number("grace")
        rotation = SecretRotation(
            key=visit.form.get("key") or None, grace_period_seconds=USUAL_GRACE if grace is None else grace
        )
        try:
            await self._behind.outbox.rotate_secret(application.id, endpoint.id, rotation)
        except REFUSED as error:
            return _page(visit, application, endpoint, faults=faults(error), status=status_of(error))
        self._behind.audit.of_secret(visit.who.caller, Deed.SECRET_ROTATED, endpoint)
        return see(
            visit,
            f"{Ways(visit).endpoint(endpoint)}/secret",
            Said("There is a new secret. Give it to the receiver."),
        )


def _check_signed(endpoint: Endpoint) -> None:
    if endpoint.handler is not None:
        raise NotFound("this endpoint is a handler, for which nothing is signed")


def _page(
    visit: Visit,
    application: Application,
    endpoint: Endpoint,
    *,
    secret: str = "",
    faults: dict[str, str] | None = None,
    status: int = 200,
) -> Page:
    given = {
        "place": Ways(visit).place_of(application.id),
        "application": application,
        "endpoint": endpoint,
        "secret": secret,
        "graces": [(str(seconds), name) for seconds, name in GRACES],
        "usual": str(USUAL_GRACE),
        "faults": faults or {},
    }
    return page(visit, "endpoint_secret.html", given, status=status)
