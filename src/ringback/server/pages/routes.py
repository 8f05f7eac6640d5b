"""The table of pages: which answers at which address, and what it asks of whoever comes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.access import Need, Place, Right
from ringback.server.pages.applications import Applications
from ringback.server.pages.behind import Behind
from ringback.server.pages.comparison import Comparison
from ringback.server.pages.dead_letters import DeadLetters
from ringback.server.pages.endpoint_credentials import EndpointCredentials
from ringback.server.pages.endpoint_secrets import EndpointSecrets
from ringback.server.pages.endpoint_settings import EndpointSettings
from ringback.server.pages.endpoint_transformation import EndpointTransformation
from ringback.server.pages.endpoints import Endpoints
from ringback.server.pages.event_types import EventTypePages
from ringback.server.pages.files import Files
from ringback.server.pages.keys import KeyPages
from ringback.server.pages.message import MessagePages
from ringback.server.pages.messages import Messages
from ringback.server.pages.overview import Overview
from ringback.server.pages.own_settings import SettingsPage
from ringback.server.pages.page import PORTAL, Action
from ringback.server.pages.portal import Portal, own
from ringback.server.pages.portal_links import PortalLinks
from ringback.server.pages.portal_sessions import PortalSessions
from ringback.server.pages.remedies import Remedies
from ringback.server.pages.replays import ReplayPages
from ringback.server.pages.signing_in import SigningIn
from ringback.server.pages.source_settings import SourceSettings
from ringback.server.pages.sources import SourcePages
from ringback.server.pages.stream import Streams
from ringback.server.pages.watch import Watch

LOOK = Need(Right.READ, Place.ORGANISATION)
OPERATE = Need(Right.OPERATE, Place.ORGANISATION)
# Whoever has a session, for whichever place.
ANYBODY = Need(None, Place.SHARED)
OPEN = None


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What the pages about endpoints and messages ask for, which operators and an application's own people share."""

    look: Need
    manage: Need
    transform: Need
    send: Need
    redeliver: Need
    see_secrets: Need
    rotate_secrets: Need


OPERATORS = Needs(
    look=LOOK,
    manage=OPERATE,
    transform=OPERATE,
    send=OPERATE,
    redeliver=Need(Right.REDELIVER, Place.ORGANISATION),
    see_secrets=Need(Right.SEE_SECRETS, Place.ORGANISATION),
    rotate_secrets=Need(Right.ROTATE_SECRETS, Place.ORGANISATION),
)
OWNERS = Needs(
    look=Need(Right.READ, Place.APPLICATION),
    manage=Need(Right.MANAGE_ENDPOINTS, Place.APPLICATION),
    transform=Need(Right.TRANSFORM, Place.APPLICATION),
    send=Need(Right.REDELIVER, Place.APPLICATION),
    redeliver=Need(Right.REDELIVER, Place.APPLICATION),
    see_secrets=Need(Right.SEE_SECRETS, Place.APPLICATION),
    rotate_secrets=Need(Right.ROTATE_SECRETS, Place.APPLICATION),
)


class Entry(msgspec.Struct, frozen=True):
    """One method of one address, relative to the first page; without a *need* it asks for no session."""

    method: str
    template: str
    action: Action
    need: Need | None

    def match(self, parts: Sequence[str]) -> dict[str, str] | None:
        """Return what stands for the parts in braces; None for another address."""
        wanted = self.template.split("/")
        if len(wanted) != len(parts):
            return None
        named = {}
        for want, part in zip(wanted, parts, strict=True):
            if want.startswith("{") and part:
                named[want[1:-1]] = part
            elif want != part:
                return None
        return named


def entries(behind: Behind) -> tuple[Entry, ...]:
    """Return the table."""
    return (
        *_everybody(behind),
        *_operators(behind),
        *_operated_messages(behind),
        *_applications(behind),
        *_endpoints(behind, "applications/{app}", OPERATORS),
        *_replays(behind, "replays", OPERATORS),
        *_sources(behind),
        *_organisation(behind),
        *_portal(behind),
    )


def _everybody(behind: Behind) -> tuple[Entry, ...]:
    files, signing_in, streams = Files(), SigningIn(behind), Streams(behind)
    return (
        Entry("GET", "assets/{name}", files.show, OPEN),
        Entry("GET", "login", signing_in.show, OPEN),
        Entry("POST", "login", signing_in.begin, OPEN),
        Entry("GET", "login/kept", signing_in.kept, OPEN),
        Entry("POST", "logout", signing_in.end, ANYBODY),
        Entry("GET", "look", signing_in.choices, ANYBODY),
        Entry("POST", "look", signing_in.choose, ANYBODY),
        Entry("GET", "live", streams.open, ANYBODY),
    )


