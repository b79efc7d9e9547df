-- Ends the holds of a page that are still expired, and lowers the reserved units of their products. It
-- skips holds that are locked or whose product is locked.
--
-- $1 SKUs of the holds, $2 their reservations.
-- Returns the SKU of each hold that was ended.
--
-- Sets of holds are compared by INTERSECT: their sizes cannot be estimated, and a join could become a
-- loop over all pairs.
WITH requested AS MATERIALIZED (
    SELECT sku, reservation_id FROM unnest($1::text[], $2::uuid[]) AS requested (sku, reservation_id)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(SELECT DISTINCT sku FROM requested)) ORDER BY p.sku FOR NO KEY UPDATE SKIP LOCKED),
ending AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, h.state
    FROM optilock.holds h
    WHERE h.reservation_id = ANY ($2) AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
        AND ((h.sku, h.reservation_id) IN (SELECT sku, reservation_id FROM requested)) IS TRUE
        AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
    ORDER BY h.sku, h.reservation_id FOR NO KEY UPDATE SKIP LOCKED),
ended AS (
    UPDATE optilock.holds h SET state = 3 /* expired */
    FROM ending e
    WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku
    RETURNING h.reservation_id, h.sku, h.held, h.state),
freed AS MATERIALIZED (
    SELECT e.sku, pg_catalog.sum(e.held)::bigint AS units
    FROM ending e WHERE e.state = 0 /* held */ GROUP BY e.sku),
target AS MATERIALIZED (
    SELECT k.sku, k.stock, k.reserved - f.units AS reserved, k.version + 1 AS version, k.updated_at
    FROM locked k JOIN freed f ON f.sku = k.sku),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
    SELECT sku, version, 5 /* expired */, 0, stock, NULL, updated_at FROM changed
    RETURNING sku, version, delta, stock_after)
SELECT ARRAY(SELECT sku FROM ended) AS expired, (SELECT pg_catalog.count(*) FROM ended) AS holds,
    (SELECT coalesce(pg_catalog.sum(units), 0::numeric)::bigint FROM freed) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT reservation_id, sku, held FROM ended WHERE state = 3 /* expired */
                    INTERSECT SELECT reservation_id, sku, held FROM ending
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM ending)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM changed p
                    JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                        AND t.version = p.version
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.stock = m.stock_after
                        AND m.delta = 0
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        ELSE true
    END AS stored;
