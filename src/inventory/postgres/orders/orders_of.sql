-- Reads orders by their ids.
--
-- $1 orders.
-- Returns one row per line of each order that exists.
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.id = ANY ($1) ORDER BY o.id, l.sku;
