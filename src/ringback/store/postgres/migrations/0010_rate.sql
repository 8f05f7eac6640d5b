-- How many messages a second applications may get over all their endpoints, of those that have such a bound.
CREATE TABLE ringback_rate (application_key bigint PRIMARY KEY, rate integer NOT NULL);
-- A zero byte, which may be written in metadata, is the one character that jsonb does not take.
INSERT INTO ringback_rate
    SELECT key, (parsed.record ->> 'throttle_rate')::integer FROM ringback_application a
    CROSS JOIN LATERAL (SELECT replace(convert_from(a.record, 'UTF8'), '\u0000', '\ufffd')::jsonb AS record) AS parsed
    WHERE a.deleted_at IS NULL AND parsed.record ->> 'throttle_rate' IS NOT NULL;
