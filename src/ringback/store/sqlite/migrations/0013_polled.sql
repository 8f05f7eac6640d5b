-- What asking a provider found, of each source: few among very many that came by themselves.
CREATE INDEX ringback_receipt_polled ON ringback_receipt (application_key, message_id) WHERE polled = 1;
