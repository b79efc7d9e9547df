-- Reads a page of the ledgers of all products, in the order of the transactions that wrote them. It
-- returns movements of transactions that had ended when this statement began, and before which none was
-- still open.
--
-- $1 transaction, $2 SKU and $3 version of the last movement before the page, $4 limit.
-- Returns one row per movement; without movements one row that has only `horizon`.
WITH snapshot AS MATERIALIZED (
    SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint AS horizon)
SELECT s.horizon, m.transaction_id, m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id,
    m.reservation_id, m.reason, m.moved_at
FROM snapshot s LEFT JOIN LATERAL (
    SELECT m.transaction_id, m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id,
        m.reason, m.moved_at
    FROM optilock.movements m
    WHERE (m.transaction_id, m.sku, m.version) > ($1, $2, $3) AND m.transaction_id < s.horizon
    ORDER BY m.transaction_id, m.sku, m.version LIMIT $4) m ON true
ORDER BY m.transaction_id, m.sku, m.version;
