-- Removes the holds of some reservations, which are locked, and leaves an empty reservation with each id. The key stays
-- with its customer, so that a repeated request is recognised.
--
-- $1 reservations, $2 the time before which they ended.
WITH before AS MATERIALIZED (
    SELECT r.id, CASE WHEN r.idempotency_key IS NOT NULL THEN r.customer END AS customer, r.idempotency_key,
        r.created_at
    FROM optilock.reservations r WHERE r.id = ANY ($1::uuid[])),
removed_holds AS (
    DELETE FROM optilock.holds h WHERE h.reservation_id = ANY ($1::uuid[]) RETURNING h.reservation_id),
archived AS (
    UPDATE optilock.reservations r
    SET remaining = 0, archived_before = $2::timestamptz,
        customer = CASE WHEN r.idempotency_key IS NOT NULL THEN r.customer END
    WHERE r.id = ANY ($1::uuid[])
    RETURNING r.id, r.customer, r.idempotency_key, r.created_at, r.remaining, r.archived_before)
SELECT
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT id, customer, idempotency_key, created_at FROM archived
                    WHERE remaining = 0 AND archived_before = $2::timestamptz
                    INTERSECT SELECT id, customer, idempotency_key, created_at FROM before
                ) stored
            ) = pg_catalog.cardinality($1::uuid[])
        ) IS NOT TRUE
            THEN ('optilock.suppressed.reservations ' || (SELECT pg_catalog.count(*) FROM archived)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM removed_holds)
                = (SELECT pg_catalog.count(*) FROM optilock.holds h WHERE h.reservation_id = ANY ($1::uuid[]))
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM archived)::text)::boolean
        ELSE true
    END AS stored;
