"""The table of pages: which answers at which address, and what it asks of whoever comes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringback.access import Need, Place, Right
from ringback.server.pages.applications import Applications
from ringback.server.pages.behind import Behind
from ringback.server.pages.comparison import Comparison
from ringback.server.pages.endpoint_secrets import EndpointSecrets
from ringback.server.pages.endpoint_settings import EndpointSettings
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
from ringback.server.pages.replays import ReplayPages
from ringback.server.pages.signing_in import SigningIn
from ringback.server.pages.sources import SourcePages
from ringback.server.pages.stream import Streams
from ringback.server.pages.watch import Watch

LOOK = Need(Right.READ, Place.ORGANISATION)
OPERATE = Need(Right.OPERATE, Place.ORGANISATION)
# Whoever has a session, for whichever place.
ANYBODY = Need(None, Place.SHARED)
SECRETS = Need(Right.SEE_SECRETS, Place.ORGANISATION)
ROTATION = Need(Right.ROTATE_SECRETS, Place.ORGANISATION)
REDELIVERY = Need(Right.REDELIVER, Place.ORGANISATION)
# What an application's own people may do in their portal.
OWN = Need(Right.READ, Place.APPLICATION)
OWN_ENDPOINTS = Need(Right.MANAGE_ENDPOINTS, Place.APPLICATION)
OWN_DELIVERIES = Need(Right.REDELIVER, Place.APPLICATION)
OWN_SECRETS = Need(Right.SEE_SECRETS, Place.APPLICATION)
OWN_ROTATION = Need(Right.ROTATE_SECRETS, Place.APPLICATION)
OPEN = None


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
        *_messages(behind),
        *_applications(behind),
        *_endpoints(behind),
        *_replays(behind),
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
        Entry("POST", "watch/{app}/{msg}/resend", watch.resend, REDELIVERY),
        Entry("GET", "messages", Messages(behind).show, LOOK),
    )


def _messages(behind: Behind) -> tuple[Entry, ...]:
    message, comparison = MessagePages(behind), Comparison(behind)
    one = "messages/{app}/{msg}"
    return (
        Entry("GET", one, message.show, LOOK),
        Entry("GET", f"{one}/payload", message.payload, LOOK),
        Entry("GET", f"{one}/attempts/{{att}}/answer", message.answer, LOOK),
        Entry("GET", f"{one}/compare", comparison.show, LOOK),
        Entry("POST", f"{one}/resend", message.resend, REDELIVERY),
        Entry("POST", f"{one}/cancel", message.cancel, OPERATE),
        Entry("GET", f"{one}/forget", message.ask_to_forget, OPERATE),
        Entry("POST", f"{one}/forget", message.forget, OPERATE),
    )


def _applications(behind: Behind) -> tuple[Entry, ...]:
    applications = Applications(behind)
    one = "applications/{app}"
    return (
        Entry("GET", "applications", applications.show_all, LOOK),
        Entry("GET", "applications/new", applications.draft, OPERATE),
        Entry("POST", "applications/new", applications.create, OPERATE),
        Entry("GET", one, applications.show, LOOK),
        Entry("GET", f"{one}/edit", applications.edit, OPERATE),
        Entry("POST", f"{one}/edit", applications.change, OPERATE),
        Entry("POST", f"{one}/portal", applications.portal, OPERATE),
        Entry("POST", f"{one}/delete", applications.remove, OPERATE),
    )


def _endpoints(behind: Behind) -> tuple[Entry, ...]:
    endpoints, settings, secrets = Endpoints(behind), EndpointSettings(behind), EndpointSecrets(behind)
    portal = Portal(behind)
    one = "applications/{app}/endpoints/{ep}"
    return (
        Entry("GET", "applications/{app}/endpoints/new", settings.draft, OPERATE),
        Entry("POST", "applications/{app}/endpoints/new", settings.create, OPERATE),
        Entry("GET", one, endpoints.show, LOOK),
        Entry("GET", f"{one}/attempts", endpoints.attempts, LOOK),
        Entry("GET", f"{one}/messages", endpoints.messages, LOOK),
        Entry("POST", f"{one}/state", endpoints.move, OPERATE),
        Entry("POST", f"{one}/example", endpoints.send_example, OPERATE),
        Entry("GET", f"{one}/start", portal.start, LOOK),
        Entry("POST", f"{one}/probe", portal.probe, OPERATE),
        Entry("POST", f"{one}/delete", endpoints.remove, OPERATE),
        Entry("GET", f"{one}/edit", settings.edit, OPERATE),
        Entry("POST", f"{one}/edit", settings.change, OPERATE),
        Entry("GET", f"{one}/secret", secrets.ask, SECRETS),
        Entry("POST", f"{one}/secret", secrets.rotate, ROTATION),
        Entry("POST", f"{one}/secret/show", secrets.show, SECRETS),
    )


def _replays(behind: Behind) -> tuple[Entry, ...]:
    replays = ReplayPages(behind)
    endpoint = "applications/{app}/endpoints/{ep}/replay"
    return (
        Entry("GET", endpoint, replays.ask, REDELIVERY),
        Entry("POST", endpoint, replays.begin, REDELIVERY),
        Entry("GET", "replays", replays.show_all, LOOK),
        Entry("GET", "replays/{task}", replays.show, LOOK),
        Entry("POST", "replays/{task}", replays.turn, REDELIVERY),
    )


def _sources(behind: Behind) -> tuple[Entry, ...]:
    sources = SourcePages(behind)
    one = "sources/{source}"
    return (
        Entry("GET", "sources", sources.show_all, LOOK),
        Entry("GET", "sources/new", sources.draft, OPERATE),
        Entry("POST", "sources/new", sources.create, OPERATE),
        Entry("GET", one, sources.show, LOOK),
        Entry("POST", f"{one}/delete", sources.remove, OPERATE),
        Entry("GET", f"{one}/{{kind}}", sources.listed, LOOK),
        Entry("POST", f"{one}/{{kind}}/replay", sources.replay, OPERATE),
    )


def _organisation(behind: Behind) -> tuple[Entry, ...]:
    kinds, keys = EventTypePages(behind), KeyPages(behind)
    one = "event-types/{name}"
    return (
        Entry("GET", "event-types", kinds.show_all, LOOK),
        Entry("GET", "event-types/new", kinds.draft, OPERATE),
        Entry("POST", "event-types/new", kinds.create, OPERATE),
        Entry("GET", one, kinds.show, LOOK),
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
        Entry("GET", PORTAL, own(portal.show), OWN),
        Entry("GET", f"{PORTAL}/messages", own(portal.messages), OWN),
        Entry("GET", f"{PORTAL}/event-types", own(portal.event_types), OWN),
        *_own_endpoints(behind, portal),
        *_own_messages(behind),
    )


def _own_messages(behind: Behind) -> tuple[Entry, ...]:
    message, comparison, replays = MessagePages(behind), Comparison(behind), ReplayPages(behind)
    one, endpoint = f"{PORTAL}/messages/{{msg}}", f"{PORTAL}/endpoints/{{ep}}/replay"
    return (
        Entry("GET", one, own(message.show), OWN),
        Entry("GET", f"{one}/payload", own(message.payload), OWN),
        Entry("GET", f"{one}/attempts/{{att}}/answer", own(message.answer), OWN),
        Entry("GET", f"{one}/compare", own(comparison.show), OWN),
        Entry("POST", f"{one}/resend", own(message.resend), OWN_DELIVERIES),
        Entry("GET", endpoint, own(replays.ask), OWN_DELIVERIES),
        Entry("POST", endpoint, own(replays.begin), OWN_DELIVERIES),
        Entry("GET", f"{PORTAL}/replays", own(replays.show_all), OWN),
        Entry("GET", f"{PORTAL}/replays/{{task}}", own(replays.show), OWN),
        Entry("POST", f"{PORTAL}/replays/{{task}}", own(replays.turn), OWN_DELIVERIES),
    )


def _own_endpoints(behind: Behind, portal: Portal) -> tuple[Entry, ...]:
    endpoints, settings, secrets = Endpoints(behind), EndpointSettings(behind), EndpointSecrets(behind)
    one = f"{PORTAL}/endpoints/{{ep}}"
    return (
        Entry("GET", f"{PORTAL}/endpoints/new", own(settings.draft), OWN_ENDPOINTS),
        Entry("POST", f"{PORTAL}/endpoints/new", own(settings.create), OWN_ENDPOINTS),
        Entry("GET", one, own(endpoints.show), OWN),
        Entry("GET", f"{one}/start", own(portal.start), OWN),
        Entry("GET", f"{one}/attempts", own(endpoints.attempts), OWN),
        Entry("GET", f"{one}/messages", own(endpoints.messages), OWN),
        Entry("POST", f"{one}/probe", own(portal.probe), OWN_DELIVERIES),
        Entry("POST", f"{one}/example", own(endpoints.send_example), OWN_DELIVERIES),
        Entry("POST", f"{one}/state", own(endpoints.move), OWN_ENDPOINTS),
        Entry("POST", f"{one}/delete", own(endpoints.remove), OWN_ENDPOINTS),
        Entry("GET", f"{one}/edit", own(settings.edit), OWN_ENDPOINTS),
        Entry("POST", f"{one}/edit", own(settings.change), OWN_ENDPOINTS),
        Entry("GET", f"{one}/secret", own(secrets.ask), OWN_SECRETS),
        Entry("POST", f"{one}/secret", own(secrets.rotate), OWN_ROTATION),
        Entry("POST", f"{one}/secret/show", own(secrets.show), OWN_SECRETS),
    )
