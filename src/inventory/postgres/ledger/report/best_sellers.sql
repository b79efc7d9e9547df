-- Lists the products of which the most units were sold in a window of time.
--
-- $1 window in microseconds, $2 limit.
SELECT l.sku, pg_catalog.sum(l.quantity - l.returned)::bigint AS units,
    pg_catalog.count(*) AS orders
FROM optilock.orders o JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.status IN (0 /* pending-payment */, 1 /* payment-failed */, 2 /* paid */)
    AND o.created_at > pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond'
GROUP BY l.sku ORDER BY units DESC, l.sku LIMIT $2;
