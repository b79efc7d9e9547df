-- Compares a range of orders with their lines and with the movements of the ledger, in one snapshot.
--
-- $1 the highest number of rows for each rule, $2 limit of orders, of lines and of movements; an order is never
-- split; $3 the id that the range continues after, or null.
-- Returns one row per discrepancy, or one without any: the number of its rule, its subject, the value expected and
-- the value found. Each row has the id that the next range continues after: null after the last one.
WITH place AS MATERIALIZED (
    SELECT coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'::uuid) AS id, $3::uuid IS NULL AS inclusive),
bound AS MATERIALIZED (
    SELECT least(
        (SELECT o.id FROM optilock.orders o WHERE o.id > (SELECT id FROM place)
            ORDER BY o.id OFFSET $2::bigint - 1 LIMIT 1),
        (SELECT l.order_id FROM optilock.order_lines l WHERE l.order_id > (SELECT id FROM place)
            ORDER BY l.order_id OFFSET $2::bigint - 1 LIMIT 1),
        (SELECT m.order_id FROM optilock.movements m WHERE m.order_id > (SELECT id FROM place)
            ORDER BY m.order_id OFFSET $2::bigint - 1 LIMIT 1)) AS next),
ids AS MATERIALIZED (
    SELECT b.id AS low, b.inclusive, coalesce(e.next, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid) AS high
    FROM place b, bound e),
orders AS MATERIALIZED (
    SELECT o.id, o.status, o.total, o.archived_before FROM optilock.orders o
    WHERE o.id >= (SELECT low FROM ids) AND o.id <= (SELECT high FROM ids)
        AND (o.id > (SELECT low FROM ids) OR (SELECT inclusive FROM ids))),
lines AS MATERIALIZED (
    SELECT l.order_id, l.sku, l.quantity, l.price, l.returned FROM optilock.order_lines l
    WHERE l.order_id >= (SELECT low FROM ids) AND l.order_id <= (SELECT high FROM ids)
        AND (l.order_id > (SELECT low FROM ids) OR (SELECT inclusive FROM ids))),
movements AS MATERIALIZED (
    SELECT m.order_id, m.sku, pg_catalog.max(m.moved_at) AS latest,
        pg_catalog.sum(m.delta) FILTER (WHERE m.kind IN (1 /* sale */, 2 /* given-back */, 12 /* revived */)) AS sold,
        pg_catalog.sum(m.delta) FILTER (WHERE m.kind = 11 /* returned */) AS returned
    FROM optilock.movements m
    WHERE m.order_id >= (SELECT low FROM ids) AND m.order_id <= (SELECT high FROM ids)
        AND (m.order_id > (SELECT low FROM ids) OR (SELECT inclusive FROM ids))
    GROUP BY m.order_id, m.sku),
-- An archived order has left before the movements of its products: those of the time before it.
kept AS MATERIALIZED (
    SELECT m.order_id, m.sku, m.sold, m.returned
    FROM movements m LEFT JOIN orders o ON o.id = m.order_id AND o.archived_before > m.latest
    WHERE o.id IS NULL),
totals AS MATERIALIZED (
    SELECT l.order_id, pg_catalog.sum(l.quantity::numeric * l.price::numeric) AS total, pg_catalog.count(*) AS count
    FROM lines l GROUP BY l.order_id),
found AS (
    SELECT 6 /* sold */ AS kind, s.subject, s.expected, s.found
    FROM (SELECT coalesce(l.order_id, m.order_id)::text || ' '::text || coalesce(l.sku, m.sku) AS subject,
            CASE WHEN o.status IS DISTINCT FROM 3 /* cancelled */ THEN coalesce(l.quantity, 0::bigint)::numeric
                ELSE 0::numeric END AS expected,
            coalesce(- m.sold, 0::numeric) AS found,
            m.sold IS NULL OR l.order_id IS NULL AS alone
        FROM lines l
        FULL JOIN (SELECT order_id, sku, sold FROM kept WHERE sold IS NOT NULL) m
            ON m.order_id = l.order_id AND m.sku = l.sku
        LEFT JOIN orders o ON o.id = l.order_id) s
    WHERE s.expected <> s.found OR s.alone

    UNION ALL
    SELECT 7 /* returned */, coalesce(l.order_id, m.order_id)::text || ' '::text || coalesce(l.sku, m.sku),
        coalesce(l.returned, 0::bigint)::numeric, coalesce(m.returned, 0::numeric)
    FROM lines l FULL JOIN kept m ON m.order_id = l.order_id AND m.sku = l.sku
    WHERE coalesce(l.returned, 0::bigint)::numeric <> coalesce(m.returned, 0::numeric)

    UNION ALL
    SELECT 8 /* total */, o.id::text, coalesce(t.total, 0::numeric), o.total::numeric
    FROM orders o LEFT JOIN totals t ON t.order_id = o.id
    WHERE o.total::numeric <> coalesce(t.total, 0::numeric)

    UNION ALL
    SELECT 9 /* lines */, coalesce(o.id, t.order_id)::text,
        CASE WHEN o.status IS DISTINCT FROM 4 /* void */ AND o.id IS NOT NULL
            THEN 1::numeric ELSE 0::numeric END,
        coalesce(t.count, 0::bigint)::numeric
    FROM orders o FULL JOIN totals t ON t.order_id = o.id
    WHERE o.id IS NULL OR (o.status <> 4 /* void */) <> (t.order_id IS NOT NULL)),
ranked AS (
    SELECT f.kind, f.subject, f.expected, f.found, pg_catalog.row_number() OVER (
        PARTITION BY f.kind ORDER BY f.subject COLLATE pg_catalog."C") AS rank
    FROM found f)
SELECT b.next, f.kind::smallint AS kind, f.subject,
    greatest(least(f.expected, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS expected,
    greatest(least(f.found, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS found
FROM bound b LEFT JOIN ranked f ON f.rank <= $1::bigint
ORDER BY f.kind, f.rank;
