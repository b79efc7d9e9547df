-- Reads a reservation.
--
-- $1 reservation.
-- Returns one row per hold; an archived reservation has one row without a hold. A hold past its time is reported as expired, also before it was ended.
SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at,
    CASE WHEN h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
        THEN 3 /* expired */ ELSE h.state END::smallint AS state, r.archived_before IS NOT NULL AS archived
FROM optilock.reservations r LEFT JOIN optilock.holds h ON h.reservation_id = r.id
WHERE r.id = $1 ORDER BY h.sku;
