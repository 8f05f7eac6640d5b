-- ringback.publish refuses what every other door refuses: halves of surrogate pairs, which many who read JSON stumble
-- over, and what is nested too deeply to be read. Where triggers do not fire, which is what puts a delivery in the queue,
-- nothing is published. The functions read their own texts in one way, whatever the caller has set.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Of a text that is JSON: whether an escape such as \ud800 stands there without its other half. An escaped backslash
-- begins no escape.
CREATE FUNCTION ringback.has_half_a_pair(body text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (strpos(body, '\ud') > 0 OR strpos(body, '\uD') > 0) AND regexp_replace(
        replace(body, '\\', ' '), '\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}', '', 'g'
    ) ~ '\\u[dD][89a-fA-F][0-9a-fA-F]{2}'
$$;

CREATE OR REPLACE FUNCTION ringback.check_message(
    event_type text, payload bytea, event_id text, channels text[], idempotency_key text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    named CONSTANT text := 'is 1 to 256 characters of a-z, A-Z, 0-9, underscore, full stop and hyphen';
    body text;
BEGIN
    IF NOT ringback.is_name(event_type) THEN
        PERFORM ringback.refuse('event_type', named);
    END IF;
    IF event_id IS NOT NULL AND (NOT ringback.is_name(event_id) OR event_id IN ('.', '..')) THEN
        PERFORM ringback.refuse('event_id', named || ', and not . or ..');
    END IF;
    IF starts_with(event_id, 'msg_') THEN
        PERFORM ringback.refuse('event_id', 'must not start with msg_, which marks Ringback''s own ids');
    END IF;
    IF channels IS NOT NULL AND cardinality(channels) NOT BETWEEN 1 AND 5 THEN
        PERFORM ringback.refuse('channels', 'has 1 to 5 entries; leave it out for no channel');
    END IF;
    IF EXISTS (SELECT FROM unnest(channels) AS one (name) WHERE NOT ringback.is_name(name) OR name IN ('.', '..')) THEN
        PERFORM ringback.refuse('channels', 'each ' || named || ', and not . or ..');
    END IF;
    IF (SELECT count(DISTINCT name) <> count(*) FROM unnest(channels) AS one (name)) THEN
        PERFORM ringback.refuse('channels', 'names something twice');
    END IF;
    IF length(idempotency_key) NOT BETWEEN 1 AND 256 OR idempotency_key ~ '[[:cntrl:]]' THEN
        PERFORM ringback.refuse('idempotency_key', 'is 1 to 256 printable characters');
    END IF;
    IF length(payload) > 1048576 THEN
        RAISE EXCEPTION USING ERRCODE = 'RB413',
            MESSAGE = format('the payload has %s bytes, the limit is 1048576', length(payload));
    END IF;
    BEGIN
        body := convert_from(payload, 'UTF8');
        IF body IS NULL OR json_typeof(body::json) <> 'object' THEN
            PERFORM ringback.refuse('payload', 'is a JSON object');
        END IF;
    EXCEPTION WHEN data_exception OR statement_too_complex THEN
        PERFORM ringback.refuse('payload', 'is not JSON: ' || SQLERRM);
    END;
    IF ringback.has_half_a_pair(body) THEN
        PERFORM ringback.refuse('payload', 'is not JSON: it has half of a surrogate pair');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION ringback.check_acceptance(id text, created_at bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    week CONSTANT bigint := 7 * 86400000;
    now CONSTANT bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    midnight CONSTANT bigint := created_at - created_at % 86400000;
BEGIN
    IF current_setting('session_replication_role') = 'replica' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'what is published while session_replication_role is replica would not be delivered',
            HINT = 'SET LOCAL session_replication_role = origin before.';
    END IF;
    IF NOT coalesce(id COLLATE "C" ~ '^msg_[0-9A-Za-z]{27}$', false) THEN
        PERFORM ringback.refuse('id', 'is msg_ and 27 letters and digits');
    END IF;
    IF NOT coalesce(created_at BETWEEN now - week AND now + week, false)
        AND to_regclass('ringback_attempt_' || to_char(timestamp '1970-01-01' + midnight / 1000 * interval '1 second', 'YYYYMMDD')) IS NULL
    THEN
        PERFORM ringback.refuse('created_at', 'lies within seven days of now');
    END IF;
END $$;

ALTER FUNCTION ringback.accept(text, text, bigint, text, bytea, text, text, text, bytea, bigint, text)
    SET standard_conforming_strings = on;
ALTER FUNCTION ringback.publish(text, text, bytea, text, text[], text, timestamptz, text[])
    SET standard_conforming_strings = on;
