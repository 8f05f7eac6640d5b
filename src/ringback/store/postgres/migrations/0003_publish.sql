-- Publishing in the transaction of whoever calls: ringback.publish, for any language.
--
-- What is new are functions in a schema of their own; nodes of earlier versions go on beside them. Those that an
-- application calls run with the rights of the role that migrates, so that an application's role needs no more than
-- USAGE of the schema, and have the search path of this moment with what is temporary last: nobody can slip in tables.

CREATE SCHEMA IF NOT EXISTS ringback;

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Which endpoints of an application get a message and why the others do not: what policy.fan_out says, in SQL.
CREATE FUNCTION ringback.fan_out(application_key bigint, event_type text, channels text[])
RETURNS TABLE (endpoint_key bigint, endpoint_id text, reason text, ordered boolean)
LANGUAGE sql STABLE AS $$
    SELECT e.key, e.id,
        CASE
            WHEN e.state = 'disabled' THEN 'disabled'
            WHEN jsonb_typeof(wanted.types) = 'array' AND NOT EXISTS (
                SELECT FROM jsonb_array_elements_text(wanted.types) AS one (name)
                WHERE one.name = fan_out.event_type OR strpos(one.name, '*') > 0 AND fan_out.event_type LIKE replace(
                    replace(replace(replace(one.name, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'
                )
            ) THEN 'event_type'
            WHEN jsonb_typeof(wanted.channels) = 'array' AND NOT EXISTS (
                SELECT FROM jsonb_array_elements_text(wanted.channels) AS one (name)
                WHERE one.name = ANY (fan_out.channels)
            ) THEN 'channel'
        END,
        wanted.ordered
    FROM ringback_endpoint e
    CROSS JOIN LATERAL (
        -- A zero byte, which may be written in a description, is the one character that jsonb does not take.
        SELECT replace(convert_from(e.record, 'UTF8'), '\u0000', '\ufffd')::jsonb AS record
    ) AS parsed
    CROSS JOIN LATERAL (
        SELECT parsed.record -> 'event_types', parsed.record -> 'channels',
            coalesce((parsed.record ->> 'ordered')::boolean, false)
    ) AS wanted (types, channels, ordered)
    WHERE e.application_key = fan_out.application_key AND e.deleted_at IS NULL
    ORDER BY e.id
$$;

-- An id like those of ringback.ids: 40 bits of time, then 120 of chance, in 27 digits to the base 62.
CREATE FUNCTION ringback.new_message_id(now bigint) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    alphabet CONSTANT text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    since CONSTANT bigint := now - 1400000000000;
    -- The last 15 digits of a UUID of version 4 are all chance.
    upper_part CONSTANT bigint := ('x' || right(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint;
    lower_part CONSTANT bigint := ('x' || right(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint;
    number numeric;
    digits text := '';
BEGIN
    number := ((since / 1000 << 8 | since % 1000 / 4)::numeric * 1152921504606846976 + upper_part)
        * 1152921504606846976 + lower_part;
    FOR place IN 1..27 LOOP
        digits := substr(alphabet, mod(number, 62)::integer + 1, 1) || digits;
        number := div(number, 62);
    END LOOP;
    RETURN 'msg_' || digits;
END $$;

-- Makes the partitions of a day where there are none, as nodes do ahead of time: for when none has run for days.
CREATE FUNCTION ringback.make_day(number bigint) RETURNS void
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
END $$;

-- Accepts a message, as ringback.store.Store.accept does one that was published and finds no room with a worker. What
-- it refuses it answers with a problem, so that the caller's transaction can go on. channels is a JSON array.
CREATE FUNCTION ringback.accept(
    application text, id text, created_at bigint, event_type text, payload bytea, event_id text, channels text,
    idempotency_key text, fingerprint bytea,
    OUT message_id text, OUT application_id text, OUT accepted_at bigint, OUT skipped text, OUT replayed boolean,
    OUT problem text, OUT detail text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    since_epoch CONSTANT bigint := greatest(accept.created_at - 1577836800000, 0);
    owner record;
    use record;
    use_scope text;
    is_new boolean := true;
    message_key bigint;
    targets bigint[];
    ordering_keys text[];
BEGIN
    message_id := accept.id;
    accepted_at := accept.created_at;
    replayed := false;

    IF starts_with(application, 'app_') THEN
        SELECT a.key, a.id INTO owner FROM ringback_application a WHERE a.id = application AND a.deleted_at IS NULL;
    ELSE
        -- A source has no uid here: nothing is published to one.
        SELECT a.key, a.id INTO owner FROM ringback_application a WHERE a.uid = application AND a.deleted_at IS NULL;
    END IF;
    IF NOT FOUND THEN
        problem := 'not_found';
        detail := 'there is no application ' || application;
        RETURN;
    END IF;
    application_id := owner.id;

    IF idempotency_key IS NOT NULL THEN
        use_scope := 'message:' || owner.id;
        -- Of two that use a key at the same time, the second waits here for the end of the first.
        INSERT INTO ringback_idempotency (scope, name, fingerprint, resource_id, created_at)
            VALUES (use_scope, idempotency_key, accept.fingerprint, accept.id, accept.created_at)
            ON CONFLICT DO NOTHING;
        is_new := FOUND;
        IF NOT is_new THEN
            SELECT i.resource_id, i.fingerprint, m.created_at, m.skipped, m.key IS NOT NULL AS is_there INTO use
            FROM (
                SELECT * FROM ringback_idempotency WHERE scope = use_scope AND name = idempotency_key FOR UPDATE
            ) AS i
            LEFT JOIN ringback_message m ON m.application_key = owner.key AND m.id = i.resource_id;
            IF use.is_there AND use.fingerprint <> accept.fingerprint THEN
                problem := 'conflict';
                detail := 'this idempotency key was used for a different request; use a new key';
                RETURN;
            END IF;
            IF use.is_there THEN
                message_id := use.resource_id;
                accepted_at := use.created_at;
                skipped := use.skipped;
                replayed := true;
                RETURN;
            END IF;
        END IF;
    END IF;

    SELECT '{' || string_agg(format('"%s":"%s"', f.endpoint_id, f.reason), ',') FILTER (WHERE f.reason IS NOT NULL) || '}',
        array_agg(f.endpoint_key) FILTER (WHERE f.reason IS NULL),
        array_agg(CASE WHEN f.ordered THEN '' END) FILTER (WHERE f.reason IS NULL)
        INTO skipped, targets, ordering_keys
        FROM ringback.fan_out(
            owner.key, accept.event_type, ARRAY(SELECT jsonb_array_elements_text(accept.channels::jsonb))
        ) AS f;

    PERFORM ringback.make_day(since_epoch / 86400000);
    LOOP
        -- Some number out of a range that no node has; two of a session that follow each other rise.
        message_key := (since_epoch << 22) + nextval('ringback_serial') + floor(random() * 4096)::bigint;
        INSERT INTO ringback_message (key, application_key, id, event_type, event_id, channels, created_at, skipped, payload)
            VALUES (message_key, owner.key, accept.id, accept.event_type, accept.event_id, accept.channels,
                accept.created_at, accept.skipped, accept.payload)
            ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
    END LOOP;

    IF event_id IS NOT NULL THEN
        INSERT INTO ringback_event VALUES (owner.key, accept.event_id, message_key) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            DELETE FROM ringback_message m WHERE m.key = message_key;
            IF idempotency_key IS NOT NULL AND is_new THEN
                DELETE FROM ringback_idempotency i WHERE i.scope = use_scope AND i.name = idempotency_key;
            END IF;
            problem := 'conflict';
            detail := format('the event id %s was used for another message of this application', event_id);
            RETURN;
        END IF;
    END IF;

    IF NOT is_new THEN
        UPDATE ringback_idempotency AS i
        SET key = nextval(pg_get_serial_sequence('ringback_idempotency', 'key')), fingerprint = accept.fingerprint,
            resource_id = accept.id, created_at = accept.created_at
        WHERE i.scope = use_scope AND i.name = idempotency_key;
    END IF;

    INSERT INTO ringback_delivery (message_key, endpoint_key, state, attempts, due_at, trigger, ordering_key)
        -- A caller whose clock is ahead must not make them wait.
        SELECT message_key, target.endpoint_key, 'waiting', 0,
            least(accept.created_at, (extract(epoch FROM clock_timestamp()) * 1000)::bigint), 'scheduled',
            target.ordering_key
        FROM unnest(targets, ordering_keys) AS target (endpoint_key, ordering_key);
    IF FOUND AND current_setting('ringback.hints', true) IS DISTINCT FROM 'off' THEN
        -- However often it is said in one transaction, it is heard once, after the commit.
        PERFORM pg_notify('ringback', '');
    END IF;
END $$;

-- What ringback.drafts asks of a name.
CREATE FUNCTION ringback.is_name(name text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(name COLLATE "C" ~ '^[a-zA-Z0-9_.\-]+$' AND length(name) <= 256, false)
$$;

CREATE FUNCTION ringback.refuse(field text, problem text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'RB422', MESSAGE = field || ': ' || problem;
END $$;

-- What a message must be to be accepted: the rules of ringback.drafts.MessageDraft.
CREATE FUNCTION ringback.check_message(
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
    EXCEPTION WHEN data_exception THEN
        PERFORM ringback.refuse('payload', 'is not JSON: ' || SQLERRM);
    END;
END $$;

CREATE FUNCTION ringback.publish(
    app text, event_type text, payload bytea,
    event_id text DEFAULT NULL, channels text[] DEFAULT NULL, idempotency_key text DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    now CONSTANT bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    names CONSTANT text := (SELECT '["' || string_agg(name, '","' ORDER BY place) || '"]'
        FROM unnest(channels) WITH ORDINALITY AS one (name, place));
    accepted record;
BEGIN
    PERFORM ringback.check_message(event_type, payload, event_id, channels, idempotency_key);
    SELECT * INTO accepted FROM ringback.accept(
        coalesce(app, ''), ringback.new_message_id(now), now, event_type, payload, event_id, names, idempotency_key,
        -- What ringback.outbox makes of the same request, so that a key is one key at every door.
        CASE WHEN idempotency_key IS NOT NULL THEN substring(sha256(
            convert_to('{"eventType":"' || event_type || '","payload":', 'UTF8') || payload
            || convert_to(',"eventId":' || coalesce('"' || event_id || '"', 'null')
                || ',"channels":' || coalesce(names, 'null') || '}', 'UTF8')
        ) FOR 16) END
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
    event_id text DEFAULT NULL, channels text[] DEFAULT NULL, idempotency_key text DEFAULT NULL
) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT ringback.publish(app, event_type, convert_to(payload, 'UTF8'), event_id, channels, idempotency_key)
$$;

-- What jsonb has made of a document is published: another order of keys, spaces after colons and commas.
CREATE FUNCTION ringback.publish(
    app text, event_type text, payload jsonb,
    event_id text DEFAULT NULL, channels text[] DEFAULT NULL, idempotency_key text DEFAULT NULL
) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT ringback.publish(app, event_type, convert_to(payload::text, 'UTF8'), event_id, channels, idempotency_key)
$$;

COMMENT ON FUNCTION ringback.publish(text, text, jsonb, text, text[], text)
    IS 'Publish a message that exists exactly if this transaction commits; returns its id';
