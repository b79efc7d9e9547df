-- Paused products, reservations that are used up once, clean-ups that continue behind the last row that
-- they looked at, and a feed of all movements.

-- Not sold for the time being; listed, counted and returned as before.
ALTER TABLE optilock.products ADD COLUMN paused boolean NOT NULL DEFAULT false;

-- Units that no order has taken, in holds that are live or expired; 0 when the reservation is used up or
-- was released.
ALTER TABLE optilock.reservations ADD COLUMN remaining bigint CHECK (remaining >= 0);
-- A reservation is released as a whole.
UPDATE optilock.holds h SET state = 2
    WHERE h.state = 3 AND EXISTS (
        SELECT FROM optilock.holds o WHERE o.reservation_id = h.reservation_id AND o.state = 2);
UPDATE optilock.reservations r SET remaining = (
    SELECT coalesce(pg_catalog.sum(h.held), 0::numeric)::bigint FROM optilock.holds h
    WHERE h.reservation_id = r.id AND h.state IN (0, 3));
ALTER TABLE optilock.reservations ALTER COLUMN remaining SET NOT NULL;

-- 13 paused, 14 resumed; kinds that a later version adds are data for the ones before it.
ALTER TABLE optilock.movements DROP CONSTRAINT movements_kind_check;
ALTER TABLE optilock.movements ADD CONSTRAINT movements_kind_check CHECK (kind >= 1);

-- With the key, so that a page ends at one row, however many are of the same time.
DROP INDEX optilock.orders_unpaid;
CREATE INDEX orders_unpaid ON optilock.orders (pending_since, id) WHERE status IN (0, 1);
DROP INDEX optilock.holds_due;
CREATE INDEX holds_due ON optilock.holds (expires_at, sku, reservation_id) WHERE state = 0;

-- The transaction that wrote the row, for readers of all movements: as transactions commit in another order than
-- they begin, no time and no sequence says what is still to come. Rows from before get that of this migration.
ALTER TABLE optilock.movements ADD COLUMN transaction_id bigint NOT NULL
    DEFAULT pg_catalog.pg_current_xact_id()::text::bigint;
CREATE INDEX movements_feed ON optilock.movements (transaction_id, sku, version);
