-- Endpoints that get their messages one after the other, in the order of acceptance.
CREATE TABLE ringback_in_order (endpoint_key INTEGER PRIMARY KEY) STRICT;
