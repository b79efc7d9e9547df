-- Reads a page of orders.
--
-- $1 the id that the page continues after, or null, $2 customer or null, $3 statuses, $4 limit.
-- Returns one row per line.
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.id = ANY (ARRAY(
    SELECT id FROM optilock.orders
    WHERE id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid) AND status = ANY ($3)
        AND ($2::text IS NULL OR customer = $2)
    ORDER BY id LIMIT $4))
ORDER BY o.id, l.sku;
