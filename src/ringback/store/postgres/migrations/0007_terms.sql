-- What few messages have: tags, and a time before which nothing is delivered.
--
-- It stands in tables of its own, so that other messages pay nothing for it, and nodes of earlier versions go on beside
-- them. ringback.publish gets two parameters more; whoever calls it without them sees no difference.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE ringback_terms (
    message_key bigint PRIMARY KEY,
    record bytea NOT NULL
);

-- The tags again, to find messages by.
CREATE TABLE ringback_tag (
    message_key bigint NOT NULL,
    tag text COLLATE "C" NOT NULL,
    application_key bigint NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (message_key, tag)
);
CREATE INDEX ringback_tag_of_application ON ringback_tag (application_key, tag, message_id);

-- As before; and the deliveries of each new day are found by endpoint, too. Those of earlier days are found by message,
-- which takes longer where an endpoint gets few of many: to index them here would make everyone wait.
CREATE OR REPLACE FUNCTION ringback.make_day(number bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    name CONSTANT text := to_char(timestamp '2020-01-01' + make_interval(days => number::integer), 'YYYYMMDD');
    parted text[];
BEGIN
    IF to_regclass('ringback_attempt_' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(1380535880);
    -- Asked of the tables themselves: to_regclass may answer from what the connection knew before it waited.
    IF EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'ringback_attempt'::regclass AND c.relname = 'ringback_attempt_' || name
    ) THEN
        RETURN;
    END IF;
    FOREACH parted SLICE 1 IN ARRAY ARRAY[
        ['ringback_message', ''], ['ringback_delivery', 'WITH (fillfactor = 60)'], ['ringback_attempt', '']
    ] LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %1$s_%2$s (LIKE %1$s INCLUDING DEFAULTS INCLUDING GENERATED) %3$s',
            parted[1], name, parted[2]
        );
        EXECUTE format(
            'ALTER TABLE %1$s ATTACH PARTITION %1$s_%2$s FOR VALUES FROM (%3$s) TO (%4$s)',
            parted[1], name, number * 86400000 << 22, (number + 1) * 86400000 << 22
        );
    END LOOP;
    EXECUTE format(
        'CREATE INDEX ringback_delivery_%1$s_of_endpoint ON ringback_delivery_%1$s (endpoint_key, message_key)', name
    );
END $$;

