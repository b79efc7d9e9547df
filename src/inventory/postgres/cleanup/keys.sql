-- Reads a page of the orders that have an idempotency key, by customer and key, and which of these keys are old enough
-- to be removed.
--
-- $1 age in microseconds, $2 customer or '' and $3 key that the page continues after, $4 limit.
--
-- By the index that makes keys unique: orders without a key are not read. An index on the age would cost every sale
-- more than this read costs.
WITH page AS MATERIALIZED (
    SELECT o.id, coalesce(o.customer, '') AS customer, o.idempotency_key AS key,
        o.created_at <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond' AS old
    FROM optilock.orders o
    WHERE o.idempotency_key IS NOT NULL
        AND (coalesce(o.customer, ''), o.idempotency_key) > ($2::text, $3::text)
    ORDER BY coalesce(o.customer, ''), o.idempotency_key LIMIT $4::bigint),
last AS MATERIALIZED (
    SELECT p.customer, p.key FROM page p ORDER BY p.customer DESC, p.key DESC LIMIT 1)
SELECT ARRAY(SELECT id FROM page WHERE old) AS old, (SELECT pg_catalog.count(*) FROM page) AS rows,
    (SELECT customer FROM last) AS customer, (SELECT key FROM last) AS key;
