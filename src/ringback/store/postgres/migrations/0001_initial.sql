-- The first schema.
--
-- Keys are integers that never leave the store. That of a message begins with the time at which it was accepted, so
-- that messages, deliveries and attempts lie in partitions of a day each, and retention drops whole days. Texts are
-- compared byte by byte, as everywhere else in Ringback. Instants are milliseconds since 1970.

CREATE TABLE ringback_catalog (version bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO ringback_catalog VALUES (1);

-- The lower part of messages' keys; each node takes a range of numbers at a time.
CREATE SEQUENCE ringback_serial AS bigint MINVALUE 0 MAXVALUE 4194303 INCREMENT 4096 CYCLE;

CREATE TABLE ringback_application (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    uid text COLLATE "C",
    record bytea NOT NULL,
    deleted_at bigint
);
CREATE UNIQUE INDEX ringback_application_uid ON ringback_application (uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;

-- What a worker changes after an attempt stands in columns of its own; the secrets are sealed. handler is the name of
-- the Python function that an endpoint stands for, where it is one.
CREATE TABLE ringback_endpoint (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    application_key bigint NOT NULL REFERENCES ringback_application (key),
    uid text COLLATE "C",
    state text NOT NULL,
    disabled_reason text,
    failing_since bigint,
    secrets bytea NOT NULL,
    record bytea NOT NULL,
    deleted_at bigint,
    handler text COLLATE "C"
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX ringback_endpoint_uid ON ringback_endpoint (application_key, uid)
    WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX ringback_endpoint_of_application ON ringback_endpoint (application_key, id) WHERE deleted_at IS NULL;

CREATE TABLE ringback_event_type (
    name text COLLATE "C" PRIMARY KEY,
    archived integer NOT NULL,
    record bytea NOT NULL
);

-- inbound is what a received message has beyond a published one, as JSON. held says why nothing handles it.
CREATE TABLE ringback_message (
    key bigint PRIMARY KEY,
    application_key bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_type text NOT NULL,
    event_id text COLLATE "C",
    channels text,
    created_at bigint NOT NULL,
    skipped text,
    payload bytea,
    inbound bytea,
    held text
) PARTITION BY RANGE (key);
CREATE INDEX ringback_message_of_application ON ringback_message (application_key, id);
CREATE INDEX ringback_message_event_id ON ringback_message (application_key, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX ringback_message_held ON ringback_message (application_key, held, id) WHERE held IS NOT NULL;

-- Event ids that are taken: what is unique across days cannot be said of partitions.
CREATE TABLE ringback_event (
    application_key bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    message_key bigint NOT NULL,
    PRIMARY KEY (application_key, event_id)
);
CREATE INDEX ringback_event_of_message ON ringback_event (message_key);

-- due_at is when the delivery may be taken next: the retry's time while it waits, the lease's end while it is leased,
-- NULL at rest. born_token is the lease that it was born with, if it was: until that is over, whoever has it needs no
-- queue to find it. Nothing that a first success changes is in an index, so that it is a heap-only update.
CREATE TABLE ringback_delivery (
    message_key bigint NOT NULL,
    endpoint_key bigint NOT NULL,
    due_at bigint,
    lease_token bigint,
    born_token bigint,
    attempts integer NOT NULL,
    begun integer NOT NULL DEFAULT 0,
    state text NOT NULL,
    trigger text NOT NULL,
    reason text,
    ordering_key text COLLATE "C",
    unsent boolean NOT NULL GENERATED ALWAYS AS
        (state IN ('failed', 'cancelled') OR (state = 'waiting' AND attempts > 0)) STORED,
    queued boolean NOT NULL GENERATED ALWAYS AS
        (due_at IS NOT NULL AND (born_token IS NULL OR lease_token IS DISTINCT FROM born_token)) STORED,
    live_key text COLLATE "C" GENERATED ALWAYS AS
        (CASE WHEN due_at IS NOT NULL THEN ordering_key END) STORED,
    PRIMARY KEY (message_key, endpoint_key)
) PARTITION BY RANGE (message_key);
CREATE INDEX ringback_delivery_unsent ON ringback_delivery (endpoint_key, message_key) WHERE unsent;
CREATE INDEX ringback_delivery_ordered ON ringback_delivery (endpoint_key, live_key, message_key)
    WHERE live_key IS NOT NULL;

-- The queue: which deliveries may be taken when. Narrow and small; born leases are not in it.
CREATE TABLE ringback_queue (
    endpoint_key bigint NOT NULL,
    due_at bigint NOT NULL,
    message_key bigint NOT NULL,
    PRIMARY KEY (endpoint_key, due_at, message_key)
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE FUNCTION ringback_requeue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.queued THEN
        DELETE FROM ringback_queue WHERE endpoint_key = OLD.endpoint_key AND due_at = OLD.due_at
            AND message_key = OLD.message_key;
    END IF;
    IF NEW.queued THEN
        INSERT INTO ringback_queue VALUES (NEW.endpoint_key, NEW.due_at, NEW.message_key);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ringback_queued_new AFTER INSERT ON ringback_delivery
    FOR EACH ROW WHEN (NEW.queued) EXECUTE FUNCTION ringback_requeue();
CREATE TRIGGER ringback_queued_again AFTER UPDATE ON ringback_delivery
    FOR EACH ROW WHEN ((OLD.queued OR NEW.queued)
        AND (OLD.queued, OLD.due_at) IS DISTINCT FROM (NEW.queued, NEW.due_at))
    EXECUTE FUNCTION ringback_requeue();

-- The leases of deliveries that were born leased, one for each commit: where their messages' keys lie. What is left of
-- one when its time is over, because its node is dead, goes to the queue.
CREATE TABLE ringback_lease (
    until bigint NOT NULL,
    token bigint NOT NULL,
    first_key bigint NOT NULL,
    last_key bigint NOT NULL,
    PRIMARY KEY (until, token)
) WITH (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

-- Every delivery that is not at rest.
CREATE VIEW ringback_unfinished AS
    SELECT endpoint_key, message_key, due_at FROM ringback_queue
    UNION ALL
    SELECT d.endpoint_key, d.message_key, d.due_at FROM ringback_lease l
    JOIN ringback_delivery d ON d.message_key BETWEEN l.first_key AND l.last_key
        AND d.lease_token = l.token AND d.born_token = l.token AND d.due_at IS NOT NULL;

CREATE TABLE ringback_attempt (
    message_key bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    endpoint_key bigint NOT NULL,
    started_at bigint NOT NULL,
    number integer NOT NULL,
    duration integer NOT NULL,
    status integer NOT NULL,
    trigger text NOT NULL,
    url text NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL,
    phases text NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (message_key, id)
) PARTITION BY RANGE (message_key);
CREATE INDEX ringback_attempt_of_endpoint ON ringback_attempt (endpoint_key, id);

-- Rows are in the order of their age, which is what retention needs.
CREATE TABLE ringback_idempotency (
    key bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    scope text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    resource_id text NOT NULL,
    created_at bigint NOT NULL,
    UNIQUE (scope, name)
);

CREATE TABLE ringback_task (
    id text COLLATE "C" PRIMARY KEY,
    done integer NOT NULL,
    position bigint NOT NULL,
    record bytea NOT NULL
);

CREATE TABLE ringback_token (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    digest bytea NOT NULL UNIQUE,
    created_at bigint NOT NULL
);

-- A source is an application row, which owns its messages and endpoints, and what an inbound door needs besides.
CREATE TABLE ringback_source (
    application_key bigint PRIMARY KEY REFERENCES ringback_application (key),
    id text COLLATE "C" NOT NULL UNIQUE,
    uid text COLLATE "C",
    token_digest bytea,
    secrets bytea NOT NULL,
    record bytea NOT NULL,
    deleted_at bigint
);
CREATE UNIQUE INDEX ringback_source_uid ON ringback_source (uid) WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX ringback_source_token ON ringback_source (token_digest)
    WHERE token_digest IS NOT NULL AND deleted_at IS NULL;

-- One row for each event that was received, kept longer than the message may be. Rows are in the order of their age.
CREATE TABLE ringback_receipt (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    application_key bigint NOT NULL,
    dedupe_key text COLLATE "C" NOT NULL,
    business_key text COLLATE "C",
    polled integer NOT NULL,
    message_id text NOT NULL,
    created_at bigint NOT NULL
);
CREATE UNIQUE INDEX ringback_receipt_event ON ringback_receipt (application_key, dedupe_key);
CREATE INDEX ringback_receipt_business ON ringback_receipt (application_key, business_key)
    WHERE business_key IS NOT NULL;

-- Requests that did not verify, the last few of each source.
CREATE TABLE ringback_refusal (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    application_key bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    record bytea NOT NULL
);
CREATE INDEX ringback_refusal_of_source ON ringback_refusal (application_key, id);

-- What a program keeps beside its messages, such as the sandbox its invoices.
CREATE TABLE ringback_document (
    collection text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (collection, id)
);