-- Accepts a message as before, and keeps what few have: deliver_at in milliseconds, tags as a JSON array.
CREATE FUNCTION ringback.accept(
    application text, id text, created_at bigint, event_type text, payload bytea, event_id text, channels text,
    idempotency_key text, fingerprint bytea, deliver_at bigint, tags text,
    OUT message_id text, OUT application_id text, OUT accepted_at bigint, OUT skipped text, OUT replayed boolean,
    OUT problem text, OUT detail text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    stored record;
BEGIN
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

-- The rules of ringback.message_request.
CREATE FUNCTION ringback.check_terms(now bigint, deliver_at bigint, tags text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF deliver_at < now - 60000 THEN
        PERFORM ringback.refuse('deliver_at', 'lies in the past');
    END IF;
    IF deliver_at > now + 7776000000 THEN
        PERFORM ringback.refuse('deliver_at', 'is at most 90 days ahead');
    END IF;
    IF cardinality(tags) > 10 THEN
        PERFORM ringback.refuse('tags', 'has at most 10 entries');
    END IF;
    IF EXISTS (
        SELECT FROM unnest(tags) AS one (name)
        WHERE NOT coalesce(name COLLATE "C" ~ '^[a-zA-Z0-9_.:/#\\\-]+$' AND length(name) <= 128, false)
    ) THEN
        PERFORM ringback.refuse('tags', 'each is 1 to 128 characters of a-z, A-Z, 0-9 and _ . : / # \ -');
    END IF;
    IF (SELECT count(DISTINCT name) <> count(*) FROM unnest(tags) AS one (name)) THEN
        PERFORM ringback.refuse('tags', 'names something twice');
    END IF;
END $$;

-- Who may call it is allowed to call what takes its place.
SELECT set_config('ringback.rights', coalesce(json_agg(json_build_object(
    'payload', p.proargtypes[2]::regtype::text, 'grantee', a.grantee::bigint, 'grants', a.is_grantable
))::text, '[]'), true)
FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
WHERE p.pronamespace = 'ringback'::regnamespace AND p.proname = 'publish';

DROP FUNCTION ringback.publish(text, text, text, text, text[], text);
DROP FUNCTION ringback.publish(text, text, jsonb, text, text[], text);
DROP FUNCTION ringback.publish(text, text, bytea, text, text[], text);

CREATE FUNCTION ringback.publish(
    app text, event_type text, payload bytea,
    event_id text DEFAULT NULL, channels text[] DEFAULT NULL, idempotency_key text DEFAULT NULL,
    deliver_at timestamptz DEFAULT NULL, tags text[] DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    now CONSTANT bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    names CONSTANT text := (SELECT '["' || string_agg(name, '","' ORDER BY place) || '"]'
        FROM unnest(channels) WITH ORDINALITY AS one (name, place));
    due CONSTANT bigint := CASE deliver_at WHEN 'infinity' THEN 9223372036854775807 WHEN '-infinity' THEN 0
        ELSE floor(extract(epoch FROM deliver_at) * 1000)::bigint END;
    labels CONSTANT text := (SELECT '[' || string_agg(to_json(name)::text, ',' ORDER BY place) || ']'
        FROM unnest(tags) WITH ORDINALITY AS one (name, place));
    accepted record;
BEGIN
    PERFORM ringback.check_message(event_type, payload, event_id, channels, idempotency_key);
    PERFORM ringback.check_terms(now, due, tags);
    SELECT * INTO accepted FROM ringback.accept(
        coalesce(app, ''), ringback.new_message_id(now), now, event_type, payload, event_id, names, idempotency_key,
        -- What ringback.publication makes of the same request, so that a key is one key at every door.
        CASE WHEN idempotency_key IS NOT NULL THEN substring(sha256(
            convert_to('{"eventType":"' || event_type || '","payload":', 'UTF8') || payload
            || convert_to(',"eventId":' || coalesce('"' || event_id || '"', 'null')
                || ',"channels":' || coalesce(names, 'null') || '}', 'UTF8')
            || CASE WHEN labels IS NOT NULL OR due IS NOT NULL
                THEN convert_to(coalesce(labels, 'null') || coalesce(due::text, 'null'), 'UTF8') ELSE '' END
        ) FOR 16) END,
        due, labels
    );
    IF accepted.problem = 'not_found' THEN
        RAISE EXCEPTION USING ERRCODE = 'RB404', MESSAGE = accepted.detail,
            HINT = 'Give an application''s id or uid; GET /api/v1/app lists them.';
    ELSIF accepted.problem = 'conflict' THEN
        RAISE EXCEPTION USING ERRCODE = 'RB409', MESSAGE = accepted.detail;
    END IF;
    RETURN accepted.message_id;
END $$;

-- A text is published byte for byte, in UTF-8.
CREATE FUNCTION ringback.publish(
    app text, event_type text, payload text,
    event_id text DEFAULT NULL, channels text[] DEFAULT NULL, idempotency_key text DEFAULT NULL,
    deliver_at timestamptz DEFAULT NULL, tags text[] DEFAULT NULL
) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT ringback.publish(
        app, event_type, convert_to(payload, 'UTF8'), event_id, channels, idempotency_key, deliver_at, tags
    )
$$;

-- What jsonb has made of a document is published: another order of keys, spaces after colons and commas.
CREATE FUNCTION ringback.publish(
    app text, event_type text, payload jsonb,
    event_id text DEFAULT NULL, channels text[] DEFAULT NULL, idempotency_key text DEFAULT NULL,
    deliver_at timestamptz DEFAULT NULL, tags text[] DEFAULT NULL
) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT ringback.publish(
        app, event_type, convert_to(payload::text, 'UTF8'), event_id, channels, idempotency_key, deliver_at, tags
    )
$$;

COMMENT ON FUNCTION ringback.publish(text, text, jsonb, text, text[], text, timestamptz, text[])
    IS 'Publish a message that exists exactly if this transaction commits; returns its id';

DO $$
DECLARE
    one record;
    called text;
BEGIN
    FOR one IN SELECT * FROM json_to_recordset(current_setting('ringback.rights')::json)
        AS given (payload text, grantee bigint, grants boolean)
    LOOP
        called := format('ringback.publish(text, text, %s, text, text[], text, timestamptz, text[])', one.payload);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', called);
    END LOOP;
    FOR one IN SELECT * FROM json_to_recordset(current_setting('ringback.rights')::json)
        AS given (payload text, grantee bigint, grants boolean)
    LOOP
        called := format('ringback.publish(text, text, %s, text, text[], text, timestamptz, text[])', one.payload);
        EXECUTE format(
            'GRANT EXECUTE ON FUNCTION %s TO %s%s', called,
            CASE WHEN one.grantee = 0 THEN 'PUBLIC' ELSE one.grantee::oid::regrole::text END,
            CASE WHEN one.grants THEN ' WITH GRANT OPTION' ELSE '' END
        );
    END LOOP;
END $$;
