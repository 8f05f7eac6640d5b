-- Tasks that can be listed, paced, paused and cancelled. Those there were go on; the table they were in is left to
-- nodes of earlier versions.

-- due_at is when the next step is to be done, NULL when there is none to do.
CREATE TABLE ringback_background_task (
    id TEXT PRIMARY KEY,
    application_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at INTEGER,
    record BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ringback_background_task_due ON ringback_background_task (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX ringback_background_task_of_application ON ringback_background_task (application_id, id);

-- Deliveries that a task has made due and that have not been tried since, with what they were before; withdrawn ones
-- are that again, and wait for the task to go on.
CREATE TABLE ringback_replayed (
    message_key INTEGER NOT NULL,
    endpoint_key INTEGER NOT NULL,
    task_id TEXT NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    trigger TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (message_key, endpoint_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX ringback_replayed_by ON ringback_replayed (task_id);

INSERT INTO ringback_background_task (id, application_id, kind, state, due_at, record)
SELECT id, record ->> '$.application_id', 'endpoint.recover', iif(done, 'finished', 'running'),
    iif(done, NULL, record ->> '$.updated_at'),
    CAST(json_object(
        'id', id, 'application_id', record ->> '$.application_id', 'kind', 'endpoint.recover',
        'state', iif(done, 'finished', 'running'), 'moved', record ->> '$.moved',
        'created_at', record ->> '$.updated_at', 'updated_at', record ->> '$.updated_at',
        'selection', json_object(
            'since', record ->> '$.since', 'until', record ->> '$.until',
            'standings', json_array('failed', 'sending', 'cancelled')
        ),
        'lanes', iif(done, json_array(), json_array(
            json_object('endpoint_id', record ->> '$.endpoint_id', 'position', position)
        ))
    ) AS BLOB)
FROM (SELECT id, done, position, CAST(record AS TEXT) AS record FROM ringback_task);
UPDATE ringback_task SET done = 1;
