-- Reads and locks the movements of some products, each up to a version.
--
-- $1 SKUs, in byte order, $2 versions.
--
-- The subquery looks up one ledger by its key. Joined, a plan that is made while the tables are small would read all of
-- them.
SELECT m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id, m.reason, m.moved_at
FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS closing (sku, through, position), LATERAL (
    SELECT l.sku, l.version, l.kind, l.delta, l.stock_after, l.order_id, l.reservation_id, l.reason, l.moved_at
    FROM optilock.movements l WHERE l.sku = closing.sku AND l.version <= closing.through
    ORDER BY l.version FOR UPDATE) m
ORDER BY closing.position, m.version;
