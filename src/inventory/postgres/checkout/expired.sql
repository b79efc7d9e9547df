-- Reads the expired units of products.
--
-- $1 SKUs, $2 units requested of each SKU, $3 a reservation whose holds do not count, or null.
-- Returns one row per SKU, in byte order. It reads no more holds than units are requested: that many are
-- enough.
SELECT (SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
        SELECT h.held FROM optilock.holds h
        WHERE h.sku = r.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
            AND (h.reservation_id = $3::uuid) IS NOT TRUE
        ORDER BY h.expires_at LIMIT r.units) e) AS expired
FROM unnest($1::text[], $2::bigint[]) AS r (sku, units) ORDER BY r.sku COLLATE "C";
