-- The inbox: sources, received messages and handlers.

-- The name of the Python function that an endpoint stands for, where it is one: only a worker that has the
-- function may take its deliveries.
ALTER TABLE ringback_endpoint ADD COLUMN handler TEXT;

-- inbound is what a received message has beyond a published one, as JSON. held says why nothing handles it.
ALTER TABLE ringback_message ADD COLUMN inbound BLOB;
ALTER TABLE ringback_message ADD COLUMN held TEXT;
CREATE INDEX ringback_message_held ON ringback_message (application_key, held, id) WHERE held IS NOT NULL;

-- begun counts the runs of a handler that were begun and not ended. A handler with keys runs a delivery only when
-- none before it with the same ordering_key is left; one that has not been begun yet has no key in its row.
ALTER TABLE ringback_delivery ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE ringback_delivery ADD COLUMN ordering_key TEXT;
CREATE INDEX ringback_delivery_ordered ON ringback_delivery (endpoint_key, ordering_key, message_key)
    WHERE due_at IS NOT NULL AND ordering_key IS NOT NULL;

-- A source is an application row, which owns its messages and endpoints, and what an inbound door needs besides.
CREATE TABLE ringback_source (
    application_key INTEGER PRIMARY KEY REFERENCES ringback_application (key),
    id TEXT NOT NULL UNIQUE,
    uid TEXT,
    token_digest BLOB,
    secrets BLOB NOT NULL,
    record BLOB NOT NULL,
    deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX ringback_source_uid ON ringback_source (uid) WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX ringback_source_token ON ringback_source (token_digest)
    WHERE token_digest IS NOT NULL AND deleted_at IS NULL;

-- One row for each event that was received, kept longer than the message may be. Rows are in the order of their age.
CREATE TABLE ringback_receipt (
    key INTEGER PRIMARY KEY,
    application_key INTEGER NOT NULL,
    dedupe_key TEXT NOT NULL,
    business_key TEXT,
    polled INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX ringback_receipt_event ON ringback_receipt (application_key, dedupe_key);
CREATE INDEX ringback_receipt_business ON ringback_receipt (application_key, business_key)
    WHERE business_key IS NOT NULL;

-- Requests that did not verify, the last few of each source.
CREATE TABLE ringback_refusal (
    key INTEGER PRIMARY KEY,
    application_key INTEGER NOT NULL,
    id TEXT NOT NULL,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX ringback_refusal_of_source ON ringback_refusal (application_key, id);

-- A delivery that has not been tried yet need not be found among those that failed; most never come to be there.
DROP INDEX ringback_delivery_unsent;
CREATE INDEX ringback_delivery_unsent ON ringback_delivery (endpoint_key, message_key)
    WHERE (state IN ('failed', 'cancelled') OR (state = 'waiting' AND attempts > 0));
