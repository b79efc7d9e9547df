-- Lists orders that have awaited payment for too long, the oldest first.
--
-- $1 age in microseconds, $2 limit. `all` counts the rows beyond the limit too.
SELECT o.id, o.pending_since, o.total, o.currency, pg_catalog.count(*) OVER () AS all
FROM optilock.orders o
WHERE o.status IN (0 /* pending-payment */, 1 /* payment-failed */)
    AND o.pending_since <= pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond'
ORDER BY o.pending_since, o.id LIMIT $2;
