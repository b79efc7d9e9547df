-- Removes the idempotency keys of orders, except those of locked orders.
--
-- $1 orders.
-- Returns the ids of the orders that were changed.
WITH locked AS MATERIALIZED (
    SELECT o.id FROM optilock.orders o WHERE o.id = ANY ($1::uuid[]) AND o.idempotency_key IS NOT NULL
    ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED),
forgotten AS (
    UPDATE optilock.orders o SET idempotency_key = NULL
    WHERE o.id = ANY (ARRAY(SELECT id FROM locked))
    RETURNING o.id, o.idempotency_key)
SELECT ARRAY(SELECT id FROM forgotten) AS forgotten,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM forgotten WHERE idempotency_key IS NULL)
            = (SELECT pg_catalog.count(*) FROM locked)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM locked)::text)::boolean
        ELSE true
    END AS stored;
