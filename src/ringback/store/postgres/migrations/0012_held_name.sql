-- A transaction of an application may stay open for long. What holds an idempotency key or an event id in it says so
-- by a lock, so that a node which is given the same over HTTP can tell at once, and need not wait for its end with all
-- else that it accepts. Nodes that know nothing of it wait as before.
--
-- The server has room for some thousands of locks. What a transaction holds beyond a thousand names, it holds without:
-- a node waits for those as before.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION ringback.hold(application text, idempotency_key text, event_id text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    held CONSTANT integer := coalesce(nullif(current_setting('ringback.held', true), ''), '0')::integer;
    names CONSTANT text[] := ARRAY(
        SELECT name FROM ringback_application a CROSS JOIN LATERAL (
            VALUES ('key:message:' || a.id || ':' || idempotency_key), ('event:' || a.id || ':' || event_id)
        ) AS used (name)
        WHERE (a.id = application OR a.uid = application) AND a.deleted_at IS NULL AND name IS NOT NULL
    );
BEGIN
    IF cardinality(names) = 0 OR held >= 1000 THEN
        RETURN;
    END IF;
    -- Of two that use a key or an event id at the same time, the second waits here for the end of the first.
    PERFORM pg_advisory_xact_lock(hashtextextended('ringback.' || name, 0)) FROM unnest(names) AS used (name);
    PERFORM set_config('ringback.held', (held + cardinality(names))::text, true);
END $$;

CREATE OR REPLACE FUNCTION ringback.accept(
    application text, id text, created_at bigint, event_type text, payload bytea, event_id text, channels text,
    idempotency_key text, fingerprint bytea, deliver_at bigint, tags text,
    OUT message_id text, OUT application_id text, OUT accepted_at bigint, OUT skipped text, OUT replayed boolean,
    OUT problem text, OUT detail text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    stored record;
BEGIN
    PERFORM ringback.hold(accept.application, accept.idempotency_key, accept.event_id);
    SELECT a.message_id, a.application_id, a.accepted_at, a.skipped, a.replayed, a.problem, a.detail
        INTO message_id, application_id, accepted_at, skipped, replayed, problem, detail
        FROM ringback.accept(
            accept.application, accept.id, accept.created_at, accept.event_type, accept.payload, accept.event_id,
            accept.channels, accept.idempotency_key, accept.fingerprint
        ) AS a;
    IF problem IS NOT NULL OR replayed OR deliver_at IS NULL AND tags IS NULL THEN
        RETURN;
    END IF;
    SELECT m.key, m.application_key INTO stored
        FROM ringback_application a JOIN ringback_message m ON m.application_key = a.key
        WHERE a.id = accept.application_id AND m.id = accept.message_id
            AND m.key >= greatest(accept.created_at - 1577836800000, 0) << 22;
    INSERT INTO ringback_terms VALUES (stored.key, convert_to(
        jsonb_strip_nulls(jsonb_build_object('tags', accept.tags::jsonb, 'deliver_at', accept.deliver_at))::text, 'UTF8'
    ));
    INSERT INTO ringback_tag (message_key, tag, application_key, message_id)
        SELECT stored.key, one.name, stored.application_key, accept.message_id
        FROM jsonb_array_elements_text(accept.tags::jsonb) AS one (name);
    IF deliver_at > accepted_at THEN
        -- Until its time has come, it stands in the way of nothing that comes later.
        UPDATE ringback_delivery d SET due_at = accept.deliver_at, ordering_key = NULL WHERE d.message_key = stored.key;
    END IF;
END $$;
