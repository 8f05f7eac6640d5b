"""Pages about API keys: who has one, what it is for, when it was last used."""

from __future__ import annotations

from ringback.access import Scope
from ringback.api_keys import ApiKeyDraft
from ringback.errors import NotFound, RingbackError
from ringback.observe import Deed
from ringback.server.pages.behind import Behind
from ringback.server.pages.confirming import Question, confirm
from ringback.server.pages.forms import REFUSED, faults, moment, status_of
from ringback.server.pages.page import Page, Said, Visit, see, segment
from ringback.server.pages.rendering import page
from ringback.server.pages.slices import Slice, part, sliced
from ringback.store import Token

PLACE = "keys"
# What a key may be for, as a form offers it, by what that means.
OFFERED = {
    Scope.ADMIN: "Everything",
    Scope.PUBLISH: "Publishing messages",
    Scope.READ: "Reading everything but secrets",
}
FIELDS = ("name", "application", "until")


class KeyPages:
    """The API keys.

    Args:
        behind: What is asked.
    """

    def __init__(self, behind: Behind) -> None:
        self._behind = behind

    async def show_all(self, visit: Visit) -> Page:
        """Show all, newest first."""
        return await self._listed(visit)

    async def create(self, visit: Visit) -> Page:
        """Make one; its text is shown this once."""
        form = visit.form
        try:
            scope = form.get("scope")
            draft = ApiKeyDraft(
                name=form.get("name"),
                scopes=(Scope(scope),) if scope in set(OFFERED) else (),
                application=form.get("application") or None,
                expires_at=moment("expiresAt", form.get("until")),
            )
            token, text = await self._behind.keys.create(draft)
        except (*REFUSED, NotFound) as error:
            return await self._listed(visit, error)
        self._behind.audit.of_key(visit.who.caller, Deed.KEY_MADE, token.id, token.application_id)
        return page(visit, "key_made.html", {"place": PLACE, "token": token, "text": text})

    async def revoke(self, visit: Visit) -> Page:
        """Revoke one, when that is confirmed."""
        token_id = visit.parts["token"]
        if visit.form.ticked("sure"):
            await self._behind.keys.remove(token_id)
            self._behind.audit.of_key(visit.who.caller, Deed.KEY_REVOKED, token_id)
            return see(visit, PLACE, Said("The key is revoked. It stops working within five seconds."))
        return confirm(
            visit,
            Question(
                title="Revoke the key",
                question=f"Revoke {visit.form.get('name') or token_id}?",
                points=("Whoever uses it is refused from then on.", "Sessions that began with it end."),
                action=visit.link(f"{PLACE}/{segment(token_id)}/revoke"),
                button="Revoke it",
                back=visit.link(PLACE),
                tone="bad",
                hidden={"sure": "yes"},
            ),
        )

    async def _listed(self, visit: Visit, error: RingbackError | None = None) -> Page:
        asked = part(visit)
        found = await self._behind.keys.read(lambda store: store.tokens(asked))
        rows: Slice[Token] = sliced(visit, found, asked, lambda one: one.id)
        given = {
            "place": PLACE,
            "tokens": rows,
            "offered": [(scope.value, text) for scope, text in OFFERED.items()],
            "meanings": {scope.value: text for scope, text in OFFERED.items()},
            "values": {name: visit.form.typed(name) for name in (*FIELDS, "scope")},
            "faults": {} if error is None else faults(error),
            "now": self._behind.clock(),
        }
        return page(visit, "keys.html", given, status=200 if error is None else status_of(error))
