-- Reads a page of orders that have awaited payment for too long, the oldest first.
--
-- $1 age in microseconds, $2 `pending_since` and $3 id that the page continues after, $4 limit.
SELECT o.pending_since, o.id FROM optilock.orders o
WHERE o.status IN (0 /* pending-payment */, 1 /* payment-failed */)
    AND o.pending_since <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
    AND (o.pending_since, o.id) > ($2::timestamptz, $3::uuid)
ORDER BY o.pending_since, o.id LIMIT $4::bigint;
