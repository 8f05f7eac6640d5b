-- How endpoints are sent to beside their signature, sealed: in a table of its own, which nodes that do not know of it
-- leave as it is.
CREATE TABLE ringback_endpoint_option (
    endpoint_key INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL
);
