-- Reads which of some orders, which are locked, may leave: all of their movements are before a time, their lines agree
-- with these, with their total and their returns, and no reader of the outbox waits for them.
--
-- $1 orders, $2 time.
--
-- Each subquery looks up one order by a key. Joined, a plan that is made while the tables are small would read all of
-- them. It judges as the audit does, so that no discrepancy leaves unseen.
WITH unread AS MATERIALIZED (SELECT e.order_id FROM optilock.outbox e WHERE e.order_id = ANY ($1::uuid[]))
SELECT o.id FROM optilock.orders o
WHERE o.id = ANY ($1::uuid[]) AND o.id <> ALL (ARRAY(SELECT order_id FROM unread))
    AND (SELECT pg_catalog.count(*) FROM optilock.movements m
        WHERE m.order_id = o.id AND m.moved_at >= $2::timestamptz) = 0
    AND o.total::numeric = (SELECT pg_catalog.sum(l.quantity::numeric * l.price::numeric)
        FROM optilock.order_lines l WHERE l.order_id = o.id)
    AND (SELECT coalesce(pg_catalog.sum(l.returned), 0::numeric) FROM optilock.order_lines l WHERE l.order_id = o.id) = (
        SELECT coalesce(pg_catalog.sum(units.quantity::numeric), 0::numeric)
        FROM optilock.returns r, LATERAL pg_catalog.jsonb_array_elements_text(r.quantities) AS units (quantity)
        WHERE r.order_id = o.id)
    AND (SELECT pg_catalog.count(*)
        FROM (
            SELECT p.sku, pg_catalog.count(p.quantity) AS lines,
                coalesce(pg_catalog.sum(p.quantity), 0::numeric) AS quantity,
                coalesce(pg_catalog.sum(p.returned), 0::numeric) AS returned,
                pg_catalog.sum(p.sold) AS sold, coalesce(pg_catalog.sum(p.taken_back), 0::numeric) AS taken_back
            FROM (
                SELECT l.sku, l.quantity, l.returned, NULL::bigint AS sold, NULL::bigint AS taken_back
                FROM optilock.order_lines l WHERE l.order_id = o.id
                UNION ALL
                SELECT m.sku, NULL::bigint, NULL::bigint,
                    CASE WHEN m.kind IN (1 /* sale */, 2 /* given-back */, 12 /* revived */) THEN m.delta END,
                    CASE WHEN m.kind = 11 /* returned */ THEN m.delta END
                FROM optilock.movements m WHERE m.order_id = o.id) p
            GROUP BY p.sku) c
        WHERE (c.lines = 1 AND c.returned = c.taken_back
            AND CASE WHEN o.status = 3 /* cancelled */ THEN 0::numeric ELSE c.quantity END = - c.sold) IS NOT TRUE) = 0
ORDER BY o.id;
