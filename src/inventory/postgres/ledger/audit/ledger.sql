-- Compares a range of the ledger with itself, and the products whose ledgers end in it with their ledgers and
-- holds, in one snapshot.
--
-- $1 the highest number of rows for each rule, $2 limit of movements, and of products; the place that the range
-- continues after: $3 SKU, $4 version or null before its first movement, $5 `stock_after` of that movement, $6 sum of the deltas and $7 number of the
-- movements of that SKU until there.
-- Returns one row per discrepancy, or one without any: the number of its rule, its subject, the value expected and
-- the value found. Each row has the place that the next range continues after: null after the last one.
--
-- The product of the last movement in the range is compared by the range in which its ledger ends. The first
-- movement of a ledger may be an opening balance, which stands for all versions before it.
--
-- Values are compared as numeric: a sum of what other code wrote may exceed a bigint. The columns are named by the
-- first SELECT of the UNION: Citus does not know the names of a CTE's column list.
WITH page AS MATERIALIZED (
    SELECT m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id
    FROM optilock.movements m
    WHERE (m.sku, m.version) >= ($3::text, coalesce($4::bigint, '-9223372036854775808'::bigint))
        AND (m.sku <> $3::text OR m.version IS DISTINCT FROM $4::bigint)
    ORDER BY m.sku, m.version LIMIT $2::bigint),
products AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version
    FROM optilock.products p WHERE p.sku >= $3::text ORDER BY p.sku LIMIT $2::bigint + 1),
ends AS MATERIALIZED (
    SELECT CASE WHEN (SELECT pg_catalog.count(*) FROM page) = $2::bigint
            THEN (SELECT sku FROM page ORDER BY sku DESC LIMIT 1) END AS of_movements,
        CASE WHEN (SELECT pg_catalog.count(*) FROM products) > $2::bigint
            THEN (SELECT sku FROM products ORDER BY sku DESC LIMIT 1) END AS of_products),
-- The products before `sku` end in this range, and `sku` does not.
bound AS MATERIALIZED (
    SELECT least(of_movements, of_products) AS sku,
        (of_products < of_movements) IS NOT TRUE AND of_movements IS NOT NULL AS within
    FROM ends),
part AS MATERIALIZED (
    SELECT r.sku, r.version, r.kind, r.delta, r.stock_after, r.order_id,
        CASE WHEN r.kind = 15 /* opening */ THEN NOT EXISTS (
            SELECT FROM optilock.movements l WHERE l.sku = r.sku AND l.version < r.version)
            ELSE false END AS opens
    FROM page r, bound b WHERE b.sku IS NULL OR r.sku < b.sku OR (b.within AND r.sku = b.sku)),
last AS MATERIALIZED (
    SELECT r.sku, r.stock_after FROM part r ORDER BY r.sku DESC, r.version DESC LIMIT 1),
found_before AS MATERIALIZED (
    SELECT $3::text AS sku, $5::bigint::numeric AS stock_after, $6::text::numeric AS sum, $7::bigint::numeric AS count
    WHERE $4::bigint IS NOT NULL),
sums AS MATERIALIZED (
    SELECT r.sku, pg_catalog.min(r.version) AS low, pg_catalog.max(r.version) AS high,
        pg_catalog.count(*) AS count, pg_catalog.sum(r.delta) AS sum, pg_catalog.bool_or(r.opens) AS opens
    FROM part r GROUP BY r.sku),
ledger AS MATERIALIZED (
    SELECT coalesce(r.sku, b.sku) AS sku,
        CASE WHEN r.opens THEN (r.low - 1)::numeric ELSE coalesce(b.count, 0::numeric) END
            + coalesce(r.count, 0::bigint)::numeric AS count,
        CASE WHEN r.opens THEN 0::numeric ELSE coalesce(b.sum, 0::numeric) END
            + coalesce(r.sum, 0::numeric) AS sum,
        CASE WHEN r.opens OR b.sku IS NOT NULL THEN 1::bigint ELSE r.low END AS low,
        coalesce(r.high, $4::bigint) AS high
    FROM sums r FULL JOIN found_before b ON b.sku = r.sku),
product AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version FROM products p, bound b WHERE b.sku IS NULL OR p.sku < b.sku),
found AS (
    SELECT 1 /* stock */ AS kind, p.sku AS subject, coalesce(l.sum, 0::numeric) AS expected,
        p.stock::numeric AS found
    FROM product p LEFT JOIN ledger l ON l.sku = p.sku
    WHERE p.stock::numeric <> coalesce(l.sum, 0::numeric)

    UNION ALL
    SELECT 2 /* versions */, coalesce(p.sku, l.sku), coalesce(p.version, 0::bigint)::numeric,
        coalesce(l.count, 0::numeric)
    FROM product p FULL JOIN (
        SELECT l.sku, l.count, l.low, l.high FROM ledger l, bound b WHERE b.sku IS NULL OR l.sku < b.sku) l
        ON l.sku = p.sku
    WHERE l.low IS DISTINCT FROM 1::bigint OR l.high IS DISTINCT FROM p.version
        OR l.count IS DISTINCT FROM p.version::numeric

    UNION ALL
    SELECT 3 /* running-stock */, m.sku || ' version '::text || m.version::text, m.expected, m.stock_after
    FROM (SELECT r.sku, r.version, r.stock_after::numeric AS stock_after,
            CASE WHEN r.opens THEN 0::numeric ELSE coalesce(
                pg_catalog.lag(r.stock_after) OVER (PARTITION BY r.sku ORDER BY r.version)::numeric,
                (SELECT b.stock_after FROM found_before b WHERE b.sku = r.sku), 0::numeric) END
                + r.delta::numeric AS expected
        FROM part r) m
    WHERE m.stock_after <> m.expected

    UNION ALL
    SELECT 4 /* reserved */, p.sku, p.held, p.reserved
    FROM (SELECT p.sku, p.reserved::numeric AS reserved, coalesce((
            SELECT pg_catalog.sum(h.held) FROM optilock.holds h
            WHERE h.sku = p.sku AND h.state = 0 /* held */), 0::numeric) AS held
        FROM product p) p
    WHERE p.reserved <> p.held

    UNION ALL
    SELECT 5 /* bounds */, p.sku, greatest(least(p.reserved, p.stock), 0::bigint)::numeric, p.reserved::numeric
    FROM product p WHERE p.stock < 0 OR p.reserved < 0 OR p.reserved > p.stock

    UNION ALL
    SELECT 6 /* sold */, 'no order '::text || r.sku, 0::numeric, - pg_catalog.sum(r.delta)
    FROM part r WHERE r.order_id IS NULL AND r.kind IN (1 /* sale */, 2 /* given-back */, 12 /* revived */)
    GROUP BY r.sku

    UNION ALL
    SELECT 7 /* returned */, 'no order '::text || r.sku, 0::numeric, pg_catalog.sum(r.delta)
    FROM part r WHERE r.order_id IS NULL AND r.kind = 11 /* returned */
    GROUP BY r.sku HAVING pg_catalog.sum(r.delta) <> 0::numeric),
ranked AS (
    SELECT f.kind, f.subject, f.expected, f.found, pg_catalog.row_number() OVER (
        PARTITION BY f.kind ORDER BY f.subject COLLATE pg_catalog."C") AS rank
    FROM found f)
SELECT b.sku AS next_sku, b.within, l.high AS next_version, l.sum::text AS next_sum, l.count::bigint AS next_count,
    e.stock_after AS next_stock_after,
    f.kind::smallint AS kind, f.subject,
    greatest(least(f.expected, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS expected,
    greatest(least(f.found, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS found
FROM bound b LEFT JOIN ledger l ON b.within AND l.sku = b.sku LEFT JOIN last e ON b.within AND e.sku = b.sku
    LEFT JOIN ranked f ON f.rank <= $1::bigint
ORDER BY f.kind, f.rank;
