-- Judges the first movements of the products' ledgers: up to which version each may be closed, and what holds the
-- rest.
--
-- $1 time, $2 SKU and $3 version that the page continues after, $4 limit of movements.
-- Returns one row per SKU of the page: the last version that may leave, or null, and whether it is closed until there;
-- the first one that may not, or null,
-- with its reason: 1 not before the time, or made within the last hour, 2 its order stays, 3 its reservation stays, 4 it does not follow from the
-- movement before it. Each row has the number of movements of the page.
--
-- A page has each ledger from its first row on: either a movement with the number 1 or an opening balance.
--
-- A statement that waits since before an adjustment was made does not see it, nor that it was archived: only the unique
-- token of its movement stops it. So movements stay for an hour.
WITH page AS MATERIALIZED (
    SELECT m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id, m.moved_at
    FROM optilock.movements m WHERE (m.sku, m.version) > ($2::text, $3::bigint)
    ORDER BY m.sku, m.version LIMIT $4::bigint),
judged AS MATERIALIZED (
    SELECT p.sku, p.version, p.kind, p.order_id, p.reservation_id,
        CASE
            WHEN (p.version = coalesce(p.version_before, 0::bigint) + 1
                    OR (p.kind = 15 /* opening */ AND p.version_before IS NULL)) IS NOT TRUE
                OR (p.kind = 15 /* opening */ AND p.version_before IS NOT NULL)
                OR (p.order_id IS NULL
                    AND p.kind IN (1 /* sale */, 2 /* given-back */, 11 /* returned */, 12 /* revived */))
                OR p.stock_after::numeric
                    <> coalesce(p.stock_before, 0::bigint)::numeric + p.delta::numeric THEN 4
            WHEN p.kind = 15 /* opening */ THEN 0
            WHEN p.moved_at >= least($1::timestamptz, pg_catalog.statement_timestamp() - interval '1 hour') THEN 1
            WHEN p.order_id IS NOT NULL AND (
                SELECT o.archived_before IS NULL FROM optilock.orders o WHERE o.id = p.order_id) IS NOT FALSE THEN 2
            WHEN p.reservation_id IS NOT NULL AND (
                SELECT r.archived_before IS NULL FROM optilock.reservations r
                WHERE r.id = p.reservation_id) IS NOT FALSE THEN 3
            ELSE 0
        END AS reason
    FROM (SELECT page.sku, page.version, page.kind, page.delta, page.stock_after, page.order_id, page.reservation_id,
            page.moved_at,
            pg_catalog.lag(page.version) OVER (PARTITION BY page.sku ORDER BY page.version) AS version_before,
            pg_catalog.lag(page.stock_after) OVER (PARTITION BY page.sku ORDER BY page.version) AS stock_before
        FROM page) p),
held AS MATERIALIZED (
    SELECT DISTINCT ON (j.sku) j.sku, j.version, j.reason, j.order_id, j.reservation_id
    FROM judged j WHERE j.reason > 0 ORDER BY j.sku, j.version)
SELECT j.sku, pg_catalog.max(j.version) FILTER (WHERE h.sku IS NULL OR j.version < h.version) AS through,
    pg_catalog.bool_and(j.kind = 15 /* opening */) FILTER (WHERE h.sku IS NULL OR j.version < h.version) AS closed,
    pg_catalog.max(h.version) AS held, pg_catalog.max(h.reason)::smallint AS reason,
    (SELECT order_id FROM held WHERE sku = j.sku) AS order_id,
    (SELECT reservation_id FROM held WHERE sku = j.sku) AS reservation_id,
    (SELECT pg_catalog.count(*) FROM page) AS rows
FROM judged j LEFT JOIN held h ON h.sku = j.sku
GROUP BY j.sku ORDER BY j.sku;
