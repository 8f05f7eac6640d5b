"""Applications, endpoints and event types, and the routes that accepting needs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import msgspec

from ringback import ids, operational
from ringback.errors import Conflict, EventTypeExists, NotFound
from ringback.model import Application, Endpoint, EventType, Instant
from ringback.operational import Event, Owner
from ringback.store import EVERY_APPLICATION, ApplicationFilter, Idempotency, Page
from ringback.store.sql.records import (
    ENDPOINT_COLUMNS,
    application_of,
    endpoint_of,
    endpoint_record,
    event_type_of,
    sealed_options,
    sealed_secrets,
)
from ringback.store.sql.routes import Route, Routes
from ringback.store.sql.tables import Many, Row, Tables
from ringback.vault import NONCE_BYTES

# The ordering key of a delivery that waits for its handler to say which it has. Others begin with "=" or "#".
UNNAMED = ""

_LIVE_ENDPOINTS = (
    f"SELECT e.key, {ENDPOINT_COLUMNS} FROM ringback_endpoint e"
    " WHERE e.application_key = ? AND e.deleted_at IS NULL"
)
_KEEP_RATE = "INSERT INTO ringback_rate SELECT key, ? FROM ringback_application"
_PUT_IN_ORDER = "INSERT INTO ringback_in_order SELECT key FROM ringback_endpoint"
_LEAVE_ORDER = "DELETE FROM ringback_in_order WHERE endpoint_key = ?"
_USES = Many(
    """
    WITH wanted (scope, name) AS ({rows})
    SELECT i.scope, i.name, i.resource_id, i.fingerprint FROM wanted CROSS JOIN ringback_idempotency i
    ON i.scope = wanted.scope AND i.name = wanted.name
    """,
    "tt",
)

_OF_APPLICATION = "SELECT 1 FROM ringback_endpoint e WHERE e.application_key = a.key AND e.deleted_at IS NULL"


class Use(msgspec.Struct, frozen=True):
    """An earlier use of an idempotency key: the id of what it made, and of what request."""

    resource_id: str
    fingerprint: bytes

    def repeated_by(self, idempotency: Idempotency) -> str:
        """Return the id of what was made; raises ``Conflict`` if the request is another."""
        if self.fingerprint != idempotency.fingerprint:
            raise Conflict("this idempotency key was used for a different request; use a new key")
        return self.resource_id


class Catalog(Tables):
    """The verbs about what is delivered, and to whom."""

    @cached_property
    def routes(self) -> Routes:
        """The routes that have been loaded."""
        return Routes()

    def route(self, ref: str) -> Route:
        """Return the route of an application by id or uid; raises ``NotFound``."""
        return self.routes.get(ref) or self.routes.put(ref, self._load_route(ref))

    def _load_route(self, ref: str) -> Route:
        key, application = self._application_row(ref)
        rows = self.rows(f"{_LIVE_ENDPOINTS} ORDER BY e.id", (key,))
        loaded = [(row[0], endpoint_of(row[1:], self._vault)) for row in rows]
        return Route(key, application.id, {endpoint.id: (k, endpoint) for k, endpoint in loaded})

    def known_route(self, ref: str) -> Route | None:
        """Return the route of an application; None where there is none."""
        try:
            return self.route(ref)
        except NotFound:
            return None

    def undone(self) -> None:
        """See ``Tables``."""
        super().undone()
        self.routes.forget()

    def catalog_version(self) -> int:
        """See ``Store``."""
        found = self.row("SELECT version FROM ringback_catalog")
        return int(found[0]) if found else 0

    def bump_catalog(self) -> None:
        """Have every node notice a change to applications or endpoints."""
        self.routes.hold = False
        self.execute("UPDATE ringback_catalog SET version = version + 1")

    # --- Telling the operators ----------------------------------------------------------------------------

    @abstractmethod
    def announce(self, owner_id: str, at: Instant, compose: Callable[[Owner], Iterable[Event]]) -> None:
        """Accept what operators are told of what an application or a source owns, in this very transaction.

        Nothing is composed where no operator has an endpoint, or where the owner is the operators' application.
        """

    def owner(self, owner_id: str) -> Owner:
        """Return an owner of endpoints, whether it is there still or not."""
        found = self.row("SELECT uid FROM ringback_application WHERE id = ?", (owner_id,))
        return Owner(owner_id, found[0] if found else None)

    # --- Adding -------------------------------------------------------------------------------------------

    def add(self, record: Application | Endpoint | EventType, idempotency: Idempotency | None = None) -> str:
        """See ``Store``."""
        name = record.name if isinstance(record, EventType) else record.id
        if idempotency is not None:
            earlier = self.earlier_use(idempotency)
            if earlier is not None and self._is_there(type(record), earlier.resource_id):
                return earlier.repeated_by(idempotency)
            self.remember_use(idempotency, name, record.created_at, earlier)
        if isinstance(record, Application):
            self._add_application(record)
        elif isinstance(record, Endpoint):
            self._add_endpoint(record)
        else:
            self._add_event_type(record)
        return name

    def once(self, idempotency: Idempotency, now: Instant, make: Callable[[], str]) -> str:
        """See ``Store``."""
        earlier = self.earlier_use(idempotency)
        if earlier is not None:
            return earlier.repeated_by(idempotency)
        result = make()
        self.remember_use(idempotency, result, now, None)
        return result

    def _is_there(self, kind: type[Application | Endpoint | EventType], name: str) -> bool:
        if kind is EventType:
            return self.row("SELECT 1 FROM ringback_event_type WHERE name = ?", (name,)) is not None
        table = "ringback_application" if kind is Application else "ringback_endpoint"
        return self.row(f"SELECT 1 FROM {table} WHERE id = ? AND deleted_at IS NULL", (name,)) is not None

    @abstractmethod
    def remember_uses(self, new: Sequence[Row], renewed: Sequence[Row]) -> None:
        """Keep what idempotency keys made: scope, key, fingerprint, the id of what was made, and when.

        The *new* ones had not been used; the *renewed* had, for what has been removed since.
        """

    def earlier_use(self, idempotency: Idempotency) -> Use | None:
        """Return what an idempotency key was used for before; what it made may have been removed since."""
        return self.earlier_uses([idempotency]).get((idempotency.scope, idempotency.key))

    def earlier_uses(self, wanted: Sequence[Idempotency]) -> dict[tuple[str, str], Use]:
        """Return what idempotency keys were used for before, by scope and key."""
        found = self.rows_for(_USES, [(one.scope, one.key) for one in wanted]) if wanted else []
        return {(scope, key): Use(resource_id, fingerprint) for scope, key, resource_id, fingerprint in found}

    def remember_use(
        self, idempotency: Idempotency, resource_id: str, now: Instant, earlier: Use | None
    ) -> None:
        """Keep what an idempotency key made; *earlier* is the use of it that is forgotten."""
        use = (idempotency.scope, idempotency.key, idempotency.fingerprint, resource_id, now)
        self.remember_uses([use] if earlier is None else [], [] if earlier is None else [use])

    def _add_application(self, record: Application) -> None:
        self._check_application_uid(record)
        self.execute(
            "INSERT INTO ringback_application (id, uid, record) VALUES (?, ?, ?)",
            (record.id, record.uid, msgspec.json.encode(record)),
        )
        if record.throttle_rate is not None:
            self.execute(f"{_KEEP_RATE} WHERE id = ?", (record.throttle_rate, record.id))
        self.bump_catalog()

    def _add_endpoint(self, record: Endpoint) -> None:
        key, _ = self._application_row(record.application_id)
        self._check_endpoint_uid(key, record)
        self.execute(
            "INSERT INTO ringback_endpoint (id, application_key, handler,"
            " uid, state, disabled_reason, failing_since, secrets, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (record.id, key, *self._endpoint_values(record)),
        )
        self._keep_options(record)
        if record.in_order:
            self.execute(f"{_PUT_IN_ORDER} WHERE id = ?", (record.id,))
        self.bump_catalog()
        self.announce(
            record.application_id, record.created_at, lambda owner: [operational.created(owner, record)]
        )

    def _add_event_type(self, record: EventType) -> None:
        if self.row("SELECT 1 FROM ringback_event_type WHERE name = ?", (record.name,)):
            raise EventTypeExists(f"there is an event type called {record.name}")
        self.execute(
            "INSERT INTO ringback_event_type VALUES (?, ?, ?)",
            (record.name, int(record.archived), msgspec.json.encode(record)),
        )

    # --- Changing and removing ----------------------------------------------------------------------------

    def change_application(self, ref: str, change: Callable[[Application], Application]) -> Application:
        """See ``Store``."""
        self.hold("ringback_application", *_application_at(ref))
        key, old = self._published_row(ref)
        new = change(old)
        if new.uid != old.uid:
            self._check_application_uid(new)
        self.execute(
            "UPDATE ringback_application SET uid = ?, record = ? WHERE key = ?",
            (new.uid, msgspec.json.encode(new), key),
        )
        if new.throttle_rate != old.throttle_rate:
            self.execute("DELETE FROM ringback_rate WHERE application_key = ?", (key,))
            if new.throttle_rate is not None:
                self.execute(f"{_KEEP_RATE} WHERE key = ?", (new.throttle_rate, key))
        self.bump_catalog()
        return new

    def change_endpoint(
        self, application_id: str, ref: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        """See ``Store``."""
        self.hold("ringback_endpoint", *_endpoint_at(self._application_row(application_id)[0], ref))
        key, application_key, old = self._endpoint_row(application_id, ref)
        new = change(old)
        if new.uid != old.uid:
            self._check_endpoint_uid(application_key, new)
        self.execute(
            "UPDATE ringback_endpoint SET handler = ?, uid = ?, state = ?, disabled_reason = ?, failing_since = ?,"
            " secrets = ?, record = ? WHERE key = ?",
            (*self._endpoint_values(new), key),
        )
        options = (old.credentials, old.transformation, new.credentials, new.transformation)
        if any(option is not None for option in options):
            # Sealed anew even if unchanged, as the secrets are: the main key may be another by now.
            self.execute("DELETE FROM ringback_endpoint_option WHERE endpoint_key = ?", (key,))
            self._keep_options(new)
        if new.in_order != old.in_order:
            self.execute(f"{_PUT_IN_ORDER} WHERE key = ?" if new.in_order else _LEAVE_ORDER, (key,))
        if new.ordered and not old.ordered:
            unfinished = self.dialect.unfinished.replace("e.key", "?")
            self.execute(
                "UPDATE ringback_delivery SET ordering_key = ? WHERE endpoint_key = ? AND due_at IS NOT NULL"
                f" AND ordering_key IS NULL AND message_key IN (SELECT message_key FROM {unfinished})"
                # What is to be delivered later joins the order when its time has come.
                " AND NOT (due_at > ? AND state = 'waiting' AND attempts = 0 AND reason IS NULL)",
                (UNNAMED, key, key, new.updated_at),
            )
        self.bump_catalog()
        self.announce(old.application_id, new.updated_at, lambda owner: operational.changed(owner, old, new))
        return new

    def change_event_type(self, name: str, change: Callable[[EventType], EventType]) -> EventType:
        """See ``Store``."""
        self.hold("ringback_event_type", "name = ?", (name,))
        new = change(self.event_type(name))
        self.execute(
            "UPDATE ringback_event_type SET archived = ?, record = ? WHERE name = ?",
            (int(new.archived), msgspec.json.encode(new), name),
        )
        return new

    def remove_application(self, ref: str, now: Instant) -> None:
        """See ``Store``."""
        key, application = self._published_row(ref)
        self.execute("DELETE FROM ringback_token WHERE application_id = ?", (application.id,))
        self.retire(key, now)

    def retire(self, key: int, now: Instant) -> None:
        """Delete the application row *key*, also that of a source, with its endpoints."""
        self._announce_end(key, now)
        self.execute("UPDATE ringback_application SET deleted_at = ?, uid = NULL WHERE key = ?", (now, key))
        self.execute(
            "DELETE FROM ringback_endpoint_option WHERE endpoint_key IN"
            " (SELECT key FROM ringback_endpoint WHERE application_key = ? AND deleted_at IS NULL)",
            (key,),
        )
        self.execute(
            "UPDATE ringback_endpoint SET deleted_at = ?, uid = NULL WHERE application_key = ? AND deleted_at IS NULL",
            (now, key),
        )
        self.bump_catalog()

    def _announce_end(self, key: int, now: Instant) -> None:
        found = self.row("SELECT id FROM ringback_application WHERE key = ?", (key,))

        def compose(owner: Owner) -> Iterable[Event]:
            rows = self.rows(f"{_LIVE_ENDPOINTS} ORDER BY e.id", (key,))
            return [operational.deleted(owner, endpoint_of(row[1:], self._vault)) for row in rows]

        if found is not None:
            self.announce(found[0], now, compose)

    def remove_endpoint(self, application_id: str, ref: str, now: Instant) -> None:
        """See ``Store``."""
        key, _, old = self._endpoint_row(application_id, ref)
        self.execute("DELETE FROM ringback_endpoint_option WHERE endpoint_key = ?", (key,))
        self.execute("UPDATE ringback_endpoint SET deleted_at = ?, uid = NULL WHERE key = ?", (now, key))
        self.bump_catalog()
        self.announce(old.application_id, now, lambda owner: [operational.deleted(owner, old)])

    def remove_event_type(self, name: str) -> None:
        """See ``Store``."""
        self.execute("DELETE FROM ringback_event_type WHERE name = ?", (name,))
        if not self.changes():
            raise NotFound

    # --- Looking ------------------------------------------------------------------------------------------

    def application(self, ref: str) -> Application:
        """See ``Store``."""
        return self._application_row(ref)[1]

    def applications(self, page: Page, where: ApplicationFilter = EVERY_APPLICATION) -> list[Application]:
        """See ``Store``."""
        # A source has a row of its own here, which owns its endpoints and messages.
        first = f"{ids.APPLICATION}_"
        query = "SELECT record FROM ringback_application a WHERE deleted_at IS NULL AND id > ? AND id < ?"
        if where.with_endpoints:
            query += f" AND EXISTS ({_OF_APPLICATION})"
        if where.without_idle:
            query += f" AND (NOT EXISTS ({_OF_APPLICATION}) OR EXISTS ({_OF_APPLICATION} AND e.state <> 'disabled'))"
        found = self.page(query, [first, first[:-1] + chr(ord(first[-1]) + 1)], "id", page)
        return [application_of(row[0]) for row in found]

    def endpoint(self, application_id: str, ref: str) -> Endpoint:
        """See ``Store``."""
        return self._endpoint_row(application_id, ref)[2]

    def endpoints(self, application_id: str, page: Page) -> list[Endpoint]:
        """See ``Store``."""
        key, _ = self._application_row(application_id)
        query = (
            f"SELECT {ENDPOINT_COLUMNS} FROM ringback_endpoint e"
            " WHERE e.application_key = ? AND e.deleted_at IS NULL AND e.id < ?"
        )
        # Pollers, which have addresses of their own in the API, come after all others.
        values = [key, f"{ids.POLLER}_"]
        return [endpoint_of(row, self._vault) for row in self.page(query, values, "e.id", page)]

    def endpoints_with_options(self, page: Page) -> list[Endpoint]:
        """See ``Store``."""
        query = (
            f"SELECT {ENDPOINT_COLUMNS} FROM ringback_endpoint e WHERE e.deleted_at IS NULL"
            " AND e.key IN (SELECT endpoint_key FROM ringback_endpoint_option)"
        )
        return [endpoint_of(row, self._vault) for row in self.page(query, [], "e.id", page)]

    def event_type(self, name: str) -> EventType:
        """See ``Store``."""
        found = self.row("SELECT record FROM ringback_event_type WHERE name = ?", (name,))
        if found is None:
            raise NotFound
        return event_type_of(found[0])

    def event_types(self, page: Page, *, archived: bool) -> list[EventType]:
        """See ``Store``."""
        found = self.page(
            "SELECT record FROM ringback_event_type WHERE archived <= ?", [int(archived)], "name", page
        )
        return [event_type_of(row[0]) for row in found]

    def refresh(self, endpoint_ids: Sequence[str]) -> dict[str, Endpoint | None]:
        """See ``Store``."""
        found: dict[str, Endpoint | None] = dict.fromkeys(endpoint_ids)
        for endpoint_id in endpoint_ids:
            row = self.row(
                f"SELECT {ENDPOINT_COLUMNS} FROM ringback_endpoint e WHERE e.id = ? AND e.deleted_at IS NULL",
                (endpoint_id,),
            )
            if row is not None:
                found[endpoint_id] = endpoint_of(row, self._vault)
        return found

    def page(self, query: str, values: list[Any], order: str, page: Page, *, offset: int = 0) -> list[Row]:
        """Return one page of a query whose rows are ordered by the column *order*, in the list's order."""
        downwards = page.descending != page.backwards
        if page.cursor is not None:
            query += f" AND {order} {'<' if downwards else '>'} ?"
            values = [*values, page.cursor]
        if page.end is not None:
            query += f" AND {order} {'>=' if downwards else '<='} ?"
            values = [*values, page.end]
        found = self.rows(
            f"{query} ORDER BY {order} {'DESC' if downwards else 'ASC'} LIMIT ? OFFSET ?",
            [*values, page.limit, offset],
        )
        return found[::-1] if page.backwards else found

    def rates(self) -> dict[str, int]:
        """See ``Store``."""
        return dict(
            self.rows(
                "SELECT a.id, r.rate FROM ringback_rate r CROSS JOIN ringback_application a"
                " ON a.key = r.application_key AND a.deleted_at IS NULL"
            )
        )

    # --- Rows ---------------------------------------------------------------------------------------------

    def _application_row(self, ref: str) -> tuple[int, Application]:
        condition, values = _application_at(ref)
        found = self.row(f"SELECT key, record FROM ringback_application WHERE {condition}", values)
        if found is None:
            raise NotFound(f"there is no application {ref}")
        return found[0], application_of(found[1])

    def _published_row(self, ref: str) -> tuple[int, Application]:
        # A source is changed and removed as one, never only the half of it that is an application; and the operators'
        # application stays as it is.
        if ids.is_id(ids.SOURCE, ref) or ref == ids.OPERATOR:
            raise NotFound(f"there is no application {ref}")
        return self._application_row(ref)

    def _endpoint_row(self, application_id: str, ref: str) -> tuple[int, int, Endpoint]:
        application_key, _ = self._application_row(application_id)
        condition, values = _endpoint_at(application_key, ref)
        found = self.row(
            f"SELECT e.key, {ENDPOINT_COLUMNS} FROM ringback_endpoint e WHERE {condition}", values
        )
        if found is None:
            raise NotFound(f"there is no endpoint {ref}")
        return found[0], application_key, endpoint_of(found[1:], self._vault)

    def _endpoint_values(self, record: Endpoint) -> tuple[Any, ...]:
        sealed = sealed_secrets(record, self._vault, self._entropy(NONCE_BYTES))
        return (
            record.handler,
            record.uid,
            record.state.value,
            record.disabled_reason,
            record.failing_since,
            sealed,
            endpoint_record(record),
        )

    def _keep_options(self, record: Endpoint) -> None:
        sealed = sealed_options(record, self._vault, self._entropy)
        if sealed is not None:
            self.execute(
                "INSERT INTO ringback_endpoint_option (endpoint_key, sealed)"
                " SELECT key, ? FROM ringback_endpoint WHERE id = ?",
                (sealed, record.id),
            )

    def _check_application_uid(self, record: Application) -> None:
        if record.uid is not None and self.row(
            "SELECT 1 FROM ringback_application WHERE uid = ? AND deleted_at IS NULL", (record.uid,)
        ):
            raise Conflict(f"there is an application with the uid {record.uid}")

    def _check_endpoint_uid(self, application_key: int, record: Endpoint) -> None:
        if record.uid is not None and self.row(
            "SELECT 1 FROM ringback_endpoint WHERE application_key = ? AND uid = ? AND deleted_at IS NULL",
            (application_key, record.uid),
        ):
            raise Conflict(f"there is an endpoint with the uid {record.uid}")


def _application_at(ref: str) -> tuple[str, tuple[Any, ...]]:
    is_id = ref.startswith("app_") or ids.is_id(ids.SOURCE, ref) or ref == ids.OPERATOR
    return f"{'id' if is_id else 'uid'} = ? AND deleted_at IS NULL", (ref,)


def _endpoint_at(application_key: int, ref: str) -> tuple[str, tuple[Any, ...]]:
    column = "id" if ref.startswith("ep_") else "uid"
    return f"{column} = ? AND application_key = ? AND deleted_at IS NULL", (ref, application_key)
