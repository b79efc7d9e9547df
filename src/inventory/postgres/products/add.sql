-- Adds a product, or takes a retired one up again.
--
-- $1 SKU, $2 name, $3 price, $4 currency, $5 stock, $6 token.
-- Returns one row: the product if it was added. Else `held` and `old_retired` are the reserved units and
-- the state of the product that exists; both are null if another transaction added it or its insert was
-- suppressed.
--
-- `hidden` fails the statement if the product exists and was not locked: a policy may let a role read a
-- row and not lock it. Products are never deleted and their SKUs never change, so a plain read in the
-- same statement decides.
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.revision, p.retired, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, k.stock AS old_stock, k.reserved, k.version + 1 AS version, k.revision + 1 AS revision,
        k.updated_at
    FROM locked k WHERE k.retired AND k.reserved <= $5::bigint),
new_product AS (
    INSERT INTO optilock.products AS p (sku, name, price, currency, stock)
    SELECT $1::text, $2::text, $3::bigint, $4::text, $5::bigint WHERE NOT EXISTS (SELECT FROM locked)
    ON CONFLICT DO NOTHING
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
reactivated AS (
    UPDATE optilock.products p
    SET name = $2::text, price = $3::bigint, currency = $4::text, stock = $5::bigint, reserved = t.reserved,
        retired = false, paused = false, version = t.version, revision = t.revision,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t
    WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
changed AS (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM new_product p
    UNION ALL SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM reactivated p),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, 8 /* added */,
        p.stock - coalesce((SELECT t.old_stock FROM target t), 0::bigint), p.stock, $6::uuid, NULL::text,
        p.updated_at
    FROM changed p
    RETURNING sku, version, kind, delta, stock_after, token, moved_at)
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at, k.reserved AS held, k.retired AS old_retired,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM reactivated p
                    JOIN target t ON t.sku = p.sku AND t.reserved = p.reserved AND t.version = p.version
                        AND t.revision = p.revision
            ) = (SELECT pg_catalog.count(*) FROM target)
                AND (SELECT pg_catalog.count(*)
                    FROM changed p
                    WHERE p.name = $2::text AND p.price = $3::bigint AND p.currency = $4::text
                        AND p.stock = $5::bigint AND NOT p.retired AND NOT p.paused
                ) = (SELECT pg_catalog.count(*) FROM changed)
                AND (SELECT pg_catalog.count(*)
                    FROM new_product p
                    WHERE p.sku = $1::text AND p.version = 1 AND p.revision = 1 AND p.reserved = 0
                ) = (SELECT pg_catalog.count(*) FROM new_product)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM changed)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN changed p ON p.sku = m.sku AND p.version = m.version AND p.stock = m.stock_after
                        AND p.updated_at = m.moved_at
                WHERE m.kind = 8 /* added */ AND m.token = $6::uuid
                    AND m.delta = p.stock - coalesce((SELECT t.old_stock FROM target t), 0::bigint)
            ) = (SELECT pg_catalog.count(*) FROM changed)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM changed)::text)::boolean
        ELSE true
    END AS stored,
    CASE WHEN k.sku IS NULL THEN (
        SELECT ('optilock.suppressed.products ' || hidden.version::text)::boolean
        FROM optilock.products hidden WHERE hidden.sku = $1::text)
        ELSE false END AS hidden
FROM (VALUES ($1::text)) AS requested (sku) LEFT JOIN locked k ON k.sku = requested.sku
LEFT JOIN changed p ON p.sku = requested.sku;
