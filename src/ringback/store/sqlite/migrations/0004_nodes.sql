-- Processes that share this database, and what they must know of each other.

-- One row for each process; seen_at is its last sign of life.
CREATE TABLE ringback_node (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    stopped INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Circuits that are open: whichever process opened one, none delivers to the endpoint before.
CREATE TABLE ringback_circuit (
    endpoint_id TEXT PRIMARY KEY,
    reopens_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
