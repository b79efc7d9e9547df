-- Ends expired holds of the products that are short, the oldest first, under the locks of the products:
-- about 256 over all products.
--
-- $1 SKUs, $2 units needed of each, $3 expected versions or nulls, $4 a reservation whose own holds stay,
-- or null.
-- Returns the SKUs of the products that changed, each by one version. Ends nothing if a product is at
-- another version.
--
-- It may end more than is needed, which serves the other requests that wait for the same products. Sets
-- of holds are compared by INTERSECT: their sizes cannot be estimated, and a join could become a loop
-- over all pairs. `ended` repeats the condition on the reservations: the plan would read all holds
-- otherwise.
WITH reservation AS MATERIALIZED (
    SELECT r.id FROM optilock.reservations r WHERE r.id = $4::uuid FOR NO KEY UPDATE),
requested AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS requested (sku, units, version)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (
        ARRAY(SELECT sku FROM requested WHERE (SELECT pg_catalog.count(*) FROM reservation) >= 0)
    )
    ORDER BY p.sku FOR NO KEY UPDATE),
ending AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, h.state
    FROM (
        SELECT k.sku, 255 / pg_catalog.count(*) OVER () + 1 AS most
        FROM locked k JOIN requested r ON r.sku = k.sku
        WHERE k.stock - k.reserved + coalesce((
                SELECT h.held FROM optilock.holds h
                WHERE h.reservation_id = $4::uuid AND h.sku = k.sku AND h.state = 0 /* held */
            ), 0::bigint) < r.units
            AND NOT EXISTS (
                SELECT FROM locked o JOIN requested p ON p.sku = o.sku
                WHERE o.version <> coalesce(p.version, o.version))
        ORDER BY k.sku) short,
    LATERAL (
        SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
        WHERE h.sku = short.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
            AND (h.reservation_id = $4::uuid) IS NOT TRUE
        ORDER BY h.expires_at LIMIT short.most FOR NO KEY UPDATE) h),
ended AS (
    UPDATE optilock.holds h SET state = 3 /* expired */
    FROM ending e
    WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku
        AND h.reservation_id = ANY (ARRAY(SELECT reservation_id FROM ending))
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
    SELECT sku, version, 5 /* expired */, 0, stock, NULL::uuid, updated_at FROM changed
    RETURNING sku, version, delta, stock_after)
SELECT ARRAY(SELECT sku FROM target ORDER BY sku) AS changed, (SELECT pg_catalog.count(*) FROM ended) AS holds,
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
