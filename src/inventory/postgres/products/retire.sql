-- Retires a product.
--
-- $1 SKU, $2 the version that it must be at, $3 token.
-- Returns one row: the product as it was stored, or as it was locked if it was not changed; all of it
-- null if there is no such product. `wrote` tells whether it was changed.
--
-- `hidden` fails the statement if the product exists and was not locked: a policy may let a role read a
-- row and not lock it. Products are never deleted and their SKUs never change, so a plain read in the
-- same statement decides.
--
-- The other changes of a product are variants. A comment after an expression names the slot that they
-- replace.
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, k.name /* name */ AS name, k.price /* price */ AS price, k.currency /* currency */ AS currency,
        k.stock /* stock */ AS stock, k.stock /* stock */ - k.stock AS delta, k.reserved, k.version + 1 AS version,
        k.revision /* revision */ AS revision, true /* retired */ AS retired, k.paused /* paused */ AS paused,
        k.updated_at
    FROM locked k WHERE NOT k.retired AND k.version = $2::bigint /* condition */),
changed AS (
    UPDATE optilock.products p
    SET retired = t.retired, /* set */ stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, 9 /* retired */::smallint, (SELECT t.delta FROM target t), p.stock,
        $3::uuid /* token */, NULL::text /* reason */, p.updated_at
    FROM changed p
    RETURNING sku, version, kind, delta, stock_after, token, moved_at),
answer AS (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at, true AS wrote
    FROM changed p
    UNION ALL SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at, false AS wrote
    FROM locked p WHERE NOT EXISTS (SELECT FROM changed))
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at, p.wrote, /* facts */
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM changed p
                    JOIN target t ON t.sku = p.sku AND t.name = p.name AND t.price = p.price
                        AND t.currency = p.currency AND t.stock = p.stock AND t.reserved = p.reserved
                        AND t.version = p.version AND t.revision = p.revision AND t.retired = p.retired
                        AND t.paused = p.paused
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM changed)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.stock = m.stock_after
                        AND t.delta = m.delta
                WHERE m.kind = 9 /* retired */::smallint AND m.token = $3::uuid /* token */
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM changed)::text)::boolean
        ELSE true
    END AS stored,
    CASE WHEN p.sku IS NULL THEN (
        SELECT ('optilock.suppressed.products ' || hidden.version::text)::boolean
        FROM optilock.products hidden WHERE hidden.sku = $1::text)
        ELSE false END AS hidden
FROM (VALUES ($1::text)) AS requested (sku) LEFT JOIN answer p ON p.sku = requested.sku;
