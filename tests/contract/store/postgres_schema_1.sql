-- What the first version left, as pg_dump --inserts tells it.

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE FUNCTION public.ringback_requeue() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.queued THEN
        DELETE FROM ringback_queue WHERE endpoint_key = OLD.endpoint_key AND due_at = OLD.due_at
            AND message_key = OLD.message_key;
    END IF;
    IF NEW.queued THEN
        INSERT INTO ringback_queue VALUES (NEW.endpoint_key, NEW.due_at, NEW.message_key);
    END IF;
    RETURN NULL;
END $$;

ALTER FUNCTION public.ringback_requeue() OWNER TO postgres;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.ringback_application (
    key bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    uid text COLLATE pg_catalog."C",
    record bytea NOT NULL,
    deleted_at bigint
);

ALTER TABLE public.ringback_application OWNER TO postgres;

ALTER TABLE public.ringback_application ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ringback_application_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ringback_attempt (
    message_key bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    endpoint_key bigint NOT NULL,
    started_at bigint NOT NULL,
    number integer NOT NULL,
    duration integer NOT NULL,
    status integer NOT NULL,
    trigger text NOT NULL,
    url text NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL,
    phases text NOT NULL,
    body bytea NOT NULL
)
PARTITION BY RANGE (message_key);

ALTER TABLE public.ringback_attempt OWNER TO postgres;

CREATE TABLE public.ringback_attempt_20251009 (
    message_key bigint CONSTRAINT ringback_attempt_message_key_not_null NOT NULL,
    id text CONSTRAINT ringback_attempt_id_not_null NOT NULL COLLATE pg_catalog."C",
    endpoint_key bigint CONSTRAINT ringback_attempt_endpoint_key_not_null NOT NULL,
    started_at bigint CONSTRAINT ringback_attempt_started_at_not_null NOT NULL,
    number integer CONSTRAINT ringback_attempt_number_not_null NOT NULL,
    duration integer CONSTRAINT ringback_attempt_duration_not_null NOT NULL,
    status integer CONSTRAINT ringback_attempt_status_not_null NOT NULL,
    trigger text CONSTRAINT ringback_attempt_trigger_not_null NOT NULL,
    url text CONSTRAINT ringback_attempt_url_not_null NOT NULL,
    kind text CONSTRAINT ringback_attempt_kind_not_null NOT NULL,
    detail text CONSTRAINT ringback_attempt_detail_not_null NOT NULL,
    phases text CONSTRAINT ringback_attempt_phases_not_null NOT NULL,
    body bytea CONSTRAINT ringback_attempt_body_not_null NOT NULL
);

ALTER TABLE public.ringback_attempt_20251009 OWNER TO postgres;

CREATE TABLE public.ringback_catalog (
    version bigint NOT NULL
)
WITH (fillfactor='10');

ALTER TABLE public.ringback_catalog OWNER TO postgres;

CREATE TABLE public.ringback_delivery (
    message_key bigint NOT NULL,
    endpoint_key bigint NOT NULL,
    due_at bigint,
    lease_token bigint,
    born_token bigint,
    attempts integer NOT NULL,
    begun integer DEFAULT 0 NOT NULL,
    state text NOT NULL,
    trigger text NOT NULL,
    reason text,
    ordering_key text COLLATE pg_catalog."C",
    unsent boolean GENERATED ALWAYS AS (((state = ANY (ARRAY['failed'::text, 'cancelled'::text])) OR ((state = 'waiting'::text) AND (attempts > 0)))) STORED NOT NULL,
    queued boolean GENERATED ALWAYS AS (((due_at IS NOT NULL) AND ((born_token IS NULL) OR (lease_token IS DISTINCT FROM born_token)))) STORED NOT NULL,
    live_key text GENERATED ALWAYS AS (
CASE
    WHEN (due_at IS NOT NULL) THEN ordering_key
    ELSE NULL::text
END) STORED COLLATE pg_catalog."C"
)
PARTITION BY RANGE (message_key);

ALTER TABLE public.ringback_delivery OWNER TO postgres;

