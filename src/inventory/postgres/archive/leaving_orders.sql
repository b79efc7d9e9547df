-- Reads which of some orders, which are locked, may leave: all of their movements are before a time, these agree with
-- their lines, and no reader of the outbox waits for them.
--
-- $1 orders, $2 time.
--
-- Each subquery looks up one order by a key. Joined, a plan that is made while the tables are small would read all of
-- them.
SELECT o.id FROM optilock.orders o
WHERE o.id = ANY ($1::uuid[])
    AND o.id <> ALL (ARRAY(SELECT e.order_id FROM optilock.outbox e WHERE e.order_id = ANY ($1::uuid[])))
    AND (SELECT pg_catalog.count(*) FROM optilock.movements m
        WHERE m.order_id = o.id AND m.moved_at >= $2::timestamptz) = 0
    AND (SELECT pg_catalog.count(*) FROM optilock.order_lines l
        WHERE l.order_id = o.id AND (
            CASE WHEN o.status = 3 /* cancelled */ THEN 0::numeric ELSE l.quantity::numeric END <> (
                SELECT coalesce(- pg_catalog.sum(m.delta), 0::numeric) FROM optilock.movements m
                WHERE m.order_id = l.order_id AND m.sku = l.sku
                    AND m.kind IN (1 /* sale */, 2 /* given-back */, 12 /* revived */))
            OR l.returned::numeric <> (
                SELECT coalesce(pg_catalog.sum(m.delta), 0::numeric) FROM optilock.movements m
                WHERE m.order_id = l.order_id AND m.sku = l.sku AND m.kind = 11 /* returned */))) = 0
ORDER BY o.id;
