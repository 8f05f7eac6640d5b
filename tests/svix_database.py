"""A database as a Svix server has it, with what a test puts into it."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from postgres_server import postgres_server
from ringback import ids
from ringback.origins.svix_secrets import subkey
from ringback.outbox import system_clock
from ringback.signed_tokens import DEFAULT_ORGANISATION

HMAC, ED25519, ENCRYPTED = 1, 2, 128
# The tables that matter, in the state that the server's migrations leave them in.
TABLES = """
    CREATE TABLE application (
        id varchar COLLATE "C" PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        org_id varchar COLLATE "C" NOT NULL, uid varchar COLLATE "C", name varchar NOT NULL, rate_limit integer,
        deleted boolean NOT NULL
    );
    CREATE TABLE applicationmetadata (
        id varchar COLLATE "C" PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        data jsonb NOT NULL
    );
    CREATE TABLE endpoint (
        id varchar COLLATE "C" PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        app_id varchar COLLATE "C" NOT NULL, key bytea NOT NULL, url varchar NOT NULL, description varchar NOT NULL,
        event_types_ids jsonb, version integer NOT NULL, rate_limit integer, deleted boolean NOT NULL,
        disabled boolean NOT NULL, first_failure_at timestamptz, uid varchar COLLATE "C", old_keys jsonb,
        channels jsonb, headers jsonb
    );
    CREATE TABLE endpointmetadata (LIKE applicationmetadata INCLUDING ALL);
    CREATE TABLE eventtype (
        id varchar COLLATE "C" PRIMARY KEY, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
        org_id varchar COLLATE "C" NOT NULL, description varchar NOT NULL, deleted boolean NOT NULL, schemas json,
        name varchar NOT NULL, feature_flag text, deprecated boolean NOT NULL DEFAULT false
    );
    CREATE TABLE message (
        id varchar COLLATE "C" PRIMARY KEY, created_at timestamptz NOT NULL, org_id varchar COLLATE "C" NOT NULL,
        app_id varchar COLLATE "C" NOT NULL, event_type varchar NOT NULL, uid varchar, payload jsonb, channels jsonb,
        expiration timestamptz
    );
    CREATE INDEX ix_message_per_app ON message (app_id, id DESC);
    CREATE TABLE messagecontent (
        id varchar COLLATE "C" PRIMARY KEY, created_at timestamptz NOT NULL, payload bytea NOT NULL,
        expiration timestamptz NOT NULL DEFAULT now() + INTERVAL '90 day'
    );
"""


def new_id(prefix: str, age: timedelta = timedelta()) -> str:
    """Return an id as that server makes them, of something of that *age*."""
    at = system_clock() - round(age.total_seconds() * 1000)
    return ids.new_id(prefix, at, secrets.token_bytes(ids.ENTROPY_BYTES))


def encrypted(main_secret: str, kind: int, key: bytes) -> bytes:
    """Return a signing key as a server with a main secret keeps it."""
    nonce = secrets.token_bytes(24)
    derived = hmac.digest(main_secret.encode(), b"main", "sha256")
    cipher = ChaCha20Poly1305(subkey(derived, nonce[:16]))
    return bytes([kind | ENCRYPTED]) + nonce + cipher.encrypt(bytes(4) + nonce[16:], key, None)


class SvixDatabase:
    """A new database, whose records belong to the default organisation unless said otherwise."""

    def __init__(self) -> None:
        self.url = postgres_server().new_database("template1")
        self._connection = psycopg.connect(self.url, autocommit=True)
        self._connection.execute(TABLES)

    def close(self) -> None:
        """Leave the database."""
        self._connection.close()

    def application(self, name: str = "Acme", *, org: str = DEFAULT_ORGANISATION, **fields: Any) -> str:
        """Add an application; return its id."""
        given = {"id": new_id("app"), "org_id": org, "name": name, "deleted": False, **fields}
        metadata = given.pop("metadata", None)
        self._insert("application", given)
        self._add_metadata("applicationmetadata", given["id"], metadata)
        return str(given["id"])

    def endpoint(self, app: str, url: str = "https://example.com/hook", **fields: Any) -> str:
        """Add an endpoint; return its id. The key is an HMAC key unless given."""
        given = {
            "id": new_id("ep"),
            "app_id": app,
            "key": bytes([HMAC]) + secrets.token_bytes(24),
            "url": url,
            "description": "",
            "version": 1,
            "deleted": False,
            "disabled": False,
            **fields,
        }
        metadata = given.pop("metadata", None)
        self._insert("endpoint", given)
        self._add_metadata("endpointmetadata", given["id"], metadata)
        return str(given["id"])

    def event_type(self, name: str, *, org: str = DEFAULT_ORGANISATION, **fields: Any) -> None:
        """Add an event type."""
        given = {"id": new_id("evtype"), "org_id": org, "name": name, "description": name, "deleted": False}
        self._insert("eventtype", given | fields)

    def message(
        self, app: str, payload: bytes | None = b'{"n": 1}', age: timedelta = timedelta(), **fields: Any
    ) -> str:
        """Add a message of that *age*, whose payload has expired where it is None; return its id."""
        at = datetime.now(UTC) - age
        given = {
            "id": new_id("msg", age),
            "app_id": app,
            "event_type": "invoice.paid",
            "created_at": at,
            **fields,
        }
        self._insert("message", given | {"org_id": DEFAULT_ORGANISATION}, updated=False)
        if payload is not None:
            self._insert("messagecontent", {"id": given["id"], "payload": payload}, updated=False)
        return str(given["id"])

    def change(self, table: str, row: str, **fields: Any) -> None:
        """Change a row as the server does."""
        sets = ", ".join(f"{name} = %({name})s" for name in fields)
        values = {name: _value(value) for name, value in fields.items()} | {"row": row}
        self._connection.execute(f"UPDATE {table} SET {sets}, updated_at = now() WHERE id = %(row)s", values)

    def _insert(self, table: str, fields: dict[str, Any], *, updated: bool = True) -> None:
        at = fields.get("created_at", datetime.now(UTC))
        given = {"created_at": at} | ({"updated_at": at} if updated else {}) | fields
        named = ", ".join(given)
        places = ", ".join(f"%({name})s" for name in given)
        values = {name: _value(value) for name, value in given.items()}
        self._connection.execute(f"INSERT INTO {table} ({named}) VALUES ({places})", values)

    def _add_metadata(self, table: str, owner: str, metadata: dict[str, str] | None) -> None:
        if metadata is not None:
            self._insert(table, {"id": owner, "data": metadata})


def old_key(key: bytes, expires: timedelta) -> dict[str, str]:
    """Return a key that was rotated away as the server keeps it."""
    expiration = (datetime.now(UTC) + expires).isoformat()
    return {"signingKey": base64.b64encode(key).decode(), "expiration": expiration}


def _value(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value
