-- How many messages a second applications may get over all their endpoints, of those that have such a bound.
CREATE TABLE ringback_rate (application_key INTEGER PRIMARY KEY, rate INTEGER NOT NULL) STRICT;
INSERT INTO ringback_rate
    SELECT key, json_extract(CAST(record AS TEXT), '$.throttle_rate') FROM ringback_application
    WHERE deleted_at IS NULL AND json_extract(CAST(record AS TEXT), '$.throttle_rate') IS NOT NULL;
