"""What people and programs do that others may ask about later: told in one way, by pages and API alike."""

from __future__ import annotations

from ringback import ids
from ringback.api_keys import Caller
from ringback.model import Endpoint
from ringback.observe import Audited, Deed, Observer


class Audit:
    """Tells of what was done, and by whom.

    Args:
        observer: Is told.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def of_secret(self, caller: Caller, deed: Deed, endpoint: Endpoint) -> None:
        """Tell what was done with what an endpoint's messages are signed with, or its requests show."""
        self._tell(caller, deed, application_id=endpoint.application_id, endpoint_id=endpoint.id)

    def of_forward(self, caller: Caller, deed: Deed, endpoint: Endpoint) -> None:
        """Tell where somebody had a source's messages forwarded; nothing of other endpoints."""
        if ids.is_id(ids.SOURCE, endpoint.application_id):
            self._tell(caller, deed, application_id=endpoint.application_id, endpoint_id=endpoint.id)

    def of_key(self, caller: Caller, deed: Deed, token_id: str, application_id: str | None = None) -> None:
        """Tell what was done with an API key, that is perhaps for one application."""
        self._tell(caller, deed, application_id=application_id, token_id=token_id)

    def of_portal(self, caller: Caller, application_id: str) -> None:
        """Tell that a way into an application's portal was made."""
        self._tell(caller, Deed.PORTAL_LINK_MADE, application_id=application_id)

    def of_portal_end(self, caller: Caller, application_id: str, token_id: str | None = None) -> None:
        """Tell that what let people into an application's portal was ended: *token_id*, and what goes by its name."""
        self._tell(caller, Deed.PORTAL_ENDED, application_id=application_id, token_id=token_id)

    def _tell(self, caller: Caller, deed: Deed, **about: str | None) -> None:
        self._observer.emit(Audited(deed=deed, who=caller.who, session_id=caller.visit, **about))
