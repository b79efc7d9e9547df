-- Locks a product.
--
-- $1 SKU.
SELECT p.sku FROM optilock.products p WHERE p.sku = $1 FOR NO KEY UPDATE;
