-- Reads a page of the ledger of a product.
--
-- $1 SKU, $2 the version that the page continues after, $3 limit.
SELECT m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id, m.reason, m.moved_at
FROM optilock.movements m WHERE m.sku = $1 AND m.version > $2 ORDER BY m.version LIMIT $3;
