-- Reads a product that is not retired.
--
-- $1 SKU.
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at
FROM optilock.products p WHERE p.sku = $1::text AND NOT p.retired;
