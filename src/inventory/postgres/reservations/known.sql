-- Reads the reservation that an earlier attempt of a request may have made: by its id, or else by its
-- key.
--
-- $1 reservation, $2 customer or null, $3 idempotency key or null.
-- Returns one row per hold; an archived reservation has one row without a hold.
SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at,
    CASE WHEN h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
        THEN 3 /* expired */ ELSE h.state END::smallint AS state, r.archived_before IS NOT NULL AS archived
FROM optilock.reservations r LEFT JOIN optilock.holds h ON h.reservation_id = r.id
WHERE r.id = (
    SELECT id FROM optilock.reservations WHERE id = $1::uuid
    UNION ALL SELECT id FROM optilock.reservations
        WHERE idempotency_key = $3::text AND coalesce(customer, '') = coalesce($2::text, '')
    LIMIT 1)
ORDER BY h.sku;
