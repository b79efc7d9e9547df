-- Reads a page of the products that are not retired.
--
-- $1 the SKU that the page continues after, $2 limit.
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at
FROM optilock.products p WHERE p.sku > $1 AND NOT p.retired ORDER BY p.sku LIMIT $2;
