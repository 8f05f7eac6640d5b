-- The first schema.
--
-- Keys are small integers that never leave the store, so that delivery and attempt rows stay narrow. A record
-- that is only ever read whole is kept as JSON beside the columns it is found by.

CREATE TABLE catalog (version INTEGER NOT NULL) STRICT;
INSERT INTO catalog VALUES (1);

CREATE TABLE application (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    uid TEXT,
    record BLOB NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX application_uid ON application (uid) WHERE uid IS NOT NULL AND deleted_at IS NULL;

-- What a worker changes after an attempt stands in columns of its own; the secrets are sealed.
CREATE TABLE endpoint (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    application_key INTEGER NOT NULL REFERENCES application (key),
    uid TEXT,
    state TEXT NOT NULL,
    disabled_reason TEXT,
    failing_since INTEGER,
    secrets BLOB NOT NULL,
    record BLOB NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX endpoint_uid ON endpoint (application_key, uid) WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX endpoint_of_application ON endpoint (application_key, id) WHERE deleted_at IS NULL;

CREATE TABLE event_type (
    name TEXT PRIMARY KEY,
    archived INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    key INTEGER PRIMARY KEY,
    application_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    event_id TEXT,
    channels TEXT,
    created_at INTEGER NOT NULL,
    skipped TEXT,
    payload BLOB
) STRICT;
CREATE UNIQUE INDEX message_of_application ON message (application_key, id);
CREATE UNIQUE INDEX message_event_id ON message (application_key, event_id) WHERE event_id IS NOT NULL;

-- The highest key of any message that retention has removed.
CREATE TABLE removed (message_key INTEGER NOT NULL) STRICT;
INSERT INTO removed VALUES (0);

-- due_at is when the delivery may be taken next: the retry's time while it waits, the lease's end while it is
-- leased, NULL at rest. One index therefore finds retries, spilled messages and what dead nodes left behind.
CREATE TABLE delivery (
    message_key INTEGER NOT NULL,
    endpoint_key INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    lease_token INTEGER,
    trigger TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (message_key, endpoint_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery (endpoint_key, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_unsent ON delivery (endpoint_key, message_key) WHERE state IN ('waiting', 'failed', 'cancelled');

CREATE TABLE attempt (
    message_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    endpoint_key INTEGER NOT NULL,
    number INTEGER NOT NULL,
    trigger TEXT NOT NULL,
    url TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    status INTEGER NOT NULL,
    phases TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (message_key, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_of_endpoint ON attempt (endpoint_key, id);

-- Rows are in the order of their age, which is what retention needs.
CREATE TABLE idempotency (
    key INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    resource_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (scope, name)
) STRICT;

CREATE TABLE task (
    id TEXT PRIMARY KEY,
    done INTEGER NOT NULL,
    position INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;

CREATE TABLE token (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
