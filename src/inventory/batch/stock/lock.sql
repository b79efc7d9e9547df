-- Locks the rows that a batch changes, and reads the facts of its products. Each wait for a lock ends after
-- half a second.
--
-- $1 SKUs, $2 orders, $3 reservations.
-- Returns one row per product that exists, also of the lines of these orders and the holds of these
-- reservations; a retired product has no version.
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
locked_orders AS MATERIALIZED (
    SELECT o.id FROM optilock.orders o
    WHERE o.id = ANY ($2::uuid[]) AND (SELECT within FROM lock_limit) IS NOT NULL
    ORDER BY o.id FOR NO KEY UPDATE),
locked_reservations AS MATERIALIZED (
    SELECT r.id FROM optilock.reservations r
    WHERE r.id = ANY ($3::uuid[]) AND (SELECT pg_catalog.count(*) FROM locked_orders) >= 0
    ORDER BY r.id FOR NO KEY UPDATE)
SELECT p.sku, p.stock - p.reserved AS available, CASE WHEN NOT p.retired THEN p.version END AS version,
    p.price, p.currency, p.paused
FROM optilock.products p
WHERE p.sku = ANY (ARRAY(
        SELECT named.sku FROM unnest($1::text[]) AS named (sku)
        UNION SELECT l.sku FROM optilock.order_lines l WHERE l.order_id = ANY ($2::uuid[])
        UNION SELECT h.sku FROM optilock.holds h WHERE h.reservation_id = ANY ($3::uuid[])))
    AND (SELECT pg_catalog.count(*) FROM locked_reservations) >= 0
ORDER BY p.sku FOR NO KEY UPDATE;
