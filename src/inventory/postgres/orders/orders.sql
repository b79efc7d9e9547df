-- Reads a page of orders that are not archived.
--
-- $1 the id that the page continues after, or null, $2 customer or null, $3 statuses, $4 limit.
-- Returns one row per line. The variants read the orders of one customer, or from the newest to the oldest.
--
-- The lines of one order each are looked up by their key. Joined, a plan that is made while the tables are small would
-- read all of them.
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM (
    SELECT id, customer, status, total, currency, version, reason, created_at FROM optilock.orders
    WHERE /* customer: any */ id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)
        AND status = ANY ($3) AND archived_before IS NULL AND ($2::text IS NULL OR customer = $2)
    ORDER BY id LIMIT $4) o
    LEFT JOIN LATERAL (
        SELECT l.sku, l.quantity, l.price, l.returned
        FROM optilock.order_lines l WHERE l.order_id = o.id ORDER BY l.sku) l ON true
ORDER BY o.id, l.sku;
