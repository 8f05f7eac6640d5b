-- What a token is for, until when, and when it was last used. Those there were may do everything.
ALTER TABLE ringback_token
    ADD COLUMN scopes text NOT NULL DEFAULT '["admin"]',
    ADD COLUMN application_id text COLLATE "C",
    ADD COLUMN feature_flags text,
    ADD COLUMN session text,
    ADD COLUMN expires_at bigint,
    ADD COLUMN last_used_at bigint;
CREATE INDEX ringback_token_application ON ringback_token (application_id) WHERE application_id IS NOT NULL;
