-- Locks an order, then its products.
--
-- $1 order.
-- Returns the SKU of a product that does not exist, or null.
WITH locked_order AS MATERIALIZED (
    SELECT o.id FROM optilock.orders o WHERE o.id = $1 FOR NO KEY UPDATE),
lines AS MATERIALIZED (
    SELECT l.sku FROM optilock.order_lines l
    WHERE l.order_id = ANY (ARRAY(SELECT id FROM locked_order))),
locked AS MATERIALIZED (
    SELECT p.sku FROM optilock.products p WHERE p.sku = ANY (ARRAY(SELECT sku FROM lines))
    ORDER BY p.sku FOR NO KEY UPDATE)
SELECT pg_catalog.min(l.sku) FROM lines l LEFT JOIN locked k ON k.sku = l.sku WHERE k.sku IS NULL;
