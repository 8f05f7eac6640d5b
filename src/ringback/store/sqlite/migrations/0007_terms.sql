-- What few messages have, apart from the others so that those pay nothing for it: tags, and a time before which nothing
-- is delivered, as JSON.
CREATE TABLE ringback_terms (
    message_key INTEGER PRIMARY KEY,
    record BLOB NOT NULL
) STRICT;

-- The tags again, to find messages by.
CREATE TABLE ringback_tag (
    message_key INTEGER NOT NULL,
    tag TEXT NOT NULL,
    application_key INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    PRIMARY KEY (message_key, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX ringback_tag_of_application ON ringback_tag (application_key, tag, message_id);

-- The messages of an endpoint, in their order.
CREATE INDEX ringback_delivery_of_endpoint ON ringback_delivery (endpoint_key, message_key);
