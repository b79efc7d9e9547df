-- Sells several lines from a reservation, all or none.
--
-- $1 to $8, the answer and the slots as in sell_many.sql, $9 reservation.
--
-- The row of the reservation is locked first: the second of two checkouts from it must see what the first
-- one took. The units of a hold are sold once, whether or not the hold has expired. Columns of `judged`:
-- `live` are units that the reservation's hold counts as reserved, `unexpired` those of them whose hold
-- has not expired, `taken` the units of the line that the hold covers, reserved or not.
WITH reservation AS MATERIALIZED (
    SELECT r.id, r.remaining, r.archived_before IS NOT NULL AS archived FROM optilock.reservations r
    WHERE r.id = $9::uuid FOR NO KEY UPDATE),
requested AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])
        AS requested (sku, quantity, version, price, currency)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM optilock.products p
    WHERE p.sku = ANY ($1::text[]) AND (SELECT pg_catalog.count(*) FROM reservation) >= 0
    ORDER BY p.sku FOR NO KEY UPDATE),
locked_holds AS MATERIALIZED (
    SELECT h.sku, h.held, h.state, h.expires_at FROM optilock.holds h
    WHERE h.reservation_id = $9::uuid AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
    ORDER BY h.sku FOR NO KEY UPDATE),
held AS MATERIALIZED (
    SELECT sku, held, state, expires_at FROM locked_holds WHERE state IN (0 /* held */, 3 /* expired */)),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, k.stock, k.reserved, k.price, k.currency, k.paused, k.updated_at,
        CASE WHEN NOT k.retired THEN k.version END AS version, k.sku IS NOT NULL AS locked,
        CASE WHEN h.state = 0 /* held */ THEN h.held ELSE 0::bigint END AS live,
        least(coalesce(h.held, 0::bigint), r.quantity) AS taken,
        CASE WHEN h.state = 0 /* held */ AND h.expires_at > pg_catalog.statement_timestamp()
            THEN h.held ELSE 0::bigint END AS unexpired,
        (
            NOT k.retired
            AND (NOT k.paused OR CASE
                WHEN h.state = 0 /* held */ AND h.expires_at > pg_catalog.statement_timestamp()
                THEN h.held ELSE 0::bigint END >= r.quantity)
            AND k.stock - k.reserved
                + CASE WHEN h.state = 0 /* held */ THEN h.held ELSE 0::bigint END >= r.quantity
            AND k.version = coalesce(r.version, k.version)
            AND k.price = coalesce(r.price, k.price)
            AND k.currency = coalesce(r.currency, k.currency)
        ) IS TRUE AS fits
    FROM requested r LEFT JOIN locked k ON k.sku = r.sku LEFT JOIN held h ON h.sku = r.sku),
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
    SELECT $6::uuid, $7::text, $8::text, $9::uuid, c.total::bigint, c.currency
    FROM cart c
    WHERE c.fits AND (SELECT r.remaining > 0 FROM reservation r)
    ON CONFLICT DO NOTHING
    RETURNING id, status, version, total, currency, customer, idempotency_key),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM new_order o, target t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
used AS (
    UPDATE optilock.holds h
    SET held = b.held - j.taken,
        state = CASE WHEN b.held = j.taken THEN 1 /* consumed */::smallint ELSE b.state END
    FROM new_order o, held b JOIN judged j ON j.sku = b.sku
    WHERE h.reservation_id = $9::uuid AND h.sku = b.sku
    RETURNING h.sku, h.held, h.state),
reduced AS (
    UPDATE optilock.reservations r SET remaining = b.remaining - c.taken
    FROM new_order o, cart c, reservation b WHERE r.id = b.id AND r.id = $9::uuid
    RETURNING r.remaining),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT o.id, t.sku, t.quantity, t.price FROM new_order o, target t
    RETURNING order_id, sku, quantity, price, returned),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, reservation_id, moved_at)
    SELECT p.sku, p.version, 1 /* sale */::smallint, - t.quantity, p.stock, o.id, $9::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id) /* outbox: none */
SELECT j.sku, j.stock - j.reserved + j.live AS available, j.unexpired AS held, j.live, j.version, j.price,
    j.currency, j.paused, t.version AS new_version, t.stock AS new_stock, t.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN (
            (SELECT r.archived FROM reservation r)
            OR (SELECT pg_catalog.count(*) FROM locked_holds)
                = (SELECT pg_catalog.count(*)
                    FROM optilock.holds h
                    WHERE h.reservation_id = $9::uuid AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
                )
        ) IS NOT TRUE THEN ('optilock.suppressed.holds ' || j.quantity::text)::boolean
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
                (SELECT r.remaining = b.remaining - c.taken FROM reduced r, reservation b, cart c)
            ) IS NOT TRUE THEN ('optilock.suppressed.reservations ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM used h
                        JOIN held b ON b.sku = h.sku
                        JOIN judged j ON j.sku = h.sku AND b.held - j.taken = h.held
                            AND h.state = CASE WHEN b.held = j.taken
                                THEN 1 /* consumed */::smallint ELSE b.state END
                ) = (SELECT pg_catalog.count(*) FROM held)
            ) IS NOT TRUE THEN ('optilock.suppressed.holds ' || j.quantity::text)::boolean
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
