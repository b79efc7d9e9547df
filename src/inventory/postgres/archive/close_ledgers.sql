-- Closes the ledgers of some products, each through a version. Their movements until there are locked: the last one
-- becomes the opening balance, and those before it leave. The tokens of adjustments stay, so that a repeated one is
-- recognised.
--
-- $1 SKUs, $2 versions, $3 number of movements that leave.
--
-- The subquery looks up one ledger by its key. The movements are locked, so their places stay. In the feed of all
-- movements, the balance takes the last place of those for which it stands: a reader who has not read one of them gets
-- it.
WITH closing AS MATERIALIZED (
    SELECT m.place, m.sku, m.version, m.kind, m.token, m.stock_after, m.moved_at, m.transaction_id, closing.through
    FROM unnest($1::text[], $2::bigint[]) AS closing (sku, through), LATERAL (
        SELECT l.ctid AS place, l.sku, l.version, l.kind, l.token, l.stock_after, l.moved_at, l.transaction_id
        FROM optilock.movements l WHERE l.sku = closing.sku AND l.version <= closing.through
        ORDER BY l.version OFFSET 0) m),
target AS MATERIALIZED (
    SELECT c.place, c.sku, c.version, c.stock_after, c.moved_at,
        (SELECT pg_catalog.max(l.transaction_id) FROM closing l WHERE l.sku = c.sku) AS transaction_id
    FROM closing c WHERE c.version = c.through),
tokens AS MATERIALIZED (
    SELECT c.token FROM closing c WHERE c.kind = 3 /* adjustment */ AND c.token IS NOT NULL),
kept AS (
    INSERT INTO optilock.archived_tokens AS t (token) SELECT token FROM tokens
    ON CONFLICT DO NOTHING
    RETURNING t.token),
removed AS (
    DELETE FROM optilock.movements m
    WHERE m.ctid = ANY (ARRAY(SELECT place FROM closing WHERE version < through))
    RETURNING m.sku, m.version),
opened AS (
    UPDATE optilock.movements m
    SET kind = 15 /* opening */, delta = t.stock_after, order_id = NULL, reservation_id = NULL, token = NULL,
        reason = NULL, transaction_id = t.transaction_id
    FROM target t
    WHERE m.sku = t.sku AND m.version = t.version AND m.ctid = ANY (ARRAY(SELECT place FROM target))
    RETURNING m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id, m.token, m.reason,
        m.moved_at, m.transaction_id)
SELECT
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT token FROM tokens
                    EXCEPT SELECT token FROM kept
                    EXCEPT SELECT t.token FROM optilock.archived_tokens t
                        WHERE t.token = ANY (ARRAY(SELECT token FROM tokens))
                ) lost
            ) = 0
        ) IS NOT TRUE
            THEN ('optilock.suppressed.archived_tokens ' || (SELECT pg_catalog.count(*) FROM kept)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM removed) = $3::bigint
                AND (SELECT pg_catalog.count(*)
                    FROM (
                        SELECT sku, version, delta, stock_after, moved_at, transaction_id FROM opened
                        WHERE kind = 15 /* opening */ AND order_id IS NULL AND reservation_id IS NULL
                            AND token IS NULL AND reason IS NULL
                        INTERSECT SELECT sku, version, stock_after, stock_after, moved_at, transaction_id FROM target
                    ) stored
                ) = pg_catalog.cardinality($1::text[])
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM removed)::text)::boolean
        ELSE true
    END AS stored;
