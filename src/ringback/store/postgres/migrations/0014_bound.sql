-- ringback.accept can be called by everyone who may publish. It is for programs that have Ringback's own doors check
-- what they publish; whoever calls it by hand can now neither give a message an id of another form, nor have tables made
-- for days that are far away. What it calls itself is not for others.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION ringback.check_acceptance(id text, created_at bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    week CONSTANT bigint := 7 * 86400000;
    now CONSTANT bigint := (extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    midnight CONSTANT bigint := created_at - created_at % 86400000;
BEGIN
    IF NOT coalesce(id COLLATE "C" ~ '^msg_[0-9A-Za-z]{27}$', false) THEN
        PERFORM ringback.refuse('id', 'is msg_ and 27 letters and digits');
    END IF;
    IF NOT coalesce(created_at BETWEEN now - week AND now + week, false)
        AND to_regclass('ringback_attempt_' || to_char(timestamp '1970-01-01' + midnight / 1000 * interval '1 second', 'YYYYMMDD')) IS NULL
    THEN
        PERFORM ringback.refuse('created_at', 'lies within seven days of now');
    END IF;
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
    PERFORM ringback.check_acceptance(accept.id, accept.created_at);
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

REVOKE EXECUTE ON FUNCTION ringback.accept(text, text, bigint, text, bytea, text, text, text, bytea) FROM PUBLIC;
