-- Tasks that can be listed, paced, paused and cancelled. Those there were go on; the table they were in is left to
-- nodes of earlier versions.

-- due_at is when the next step is to be done, NULL when there is none to do.
CREATE TABLE ringback_background_task (
    id text COLLATE "C" PRIMARY KEY,
    application_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    due_at bigint,
    record bytea NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX ringback_background_task_due ON ringback_background_task (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ringback_background_task_of_application ON ringback_background_task (application_id, id);

-- Deliveries that a task has made due and that have not been tried since, with what they were before; withdrawn ones
-- are that again, and wait for the task to go on.
CREATE TABLE ringback_replayed (
    message_key bigint NOT NULL,
    endpoint_key bigint NOT NULL,
    task_id text COLLATE "C" NOT NULL,
    withdrawn integer NOT NULL DEFAULT 0,
    state text NOT NULL,
    attempts integer NOT NULL,
    due_at bigint,
    trigger text NOT NULL,
    reason text,
    PRIMARY KEY (message_key, endpoint_key)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX ringback_replayed_by ON ringback_replayed (task_id);

INSERT INTO ringback_background_task (id, application_id, kind, state, due_at, record)
SELECT id, record ->> 'application_id', 'endpoint.recover', state,
    CASE WHEN state = 'running' THEN (record ->> 'updated_at')::bigint END,
    convert_to(jsonb_build_object(
        'id', id, 'application_id', record -> 'application_id', 'kind', 'endpoint.recover', 'state', state,
        'moved', record -> 'moved', 'created_at', record -> 'updated_at', 'updated_at', record -> 'updated_at',
        'selection', jsonb_build_object(
            'since', record -> 'since', 'until', record -> 'until',
            'standings', jsonb_build_array('failed', 'sending', 'cancelled')
        ),
        'lanes', CASE state WHEN 'finished' THEN '[]' ELSE jsonb_build_array(
            jsonb_build_object('endpoint_id', record -> 'endpoint_id', 'position', position)
        ) END
    )::text, 'UTF8')
FROM (
    SELECT id, CASE done WHEN 0 THEN 'running' ELSE 'finished' END AS state, position,
        convert_from(record, 'UTF8')::jsonb AS record
    FROM ringback_task
) AS earlier;
UPDATE ringback_task SET done = 1;
