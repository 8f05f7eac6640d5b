-- Endpoints that get their messages one after the other, in the order of acceptance. A table of their own: to add a
-- column to that of endpoints would have to wait for every node that is using it.
CREATE TABLE ringback_in_order (endpoint_key bigint PRIMARY KEY);
