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
-- One row per order and SKU: the line, and what the ledger has of it.
pairs AS MATERIALIZED (
    SELECT p.order_id, p.sku, pg_catalog.count(p.quantity) AS lines, pg_catalog.sum(p.quantity) AS quantity,
        pg_catalog.sum(p.amount) AS amount, pg_catalog.sum(p.returned) AS returned,
        pg_catalog.sum(p.sold) AS sold, pg_catalog.sum(p.taken_back) AS taken_back,
        pg_catalog.max(p.moved_at) AS latest
    FROM (
        SELECT l.order_id, l.sku, l.quantity, l.quantity::numeric * l.price::numeric AS amount, l.returned,
            NULL::bigint AS sold, NULL::bigint AS taken_back, NULL::timestamptz AS moved_at
        FROM optilock.order_lines l
        WHERE l.order_id >= (SELECT low FROM ids) AND l.order_id <= (SELECT high FROM ids)
            AND (l.order_id > (SELECT low FROM ids) OR (SELECT inclusive FROM ids))
        UNION ALL
        SELECT m.order_id, m.sku, NULL::bigint, NULL::numeric, NULL::bigint,
            CASE WHEN m.kind IN (1 /* sale */, 2 /* given-back */, 12 /* revived */) THEN m.delta END,
            CASE WHEN m.kind = 11 /* returned */ THEN m.delta END, m.moved_at
        FROM optilock.movements m
        WHERE m.order_id >= (SELECT low FROM ids) AND m.order_id <= (SELECT high FROM ids)
            AND (m.order_id > (SELECT low FROM ids) OR (SELECT inclusive FROM ids))) p
    GROUP BY p.order_id, p.sku),
compared AS MATERIALIZED (
    SELECT p.order_id, p.sku, p.lines,
        CASE WHEN o.status IS DISTINCT FROM 3 /* cancelled */ THEN coalesce(p.quantity, 0::numeric)
            ELSE 0::numeric END AS to_sell,
        coalesce(- p.sold, 0::numeric) AS sold, p.sold IS NULL AS unsold,
        coalesce(p.returned, 0::numeric) AS returned, coalesce(p.taken_back, 0::numeric) AS taken_back
    FROM pairs p LEFT JOIN orders o ON o.id = p.order_id
    -- An archived order has left before the movements of its products: those of the time before it.
    WHERE p.lines > 0 OR (o.archived_before > p.latest) IS NOT TRUE),
totals AS MATERIALIZED (
    SELECT p.order_id, pg_catalog.sum(p.amount) AS total, pg_catalog.sum(p.lines) AS count
    FROM pairs p WHERE p.lines > 0 GROUP BY p.order_id),
-- The orders whose lines disagree.
sums AS MATERIALIZED (
    SELECT coalesce(o.id, t.order_id) AS id, o.id IS NOT NULL AS is_order, o.status, o.total,
        coalesce(t.total, 0::numeric) AS sum, coalesce(t.count, 0::numeric) AS count
    FROM orders o FULL JOIN totals t ON t.order_id = o.id
    WHERE o.id IS NULL OR o.total::numeric <> coalesce(t.total, 0::numeric)
        OR (o.status <> 4 /* void */) <> (t.order_id IS NOT NULL)),
found AS (
    SELECT 6 /* sold */ AS kind, c.order_id::text || ' '::text || c.sku AS subject, c.to_sell AS expected,
        c.sold AS found
    FROM compared c WHERE (c.to_sell <> c.sold OR c.unsold OR c.lines = 0) AND (c.lines > 0 OR NOT c.unsold)

    UNION ALL
    SELECT 7 /* returned */, c.order_id::text || ' '::text || c.sku, c.returned, c.taken_back
    FROM compared c WHERE c.returned <> c.taken_back

    UNION ALL
    SELECT 8 /* total */, s.id::text, s.sum, s.total::numeric
    FROM sums s WHERE s.is_order AND s.total::numeric <> s.sum

    UNION ALL
    SELECT 9 /* lines */, s.id::text,
        CASE WHEN s.is_order AND s.status <> 4 /* void */ THEN 1::numeric ELSE 0::numeric END, s.count
    FROM sums s WHERE NOT s.is_order OR (s.status <> 4 /* void */) <> (s.count > 0::numeric)),
ranked AS (
    SELECT f.kind, f.subject, f.expected, f.found, pg_catalog.row_number() OVER (
        PARTITION BY f.kind ORDER BY f.subject COLLATE pg_catalog."C") AS rank
    FROM found f)
SELECT b.next, f.kind::smallint AS kind, f.subject,
    greatest(least(f.expected, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS expected,
    greatest(least(f.found, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS found
FROM bound b LEFT JOIN ranked f ON f.rank <= $1::bigint
ORDER BY f.kind, f.rank;
