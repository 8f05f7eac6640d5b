-- What an endpoint's requests show beside their signature, sealed; and what is sent of a message. Nodes that do not know
-- of these leave them as they are.
ALTER TABLE ringback_endpoint
    ADD COLUMN credentials bytea,
    ADD COLUMN transformation bytea;
