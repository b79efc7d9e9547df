-- Removes the holds of some reservations, which are locked, and leaves an empty reservation with each id. The key stays
-- with its customer, so that a repeated request is recognised.
--
-- $1 reservations, $2 the time before which they ended.
WITH removed_holds AS (
    DELETE FROM optilock.holds h WHERE h.reservation_id = ANY ($1::uuid[]) RETURNING h.reservation_id),
archived AS (
    UPDATE optilock.reservations r
    SET remaining = 0, archived_before = $2::timestamptz,
        customer = CASE WHEN r.idempotency_key IS NOT NULL THEN r.customer END
    WHERE r.id = ANY ($1::uuid[])
    RETURNING r.id, r.remaining, r.archived_before)
SELECT
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM archived WHERE remaining = 0 AND archived_before = $2::timestamptz)
                = pg_catalog.cardinality($1::uuid[])
        ) IS NOT TRUE
            THEN ('optilock.suppressed.reservations ' || (SELECT pg_catalog.count(*) FROM archived)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM removed_holds)
                = (SELECT pg_catalog.count(*) FROM optilock.holds h WHERE h.reservation_id = ANY ($1::uuid[]))
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM archived)::text)::boolean
        ELSE true
    END AS stored;
