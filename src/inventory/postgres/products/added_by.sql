-- Reads which of some products exist, and the token of the movement that added each.
--
-- $1 SKUs.
--
-- The subquery looks up one movement by its key. Joined, a plan that is made while the tables are small would read all
-- of them.
SELECT p.sku, (SELECT m.token FROM optilock.movements m WHERE m.sku = p.sku AND m.version = 1) AS token
FROM optilock.products p WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku;
