-- Reads reservations before a batch.
--
-- $1 reservations.
-- Returns one row per hold, with its state as it is stored: a hold past its time is held until it is ended. An archived
-- reservation has no holds.
--
-- The subqueries look up one reservation each by its key. Joined, a plan that is made while the tables are small
-- would read all of them.
SELECT r.id, r.customer, r.created_at, r.remaining, h.sku, h.quantity, h.held, h.expires_at, h.state,
    false AS archived, pg_catalog.statement_timestamp() AS as_of
FROM pg_catalog.unnest($1::uuid[]) AS e (id),
    LATERAL (
        SELECT r.id, r.customer, r.created_at, r.remaining
        FROM optilock.reservations r WHERE r.id = e.id LIMIT 1) r,
    LATERAL (
        SELECT h.sku, h.quantity, h.held, h.expires_at, h.state
        FROM optilock.holds h WHERE h.reservation_id = r.id ORDER BY h.sku) h
ORDER BY r.id, h.sku;
