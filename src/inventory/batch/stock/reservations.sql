-- Reads reservations before a batch.
--
-- $1 reservations.
-- Returns one row per hold, with its state as it is stored: a hold past its time is held until it is ended.
SELECT r.id, r.customer, r.created_at, r.remaining, h.sku, h.quantity, h.held, h.expires_at, h.state,
    pg_catalog.statement_timestamp() AS as_of
FROM optilock.reservations r JOIN optilock.holds h ON h.reservation_id = r.id
WHERE r.id = ANY ($1::uuid[]) ORDER BY r.id, h.sku;
