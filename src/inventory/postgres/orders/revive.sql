-- Takes the stock of a cancelled order again.
--
-- $1 order, $2 the version that it must be at.
-- Returns one row per line: the units available and whether its product was locked. `wrote` tells whether
-- the order was revived. Returns no row if the order is not cancelled or is at another version.
WITH cancelled AS MATERIALIZED (
    SELECT o.id, o.version FROM optilock.orders o
    WHERE o.id = $1 AND o.version = $2 AND o.status = 3 /* cancelled */ FOR NO KEY UPDATE),
lines AS MATERIALIZED (
    SELECT l.sku, l.quantity FROM optilock.order_lines l
    WHERE l.order_id = ANY (ARRAY(SELECT id FROM cancelled))),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at, p.retired, p.paused
    FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(SELECT sku FROM lines)) ORDER BY p.sku FOR NO KEY UPDATE),
judged AS MATERIALIZED (
    SELECT l.sku, l.quantity, k.stock, k.reserved, k.version, k.updated_at, k.sku IS NOT NULL AS locked,
        (k.paused AND NOT k.retired) IS TRUE AS paused,
        CASE WHEN k.retired IS FALSE THEN k.stock - k.reserved ELSE 0::bigint END AS available,
        k.retired IS FALSE AS sold
    FROM lines l LEFT JOIN locked k ON k.sku = l.sku),
target AS MATERIALIZED (
    SELECT sku, quantity, stock - quantity AS stock, reserved, version + 1 AS version, updated_at
    FROM judged
    WHERE (SELECT pg_catalog.bool_and(available >= quantity AND NOT paused) FROM judged)),
revived AS (
    UPDATE optilock.orders o
    SET status = 0 /* pending-payment */, version = c.version + 1, reason = NULL,
        pending_since = pg_catalog.statement_timestamp()
    FROM cancelled c WHERE o.id = c.id AND o.id = $1 AND EXISTS (SELECT FROM target)
    RETURNING o.id, o.status, o.version),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
    SELECT p.sku, p.version, 12 /* revived */, -t.quantity, p.stock, $1, p.updated_at
    FROM changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, delta, stock_after)
SELECT j.sku, j.quantity, j.available, j.locked, j.paused, EXISTS (SELECT FROM target) AS wrote,
    CASE WHEN j.sold AND j.available < j.quantity THEN (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = j.sku AND h.state = 0 /* held */ AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT j.quantity) e)
        ELSE 0::bigint END AS expired,
    CASE
        WHEN (
            NOT EXISTS (SELECT FROM target)
                OR (SELECT pg_catalog.count(*)
                    FROM revived
                    WHERE id = $1 AND status = 0 /* pending-payment */ AND version = $2 + 1
                ) = 1
        ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || j.quantity::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM changed p
                    JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                        AND t.version = p.version
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || j.quantity::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN target t ON t.sku = m.sku AND t.version = m.version AND m.delta = -t.quantity
                        AND t.stock = m.stock_after
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
        ELSE true
    END AS stored
FROM judged j ORDER BY j.sku COLLATE "C";
