-- Extends the live holds of a reservation.
--
-- $1 reservation, $2 microseconds from now.
-- Returns the number of holds that were extended.
--
-- It locks no expired hold: those are locked after their products by the statements that end them,
-- several products one after the other.
WITH reservation AS MATERIALIZED (
    SELECT r.id FROM optilock.reservations r WHERE r.id = $1::uuid FOR NO KEY UPDATE),
live AS MATERIALIZED (
    SELECT h.sku, h.held, greatest(h.expires_at,
        pg_catalog.statement_timestamp() + $2::float8 * interval '1 microsecond') AS expires_at
    FROM optilock.holds h
    WHERE h.reservation_id = $1::uuid AND h.state < 1 /* consumed */
        AND h.expires_at > pg_catalog.statement_timestamp()
        AND (SELECT pg_catalog.count(*) FROM reservation) >= 0
    ORDER BY h.sku FOR NO KEY UPDATE),
extended AS (
    UPDATE optilock.holds h SET expires_at = l.expires_at
    FROM live l WHERE h.reservation_id = $1::uuid AND h.sku = l.sku
    RETURNING h.sku, h.held, h.state, h.expires_at)
SELECT (SELECT pg_catalog.count(*) FROM extended) AS holds,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM reservation)
            = (SELECT pg_catalog.count(*) FROM optilock.reservations WHERE id = $1::uuid)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.reservations ' || (SELECT pg_catalog.count(*) FROM live)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM extended h
                    JOIN live l ON l.sku = h.sku AND l.held = h.held AND l.expires_at = h.expires_at
                WHERE h.state = 0 /* held */
            ) = (SELECT pg_catalog.count(*) FROM live)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM live)::text)::boolean
        ELSE true
    END AS stored;
