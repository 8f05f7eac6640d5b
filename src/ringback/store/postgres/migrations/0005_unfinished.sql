-- Every delivery that is not at rest. Each lease is looked up by its own keys: a join of all leases with all
-- deliveries may be planned as a reading of every delivery there is.
CREATE OR REPLACE VIEW ringback_unfinished AS
    SELECT endpoint_key, message_key, due_at FROM ringback_queue
    UNION ALL
    SELECT born.endpoint_key, born.message_key, born.due_at FROM ringback_lease l, LATERAL (
        SELECT d.endpoint_key, d.message_key, d.due_at FROM ringback_delivery d
        WHERE d.message_key BETWEEN l.first_key AND l.last_key AND d.lease_token = l.token
            AND d.born_token = l.token AND d.due_at IS NOT NULL
        OFFSET 0
    ) AS born;
