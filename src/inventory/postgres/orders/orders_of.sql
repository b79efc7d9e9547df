-- Reads orders by their ids, without archived ones.
--
-- $1 orders.
-- Returns one row per line of each order that exists and is not archived.
--
-- The subqueries look up one order each by its key. Joined, a plan that is made while the tables are small would
-- read all of them.
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM pg_catalog.unnest($1::uuid[]) AS r (id),
    LATERAL (
        SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at
        FROM optilock.orders o WHERE o.id = r.id AND o.archived_before IS NULL LIMIT 1) o
    LEFT JOIN LATERAL (
        SELECT l.sku, l.quantity, l.price, l.returned
        FROM optilock.order_lines l WHERE l.order_id = o.id ORDER BY l.sku) l ON true
ORDER BY o.id, l.sku;
