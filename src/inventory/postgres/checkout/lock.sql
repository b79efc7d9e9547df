-- Locks products in byte order and reads their facts.
--
-- $1 SKUs.
-- Returns one row per product that exists; a retired product has no version.
SELECT p.sku, p.stock - p.reserved AS available, p.price,
    CASE WHEN NOT p.retired THEN p.version END AS version, p.currency, p.paused
FROM optilock.products p WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku FOR NO KEY UPDATE;
