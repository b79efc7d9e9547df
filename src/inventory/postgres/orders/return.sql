-- Returns units of a paid order to the stock.
--
-- $1 order, $2 the version that it must be at, $3 SKUs, $4 quantities, $5 return request, $6 reason.
-- `locked` tells whether the order is paid and at that version, `made` whether the return was made. If it
-- was not made, the return request already exists. The caller has checked at the same version that the
-- units are left.
WITH requested AS MATERIALIZED (
    SELECT * FROM unnest($3::text[], $4::bigint[]) AS requested (sku, quantity)),
paid AS MATERIALIZED (
    SELECT o.id, o.version FROM optilock.orders o
    WHERE o.id = $1 AND o.version = $2 AND o.status = 2 /* paid */ FOR NO KEY UPDATE),
lines AS MATERIALIZED (
    SELECT l.sku, l.returned FROM optilock.order_lines l
    WHERE l.order_id = ANY (ARRAY(SELECT id FROM paid)) AND l.sku = ANY ($3)
    ORDER BY l.sku FOR NO KEY UPDATE),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(SELECT sku FROM lines)) ORDER BY p.sku FOR NO KEY UPDATE),
new_return AS (
    INSERT INTO optilock.returns (id, order_id, skus, quantities, reason)
    SELECT $5, o.id, pg_catalog.to_jsonb($3), pg_catalog.to_jsonb($4), $6 FROM paid o
    WHERE (SELECT pg_catalog.count(*) FROM locked) = (SELECT pg_catalog.count(*) FROM requested)
    ON CONFLICT DO NOTHING RETURNING id, order_id, skus, quantities),
target AS MATERIALIZED (
    SELECT r.sku, r.quantity, l.returned + r.quantity AS returned, k.stock + r.quantity AS stock,
        k.reserved, k.version + 1 AS version, k.updated_at
    FROM requested r JOIN lines l ON l.sku = r.sku JOIN locked k ON k.sku = r.sku
    WHERE EXISTS (SELECT FROM new_return)),
returned AS (
    UPDATE optilock.order_lines l SET returned = t.returned
    FROM target t WHERE l.order_id = $1 AND l.sku = t.sku
    RETURNING l.order_id, l.sku, l.returned),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements
        (sku, version, kind, delta, stock_after, order_id, reason, moved_at)
    SELECT p.sku, p.version, 11 /* returned */, t.quantity, p.stock, $1, $6, p.updated_at
    FROM changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, delta, stock_after),
updated_order AS (
    UPDATE optilock.orders o SET version = p.version + 1
    FROM paid p WHERE o.id = p.id AND o.id = $1 AND EXISTS (SELECT FROM new_return)
    RETURNING o.id, o.status, o.version)
SELECT EXISTS (SELECT FROM paid) AS locked, EXISTS (SELECT FROM new_return) AS made,
    CASE
        WHEN (
            NOT EXISTS (SELECT FROM new_return
                WHERE (
                    id = $5 AND order_id = $1 AND skus OPERATOR(pg_catalog.=) pg_catalog.to_jsonb($3)
                        AND quantities OPERATOR(pg_catalog.=) pg_catalog.to_jsonb($4)
                ) IS NOT TRUE
            )
        ) IS NOT TRUE
            THEN ('optilock.suppressed.returns ' || (SELECT pg_catalog.count(*) FROM requested)::text)::boolean
        WHEN (
            NOT EXISTS (SELECT FROM new_return)
                OR (SELECT pg_catalog.count(*)
                    FROM updated_order
                    WHERE id = $1 AND status = 2 /* paid */ AND version = $2 + 1
                ) = 1
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM requested)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM returned l JOIN target t ON t.sku = l.sku AND t.returned = l.returned
                WHERE l.order_id = $1
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN (
                'optilock.suppressed.order_lines ' || (SELECT pg_catalog.count(*) FROM requested)::text
            )::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM changed p
                    JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                        AND t.version = p.version
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM requested)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.quantity = m.delta
                        AND t.stock = m.stock_after
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN (
                'optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM requested)::text
            )::boolean
        ELSE true
    END AS stored;
