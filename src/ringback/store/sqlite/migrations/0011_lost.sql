-- Deliveries that failed for good or were cancelled, newest first, wherever they were going.
CREATE INDEX ringback_delivery_lost ON ringback_delivery (state, message_key)
    WHERE state = 'failed' OR state = 'cancelled';
