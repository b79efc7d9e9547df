-- Reads products that are not retired, by their SKUs.
--
-- $1 SKUs.
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at
FROM optilock.products p WHERE p.sku = ANY ($1) AND NOT p.retired ORDER BY p.sku;
