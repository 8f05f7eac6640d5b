-- The first schema.
--
-- An application may keep its own tables in the same file, so that a handler's writes and "done" are one commit.
-- Everything of ours therefore begins with ringback_; the first version had no prefix, and its files get one.
--
-- Keys are small integers that never leave the store, so that delivery and attempt rows stay narrow. A record
-- that is only ever read whole is kept as JSON beside the columns it is found by.

CREATE TABLE ringback_catalog (version INTEGER NOT NULL) STRICT;
INSERT INTO ringback_catalog VALUES (1);

CREATE TABLE ringback_application (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    uid TEXT,
    record BLOB NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX ringback_application_uid ON ringback_application (uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;

-- What a worker changes after an attempt stands in columns of its own; the secrets are sealed.
CREATE TABLE ringback_endpoint (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    application_key INTEGER NOT NULL REFERENCES ringback_application (key),
    uid TEXT,
    state TEXT NOT NULL,
    disabled_reason TEXT,
    failing_since INTEGER,
    secrets BLOB NOT NULL,
    record BLOB NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX ringback_endpoint_uid ON ringback_endpoint (application_key, uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX ringback_endpoint_of_application ON ringback_endpoint (application_key, id) WHERE deleted_at IS NULL;

CREATE TABLE ringback_event_type (
    name TEXT PRIMARY KEY,
    archived INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ringback_message (
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
CREATE UNIQUE INDEX ringback_message_of_application ON ringback_message (application_key, id);
CREATE UNIQUE INDEX ringback_message_event_id ON ringback_message (application_key, event_id)
    WHERE event_id IS NOT NULL;

-- The highest key of any message that retention has removed.
CREATE TABLE ringback_removed (message_key INTEGER NOT NULL) STRICT;
INSERT INTO ringback_removed VALUES (0);

-- due_at is when the delivery may be taken next: the retry's time while it waits, the lease's end while it is
-- leased, NULL at rest. One index therefore finds retries, spilled messages and what dead nodes left behind.
CREATE TABLE ringback_delivery (
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
CREATE INDEX ringback_delivery_due ON ringback_delivery (endpoint_key, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ringback_delivery_unsent ON ringback_delivery (endpoint_key, message_key)
    WHERE state IN ('waiting', 'failed', 'cancelled');

CREATE TABLE ringback_attempt (
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
CREATE INDEX ringback_attempt_of_endpoint ON ringback_attempt (endpoint_key, id);

-- Rows are in the order of their age, which is what retention needs.
CREATE TABLE ringback_idempotency (
    key INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    resource_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (scope, name)
) STRICT;

CREATE TABLE ringback_task (
    id TEXT PRIMARY KEY,
    done INTEGER NOT NULL,
    position INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;

CREATE TABLE ringback_token (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
