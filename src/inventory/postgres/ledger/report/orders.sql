-- Counts the orders of a window of time, and those of them that failed.
--
-- $1 window in microseconds.
--
-- The index on creation times lets the server skip the blocks that hold only older orders.
SELECT pg_catalog.statement_timestamp() AS made_at, pg_catalog.count(*) AS orders,
    pg_catalog.count(*) FILTER (WHERE o.status IN (1 /* payment-failed */, 3 /* cancelled */)) AS failed
FROM optilock.orders o
WHERE o.status <> 4 /* void */
    AND o.created_at > pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond';
