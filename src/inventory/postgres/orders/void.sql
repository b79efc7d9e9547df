-- Uses up an order id, so that an attempt still in flight cannot take effect.
--
-- $1 order.
-- Returns the number of orders that were inserted: 0 if the id exists.
WITH new_order AS (
    INSERT INTO optilock.orders (id, status, total, currency) VALUES ($1, 4 /* void */, 0, 'XXX')
    ON CONFLICT DO NOTHING RETURNING id, status)
SELECT (SELECT pg_catalog.count(*) FROM new_order) AS voided,
    CASE
        WHEN (
            NOT EXISTS (SELECT FROM new_order WHERE (id = $1 AND status = 4 /* void */) IS NOT TRUE)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM new_order)::text)::boolean
        ELSE true
    END AS stored;
