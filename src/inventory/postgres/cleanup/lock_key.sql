-- Locks an order.
--
-- $1 order.
SELECT o.id FROM optilock.orders o WHERE o.id = $1 FOR NO KEY UPDATE;
