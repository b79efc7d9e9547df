-- Writes every order of a batch if the products still are as the plan assumes. An order whose id or key
-- exists fails the whole batch.
--
-- $1 SKUs, $2 units taken, $3 prices, $4 currencies, $5 expected versions or nulls;
-- $6 orders, $7 customers, $8 idempotency keys, $9 totals, $10 currencies;
-- of the lines in the order of arrival $11 orders, $12 SKUs, $13 quantities.
-- Returns one row per product with its facts under the lock, before the batch. `ok` tells whether the
-- batch was written.
--
-- Each wait for a lock ends after half a second: a transaction that holds one product for long must not
-- delay the checkouts of other products. The stored rows are compared by counts, sums and hashes: a join
-- per row costs a fifth of the batch, and may become a nested loop, as the planner estimates ten rows
-- where there are two hundred.
--
-- Slots of the variant that leaves existing orders out: `conflict`, `sold`, `number`, `left out`.
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
planned AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])
        AS planned (sku, units, price, currency, version)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM optilock.products p
    WHERE p.sku = ANY ($1::text[]) AND (SELECT within FROM lock_limit) IS NOT NULL
    ORDER BY p.sku FOR NO KEY UPDATE),
verified AS MATERIALIZED (
    SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
        AND pg_catalog.bool_and(NOT k.retired AND NOT k.paused AND k.stock - k.reserved >= e.units
            AND k.price = e.price AND k.currency = e.currency
            AND k.version = coalesce(e.version, k.version)) AS ok
    FROM locked k JOIN planned e ON e.sku = k.sku),
requested AS MATERIALIZED (
    SELECT * FROM unnest($6::uuid[], $7::text[], $8::text[], $9::bigint[], $10::text[])
        AS requested (id, customer, key, total, currency)),
new_order AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency)
    SELECT r.id, r.customer, r.key, r.total, r.currency FROM requested r, verified v
    WHERE v.ok /* conflict: fail */
    RETURNING id, status, version, total),
sold AS MATERIALIZED (
    SELECT o.id, k.sku, o.quantity, k.price, k.reserved, k.updated_at,
        k.version + pg_catalog.row_number() OVER line AS version,
        k.stock - (pg_catalog.sum(o.quantity) OVER line)::bigint AS stock
    FROM unnest($11::uuid[], $12::text[], $13::bigint[]) WITH ORDINALITY AS o (id, sku, quantity, at)
    JOIN locked k ON k.sku = o.sku, verified v WHERE v.ok /* sold: all orders */
    WINDOW line AS (PARTITION BY k.sku ORDER BY o.at ROWS UNBOUNDED PRECEDING)),
target AS MATERIALIZED (
    SELECT DISTINCT ON (sku) sku, stock, reserved, version, updated_at FROM sold ORDER BY sku, version DESC),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT s.id, s.sku, s.quantity, s.price FROM sold s
    RETURNING order_id, sku, quantity, price),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
    SELECT s.sku, s.version, 1 /* sale */::smallint, - s.quantity, s.stock, s.id, p.updated_at
    FROM sold s JOIN changed p ON p.sku = s.sku
    RETURNING order_id, sku, version, delta, stock_after),
sums AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS lines, pg_catalog.sum(quantity) AS quantities,
        pg_catalog.sum(price) AS prices, pg_catalog.sum(quantity * price) AS total,
        pg_catalog.sum(version) AS versions, pg_catalog.sum(stock) AS stocks,
        pg_catalog.sum(pg_catalog.hashtext(sku)) AS skus, pg_catalog.sum(pg_catalog.uuid_hash(id)) AS ids
    FROM sold)
SELECT k.sku, k.stock - k.reserved AS available, CASE WHEN NOT k.retired THEN k.version END AS version,
    k.price, k.currency, k.paused, pg_catalog.statement_timestamp() AS created_at,
    CASE WHEN v.ok THEN
        CASE
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM changed p
                        JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                            AND t.version = p.version
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.products ' || k.version::text)::boolean
            WHEN (
                (SELECT pg_catalog.bool_and(o.status = 0 /* pending-payment */ AND o.version = 1)
                        AND pg_catalog.sum(o.total) = (SELECT total FROM sums)
                        AND pg_catalog.count(*) = pg_catalog.cardinality($6::uuid[]) /* number: all orders */
                    FROM new_order o
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || k.version::text)::boolean
            WHEN (
                (SELECT (
                        pg_catalog.count(*), pg_catalog.sum(l.quantity), pg_catalog.sum(l.price),
                        pg_catalog.sum(pg_catalog.hashtext(l.sku)),
                        pg_catalog.sum(pg_catalog.uuid_hash(l.order_id))
                    ) = (SELECT lines, quantities, prices, skus, ids FROM sums)
                    FROM new_lines l
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.order_lines ' || k.version::text)::boolean
            WHEN (
                (SELECT (
                        pg_catalog.count(*), - pg_catalog.sum(m.delta), pg_catalog.sum(m.version),
                        pg_catalog.sum(m.stock_after), pg_catalog.sum(pg_catalog.hashtext(m.sku)),
                        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id))
                    ) = (SELECT lines, quantities, versions, stocks, skus, ids FROM sums)
                    FROM ledger m
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || k.version::text)::boolean
            ELSE true
        END
        ELSE false
    END AS ok,
    NULL::uuid[] /* left out: none */ AS left_out
FROM locked k, verified v;