CREATE TABLE public.ringback_delivery_20251009 (
    message_key bigint CONSTRAINT ringback_delivery_message_key_not_null NOT NULL,
    endpoint_key bigint CONSTRAINT ringback_delivery_endpoint_key_not_null NOT NULL,
    due_at bigint,
    lease_token bigint,
    born_token bigint,
    attempts integer CONSTRAINT ringback_delivery_attempts_not_null NOT NULL,
    begun integer DEFAULT 0 CONSTRAINT ringback_delivery_begun_not_null NOT NULL,
    state text CONSTRAINT ringback_delivery_state_not_null NOT NULL,
    trigger text CONSTRAINT ringback_delivery_trigger_not_null NOT NULL,
    reason text,
    ordering_key text COLLATE pg_catalog."C",
    unsent boolean GENERATED ALWAYS AS (((state = ANY (ARRAY['failed'::text, 'cancelled'::text])) OR ((state = 'waiting'::text) AND (attempts > 0)))) STORED CONSTRAINT ringback_delivery_unsent_not_null NOT NULL,
    queued boolean GENERATED ALWAYS AS (((due_at IS NOT NULL) AND ((born_token IS NULL) OR (lease_token IS DISTINCT FROM born_token)))) STORED CONSTRAINT ringback_delivery_queued_not_null NOT NULL,
    live_key text GENERATED ALWAYS AS (
CASE
    WHEN (due_at IS NOT NULL) THEN ordering_key
    ELSE NULL::text
END) STORED COLLATE pg_catalog."C"
)
WITH (fillfactor='60');

ALTER TABLE public.ringback_delivery_20251009 OWNER TO postgres;

CREATE TABLE public.ringback_document (
    collection text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea NOT NULL
);

ALTER TABLE public.ringback_document OWNER TO postgres;

CREATE TABLE public.ringback_endpoint (
    key bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    application_key bigint NOT NULL,
    uid text COLLATE pg_catalog."C",
    state text NOT NULL,
    disabled_reason text,
    failing_since bigint,
    secrets bytea NOT NULL,
    record bytea NOT NULL,
    deleted_at bigint,
    handler text COLLATE pg_catalog."C"
)
WITH (fillfactor='70');

ALTER TABLE public.ringback_endpoint OWNER TO postgres;

ALTER TABLE public.ringback_endpoint ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ringback_endpoint_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ringback_event (
    application_key bigint NOT NULL,
    event_id text NOT NULL COLLATE pg_catalog."C",
    message_key bigint NOT NULL
);

ALTER TABLE public.ringback_event OWNER TO postgres;

CREATE TABLE public.ringback_event_type (
    name text NOT NULL COLLATE pg_catalog."C",
    archived integer NOT NULL,
    record bytea NOT NULL
);

ALTER TABLE public.ringback_event_type OWNER TO postgres;

CREATE TABLE public.ringback_idempotency (
    key bigint NOT NULL,
    scope text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    fingerprint bytea NOT NULL,
    resource_id text NOT NULL,
    created_at bigint NOT NULL
);

ALTER TABLE public.ringback_idempotency OWNER TO postgres;

