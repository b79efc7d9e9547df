-- Cancels unpaid orders and returns their units to the stock, each line as a movement of its own.
--
-- $1 orders, each once, $2 the versions that they must be at, or nulls, $3 reasons.
-- Returns the ids of the orders that were cancelled, and their units. An order stays as it is if one of
-- its products was not locked.
--
-- The orders are locked one after the other, in the order of their ids, and their lines are read one order after
-- the other: a plan that is made while the tables are small would read all of them.
--
-- The sizes of the CTEs cannot be estimated, so no two of them are joined in a way that could become a
-- loop over all pairs: NOT IN, FULL JOIN and INTERSECT are always hashed or sorted.
--
-- Slots of the variants: `condition` restricts the orders; `orders` and `products` may skip locked rows.
WITH requested AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS requested (id, version, reason) ORDER BY id),
unpaid AS MATERIALIZED (
    SELECT o.id, o.version, r.reason
    FROM requested r, LATERAL (
        SELECT o.id, o.version FROM optilock.orders o
        WHERE o.id = r.id AND o.status < 2 /* paid */ AND o.version = coalesce(r.version, o.version) /* condition */
        FOR NO KEY UPDATE /* orders: wait */) o),
lines AS MATERIALIZED (
    SELECT l.order_id, l.sku, l.quantity
    FROM unpaid u, LATERAL (
        SELECT l.order_id, l.sku, l.quantity FROM optilock.order_lines l WHERE l.order_id = u.id
        ORDER BY l.sku) l),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(SELECT DISTINCT sku FROM lines))
    ORDER BY p.sku FOR NO KEY UPDATE /* products: wait */),
blocked AS MATERIALIZED (
    SELECT DISTINCT l.order_id FROM lines l LEFT JOIN locked k ON k.sku = l.sku WHERE k.sku IS NULL),
cancelling AS MATERIALIZED (
    SELECT u.id, u.version + 1 AS version, u.reason
    FROM unpaid u WHERE u.id NOT IN (SELECT order_id FROM blocked)),
given_back AS MATERIALIZED (
    SELECT l.order_id, l.sku, l.quantity, k.reserved, k.updated_at,
        k.version + pg_catalog.row_number() OVER line AS version,
        k.stock + (pg_catalog.sum(l.quantity) OVER line)::bigint AS stock
    FROM lines l JOIN cancelling c ON c.id = l.order_id JOIN locked k ON k.sku = l.sku
    WINDOW line AS (PARTITION BY l.sku ORDER BY l.order_id ROWS UNBOUNDED PRECEDING)),
target AS MATERIALIZED (
    SELECT DISTINCT ON (sku) sku, stock, reserved, version, updated_at FROM given_back
    ORDER BY sku, version DESC),
cancelled AS (
    UPDATE optilock.orders o SET status = 3 /* cancelled */, version = c.version, reason = c.reason
    FROM cancelling c WHERE o.id = c.id
    RETURNING o.id, o.status, o.version),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
    SELECT g.sku, g.version, 2 /* given-back */, g.quantity, g.stock, g.order_id,
        coalesce(p.updated_at, g.updated_at)
    FROM given_back g FULL JOIN changed p ON p.sku = g.sku
    RETURNING sku, version, delta, stock_after)
SELECT ARRAY(SELECT id FROM cancelled) AS cancelled,
    (SELECT coalesce(pg_catalog.sum(quantity), 0::numeric)::bigint FROM given_back) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT id, version FROM cancelled WHERE status = 3 /* cancelled */
                    INTERSECT SELECT id, version FROM cancelling
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM cancelling)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM cancelling)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT sku, stock, reserved, version FROM changed
                    INTERSECT SELECT sku, stock, reserved, version FROM target
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN (
                'optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM cancelling)::text
            )::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT sku, version, delta, stock_after FROM ledger
                    INTERSECT SELECT sku, version, quantity, stock FROM given_back
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM given_back)
        ) IS NOT TRUE
            THEN (
                'optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM cancelling)::text
            )::boolean
        ELSE true
    END AS stored;
