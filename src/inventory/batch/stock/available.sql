-- Reads what is available of products, with the units of expired holds.
--
-- $1 SKUs, $2 the most units that a request wants of each: no more holds are read.
-- Returns one row per product that exists and is not retired.
SELECT p.sku, p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused,
    CASE WHEN p.stock - p.reserved >= w.units THEN 0::bigint ELSE (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = p.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT w.units) e)
        END AS expired
FROM unnest($1::text[], $2::bigint[]) AS w (sku, units) JOIN optilock.products p ON p.sku = w.sku
WHERE p.sku = ANY ($1::text[]) AND NOT p.retired;
