"""A Svix server's own PostgreSQL database, read and never written. Source: that server's migrations, up to 2026.

Columns that came later are read where they are there. What was deleted there has a flag, and does not come along.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from ringback import ids
from ringback.errors import ConfigurationError
from ringback.model import (
    Application,
    Endpoint,
    EndpointSecret,
    EndpointState,
    EventType,
    HeaderFamily,
    Message,
)
from ringback.origins import Found, Whole
from ringback.origins.svix_records import (
    found_application,
    found_endpoint,
    found_event_type,
    instant,
    names,
    raw,
)
from ringback.origins.svix_secrets import SvixSecrets
from ringback.secrecy import check_password, masked

PAGE = 500
APPLICATIONS = 100
MESSAGES = 100
TIMEOUT_SECONDS = 10
DISABLED = "manual"

_TABLES = "SELECT to_regclass('application') IS NOT NULL AND to_regclass('eventtype') IS NOT NULL AS there"
_ORGANISATIONS = """
    SELECT org_id, count(*) AS count FROM application WHERE NOT deleted GROUP BY org_id ORDER BY count DESC LIMIT 20
"""
_ANY_ENCRYPTED = """
    SELECT e.key FROM endpoint e JOIN application a ON a.id = e.app_id
    WHERE (a.org_id = %(organisation)s OR a.uid = %(organisation)s) AND NOT e.deleted
    AND length(e.key) > 24 AND get_byte(e.key, 0) >= 128 LIMIT 1
"""
_EVENT_TYPES = """
    SELECT * FROM eventtype WHERE org_id = %(organisation)s AND name COLLATE "C" > %(after)s
    ORDER BY name COLLATE "C" LIMIT %(limit)s
"""
_APPLICATIONS = """
    SELECT a.*, m.data AS metadata FROM application a LEFT JOIN applicationmetadata m ON m.id = a.id
    WHERE a.org_id = %(organisation)s AND NOT a.deleted AND a.id > %(after)s ORDER BY a.id LIMIT %(limit)s
"""
# There is no index of endpoints by their applications, so that each query looks at all endpoints.
_ENDPOINTS = """
    SELECT e.*, m.data AS metadata FROM endpoint e LEFT JOIN endpointmetadata m ON m.id = e.id
    WHERE e.app_id = ANY(%(applications)s) AND NOT e.deleted ORDER BY e.app_id, e.id
"""
# Source: the Svix server. Each organisation is an application of this one, which operational webhooks are sent by.
MANAGEMENT = "org_00000000000SvixManagement00"
_OPERATORS = """
    SELECT e.*, m.data AS metadata FROM application a JOIN endpoint e ON e.app_id = a.id AND NOT e.deleted
    LEFT JOIN endpointmetadata m ON m.id = e.id
    WHERE a.org_id = %(management)s AND a.uid = %(uid)s AND NOT a.deleted ORDER BY e.id
"""
_MESSAGES = """
    SELECT m.id, m.created_at, m.event_type, m.uid, m.channels, c.payload AS content, m.payload AS legacy
    FROM message m LEFT JOIN messagecontent c ON c.id = m.id AND c.expiration > now()
    WHERE m.app_id = %(application)s AND m.id > %(after)s ORDER BY m.id LIMIT %(limit)s
