-- Closes the ledgers of some products, each through a version. Their movements until there are locked: the last one
-- becomes the opening balance, and those before it leave. The tokens of adjustments stay, so that a repeated one is
-- recognised.
--
-- $1 SKUs, $2 versions, $3 number of movements that leave.
--
-- The subquery looks up one ledger by its key. The movements are locked, so their places stay.
WITH closing AS MATERIALIZED (
    SELECT m.place, m.sku, m.version, m.kind, m.token, m.stock_after, closing.through
    FROM unnest($1::text[], $2::bigint[]) AS closing (sku, through), LATERAL (
        SELECT l.ctid AS place, l.sku, l.version, l.kind, l.token, l.stock_after
        FROM optilock.movements l WHERE l.sku = closing.sku AND l.version <= closing.through
        ORDER BY l.version OFFSET 0) m),
kept AS (
    INSERT INTO optilock.archived_tokens (token)
    SELECT c.token FROM closing c WHERE c.kind = 3 /* adjustment */ AND c.token IS NOT NULL
    RETURNING token),
removed AS (
    DELETE FROM optilock.movements m
    WHERE m.ctid = ANY (ARRAY(SELECT place FROM closing WHERE version < through))
    RETURNING m.sku, m.version),
opened AS (
    UPDATE optilock.movements m
    SET kind = 15 /* opening */, delta = m.stock_after, order_id = NULL, reservation_id = NULL, token = NULL,
        reason = NULL
    WHERE m.ctid = ANY (ARRAY(SELECT place FROM closing WHERE version = through))
    RETURNING m.sku, m.version, m.kind, m.delta, m.stock_after, m.token)
SELECT
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM kept)
                = (SELECT pg_catalog.count(*)
                    FROM closing WHERE kind = 3 /* adjustment */ AND token IS NOT NULL)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.archived_tokens ' || (SELECT pg_catalog.count(*) FROM kept)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM removed) = $3::bigint
                AND (SELECT pg_catalog.count(*)
                    FROM opened o JOIN closing c ON c.sku = o.sku AND c.version = o.version AND c.version = c.through
                    WHERE o.kind = 15 /* opening */ AND o.delta = c.stock_after AND o.stock_after = c.stock_after
                        AND o.token IS NULL
                ) = pg_catalog.cardinality($1::text[])
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM removed)::text)::boolean
        ELSE true
    END AS stored;
