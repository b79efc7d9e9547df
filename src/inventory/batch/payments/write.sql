-- Marks unpaid orders as paid, or their payments as failed.
--
-- $1 orders, each once, $2 the versions that they must be at, $3 their new states.
-- Returns the ids of the orders that were marked. An order that is locked is left out: its payment goes direct,
-- and delays no other one.
--
-- Each wait for a row's lock ends after half a second. The orders are locked one after the
-- other, in the order of their ids: one index scan for all would cost as much, but a plan that is made while the
-- table is small would read all of it. The stored rows are compared by INTERSECT, which is always hashed or sorted:
-- the sizes of the CTEs cannot be estimated.
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
requested AS MATERIALIZED (
    SELECT r.id, r.version, r.status
    FROM unnest($1::uuid[], $2::bigint[], $3::smallint[]) AS r (id, version, status), lock_limit l
    WHERE l.within IS NOT NULL ORDER BY r.id),
locked AS MATERIALIZED (
    SELECT o.id, o.version, o.status, r.version AS expected, r.status AS changed
    FROM requested r, LATERAL (
        SELECT o.id, o.version, o.status FROM optilock.orders o WHERE o.id = r.id
        FOR NO KEY UPDATE SKIP LOCKED) o),
target AS MATERIALIZED (
    SELECT k.id, k.version + 1 AS version, k.changed AS status
    FROM locked k
    WHERE k.version = k.expected
        AND (k.status = 0 /* pending-payment */ OR k.status = 1 /* payment-failed */ AND k.changed = 2 /* paid */)),
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
