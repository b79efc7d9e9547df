-- Lists products with more units reserved than on hand, or with a negative stock.
--
-- $1 limit. `all` counts the rows beyond the limit too.
--
-- Reads every product.
SELECT p.sku, p.stock, p.reserved, p.version, pg_catalog.count(*) OVER () AS all
FROM optilock.products p WHERE NOT p.retired AND p.stock < greatest(p.reserved, 0::bigint)
ORDER BY p.stock::numeric - p.reserved::numeric, p.sku LIMIT $1;
