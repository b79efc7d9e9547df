-- Reads whether a product exists, retired or not.
--
-- $1 SKU.
SELECT EXISTS (SELECT FROM optilock.products p WHERE p.sku = $1);
