-- Reads which of some orders have awaited payment for too long.
--
-- $1 age in microseconds, $2 orders, $3 limit.
SELECT o.id FROM optilock.orders o
WHERE o.id = ANY ($2::uuid[]) AND o.status < 2 /* paid */
    AND o.pending_since <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
LIMIT $3::bigint;
