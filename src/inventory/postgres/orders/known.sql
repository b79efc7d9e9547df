-- Reads the order that an earlier attempt of a checkout may have made: by its id, or else by its
-- idempotency key.
--
-- $1 order, $2 customer or null, $3 idempotency key or null.
-- Returns one row per line.
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    o.archived_before IS NOT NULL AS archived, l.sku, l.quantity, l.price, l.returned
FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.id = (
    SELECT id FROM optilock.orders WHERE id = $1
    UNION ALL SELECT id FROM optilock.orders
        WHERE idempotency_key = $3 AND coalesce(customer, '') = coalesce($2, '')
    LIMIT 1)
ORDER BY l.sku;
