-- What a token is for, until when, and when it was last used. Those there were may do everything.
ALTER TABLE ringback_token ADD COLUMN scopes TEXT NOT NULL DEFAULT '["admin"]';
ALTER TABLE ringback_token ADD COLUMN application_id TEXT;
ALTER TABLE ringback_token ADD COLUMN feature_flags TEXT;
ALTER TABLE ringback_token ADD COLUMN session TEXT;
ALTER TABLE ringback_token ADD COLUMN expires_at INTEGER;
ALTER TABLE ringback_token ADD COLUMN last_used_at INTEGER;
CREATE INDEX ringback_token_application ON ringback_token (application_id) WHERE application_id IS NOT NULL;
