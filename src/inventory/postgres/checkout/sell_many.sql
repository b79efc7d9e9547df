-- Sells several lines, all or none.
--
-- $1 SKUs, merged and sorted, $2 quantities, $3 expected versions or nulls, $4 expected prices or nulls,
-- $5 expected currencies or nulls, $6 order, $7 customer or null, $8 idempotency key or null.
-- Returns one row per line with the facts under the lock; a retired product has no version. `wrote` tells
-- whether the order was made. If all lines fit and nothing was written, the order already exists or its
-- insert was suppressed.
--
-- sell_held.sql is the same for a checkout from a reservation.
--
-- Slots of the variant that also writes the outbox: `outbox`, `outbox stored`.
WITH requested AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])
        AS requested (sku, quantity, version, price, currency)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM optilock.products p WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku FOR NO KEY UPDATE),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, k.stock, k.reserved, k.price, k.currency, k.paused, k.updated_at,
        CASE WHEN NOT k.retired THEN k.version END AS version, k.sku IS NOT NULL AS locked,
        0::bigint AS live, least(0::bigint, r.quantity) AS taken, 0::bigint AS unexpired,
        (
            NOT k.retired AND (NOT k.paused OR 0::bigint >= r.quantity)
            AND k.stock - k.reserved + 0::bigint >= r.quantity
            AND k.version = coalesce(r.version, k.version)
            AND k.price = coalesce(r.price, k.price)
            AND k.currency = coalesce(r.currency, k.currency)
        ) IS TRUE AS fits
    FROM requested r LEFT JOIN locked k ON k.sku = r.sku),
target AS MATERIALIZED (
    SELECT sku, quantity, price, stock - quantity AS stock, reserved - least(live, quantity) AS reserved,
        version + 1 AS version, updated_at FROM judged),
cart AS MATERIALIZED (
    SELECT pg_catalog.sum(quantity::numeric * price::numeric) AS total, pg_catalog.min(currency) AS currency,
        pg_catalog.sum(taken)::bigint AS taken,
        pg_catalog.bool_and(fits) AND pg_catalog.count(DISTINCT currency) = 1
            AND pg_catalog.sum(quantity::numeric * price::numeric) <= 9223372036854775807::numeric AS fits
    FROM judged),
new_order AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, reservation_id, total, currency)
    SELECT $6::uuid, $7::text, $8::text, NULL::uuid, c.total::bigint, c.currency
    FROM cart c
    WHERE c.fits
    ON CONFLICT DO NOTHING
    RETURNING id, status, version, total, currency, customer, idempotency_key),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM new_order o, target t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT o.id, t.sku, t.quantity, t.price FROM new_order o, target t
    RETURNING order_id, sku, quantity, price, returned),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, reservation_id, moved_at)
    SELECT p.sku, p.version, 1 /* sale */::smallint, - t.quantity, p.stock, o.id, NULL::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id) /* outbox: none */
SELECT j.sku, j.stock - j.reserved + j.live AS available, j.unexpired AS held, j.live, j.version, j.price,
    j.currency, j.paused, t.version AS new_version, t.stock AS new_stock, t.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN (
            j.locked OR NOT EXISTS (SELECT FROM optilock.products p WHERE p.sku = j.sku)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || j.quantity::text)::boolean
        ELSE true
    END
    AND CASE WHEN EXISTS (SELECT FROM new_order) THEN
        CASE
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM changed p
                        JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                            AND t.version = p.version
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.products ' || j.quantity::text)::boolean
            WHEN (
                (SELECT o.id = $6::uuid AND o.status = 0 /* pending-payment */ AND o.version = 1
                        AND o.total = c.total::bigint AND o.currency = c.currency
                        AND o.customer IS NOT DISTINCT FROM $7::text
                        AND o.idempotency_key IS NOT DISTINCT FROM $8::text
                    FROM new_order o, cart c
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM new_lines l
                        JOIN target t ON t.sku = l.sku AND t.quantity = l.quantity AND t.price = l.price
                    WHERE l.order_id = $6::uuid AND l.returned = 0
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.order_lines ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM ledger m
                        JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.quantity = - m.delta
                            AND t.stock = m.stock_after
                    WHERE m.kind = 1 /* sale */ AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
            /* outbox stored: not asked */
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";
