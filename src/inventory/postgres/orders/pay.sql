-- Marks an unpaid order as paid.
--
-- $1 order, $2 the version that it must be at.
-- Returns the number of orders that were changed: 0 or 1.
WITH marked AS (
    UPDATE optilock.orders o SET status = 2 /* paid */, version = o.version + 1
    WHERE o.id = $1 AND o.version = $2 AND o.status < 2 /* paid */
    RETURNING o.id, o.status, o.version)
SELECT (SELECT pg_catalog.count(*) FROM marked) AS orders,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM marked
                WHERE id = $1 AND status = 2 /* paid */ AND version = $2 + 1
            ) = (SELECT pg_catalog.count(*) FROM marked)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM marked)::text)::boolean
        ELSE true
    END AS stored;
