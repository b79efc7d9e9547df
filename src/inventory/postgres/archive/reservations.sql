-- Reads some reservations, which are not archived.
--
-- $1 reservations.
-- Returns one row per hold.
SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at, h.state,
    false AS archived
FROM optilock.reservations r JOIN optilock.holds h ON h.reservation_id = r.id
WHERE r.id = ANY ($1::uuid[]) AND h.reservation_id = ANY ($1::uuid[]) ORDER BY r.id, h.sku;