ALTER TABLE public.ringback_idempotency ALTER COLUMN key ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.ringback_idempotency_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ringback_lease (
    until bigint NOT NULL,
    token bigint NOT NULL,
    first_key bigint NOT NULL,
    last_key bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE public.ringback_lease OWNER TO postgres;

CREATE TABLE public.ringback_message (
    key bigint NOT NULL,
    application_key bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    event_type text NOT NULL,
    event_id text COLLATE pg_catalog."C",
    channels text,
    created_at bigint NOT NULL,
    skipped text,
    payload bytea,
    inbound bytea,
    held text
)
PARTITION BY RANGE (key);

ALTER TABLE public.ringback_message OWNER TO postgres;

CREATE TABLE public.ringback_message_20251009 (
    key bigint CONSTRAINT ringback_message_key_not_null NOT NULL,
    application_key bigint CONSTRAINT ringback_message_application_key_not_null NOT NULL,
    id text CONSTRAINT ringback_message_id_not_null NOT NULL COLLATE pg_catalog."C",
    event_type text CONSTRAINT ringback_message_event_type_not_null NOT NULL,
    event_id text COLLATE pg_catalog."C",
    channels text,
    created_at bigint CONSTRAINT ringback_message_created_at_not_null NOT NULL,
    skipped text,
    payload bytea,
    inbound bytea,
    held text
);

ALTER TABLE public.ringback_message_20251009 OWNER TO postgres;

CREATE TABLE public.ringback_migration (
    version integer NOT NULL,
    name text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.ringback_migration OWNER TO postgres;

CREATE TABLE public.ringback_queue (
    endpoint_key bigint NOT NULL,
    due_at bigint NOT NULL,
    message_key bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='50000', autovacuum_vacuum_cost_delay='0');

ALTER TABLE public.ringback_queue OWNER TO postgres;

CREATE TABLE public.ringback_receipt (
    key bigint NOT NULL,
    application_key bigint NOT NULL,
    dedupe_key text NOT NULL COLLATE pg_catalog."C",
    business_key text COLLATE pg_catalog."C",
    polled integer NOT NULL,
    message_id text NOT NULL,
    created_at bigint NOT NULL
);

ALTER TABLE public.ringback_receipt OWNER TO postgres;

ALTER TABLE public.ringback_receipt ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ringback_receipt_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ringback_refusal (
    key bigint NOT NULL,
    application_key bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    record bytea NOT NULL
);

ALTER TABLE public.ringback_refusal OWNER TO postgres;

ALTER TABLE public.ringback_refusal ALTER COLUMN key ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ringback_refusal_key_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE SEQUENCE public.ringback_serial
    START WITH 0
    INCREMENT BY 4096
    MINVALUE 0
    MAXVALUE 4194303
    CACHE 1
    CYCLE;

ALTER SEQUENCE public.ringback_serial OWNER TO postgres;

CREATE TABLE public.ringback_source (
    application_key bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    uid text COLLATE pg_catalog."C",
    token_digest bytea,
    secrets bytea NOT NULL,
    record bytea NOT NULL,
    deleted_at bigint
);

ALTER TABLE public.ringback_source OWNER TO postgres;

CREATE TABLE public.ringback_task (
    id text NOT NULL COLLATE pg_catalog."C",
    done integer NOT NULL,
    "position" bigint NOT NULL,
    record bytea NOT NULL
);

ALTER TABLE public.ringback_task OWNER TO postgres;

CREATE TABLE public.ringback_token (
    id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    digest bytea NOT NULL,
    created_at bigint NOT NULL
);

ALTER TABLE public.ringback_token OWNER TO postgres;

CREATE VIEW public.ringback_unfinished AS
 SELECT ringback_queue.endpoint_key,
    ringback_queue.message_key,
    ringback_queue.due_at
   FROM public.ringback_queue
UNION ALL
 SELECT d.endpoint_key,
    d.message_key,
    d.due_at
   FROM (public.ringback_lease l
     JOIN public.ringback_delivery d ON ((((d.message_key >= l.first_key) AND (d.message_key <= l.last_key)) AND (d.lease_token = l.token) AND (d.born_token = l.token) AND (d.due_at IS NOT NULL))));

ALTER VIEW public.ringback_unfinished OWNER TO postgres;

ALTER TABLE ONLY public.ringback_attempt ATTACH PARTITION public.ringback_attempt_20251009 FOR VALUES FROM ('763913620684800000') TO ('764276008550400000');

ALTER TABLE ONLY public.ringback_delivery ATTACH PARTITION public.ringback_delivery_20251009 FOR VALUES FROM ('763913620684800000') TO ('764276008550400000');

ALTER TABLE ONLY public.ringback_message ATTACH PARTITION public.ringback_message_20251009 FOR VALUES FROM ('763913620684800000') TO ('764276008550400000');

INSERT INTO public.ringback_application OVERRIDING SYSTEM VALUE VALUES (1, 'app_33p35Go7U1ibf73qGwAYoX4ybGn', 'acme', '\x7b226964223a226170705f3333703335476f375531696266373371477741596f58347962476e222c226e616d65223a2241636d65222c22637265617465645f6174223a313736303030303030313030302c22757064617465645f6174223a313736303030303030313030302c22756964223a2261636d65222c227468726f74746c655f72617465223a6e756c6c2c226d65746164617461223a7b7d7d', NULL);
INSERT INTO public.ringback_application OVERRIDING SYSTEM VALUE VALUES (2, 'src_33p36H9YmbasMRP7GnOzTZcAIcZ', NULL, '\x7b226964223a227372635f33337033364839596d6261734d525037476e4f7a545a634149635a222c226e616d65223a227061796d656e7473222c22637265617465645f6174223a313736303030303030393030302c22757064617465645f6174223a313736303030303030393030302c22756964223a6e756c6c2c227468726f74746c655f72617465223a6e756c6c2c226d65746164617461223a7b7d7d', NULL);

INSERT INTO public.ringback_attempt_20251009 VALUES (764047850995712000, 'atmpt_33p35eBl9YtxqD0m9ZCTN5awehS', 1, 1760000004000, 1, 12, 200, 'scheduled', 'https://example.com/hook', 'success', '', '0,0,0,0,0,0', '\x7468616e6b73');
INSERT INTO public.ringback_attempt_20251009 VALUES (764047859384320001, 'atmpt_33p35tm57SF2T9zeOO9GBIAvmtZ', 1, 1760000006000, 1, 12, 500, 'scheduled', 'https://example.com/hook', 'refused', '', '0,0,0,0,0,0', '\x6f6f7073');

INSERT INTO public.ringback_catalog VALUES (4);

INSERT INTO public.ringback_delivery_20251009 VALUES (764047850995712000, 1, NULL, NULL, 1, 1, 0, 'succeeded', 'scheduled', NULL, NULL, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO public.ringback_delivery_20251009 VALUES (764047859384320001, 1, NULL, NULL, 2, 1, 0, 'failed', 'scheduled', NULL, NULL, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO public.ringback_delivery_20251009 VALUES (764047867772928002, 1, 1760000007000, NULL, NULL, 0, 0, 'waiting', 'scheduled', NULL, NULL, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO public.ringback_delivery_20251009 VALUES (764047871967232003, 1, 1760000038000, 4, 4, 0, 0, 'leased', 'scheduled', NULL, NULL, DEFAULT, DEFAULT, DEFAULT);

INSERT INTO public.ringback_document VALUES ('orders', 'a', '\x70616964');

INSERT INTO public.ringback_endpoint OVERRIDING SYSTEM VALUE VALUES (1, 'ep_33p35ObMSSVhoZr5B4EfHBnoFiE', 1, 'billing', 'enabled', NULL, NULL, '\x010e64c9f35b64ac452a7a0747817a170f0dbf550407aa4aa2708a38e9318af9522e7c8f481c5882a8545f8cb05d939070ecd2e2be85c29cef47c57464f4d91ed72e6ba738b89fdb6d19201e7e906e4318893e464a68aeb6bedf1d278797bc934938d9b63a', '\x7b226964223a2265705f33337033354f624d535356686f5a72354234456648426e6f466945222c226170706c69636174696f6e5f6964223a226170705f3333703335476f375531696266373371477741596f58347962476e222c2275726c223a2268747470733a2f2f6578616d706c652e636f6d2f686f6f6b222c22637265617465645f6174223a313736303030303030323030302c22757064617465645f6174223a313736303030303030323030302c2273656372657473223a5b5d2c22756964223a2262696c6c696e67222c226465736372697074696f6e223a22222c226576656e745f7479706573223a6e756c6c2c226368616e6e656c73223a6e756c6c2c226d65746164617461223a7b7d2c2268656164657273223a7b7d2c227468726f74746c655f72617465223a6e756c6c2c2272657472795f7363686564756c65223a6e756c6c2c226865616465725f66616d696c79223a22776562686f6f6b222c227374617465223a22656e61626c6564222c2264697361626c65645f726561736f6e223a6e756c6c2c226661696c696e675f73696e6365223a6e756c6c2c226f726465726564223a66616c73652c226d616e6e6572223a6e756c6c7d', NULL, NULL);

INSERT INTO public.ringback_event VALUES (1, 'done', 764047850995712000);
INSERT INTO public.ringback_event VALUES (1, 'failed', 764047859384320001);
INSERT INTO public.ringback_event VALUES (1, 'waiting', 764047867772928002);
INSERT INTO public.ringback_event VALUES (1, 'leased', 764047871967232003);

INSERT INTO public.ringback_lease VALUES (1760000033000, 1, 764047850995712000, 764047850995712000);
INSERT INTO public.ringback_lease VALUES (1760000035000, 2, 764047859384320001, 764047859384320001);
INSERT INTO public.ringback_lease VALUES (1760000038000, 4, 764047871967232003, 764047871967232003);

INSERT INTO public.ringback_message_20251009 VALUES (764047850995712000, 1, 'msg_33p35WO9Y32ajsThqmJQFuEeltd', 'invoice.paid', 'done', NULL, 1760000003000, NULL, '\x7b22616d6f756e74223a317d', NULL, NULL);
INSERT INTO public.ringback_message_20251009 VALUES (764047859384320001, 1, 'msg_33p35lzYZEYGFQqLZuCKwimtocd', 'invoice.paid', 'failed', NULL, 1760000005000, NULL, '\x7b22616d6f756e74223a317d', NULL, NULL);
INSERT INTO public.ringback_message_20251009 VALUES (764047867772928002, 1, 'msg_33p361YNHXYSaBVOfUMTIS4U92W', 'invoice.paid', 'waiting', NULL, 1760000007000, NULL, '\x7b22616d6f756e74223a317d', NULL, NULL);
INSERT INTO public.ringback_message_20251009 VALUES (764047871967232003, 1, 'msg_33p369LQ2Ht3X7YMj2gT5jq5HH7', 'invoice.paid', 'leased', NULL, 1760000008000, NULL, '\x7b22616d6f756e74223a317d', NULL, NULL);
INSERT INTO public.ringback_message_20251009 VALUES (764047880355840004, 2, 'msg_33p36OwoUtuTG5NqruKn1PMa3TQ', 'invoice.paid', NULL, NULL, 1760000010000, NULL, '\x7b22616d6f756e74223a317d', '\x7b2268656164657273223a7b7d2c226465647570655f6b6579223a226f726465722d31227d', 'unhandled');

INSERT INTO public.ringback_migration VALUES (1, '0001_initial.sql', '2026-11-26 12:33:09.682821+00');

INSERT INTO public.ringback_queue VALUES (1, 1760000007000, 764047867772928002);

INSERT INTO public.ringback_receipt OVERRIDING SYSTEM VALUE VALUES (1, 2, 'order-1', NULL, 0, 'msg_33p36OwoUtuTG5NqruKn1PMa3TQ', 1760000010000);

INSERT INTO public.ringback_source VALUES (2, 'src_33p36H9YmbasMRP7GnOzTZcAIcZ', 'xendit', NULL, '\x010e64c9f3415fa48b1796bd6853bda744ba1c6310ccd048645c736ad4ac21c54240614d5734ca41cd68c329b0a0f229307c28a7c1b3f9984ab1802e', '\x7b226964223a227372635f33337033364839596d6261734d525037476e4f7a545a634149635a222c226e616d65223a227061796d656e7473222c2270726f7669646572223a2278656e646974222c22637265617465645f6174223a313736303030303030393030302c22757064617465645f6174223a313736303030303030393030302c22756964223a2278656e646974222c2273656372657473223a5b5d2c22746f6b656e223a6e756c6c2c2275726c223a6e756c6c2c226f7074696f6e73223a7b7d2c2261636b223a6e756c6c2c226d65746164617461223a7b7d2c22616c696173223a6e756c6c7d', NULL);

INSERT INTO public.ringback_token VALUES ('tok_1', 'billing', '\x6464646464646464646464646464646464646464646464646464646464646464', 1760000000000);

SELECT pg_catalog.setval('public.ringback_application_key_seq', 2, true);

SELECT pg_catalog.setval('public.ringback_endpoint_key_seq', 1, true);

SELECT pg_catalog.setval('public.ringback_idempotency_key_seq', 1, false);

SELECT pg_catalog.setval('public.ringback_receipt_key_seq', 1, true);

SELECT pg_catalog.setval('public.ringback_refusal_key_seq', 1, false);

SELECT pg_catalog.setval('public.ringback_serial', 0, true);

ALTER TABLE ONLY public.ringback_application
    ADD CONSTRAINT ringback_application_id_key UNIQUE (id);

ALTER TABLE ONLY public.ringback_application
    ADD CONSTRAINT ringback_application_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ringback_attempt
    ADD CONSTRAINT ringback_attempt_pkey PRIMARY KEY (message_key, id);

ALTER TABLE ONLY public.ringback_attempt_20251009
    ADD CONSTRAINT ringback_attempt_20251009_pkey PRIMARY KEY (message_key, id);

ALTER TABLE ONLY public.ringback_delivery
    ADD CONSTRAINT ringback_delivery_pkey PRIMARY KEY (message_key, endpoint_key);

ALTER TABLE ONLY public.ringback_delivery_20251009
    ADD CONSTRAINT ringback_delivery_20251009_pkey PRIMARY KEY (message_key, endpoint_key);

ALTER TABLE ONLY public.ringback_document
    ADD CONSTRAINT ringback_document_pkey PRIMARY KEY (collection, id);

ALTER TABLE ONLY public.ringback_endpoint
    ADD CONSTRAINT ringback_endpoint_id_key UNIQUE (id);

ALTER TABLE ONLY public.ringback_endpoint
    ADD CONSTRAINT ringback_endpoint_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ringback_event
    ADD CONSTRAINT ringback_event_pkey PRIMARY KEY (application_key, event_id);

ALTER TABLE ONLY public.ringback_event_type
    ADD CONSTRAINT ringback_event_type_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.ringback_idempotency
    ADD CONSTRAINT ringback_idempotency_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ringback_idempotency
    ADD CONSTRAINT ringback_idempotency_scope_name_key UNIQUE (scope, name);

ALTER TABLE ONLY public.ringback_lease
    ADD CONSTRAINT ringback_lease_pkey PRIMARY KEY (until, token);

ALTER TABLE ONLY public.ringback_message
    ADD CONSTRAINT ringback_message_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ringback_message_20251009
    ADD CONSTRAINT ringback_message_20251009_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ringback_migration
    ADD CONSTRAINT ringback_migration_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.ringback_queue
    ADD CONSTRAINT ringback_queue_pkey PRIMARY KEY (endpoint_key, due_at, message_key);

ALTER TABLE ONLY public.ringback_receipt
    ADD CONSTRAINT ringback_receipt_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ringback_refusal
    ADD CONSTRAINT ringback_refusal_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.ringback_source
    ADD CONSTRAINT ringback_source_id_key UNIQUE (id);

ALTER TABLE ONLY public.ringback_source
    ADD CONSTRAINT ringback_source_pkey PRIMARY KEY (application_key);

ALTER TABLE ONLY public.ringback_task
    ADD CONSTRAINT ringback_task_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ringback_token
    ADD CONSTRAINT ringback_token_digest_key UNIQUE (digest);

ALTER TABLE ONLY public.ringback_token
    ADD CONSTRAINT ringback_token_pkey PRIMARY KEY (id);

CREATE UNIQUE INDEX ringback_application_uid ON public.ringback_application USING btree (uid) WHERE ((uid IS NOT NULL) AND (deleted_at IS NULL));

CREATE INDEX ringback_attempt_of_endpoint ON ONLY public.ringback_attempt USING btree (endpoint_key, id);

CREATE INDEX ringback_attempt_20251009_endpoint_key_id_idx ON public.ringback_attempt_20251009 USING btree (endpoint_key, id);

CREATE INDEX ringback_delivery_ordered ON ONLY public.ringback_delivery USING btree (endpoint_key, live_key, message_key) WHERE (live_key IS NOT NULL);

CREATE INDEX ringback_delivery_20251009_endpoint_key_live_key_message_ke_idx ON public.ringback_delivery_20251009 USING btree (endpoint_key, live_key, message_key) WHERE (live_key IS NOT NULL);

CREATE INDEX ringback_delivery_unsent ON ONLY public.ringback_delivery USING btree (endpoint_key, message_key) WHERE unsent;

CREATE INDEX ringback_delivery_20251009_endpoint_key_message_key_idx ON public.ringback_delivery_20251009 USING btree (endpoint_key, message_key) WHERE unsent;

CREATE INDEX ringback_endpoint_of_application ON public.ringback_endpoint USING btree (application_key, id) WHERE (deleted_at IS NULL);

CREATE UNIQUE INDEX ringback_endpoint_uid ON public.ringback_endpoint USING btree (application_key, uid) WHERE ((uid IS NOT NULL) AND (deleted_at IS NULL));

CREATE INDEX ringback_event_of_message ON public.ringback_event USING btree (message_key);

CREATE INDEX ringback_message_event_id ON ONLY public.ringback_message USING btree (application_key, event_id) WHERE (event_id IS NOT NULL);

CREATE INDEX ringback_message_20251009_application_key_event_id_idx ON public.ringback_message_20251009 USING btree (application_key, event_id) WHERE (event_id IS NOT NULL);

CREATE INDEX ringback_message_held ON ONLY public.ringback_message USING btree (application_key, held, id) WHERE (held IS NOT NULL);

CREATE INDEX ringback_message_20251009_application_key_held_id_idx ON public.ringback_message_20251009 USING btree (application_key, held, id) WHERE (held IS NOT NULL);

CREATE INDEX ringback_message_of_application ON ONLY public.ringback_message USING btree (application_key, id);

CREATE INDEX ringback_message_20251009_application_key_id_idx ON public.ringback_message_20251009 USING btree (application_key, id);

CREATE INDEX ringback_receipt_business ON public.ringback_receipt USING btree (application_key, business_key) WHERE (business_key IS NOT NULL);

CREATE UNIQUE INDEX ringback_receipt_event ON public.ringback_receipt USING btree (application_key, dedupe_key);

CREATE INDEX ringback_refusal_of_source ON public.ringback_refusal USING btree (application_key, id);

CREATE UNIQUE INDEX ringback_source_token ON public.ringback_source USING btree (token_digest) WHERE ((token_digest IS NOT NULL) AND (deleted_at IS NULL));

CREATE UNIQUE INDEX ringback_source_uid ON public.ringback_source USING btree (uid) WHERE ((uid IS NOT NULL) AND (deleted_at IS NULL));

ALTER INDEX public.ringback_attempt_of_endpoint ATTACH PARTITION public.ringback_attempt_20251009_endpoint_key_id_idx;

ALTER INDEX public.ringback_attempt_pkey ATTACH PARTITION public.ringback_attempt_20251009_pkey;

ALTER INDEX public.ringback_delivery_ordered ATTACH PARTITION public.ringback_delivery_20251009_endpoint_key_live_key_message_ke_idx;

ALTER INDEX public.ringback_delivery_unsent ATTACH PARTITION public.ringback_delivery_20251009_endpoint_key_message_key_idx;

ALTER INDEX public.ringback_delivery_pkey ATTACH PARTITION public.ringback_delivery_20251009_pkey;

ALTER INDEX public.ringback_message_event_id ATTACH PARTITION public.ringback_message_20251009_application_key_event_id_idx;

ALTER INDEX public.ringback_message_held ATTACH PARTITION public.ringback_message_20251009_application_key_held_id_idx;

ALTER INDEX public.ringback_message_of_application ATTACH PARTITION public.ringback_message_20251009_application_key_id_idx;

ALTER INDEX public.ringback_message_pkey ATTACH PARTITION public.ringback_message_20251009_pkey;

CREATE TRIGGER ringback_queued_again AFTER UPDATE ON public.ringback_delivery FOR EACH ROW WHEN (((old.queued OR new.queued) AND ((old.queued IS DISTINCT FROM new.queued) OR (old.due_at IS DISTINCT FROM new.due_at)))) EXECUTE FUNCTION public.ringback_requeue();

CREATE TRIGGER ringback_queued_new AFTER INSERT ON public.ringback_delivery FOR EACH ROW WHEN (new.queued) EXECUTE FUNCTION public.ringback_requeue();

ALTER TABLE ONLY public.ringback_endpoint
    ADD CONSTRAINT ringback_endpoint_application_key_fkey FOREIGN KEY (application_key) REFERENCES public.ringback_application(key);

ALTER TABLE ONLY public.ringback_source
    ADD CONSTRAINT ringback_source_application_key_fkey FOREIGN KEY (application_key) REFERENCES public.ringback_application(key);
