-- Ends all holds of a reservation, expired ones included, and lowers the reserved units of their products
-- by those that were live.
--
-- $1 reservation.
-- Returns the number of holds that were ended, and the units that were freed.
--
-- Sets of holds are compared by INTERSECT: their sizes cannot be estimated, and a join could become a
-- loop over all pairs. `ended` repeats the condition on the reservation: the plan would read all holds of
-- the products otherwise.
WITH reservation AS MATERIALIZED (
    SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $1::uuid FOR NO KEY UPDATE),
closed AS (
    UPDATE optilock.reservations r SET remaining = 0::bigint FROM reservation b
    WHERE r.id = b.id AND b.remaining > 0
    RETURNING r.remaining),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(
        SELECT h.sku FROM optilock.holds h WHERE h.reservation_id = $1::uuid
            AND (SELECT pg_catalog.count(*) FROM reservation) >= 0))
    ORDER BY p.sku FOR NO KEY UPDATE),
ending AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, h.state FROM (
        SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
        WHERE h.sku = ANY (ARRAY(SELECT sku FROM locked)) AND h.reservation_id = $1::uuid
        ORDER BY h.sku FOR NO KEY UPDATE) h
    WHERE h.state IN (0 /* held */, 3 /* expired */)),
ended AS (
    UPDATE optilock.holds h SET state = 2 /* released */
    FROM ending e
    WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku AND h.reservation_id = $1::uuid
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
    SELECT sku, version, 10 /* released */, 0, stock, $1::uuid, updated_at FROM changed
    RETURNING sku, version, delta, stock_after)
SELECT
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM reservation)
            = (SELECT pg_catalog.count(*) FROM optilock.reservations WHERE id = $1::uuid)
                AND (SELECT pg_catalog.count(*) FROM closed r WHERE r.remaining = 0)
                = (SELECT pg_catalog.count(*) FROM reservation WHERE remaining > 0)
        ) IS NOT TRUE
            THEN (
                'optilock.suppressed.reservations ' || (SELECT pg_catalog.count(*) FROM ending)::text
            )::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM locked)
            = (SELECT pg_catalog.count(*) FROM optilock.holds WHERE reservation_id = $1::uuid)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM reservation WHERE remaining > 0)
            = (SELECT pg_catalog.count(*) FROM (SELECT 1 FROM ending LIMIT 1) e)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        ELSE true
    END,
    (SELECT pg_catalog.count(*) FROM ended) AS holds,
    (SELECT coalesce(pg_catalog.sum(units), 0::numeric)::bigint FROM freed) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT reservation_id, sku, held FROM ended WHERE state = 2 /* released */
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
