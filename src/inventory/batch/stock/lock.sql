-- Locks the rows that a batch changes, and reads the facts of its products. Each wait for a lock ends after
-- half a second.
--
-- $1 SKUs, $2 orders, each once, $3 reservations, each once.
-- Returns one row per product that exists, also of the lines of these orders and the holds of these
-- reservations; a retired product has no version.
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
locked_orders AS MATERIALIZED (
    SELECT o.id
    FROM (SELECT e.id FROM pg_catalog.unnest($2::uuid[]) AS e (id)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL ORDER BY e.id) e,
        LATERAL (SELECT o.id FROM optilock.orders o WHERE o.id = e.id FOR NO KEY UPDATE) o),
locked_reservations AS MATERIALIZED (
    SELECT r.id
    FROM (SELECT e.id FROM pg_catalog.unnest($3::uuid[]) AS e (id)
            WHERE (SELECT pg_catalog.count(*) FROM locked_orders) >= 0 ORDER BY e.id) e,
        LATERAL (SELECT r.id FROM optilock.reservations r WHERE r.id = e.id FOR NO KEY UPDATE) r),
named AS MATERIALIZED (
    SELECT e.sku FROM pg_catalog.unnest($1::text[]) AS e (sku)
    UNION
    SELECT l.sku FROM locked_orders o,
        LATERAL (SELECT l.sku FROM optilock.order_lines l WHERE l.order_id = o.id ORDER BY l.sku) l
    UNION
    SELECT h.sku FROM locked_reservations r,
        LATERAL (SELECT h.sku FROM optilock.holds h WHERE h.reservation_id = r.id ORDER BY h.sku) h)
SELECT p.sku, p.stock - p.reserved AS available, CASE WHEN NOT p.retired THEN p.version END AS version,
    p.price, p.currency, p.paused
FROM (SELECT n.sku FROM named n ORDER BY n.sku COLLATE "C") n,
    LATERAL (
        SELECT p.sku, p.stock, p.reserved, p.version, p.retired, p.price, p.currency, p.paused
        FROM optilock.products p WHERE p.sku = n.sku FOR NO KEY UPDATE) p;
