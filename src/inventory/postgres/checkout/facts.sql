-- Reads the facts of products, their expired units, and whether an order exists by its id or key.
--
-- $1 SKUs, $2 customer or null, $3 idempotency key or null, $4 order, $5 units requested of each SKU.
-- Returns one row per SKU, in byte order. `expired` are units in holds that have expired and have not
-- been ended. It reads no more holds than units are requested: that many are enough.
SELECT p.stock - p.reserved AS available,
    (SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
        SELECT h.held FROM optilock.holds h
        WHERE h.sku = r.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
        ORDER BY h.expires_at LIMIT r.units) e) AS expired,
    p.version, p.price, p.currency, p.paused,
    EXISTS (
        SELECT id FROM optilock.orders WHERE id = $4::uuid
        UNION ALL SELECT id FROM optilock.orders
            WHERE idempotency_key = $3::text AND coalesce(customer, '') = coalesce($2::text, '')
        LIMIT 1) AS taken
FROM unnest($1::text[], $5::bigint[]) AS r (sku, units)
LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
ORDER BY r.sku COLLATE "C";
