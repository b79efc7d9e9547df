-- Reads which of some orders have an idempotency key that is old enough to be removed.
--
-- $1 age in microseconds, $2 orders, $3 limit.
SELECT o.id FROM optilock.orders o
WHERE o.id = ANY ($2::uuid[]) AND o.idempotency_key IS NOT NULL
    AND o.created_at <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
LIMIT $3::bigint;
