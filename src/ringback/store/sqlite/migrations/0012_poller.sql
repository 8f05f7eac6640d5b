-- Endpoints without an address, whose messages are asked for. What one of them gets waits like any delivery; when it is
-- first asked for, it is given the next position in the endpoint's feed, which is what those who ask go by: so nothing
-- that is committed late comes before what they have seen.

-- position is the last that was given.
CREATE TABLE ringback_poller (endpoint_key INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT;

-- reached is the latest acceptance of any message up to here.
CREATE TABLE ringback_feed (
    endpoint_key INTEGER NOT NULL,
    position INTEGER NOT NULL,
    message_key INTEGER NOT NULL,
    reached INTEGER NOT NULL,
    PRIMARY KEY (endpoint_key, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX ringback_feed_reached ON ringback_feed (endpoint_key, reached, position);
CREATE INDEX ringback_feed_of_message ON ringback_feed (message_key);

-- Up to which position each of those who ask by a name has seen everything.
CREATE TABLE ringback_consumer (
    endpoint_key INTEGER NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (endpoint_key, name)
) STRICT, WITHOUT ROWID;

-- A token for nothing but one of them.
ALTER TABLE ringback_token ADD COLUMN poller_id TEXT;
