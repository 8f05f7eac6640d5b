-- How endpoints are sent to beside their signature, sealed: in a table of its own, which nodes that do not know of it
-- leave as it is, and for which no transaction of theirs has to be waited for.
CREATE TABLE ringback_endpoint_option (
    endpoint_key bigint PRIMARY KEY,
    sealed bytea NOT NULL
);