"""


class SvixDatabase:
    """Reads one organisation's records.

    Args:
        dsn: Where the database is, as the server's ``db_dsn``.
        organisation: Whose records.
        secrets: Reads secrets.
        family: The names of signature headers that the receivers are used to.

    Raises:
        ConfigurationError: There is no such database, or it is none of a Svix server.
    """

    def __init__(self, dsn: str, organisation: str, secrets: SvixSecrets, family: HeaderFamily) -> None:
        self._organisation = organisation
        self._secrets = secrets
        self._family = family
        try:
            check_password(dsn)
            self._connection = psycopg.connect(
                dsn, autocommit=True, row_factory=dict_row, connect_timeout=TIMEOUT_SECONDS
            )
        except ValueError as error:
            raise ConfigurationError(f"{masked(dsn)} cannot be read: {error}") from None
        except psycopg.Error as error:
            raise ConfigurationError(f"{masked(dsn)} cannot be read: {_reason(error)}") from None
        self._connection.execute("SET default_transaction_read_only = on")
        info = self._connection.info
        self.name = f"postgresql://{info.host}:{info.port}/{info.dbname}#{organisation}"

    def check(self) -> None:
        """See ``Origin``."""
        if not self._ask(_TABLES)[0]["there"]:
            raise ConfigurationError(
                "there are no tables of a Svix server in this database; is it the right one?"
            )
        others = {row["org_id"]: row["count"] for row in self._ask(_ORGANISATIONS)}
        if others and self._organisation not in others:
            told = ", ".join(f"{name} ({count:,} applications)" for name, count in others.items())
            raise ConfigurationError(
                f"the organisation {self._organisation} has no applications there; choose with --organisation: {told}"
            )
        for row in self._ask(_ANY_ENCRYPTED):
            self._secrets.text(row["key"])

    def event_types(self) -> Iterator[Found[EventType]]:
        """See ``Origin``."""
        after = ""
        while rows := self._ask(_EVENT_TYPES, after=after, limit=PAGE):
            yield from map(_event_type, rows)
            after = rows[-1]["name"]

    def operators(self) -> Iterator[Found[Endpoint]]:
        """See ``Origin``."""
        given = {"management": MANAGEMENT, "uid": self._organisation}
        for row in self._ask(_OPERATORS, **given):
            yield self._found_endpoint(row | {"app_id": ids.OPERATOR, "channels": None})

    def applications(self, after: str | None) -> Iterator[Whole]:
        """See ``Origin``."""
        while rows := self._ask(_APPLICATIONS, after=after or "", limit=APPLICATIONS):
            applications = [_application(row) for row in rows]
            coming = [one.record.id for one in applications if one.obstacle is None]
            owned: dict[str, list[Found[Endpoint]]] = {}
            for row in self._ask(_ENDPOINTS, applications=coming):
                owned.setdefault(row["app_id"], []).append(self._found_endpoint(row))
            for one in applications:
                yield Whole(one, tuple(owned.pop(one.record.id, ())))
            after = rows[-1]["id"]

    def messages(self, application_id: str, after: str) -> Iterator[list[Message]]:
        """See ``Origin``."""
        while rows := self._ask(_MESSAGES, application=application_id, after=after, limit=MESSAGES):
            yield [_message(row, application_id) for row in rows]
            after = rows[-1]["id"]

    def close(self) -> None:
        """See ``Origin``."""
        self._connection.close()

    def _found_endpoint(self, row: dict[str, Any]) -> Found[Endpoint]:
        secrets: tuple[EndpointSecret, ...] = ()
        obstacle = None
        try:
            secrets = self._secrets_of(row)
        except ValueError as error:
            obstacle = str(error)
        left_out = ["its filter of payloads, which has no counterpart"] if row.get("filter") else []
        return found_endpoint(self._endpoint(row, secrets), left_out, obstacle)

    def _endpoint(self, row: dict[str, Any], secrets: tuple[EndpointSecret, ...]) -> Endpoint:
        return Endpoint(
            id=row["id"],
            application_id=row["app_id"],
            url=row["url"],
            uid=row["uid"],
            description=row["description"],
            event_types=names(row["event_types_ids"]),
            channels=names(row["channels"]),
            metadata=row["metadata"] or {},
            headers=row.get("headers") or {},
            throttle_rate=row["rate_limit"] or None,
            header_family=self._family,
            state=EndpointState.DISABLED if row["disabled"] else EndpointState.ENABLED,
            disabled_reason=DISABLED if row["disabled"] else None,
            secrets=secrets,
            created_at=instant(row["created_at"]),
            updated_at=instant(row["updated_at"]),
        )

    def _secrets_of(self, row: dict[str, Any]) -> tuple[EndpointSecret, ...]:
        old = [
            EndpointSecret(self._secrets.old_text(one["signingKey"]), _expiration(one["expiration"]))
            for one in row["old_keys"] or ()
        ]
        # The latest that was rotated away comes first, as where secrets are rotated here.
        old.sort(key=lambda secret: -(secret.expires_at or 0))
        return (EndpointSecret(self._secrets.text(row["key"])), *old)

    def _ask(self, query: str, **values: Any) -> list[dict[str, Any]]:
        try:
            given = {"organisation": self._organisation, **values}
            return self._connection.execute(query, given).fetchall()
        except psycopg.OperationalError as error:
            raise ConnectionError(
                f"the Svix database is lost: {_reason(error)}. Run the same again"
            ) from None
        except psycopg.Error as error:
            raise ConfigurationError(f"this is not the database of a Svix server: {_reason(error)}") from None


def _event_type(row: dict[str, Any]) -> Found[EventType]:
    return found_event_type(
        EventType(
            name=row["name"],
            description=row["description"],
            created_at=instant(row["created_at"]),
            updated_at=instant(row["updated_at"]),
            archived=row["deleted"],
            deprecated=bool(row.get("deprecated")),
            schemas={version: raw(one) for version, one in (row["schemas"] or {}).items()} or None,
            feature_flag=row.get("feature_flag"),
        )
    )


def _application(row: dict[str, Any]) -> Found[Application]:
    return found_application(
        Application(
            id=row["id"],
            uid=row["uid"],
            name=row["name"],
            created_at=instant(row["created_at"]),
            updated_at=instant(row["updated_at"]),
            throttle_rate=row["rate_limit"] or None,
            metadata=row["metadata"] or {},
        )
    )


def _message(row: dict[str, Any], application_id: str) -> Message:
    payload: bytes | None = row["content"]
    if payload is None and row["legacy"] is not None:
        payload = msgspec.json.encode(row["legacy"])
    return Message(
        id=row["id"],
        application_id=application_id,
        event_type=row["event_type"],
        payload=payload,
        created_at=instant(row["created_at"]),
        event_id=row["uid"],
        channels=names(row["channels"]),
    )


def _expiration(text: str) -> int:
    return instant(datetime.fromisoformat(text))


def _reason(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
