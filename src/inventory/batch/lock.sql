-- Locks products in byte order and reads their facts. Each wait for a lock ends after half a second.
--
-- $1 SKUs.
-- Returns one row per product that exists; a retired product has no version.
SELECT p.sku, p.stock - p.reserved AS available, CASE WHEN NOT p.retired THEN p.version END AS version,
    p.price, p.currency, p.paused
FROM optilock.products p
WHERE p.sku = ANY ($1::text[]) AND (SELECT pg_catalog.set_config('lock_timeout', '500ms', true)) IS NOT NULL
ORDER BY p.sku FOR NO KEY UPDATE;
