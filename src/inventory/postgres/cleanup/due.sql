-- Reads a page of expired holds, the oldest first.
--
-- $1 expiry, $2 SKU and $3 reservation that the page continues after, $4 limit, $5 microseconds since the
-- expiry.
SELECT h.expires_at, h.sku, h.reservation_id
FROM optilock.holds h
WHERE h.state = 0 /* held */
    AND h.expires_at <= pg_catalog.statement_timestamp() - $5::float8 * interval '1 microsecond'
    AND (h.expires_at, h.sku, h.reservation_id) > ($1::timestamptz, $2::text, $3::uuid)
ORDER BY h.expires_at, h.sku, h.reservation_id LIMIT $4::bigint;
