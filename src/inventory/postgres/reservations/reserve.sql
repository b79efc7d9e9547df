-- Holds units of several products, all or none.
--
-- $1 SKUs, $2 quantities, $3 reservation, $4 customer or null, $5 idempotency key or null, $6 duration in
-- microseconds.
-- Returns one row per line with the facts under the lock; a retired product is reported as missing.
-- `wrote` tells whether the reservation was made. If all lines fit and nothing was written, the
-- reservation already exists or its insert was suppressed.
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.paused, p.retired, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku FOR NO KEY UPDATE),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, CASE WHEN NOT k.retired THEN k.stock END AS stock, k.reserved, k.version,
        k.paused, k.updated_at, k.sku IS NOT NULL AS locked,
        (NOT k.retired AND NOT k.paused AND k.stock - k.reserved >= r.quantity) IS TRUE AS fits
    FROM unnest($1::text[], $2::bigint[]) AS r (sku, quantity) LEFT JOIN locked k ON k.sku = r.sku),
target AS MATERIALIZED (
    SELECT sku, quantity, stock, reserved + quantity AS reserved, version + 1 AS version, updated_at,
        pg_catalog.statement_timestamp() + $6::float8 * interval '1 microsecond' AS expires_at FROM judged),
request AS MATERIALIZED (
    SELECT pg_catalog.bool_and(fits) AS fits, pg_catalog.sum(quantity)::bigint AS units FROM judged),
new_reservation AS (
    INSERT INTO optilock.reservations (id, customer, idempotency_key, remaining)
    SELECT $3::uuid, $4::text, $5::text, r.units FROM request r WHERE r.fits
    ON CONFLICT DO NOTHING RETURNING id, remaining),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM new_reservation n, target t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
new_holds AS (
    INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
    SELECT n.id, t.sku, t.quantity, t.quantity, t.expires_at FROM new_reservation n, target t
    RETURNING reservation_id, sku, quantity, held, state, expires_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
    SELECT p.sku, p.version, 4 /* reserved */::smallint, 0::bigint, p.stock, n.id, p.updated_at
    FROM new_reservation n, changed p
    RETURNING sku, version, delta, stock_after)
SELECT j.sku, j.quantity, j.stock - j.reserved AS available, j.paused,
    CASE WHEN j.fits THEN 0::bigint ELSE (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = j.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT j.quantity) e)
        END AS expired,
    CASE
        WHEN (
            j.locked OR NOT EXISTS (SELECT FROM optilock.products p WHERE p.sku = j.sku)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || j.quantity::text)::boolean
        ELSE true
    END
    AND CASE WHEN EXISTS (SELECT FROM new_reservation) THEN
        CASE
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM changed p
                        JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                            AND t.version = p.version
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.products ' || j.quantity::text)::boolean
            WHEN (
                (SELECT n.id = $3::uuid AND n.remaining = r.units FROM new_reservation n, request r)
            ) IS NOT TRUE THEN ('optilock.suppressed.reservations ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM new_holds h
                        JOIN target t ON t.sku = h.sku AND t.quantity = h.quantity AND t.quantity = h.held
                            AND t.expires_at = h.expires_at
                    WHERE h.reservation_id = $3::uuid AND h.state = 0 /* held */
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.holds ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM ledger m
                        JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.stock = m.stock_after
                    WHERE m.delta = 0
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j ORDER BY j.sku COLLATE "C";
