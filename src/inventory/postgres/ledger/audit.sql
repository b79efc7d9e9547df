-- Compares every number that is kept twice, in one snapshot.
--
-- $1 the highest number of rows for each rule.
-- Returns one row per discrepancy: the number of its rule, its subject, the value expected and the value
-- found.
--
-- Values are compared as numeric: a sum of what other code wrote may exceed a bigint. The columns are
-- named by the first SELECT of the UNION: Citus does not know the names of a CTE's column list.
WITH found AS (
    SELECT 1 /* stock */ AS kind, p.sku AS subject,
        coalesce(pg_catalog.sum(m.delta), 0::numeric) AS expected,
        p.stock::numeric AS found
    FROM optilock.products p LEFT JOIN optilock.movements m ON m.sku = p.sku
    GROUP BY p.sku, p.stock HAVING p.stock::numeric <> coalesce(pg_catalog.sum(m.delta), 0::numeric)

    UNION ALL
    SELECT 2 /* versions */, coalesce(p.sku, m.sku), coalesce(p.version, 0::bigint)::numeric,
        coalesce(m.count, 0::bigint)::numeric
    FROM optilock.products p FULL JOIN (
        SELECT sku, pg_catalog.count(*) AS count, pg_catalog.min(version) AS low,
            pg_catalog.max(version) AS high
        FROM optilock.movements GROUP BY sku) m ON m.sku = p.sku
    WHERE m.low IS DISTINCT FROM 1::bigint OR m.high IS DISTINCT FROM p.version
        OR m.count IS DISTINCT FROM p.version

    UNION ALL
    SELECT 3 /* running-stock */, m.sku || ' version '::text || m.version::text,
        m.expected, m.stock_after::numeric
    FROM (SELECT sku, version, stock_after,
            coalesce(pg_catalog.lag(stock_after) OVER (PARTITION BY sku ORDER BY version), 0::bigint)::numeric
                + delta::numeric AS expected
        FROM optilock.movements) m
    WHERE m.stock_after::numeric <> m.expected

    UNION ALL
    SELECT 4 /* reserved */, p.sku, coalesce(pg_catalog.sum(h.held), 0::numeric), p.reserved::numeric
    FROM optilock.products p LEFT JOIN optilock.holds h ON h.sku = p.sku AND h.state = 0 /* held */
    GROUP BY p.sku, p.reserved HAVING p.reserved::numeric <> coalesce(pg_catalog.sum(h.held), 0::numeric)

    UNION ALL
    SELECT 5 /* bounds */, p.sku, greatest(least(p.reserved, p.stock), 0::bigint)::numeric, p.reserved::numeric
    FROM optilock.products p WHERE p.stock < 0 OR p.reserved < 0 OR p.reserved > p.stock

    UNION ALL
    SELECT 6 /* sold */, s.subject, s.expected, s.found
    FROM (SELECT coalesce(coalesce(l.order_id, m.order_id)::text, 'no order'::text) || ' '::text
                || coalesce(l.sku, m.sku) AS subject,
            CASE WHEN o.status IS DISTINCT FROM 3 /* cancelled */ THEN coalesce(l.quantity, 0::bigint)::numeric
                ELSE 0::numeric END AS expected,
            coalesce(- m.delta, 0::numeric) AS found,
            m.order_id IS NULL OR l.order_id IS NULL AS alone
        FROM optilock.order_lines l
        FULL JOIN (SELECT order_id, sku, pg_catalog.sum(delta) AS delta FROM optilock.movements
            WHERE kind IN (1 /* sale */, 2 /* given-back */, 12 /* revived */) GROUP BY order_id, sku) m
            ON m.order_id = l.order_id AND m.sku = l.sku
        LEFT JOIN optilock.orders o ON o.id = l.order_id) s
    WHERE s.expected <> s.found OR s.alone

    UNION ALL
    SELECT 7 /* returned */, coalesce(coalesce(l.order_id, m.order_id)::text, 'no order'::text) || ' '::text
            || coalesce(l.sku, m.sku),
        coalesce(l.returned, 0::bigint)::numeric, coalesce(m.delta, 0::numeric)
    FROM optilock.order_lines l
    FULL JOIN (SELECT order_id, sku, pg_catalog.sum(delta) AS delta FROM optilock.movements
        WHERE kind = 11 /* returned */ GROUP BY order_id, sku) m ON m.order_id = l.order_id AND m.sku = l.sku
    WHERE coalesce(l.returned, 0::bigint)::numeric <> coalesce(m.delta, 0::numeric)

    UNION ALL
    SELECT 8 /* total */, o.id::text,
        coalesce(pg_catalog.sum(l.quantity::numeric * l.price::numeric), 0::numeric),
        o.total::numeric
    FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
    GROUP BY o.id, o.total
    HAVING o.total::numeric <> coalesce(pg_catalog.sum(l.quantity::numeric * l.price::numeric), 0::numeric)

    UNION ALL
    SELECT 9 /* lines */, coalesce(o.id, l.order_id)::text,
        CASE WHEN o.status IS DISTINCT FROM 4 /* void */ AND o.id IS NOT NULL
            THEN 1::numeric ELSE 0::numeric END,
        coalesce(l.count, 0::bigint)::numeric
    FROM optilock.orders o FULL JOIN (
        SELECT order_id, pg_catalog.count(*) AS count FROM optilock.order_lines GROUP BY order_id) l
        ON l.order_id = o.id
    WHERE o.id IS NULL OR (o.status <> 4 /* void */) <> (l.order_id IS NOT NULL)

    UNION ALL
    SELECT 10 /* holds */, coalesce(r.id, h.reservation_id)::text,
        CASE WHEN r.id IS NOT NULL THEN 1::numeric ELSE 0::numeric END, coalesce(h.count, 0::bigint)::numeric
    FROM optilock.reservations r FULL JOIN (
        SELECT reservation_id, pg_catalog.count(*) AS count FROM optilock.holds GROUP BY reservation_id) h
        ON h.reservation_id = r.id
    WHERE r.id IS NULL OR h.reservation_id IS NULL

    UNION ALL
    SELECT 11 /* hold-state */, h.reservation_id::text || ' '::text || h.sku,
        CASE WHEN h.held = 0 THEN 1::numeric ELSE 0::numeric END,
        CASE WHEN h.state = 1 /* consumed */ THEN 1::numeric ELSE 0::numeric END
    FROM optilock.holds h WHERE (h.held = 0) <> (h.state = 1 /* consumed */)

    UNION ALL
    SELECT 12 /* remaining */, r.id::text, coalesce(pg_catalog.sum(h.held), 0::numeric), r.remaining::numeric
    FROM optilock.reservations r
    LEFT JOIN optilock.holds h ON h.reservation_id = r.id AND h.state IN (0 /* held */, 3 /* expired */)
    GROUP BY r.id, r.remaining
    HAVING r.remaining::numeric <> coalesce(pg_catalog.sum(h.held), 0::numeric)),
ranked AS (
    SELECT f.kind, f.subject, f.expected, f.found, pg_catalog.row_number() OVER (
        PARTITION BY f.kind ORDER BY f.subject COLLATE pg_catalog."C") AS rank
    FROM found f)
SELECT r.kind::smallint AS kind, r.subject,
    greatest(least(r.expected, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS expected,
    greatest(least(r.found, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS found
FROM ranked r WHERE r.rank <= $1 ORDER BY r.kind, r.rank;
