-- Sells one line in one round trip.
--
-- $1 SKU, $2 quantity, $3 expected version or null, $4 expected price or null, $5 expected currency or
-- null, $6 the highest price whose total fits, $7 order, $8 customer or null, $9 idempotency key or null.
-- Returns one row if the order was made. Without a row the checkout is refused, and facts.sql gives the
-- reason.
--
-- Only the guard of the UPDATE sees the row as it was before, also after a wait for its lock. The guard
-- leaves the old values in a setting of the transaction, and RETURNING compares them with the new ones. A
-- CTE that locks the row first would cost as much and hold the lock for longer. Each write depends on the
-- stored row of the write before it, so the last SELECT checks only the last write. This costs half as
-- much as the assertion of the other statements, which takes a tenth of the statement's time. The
-- statement has no subqueries: a transaction that waited for the row would set up each of them again
-- while it holds the lock.
--
-- Slots of the variant that also writes the outbox: `outbox`, `outbox stored`, `movements stored`, `with outbox`.
WITH changed AS (
    UPDATE optilock.products p
    SET stock = p.stock - $2::bigint, version = p.version + 1,
        updated_at = greatest(p.updated_at, pg_catalog.clock_timestamp())
    WHERE p.sku = $1::text AND NOT p.retired AND NOT p.paused AND p.stock - p.reserved >= $2::bigint
        AND p.version = coalesce($3::bigint, p.version) AND p.price = coalesce($4::bigint, p.price)
        AND p.currency = coalesce($5::text, p.currency) AND p.price <= $6::bigint
        AND pg_catalog.set_config('optilock.before', p.version::text || ' ' || p.stock::text || ' '
            || p.reserved::text || ' ' || p.price::text || ' ' || p.currency, true) IS NOT NULL
    RETURNING p.sku, p.version, p.stock, p.reserved, p.price, p.currency, p.updated_at,
        pg_catalog.current_setting('optilock.before')
            = (p.version - 1)::text || ' ' || (p.stock + $2::bigint)::text || ' ' || p.reserved::text
            || ' ' || p.price::text || ' ' || p.currency AS as_expected),
new_order AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency)
    SELECT $7::uuid, $8::text, $9::text, $2::bigint * p.price, p.currency FROM changed p WHERE p.as_expected
    RETURNING id, status, version, total, currency, customer, idempotency_key),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT o.id, p.sku, $2::bigint, p.price
    FROM new_order o, changed p
    WHERE o.id = $7::uuid AND o.status = 0 /* pending-payment */ AND o.version = 1
        AND o.total = $2::bigint * p.price AND o.currency = p.currency
        AND o.customer IS NOT DISTINCT FROM $8::text AND o.idempotency_key IS NOT DISTINCT FROM $9::text
    RETURNING order_id, sku, quantity, price, returned),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
    SELECT p.sku, p.version, 1 /* sale */::smallint, - $2::bigint, p.stock, l.order_id, p.updated_at
    FROM new_lines l, changed p
    WHERE l.order_id = $7::uuid AND l.sku = p.sku AND l.quantity = $2::bigint AND l.price = p.price
        AND l.returned = 0
    RETURNING sku, version, kind, delta, stock_after, order_id) /* outbox: none */
SELECT p.price, p.currency, p.version AS new_version, p.stock AS new_stock, p.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN m.sku = p.sku AND m.version = p.version AND m.delta = - $2::bigint AND m.stock_after = p.stock
            AND m.kind = 1 /* sale */ AND m.order_id = $7::uuid /* outbox stored: not asked */ THEN true
        ELSE ('optilock.suppressed.' || CASE
            WHEN (p.as_expected) IS NOT TRUE THEN 'products'
            WHEN (
                o.id = $7::uuid AND o.status = 0 /* pending-payment */ AND o.version = 1
                AND o.total = $2::bigint * p.price AND o.currency = p.currency
                AND o.customer IS NOT DISTINCT FROM $8::text AND o.idempotency_key IS NOT DISTINCT FROM $9::text
            ) IS NOT TRUE THEN 'orders'
            WHEN (
                l.order_id = $7::uuid AND l.sku = p.sku AND l.quantity = $2::bigint AND l.price = p.price
                AND l.returned = 0
            ) IS NOT TRUE THEN 'order_lines'
            /* movements stored: the rest */ ELSE 'movements'
        END || ' ' || p.version::text)::boolean
    END AS stored
FROM changed p LEFT JOIN new_order o ON true LEFT JOIN new_lines l ON true /* with outbox: none */
LEFT JOIN ledger m ON true;
