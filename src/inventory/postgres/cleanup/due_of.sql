-- Reads expired holds of some products, the oldest of each first.
--
-- $1 SKUs, $2 limit, for each product and for all together.
SELECT d.sku, d.reservation_id
FROM unnest($1::text[]) AS requested (sku) CROSS JOIN LATERAL (
    SELECT h.sku, h.reservation_id FROM optilock.holds h
    WHERE h.sku = requested.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
    ORDER BY h.expires_at LIMIT $2::bigint) d
LIMIT $2::bigint;
