-- Reads an order.
--
-- $1 order.
-- Returns one row per line; a void or archived order has one row without a line.
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    o.archived_before IS NOT NULL AS archived, l.sku, l.quantity, l.price, l.returned
FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.id = $1 ORDER BY l.sku;
