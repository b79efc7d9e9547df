-- Removes the lines and returns of some orders, which are locked, and leaves a void order with each id.
--
-- $1 orders, $2 the time before which they ended.
WITH before AS MATERIALIZED (
    SELECT o.id, o.version + 1 AS version, o.created_at FROM optilock.orders o WHERE o.id = ANY ($1::uuid[])),
removed_lines AS (
    DELETE FROM optilock.order_lines l WHERE l.order_id = ANY ($1::uuid[]) RETURNING l.order_id),
removed_returns AS (
    DELETE FROM optilock.returns r WHERE r.order_id = ANY ($1::uuid[]) RETURNING r.id),
archived AS (
    UPDATE optilock.orders o
    SET status = 4 /* void */, customer = NULL, total = 0, version = o.version + 1, reservation_id = NULL,
        reason = NULL, archived_before = $2::timestamptz
    WHERE o.id = ANY ($1::uuid[])
    RETURNING o.id, o.status, o.customer, o.total, o.version, o.reservation_id, o.reason, o.created_at,
        o.archived_before)
SELECT
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT id, version, created_at FROM archived
                    WHERE status = 4 /* void */ AND total = 0 AND archived_before = $2::timestamptz
                        AND customer IS NULL AND reservation_id IS NULL AND reason IS NULL
                    INTERSECT SELECT id, version, created_at FROM before
                ) stored
            ) = pg_catalog.cardinality($1::uuid[])
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM archived)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM removed_lines)
                = (SELECT pg_catalog.count(*) FROM optilock.order_lines l WHERE l.order_id = ANY ($1::uuid[]))
        ) IS NOT TRUE
            THEN ('optilock.suppressed.order_lines ' || (SELECT pg_catalog.count(*) FROM archived)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM removed_returns)
                = (SELECT pg_catalog.count(*) FROM optilock.returns r WHERE r.order_id = ANY ($1::uuid[]))
        ) IS NOT TRUE
            THEN ('optilock.suppressed.returns ' || (SELECT pg_catalog.count(*) FROM archived)::text)::boolean
        ELSE true
    END AS stored;
