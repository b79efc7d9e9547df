-- Marks unpaid orders as paid, or their payments as failed.
--
-- $1 orders, each once, $2 the versions that they must be at, $3 their new states.
-- Returns the ids of the orders that were marked. An order that is locked is left out: its payment goes direct,
-- and delays no other one.
--
-- Each wait for a lock ends after half a second, also that for a table. The stored rows are compared by INTERSECT,
-- which is always hashed or sorted: the sizes of the CTEs cannot be estimated.
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
requested AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::smallint[]) AS requested (id, version, status)),
locked AS MATERIALIZED (
    SELECT o.id, o.version, o.status FROM optilock.orders o
    WHERE o.id = ANY ($1::uuid[]) AND o.status IN (0 /* pending-payment */, 1 /* payment-failed */)
        AND (SELECT within FROM lock_limit) IS NOT NULL
    ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED),
target AS MATERIALIZED (
    SELECT k.id, k.version + 1 AS version, r.status
    FROM locked k JOIN requested r ON r.id = k.id
    WHERE k.version = r.version AND (k.status = 0 /* pending-payment */ OR r.status = 2 /* paid */)),
marked AS (
    UPDATE optilock.orders o SET status = t.status, version = t.version
    FROM target t WHERE o.id = t.id
    RETURNING o.id, o.status, o.version)
SELECT ARRAY(SELECT id FROM marked) AS marked,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT id, status, version FROM marked
                    INTERSECT SELECT id, status, version FROM target
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM target)::text)::boolean
        ELSE true
    END AS stored;
