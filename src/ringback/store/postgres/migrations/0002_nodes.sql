-- Nodes that share this database, and what they must know of each other. Both tables are narrow and new: a node of an
-- earlier version goes on beside them.

-- One row for each process; seen_at is its last sign of life.
CREATE TABLE ringback_node (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    roles text NOT NULL,
    version text NOT NULL,
    started_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    stopped integer NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Circuits that are open: whichever node opened one, none delivers to the endpoint before.
CREATE TABLE ringback_circuit (
    endpoint_id text COLLATE "C" PRIMARY KEY,
    reopens_at bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
