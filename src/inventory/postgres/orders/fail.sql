-- Marks the payment of a pending order as failed.
--
-- $1 order, $2 the version that it must be at.
-- Returns the number of orders that were changed: 0 or 1.
WITH marked AS (
    UPDATE optilock.orders o SET status = 1 /* payment-failed */, version = o.version + 1
    WHERE o.id = $1 AND o.version = $2 AND o.status < 1 /* payment-failed */
    RETURNING o.id, o.status, o.version)
SELECT (SELECT pg_catalog.count(*) FROM marked) AS orders,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM marked
                WHERE id = $1 AND status = 1 /* payment-failed */ AND version = $2 + 1
            ) = (SELECT pg_catalog.count(*) FROM marked)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM marked)::text)::boolean
        ELSE true
    END AS stored;
