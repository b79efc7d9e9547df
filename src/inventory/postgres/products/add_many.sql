-- Adds products that do not exist, and leaves those that do.
--
-- $1 SKUs, each once and in byte order, $2 names, $3 prices, $4 currencies, $5 stocks, $6 tokens.
-- Returns the SKUs that were added.
WITH requested AS MATERIALIZED (
    SELECT r.sku, r.name, r.price, r.currency, r.stock, r.token
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], $6::uuid[])
        AS r (sku, name, price, currency, stock, token)),
new_products AS (
    INSERT INTO optilock.products AS p (sku, name, price, currency, stock)
    SELECT r.sku, r.name, r.price, r.currency, r.stock FROM requested r ORDER BY r.sku COLLATE pg_catalog."C"
    ON CONFLICT DO NOTHING
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired, p.paused,
        p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, moved_at)
    SELECT p.sku, p.version, 8 /* added */, p.stock, p.stock, r.token, p.updated_at
    FROM new_products p JOIN requested r ON r.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, token)
SELECT ARRAY(SELECT sku FROM new_products) AS added,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM new_products p
                    JOIN requested r ON r.sku = p.sku AND r.name = p.name AND r.price = p.price
                        AND r.currency = p.currency AND r.stock = p.stock
                WHERE p.version = 1 AND p.revision = 1 AND p.reserved = 0 AND NOT p.retired AND NOT p.paused
            ) = (SELECT pg_catalog.count(*) FROM new_products)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM new_products)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN requested r ON r.sku = m.sku AND r.stock = m.delta AND r.stock = m.stock_after
                        AND r.token = m.token
                WHERE m.version = 1 AND m.kind = 8 /* added */
            ) = (SELECT pg_catalog.count(*) FROM new_products)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM new_products)::text)::boolean
        ELSE true
    END AS stored;