def _operators(behind: Behind) -> tuple[Entry, ...]:
    watch = Watch(behind)
    return (
        Entry("GET", "", Overview(behind).show, LOOK),
        Entry("GET", "watch", watch.show, LOOK),
        Entry("POST", "watch/{app}/{msg}/resend", watch.resend, OPERATORS.redeliver),
        Entry("GET", "messages", Messages(behind).show, LOOK),
    )


def _messages(behind: Behind, one: str, needs: Needs) -> tuple[Entry, ...]:
    """Return what there is about *one* message, for whoever has these *needs* met."""
    message, comparison = MessagePages(behind), Comparison(behind)
    return (
        Entry("GET", one, message.show, needs.look),
        Entry("GET", f"{one}/payload", message.payload, needs.look),
        Entry("GET", f"{one}/attempts/{{att}}/answer", message.answer, needs.look),
        Entry("GET", f"{one}/compare", comparison.show, needs.look),
        Entry("POST", f"{one}/resend", message.resend, needs.redeliver),
    )


def _operated_messages(behind: Behind) -> tuple[Entry, ...]:
    message, one = MessagePages(behind), "messages/{app}/{msg}"
    return (
        *_messages(behind, one, OPERATORS),
        Entry("POST", f"{one}/cancel", message.cancel, OPERATE),
        Entry("GET", f"{one}/forget", message.ask_to_forget, OPERATE),
        Entry("POST", f"{one}/forget", message.forget, OPERATE),
    )


def _applications(behind: Behind) -> tuple[Entry, ...]:
    applications, links, sessions = Applications(behind), PortalLinks(behind), PortalSessions(behind)
    one = "applications/{app}"
    return (
        Entry("GET", "applications", applications.show_all, LOOK),
        Entry("GET", "applications/new", applications.draft, OPERATE),
        Entry("POST", "applications/new", applications.create, OPERATE),
        Entry("GET", one, applications.show, LOOK),
        Entry("GET", f"{one}/edit", applications.edit, OPERATE),
        Entry("POST", f"{one}/edit", applications.change, OPERATE),
        Entry("GET", f"{one}/portal", links.ask, OPERATE),
        Entry("POST", f"{one}/portal", links.make, OPERATE),
        Entry("GET", f"{one}/sessions", sessions.show_all, OPERATE),
        Entry("POST", f"{one}/sessions/end", sessions.end_all, OPERATE),
        Entry("POST", f"{one}/sessions/{{token}}/end", sessions.end, OPERATE),
        Entry("POST", f"{one}/delete", applications.remove, OPERATE),
    )


def _endpoints(behind: Behind, above: str, needs: Needs) -> tuple[Entry, ...]:
    """Return what there is about endpoints, of the application whose page is *above*."""
    endpoints, settings, secrets = Endpoints(behind), EndpointSettings(behind), EndpointSecrets(behind)
    portal, replays, remedies = Portal(behind), ReplayPages(behind), Remedies(behind)
    credentials, transformation = EndpointCredentials(behind), EndpointTransformation(behind)
    new, one = f"{above}/endpoints/new", f"{above}/endpoints/{{ep}}"
    return (
        Entry("GET", new, settings.draft, needs.manage),
        Entry("POST", new, settings.create, needs.manage),
        Entry("GET", one, endpoints.show, needs.look),
        Entry("GET", f"{one}/attempts", endpoints.attempts, needs.look),
        Entry("GET", f"{one}/messages", endpoints.messages, needs.look),
        Entry("GET", f"{one}/start", portal.start, needs.look),
        Entry("POST", f"{one}/probe", portal.probe, needs.send),
        Entry("POST", f"{one}/example", endpoints.send_example, needs.send),
        Entry("GET", f"{one}/replay", replays.ask, needs.redeliver),
        Entry("POST", f"{one}/replay", replays.begin, needs.redeliver),
        Entry("POST", f"{one}/state", endpoints.move, needs.manage),
        Entry("POST", f"{one}/canary", remedies.send_canary, needs.redeliver),
        Entry("POST", f"{one}/rate", remedies.set_rate, needs.manage),
        Entry("POST", f"{one}/delete", endpoints.remove, needs.manage),
        Entry("GET", f"{one}/edit", settings.edit, needs.manage),
        Entry("POST", f"{one}/edit", settings.change, needs.manage),
        Entry("GET", f"{one}/credentials", credentials.show, needs.manage),
        Entry("POST", f"{one}/credentials", credentials.change, needs.manage),
        Entry("POST", f"{one}/credentials/remove", credentials.remove, needs.manage),
        Entry("GET", f"{one}/transformation", transformation.show, needs.transform),
        Entry("POST", f"{one}/transformation", transformation.change, needs.transform),
        Entry("GET", f"{one}/secret", secrets.ask, needs.see_secrets),
        Entry("POST", f"{one}/secret", secrets.rotate, needs.rotate_secrets),
        Entry("POST", f"{one}/secret/show", secrets.show, needs.see_secrets),
    )


