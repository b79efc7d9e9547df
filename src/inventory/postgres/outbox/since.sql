-- Reads a page of the outbox, in the order of the transactions that wrote it. It returns entries of transactions
-- that had ended when this statement began, and before which none was still open.
--
-- $1 transaction and $2 order of the last entry before the page, $3 limit.
-- Returns one row per entry; without entries one row that has only `horizon` and `restored`. `restored` tells
-- whether the last entry is of a transaction that has not begun: it came with a dump of another server.
WITH snapshot AS MATERIALIZED (
    SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint AS horizon,
        pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint AS ahead,
        pg_catalog.pg_current_xact_id_if_assigned()::text::bigint AS own),
latest AS MATERIALIZED (
    SELECT coalesce(pg_catalog.max(e.transaction_id), 0::bigint) AS transaction_id FROM optilock.outbox e)
SELECT s.horizon, e.transaction_id, e.order_id,
    l.transaction_id >= s.ahead AND l.transaction_id <> coalesce(s.own, 0::bigint) AS restored
FROM snapshot s CROSS JOIN latest l LEFT JOIN LATERAL (
    SELECT e.transaction_id, e.order_id FROM optilock.outbox e
    WHERE (e.transaction_id, e.order_id) > ($1::bigint, $2::uuid) AND e.transaction_id < s.horizon
    ORDER BY e.transaction_id, e.order_id LIMIT $3) e ON true
ORDER BY e.transaction_id, e.order_id;
