-- For what left into an archive. An order or reservation leaves its id behind, so that a repeated request is recognised. A
-- version of the crate before this migration takes such an order for a void one.
ALTER TABLE optilock.orders ADD COLUMN IF NOT EXISTS archived_before timestamptz;
ALTER TABLE optilock.reservations ADD COLUMN IF NOT EXISTS archived_before timestamptz;

-- The tokens of adjustments whose movements left.
CREATE TABLE IF NOT EXISTS optilock.archived_tokens (token uuid PRIMARY KEY);

CREATE INDEX CONCURRENTLY IF NOT EXISTS returns_of_order ON optilock.returns (order_id);
