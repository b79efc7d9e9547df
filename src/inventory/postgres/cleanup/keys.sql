-- Reads a page of all orders by id, and which of them have an idempotency key that is old enough to be
-- removed.
--
-- $1 age in microseconds, $2 the id that the page continues after, $3 limit.
--
-- An index on the age would cost every sale more than an occasional read of all orders costs.
WITH page AS MATERIALIZED (
    SELECT o.id, (o.idempotency_key IS NOT NULL AND o.created_at
        <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond') AS old
    FROM optilock.orders o WHERE o.id > $2::uuid ORDER BY o.id LIMIT $3::bigint)
SELECT ARRAY(SELECT id FROM page WHERE old) AS old, (SELECT pg_catalog.count(*) FROM page) AS rows,
    (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last;