def _replays(behind: Behind, all_of_them: str, needs: Needs) -> tuple[Entry, ...]:
    replays, one = ReplayPages(behind), f"{all_of_them}/{{task}}"
    return (
        Entry("GET", all_of_them, replays.show_all, needs.look),
        Entry("GET", one, replays.show, needs.look),
        Entry("POST", one, replays.turn, needs.redeliver),
    )


def _sources(behind: Behind) -> tuple[Entry, ...]:
    sources, settings, letters = SourcePages(behind), SourceSettings(behind), DeadLetters(behind)
    forwards, one = EndpointSettings(behind), "sources/{source}"
    return (
        Entry("GET", "sources", sources.show_all, LOOK),
        Entry("GET", "sources/new", settings.draft, OPERATE),
        Entry("POST", "sources/new", settings.create, OPERATE),
        Entry("GET", one, sources.show, LOOK),
        Entry("GET", f"{one}/edit", settings.edit, OPERATE),
        Entry("POST", f"{one}/edit", settings.change, OPERATE),
        Entry("GET", f"{one}/address", settings.ask_for_address, OPERATE),
        Entry("POST", f"{one}/address", settings.rotate, OPERATE),
        Entry("GET", f"{one}/endpoints/new", forwards.draft, OPERATE),
        Entry("POST", f"{one}/endpoints/new", forwards.create, OPERATE),
        Entry("POST", f"{one}/delete", sources.remove, OPERATE),
        Entry("GET", "dead-letters", letters.show_all, LOOK),
        Entry("POST", "dead-letters/replay", letters.replay_all, OPERATE),
        Entry("GET", f"{one}/dead", letters.show_all, LOOK),
        Entry("POST", f"{one}/dead/replay", letters.replay_all, OPERATE),
        Entry("GET", f"{one}/{{kind}}", sources.listed, LOOK),
        Entry("POST", f"{one}/{{kind}}/replay", sources.replay, OPERATE),
    )


def _event_types(behind: Behind, all_of_them: str, look: Need) -> tuple[Entry, ...]:
    kinds, one = EventTypePages(behind), f"{all_of_them}/{{name}}"
    return (
        Entry("GET", all_of_them, kinds.show_all, look),
        Entry("GET", one, kinds.show, look),
        Entry("GET", f"{one}/schema", kinds.schema, look),
    )


def _organisation(behind: Behind) -> tuple[Entry, ...]:
    kinds, keys = EventTypePages(behind), KeyPages(behind)
    one = "event-types/{name}"
    return (
        Entry("GET", "event-types/new", kinds.draft, OPERATE),
        *_event_types(behind, "event-types", LOOK),
        Entry("POST", "event-types/new", kinds.create, OPERATE),
        Entry("GET", f"{one}/edit", kinds.edit, OPERATE),
        Entry("POST", f"{one}/edit", kinds.change, OPERATE),
        Entry("POST", f"{one}/archive", kinds.archive, OPERATE),
        Entry("GET", "keys", keys.show_all, OPERATE),
        Entry("POST", "keys", keys.create, OPERATE),
        Entry("POST", "keys/{token}/revoke", keys.revoke, OPERATE),
        Entry("GET", "settings", SettingsPage(behind).show, OPERATE),
    )


def _portal(behind: Behind) -> tuple[Entry, ...]:
    portal, signing_in, streams = Portal(behind), SigningIn(behind), Streams(behind)
    return (
        Entry("GET", f"{PORTAL}/enter", signing_in.enter, OPEN),
        Entry("POST", f"{PORTAL}/enter", signing_in.begin_in_portal, OPEN),
        Entry("GET", f"{PORTAL}/style", portal.style, OPEN),
        Entry("GET", f"{PORTAL}/logo", portal.logo, OPEN),
        Entry("GET", f"{PORTAL}/kept", signing_in.kept, OPEN),
        Entry("POST", f"{PORTAL}/logout", signing_in.end, ANYBODY),
        Entry("GET", f"{PORTAL}/look", signing_in.choices, ANYBODY),
        Entry("POST", f"{PORTAL}/look", signing_in.choose, ANYBODY),
        Entry("GET", f"{PORTAL}/live", streams.open, ANYBODY),
        *(
            msgspec.structs.replace(entry, action=own(entry.action))
            for entry in (
                Entry("GET", PORTAL, portal.show, OWNERS.look),
                Entry("GET", f"{PORTAL}/messages", Messages(behind).show, OWNERS.look),
                *_event_types(behind, f"{PORTAL}/event-types", OWNERS.look),
                *_messages(behind, f"{PORTAL}/messages/{{msg}}", OWNERS),
                *_endpoints(behind, PORTAL, OWNERS),
                *_replays(behind, f"{PORTAL}/replays", OWNERS),
            )
        ),
    )
