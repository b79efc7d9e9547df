-- Reads the facts of products before a batch.
--
-- $1 SKUs.
-- Returns one row per product that exists and is not retired.
SELECT p.sku, p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused
FROM optilock.products p WHERE p.sku = ANY ($1::text[]) AND NOT p.retired;
