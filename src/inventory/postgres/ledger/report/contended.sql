-- Lists the products that changed most often.
--
-- $1 the version above which a product is listed, $2 limit.
--
-- Reads every product: an index on versions would slow down every sale.
SELECT sku, version FROM optilock.products WHERE version > $1
ORDER BY version DESC, sku LIMIT $2;
