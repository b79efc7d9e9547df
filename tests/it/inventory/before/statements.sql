-- checkout::SELL_ONE
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
    WHERE o.id = $7::uuid AND o.status = 0   AND o.version = 1
        AND o.total = $2::bigint * p.price AND o.currency = p.currency
        AND o.customer IS NOT DISTINCT FROM $8::text AND o.idempotency_key IS NOT DISTINCT FROM $9::text
    RETURNING order_id, sku, quantity, price, returned),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
    SELECT p.sku, p.version, 1  ::smallint, - $2::bigint, p.stock, l.order_id, p.updated_at
    FROM new_lines l, changed p
    WHERE l.order_id = $7::uuid AND l.sku = p.sku AND l.quantity = $2::bigint AND l.price = p.price
        AND l.returned = 0
    RETURNING sku, version, kind, delta, stock_after, order_id)  
SELECT p.price, p.currency, p.version AS new_version, p.stock AS new_stock, p.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN m.sku = p.sku AND m.version = p.version AND m.delta = - $2::bigint AND m.stock_after = p.stock
            AND m.kind = 1   AND m.order_id = $7::uuid   THEN true
        ELSE ('optilock.suppressed.' || CASE
            WHEN (p.as_expected) IS NOT TRUE THEN 'products'
            WHEN (
                o.id = $7::uuid AND o.status = 0   AND o.version = 1
                AND o.total = $2::bigint * p.price AND o.currency = p.currency
                AND o.customer IS NOT DISTINCT FROM $8::text AND o.idempotency_key IS NOT DISTINCT FROM $9::text
            ) IS NOT TRUE THEN 'orders'
            WHEN (
                l.order_id = $7::uuid AND l.sku = p.sku AND l.quantity = $2::bigint AND l.price = p.price
                AND l.returned = 0
            ) IS NOT TRUE THEN 'order_lines'
              ELSE 'movements'
        END || ' ' || p.version::text)::boolean
    END AS stored
FROM changed p LEFT JOIN new_order o ON true LEFT JOIN new_lines l ON true  
LEFT JOIN ledger m ON true;

-- checkout::SELL_MANY
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
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, NULL::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id)  
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
             
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::SELL_ONE_LOCKED
WITH requested AS MATERIALIZED (
    SELECT * FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))
        AS requested (sku, quantity, version, price, currency)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text ORDER BY p.sku FOR NO KEY UPDATE),
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
    FROM new_order o, target t WHERE p.sku = t.sku AND p.sku = $1::text
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT o.id, t.sku, t.quantity, t.price FROM new_order o, target t
    RETURNING order_id, sku, quantity, price, returned),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, reservation_id, moved_at)
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, NULL::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id)  
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
             
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::SELL_HELD
WITH reservation AS MATERIALIZED (
    SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $9::uuid FOR NO KEY UPDATE),
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
    SELECT sku, held, state, expires_at FROM locked_holds WHERE state IN (0  , 3  )),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, k.stock, k.reserved, k.price, k.currency, k.paused, k.updated_at,
        CASE WHEN NOT k.retired THEN k.version END AS version, k.sku IS NOT NULL AS locked,
        CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END AS live,
        least(coalesce(h.held, 0::bigint), r.quantity) AS taken,
        CASE WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
            THEN h.held ELSE 0::bigint END AS unexpired,
        (
            NOT k.retired
            AND (NOT k.paused OR CASE
                WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
                THEN h.held ELSE 0::bigint END >= r.quantity)
            AND k.stock - k.reserved
                + CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END >= r.quantity
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
        state = CASE WHEN b.held = j.taken THEN 1  ::smallint ELSE b.state END
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
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, $9::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id)  
SELECT j.sku, j.stock - j.reserved + j.live AS available, j.unexpired AS held, j.live, j.version, j.price,
    j.currency, j.paused, t.version AS new_version, t.stock AS new_stock, t.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM locked_holds)
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                                THEN 1  ::smallint ELSE b.state END
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
             
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::SELL_ONE_OUTBOX
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
    WHERE o.id = $7::uuid AND o.status = 0   AND o.version = 1
        AND o.total = $2::bigint * p.price AND o.currency = p.currency
        AND o.customer IS NOT DISTINCT FROM $8::text AND o.idempotency_key IS NOT DISTINCT FROM $9::text
    RETURNING order_id, sku, quantity, price, returned),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
    SELECT p.sku, p.version, 1  ::smallint, - $2::bigint, p.stock, l.order_id, p.updated_at
    FROM new_lines l, changed p
    WHERE l.order_id = $7::uuid AND l.sku = p.sku AND l.quantity = $2::bigint AND l.price = p.price
        AND l.returned = 0
    RETURNING sku, version, kind, delta, stock_after, order_id) ,
            announced AS (
                INSERT INTO optilock.outbox (order_id) SELECT m.order_id FROM ledger m
                RETURNING transaction_id, order_id)
SELECT p.price, p.currency, p.version AS new_version, p.stock AS new_stock, p.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN m.sku = p.sku AND m.version = p.version AND m.delta = - $2::bigint AND m.stock_after = p.stock
            AND m.kind = 1   AND m.order_id = $7::uuid 
            AND a.order_id = $7::uuid AND a.transaction_id = pg_catalog.pg_current_xact_id()::text::bigint THEN true
        ELSE ('optilock.suppressed.' || CASE
            WHEN (p.as_expected) IS NOT TRUE THEN 'products'
            WHEN (
                o.id = $7::uuid AND o.status = 0   AND o.version = 1
                AND o.total = $2::bigint * p.price AND o.currency = p.currency
                AND o.customer IS NOT DISTINCT FROM $8::text AND o.idempotency_key IS NOT DISTINCT FROM $9::text
            ) IS NOT TRUE THEN 'orders'
            WHEN (
                l.order_id = $7::uuid AND l.sku = p.sku AND l.quantity = $2::bigint AND l.price = p.price
                AND l.returned = 0
            ) IS NOT TRUE THEN 'order_lines'
            
            WHEN (m.sku = p.sku AND m.version = p.version AND m.delta = - $2::bigint
                AND m.stock_after = p.stock AND m.kind = 1   AND m.order_id = $7::uuid) IS TRUE
                THEN 'outbox' ELSE 'movements'
        END || ' ' || p.version::text)::boolean
    END AS stored
FROM changed p LEFT JOIN new_order o ON true LEFT JOIN new_lines l ON true LEFT JOIN announced a ON true
LEFT JOIN ledger m ON true;

-- checkout::SELL_MANY_OUTBOX
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
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, NULL::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id) ,
announced AS (
    INSERT INTO optilock.outbox (order_id) SELECT o.id FROM new_order o
    RETURNING transaction_id, order_id)
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*) = (SELECT pg_catalog.count(*) FROM new_order)
                        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id))
                            = (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_order o)
                        AND pg_catalog.bool_and(
                            a.transaction_id = pg_catalog.pg_current_xact_id()::text::bigint)
                    FROM announced a
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || j.quantity::text)::boolean
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::SELL_HELD_OUTBOX
WITH reservation AS MATERIALIZED (
    SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $9::uuid FOR NO KEY UPDATE),
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
    SELECT sku, held, state, expires_at FROM locked_holds WHERE state IN (0  , 3  )),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, k.stock, k.reserved, k.price, k.currency, k.paused, k.updated_at,
        CASE WHEN NOT k.retired THEN k.version END AS version, k.sku IS NOT NULL AS locked,
        CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END AS live,
        least(coalesce(h.held, 0::bigint), r.quantity) AS taken,
        CASE WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
            THEN h.held ELSE 0::bigint END AS unexpired,
        (
            NOT k.retired
            AND (NOT k.paused OR CASE
                WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
                THEN h.held ELSE 0::bigint END >= r.quantity)
            AND k.stock - k.reserved
                + CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END >= r.quantity
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
        state = CASE WHEN b.held = j.taken THEN 1  ::smallint ELSE b.state END
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
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, $9::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id) ,
announced AS (
    INSERT INTO optilock.outbox (order_id) SELECT o.id FROM new_order o
    RETURNING transaction_id, order_id)
SELECT j.sku, j.stock - j.reserved + j.live AS available, j.unexpired AS held, j.live, j.version, j.price,
    j.currency, j.paused, t.version AS new_version, t.stock AS new_stock, t.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM locked_holds)
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                                THEN 1  ::smallint ELSE b.state END
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*) = (SELECT pg_catalog.count(*) FROM new_order)
                        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id))
                            = (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_order o)
                        AND pg_catalog.bool_and(
                            a.transaction_id = pg_catalog.pg_current_xact_id()::text::bigint)
                    FROM announced a
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || j.quantity::text)::boolean
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::SELL_ONE_LOCKED_OUTBOX
WITH requested AS MATERIALIZED (
    SELECT * FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))
        AS requested (sku, quantity, version, price, currency)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text ORDER BY p.sku FOR NO KEY UPDATE),
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
    FROM new_order o, target t WHERE p.sku = t.sku AND p.sku = $1::text
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT o.id, t.sku, t.quantity, t.price FROM new_order o, target t
    RETURNING order_id, sku, quantity, price, returned),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, reservation_id, moved_at)
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, NULL::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id) ,
announced AS (
    INSERT INTO optilock.outbox (order_id) SELECT o.id FROM new_order o
    RETURNING transaction_id, order_id)
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*) = (SELECT pg_catalog.count(*) FROM new_order)
                        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id))
                            = (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_order o)
                        AND pg_catalog.bool_and(
                            a.transaction_id = pg_catalog.pg_current_xact_id()::text::bigint)
                    FROM announced a
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || j.quantity::text)::boolean
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::SELL_ONE_HELD_OUTBOX
WITH reservation AS MATERIALIZED (
    SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $9::uuid FOR NO KEY UPDATE),
requested AS MATERIALIZED (
    SELECT * FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))
        AS requested (sku, quantity, version, price, currency)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM optilock.products p
    WHERE p.sku = $1::text AND (SELECT pg_catalog.count(*) FROM reservation) >= 0
    ORDER BY p.sku FOR NO KEY UPDATE),
locked_holds AS MATERIALIZED (
    SELECT h.sku, h.held, h.state, h.expires_at FROM optilock.holds h
    WHERE h.reservation_id = $9::uuid AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
    ORDER BY h.sku FOR NO KEY UPDATE),
held AS MATERIALIZED (
    SELECT sku, held, state, expires_at FROM locked_holds WHERE state IN (0  , 3  )),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, k.stock, k.reserved, k.price, k.currency, k.paused, k.updated_at,
        CASE WHEN NOT k.retired THEN k.version END AS version, k.sku IS NOT NULL AS locked,
        CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END AS live,
        least(coalesce(h.held, 0::bigint), r.quantity) AS taken,
        CASE WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
            THEN h.held ELSE 0::bigint END AS unexpired,
        (
            NOT k.retired
            AND (NOT k.paused OR CASE
                WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
                THEN h.held ELSE 0::bigint END >= r.quantity)
            AND k.stock - k.reserved
                + CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END >= r.quantity
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
    FROM new_order o, target t WHERE p.sku = t.sku AND p.sku = $1::text
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
used AS (
    UPDATE optilock.holds h
    SET held = b.held - j.taken,
        state = CASE WHEN b.held = j.taken THEN 1  ::smallint ELSE b.state END
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
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, $9::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id) ,
announced AS (
    INSERT INTO optilock.outbox (order_id) SELECT o.id FROM new_order o
    RETURNING transaction_id, order_id)
SELECT j.sku, j.stock - j.reserved + j.live AS available, j.unexpired AS held, j.live, j.version, j.price,
    j.currency, j.paused, t.version AS new_version, t.stock AS new_stock, t.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM locked_holds)
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                                THEN 1  ::smallint ELSE b.state END
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*) = (SELECT pg_catalog.count(*) FROM new_order)
                        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id))
                            = (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_order o)
                        AND pg_catalog.bool_and(
                            a.transaction_id = pg_catalog.pg_current_xact_id()::text::bigint)
                    FROM announced a
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || j.quantity::text)::boolean
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::SELL_ONE_HELD
WITH reservation AS MATERIALIZED (
    SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $9::uuid FOR NO KEY UPDATE),
requested AS MATERIALIZED (
    SELECT * FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))
        AS requested (sku, quantity, version, price, currency)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM optilock.products p
    WHERE p.sku = $1::text AND (SELECT pg_catalog.count(*) FROM reservation) >= 0
    ORDER BY p.sku FOR NO KEY UPDATE),
locked_holds AS MATERIALIZED (
    SELECT h.sku, h.held, h.state, h.expires_at FROM optilock.holds h
    WHERE h.reservation_id = $9::uuid AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
    ORDER BY h.sku FOR NO KEY UPDATE),
held AS MATERIALIZED (
    SELECT sku, held, state, expires_at FROM locked_holds WHERE state IN (0  , 3  )),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, k.stock, k.reserved, k.price, k.currency, k.paused, k.updated_at,
        CASE WHEN NOT k.retired THEN k.version END AS version, k.sku IS NOT NULL AS locked,
        CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END AS live,
        least(coalesce(h.held, 0::bigint), r.quantity) AS taken,
        CASE WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
            THEN h.held ELSE 0::bigint END AS unexpired,
        (
            NOT k.retired
            AND (NOT k.paused OR CASE
                WHEN h.state = 0   AND h.expires_at > pg_catalog.statement_timestamp()
                THEN h.held ELSE 0::bigint END >= r.quantity)
            AND k.stock - k.reserved
                + CASE WHEN h.state = 0   THEN h.held ELSE 0::bigint END >= r.quantity
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
    FROM new_order o, target t WHERE p.sku = t.sku AND p.sku = $1::text
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
used AS (
    UPDATE optilock.holds h
    SET held = b.held - j.taken,
        state = CASE WHEN b.held = j.taken THEN 1  ::smallint ELSE b.state END
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
    SELECT p.sku, p.version, 1  ::smallint, - t.quantity, p.stock, o.id, $9::uuid, p.updated_at
    FROM new_order o, changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, kind, delta, stock_after, order_id)  
SELECT j.sku, j.stock - j.reserved + j.live AS available, j.unexpired AS held, j.live, j.version, j.price,
    j.currency, j.paused, t.version AS new_version, t.stock AS new_stock, t.reserved AS new_reserved,
    pg_catalog.statement_timestamp() AS created_at,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM locked_holds)
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
                (SELECT o.id = $6::uuid AND o.status = 0   AND o.version = 1
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
                                THEN 1  ::smallint ELSE b.state END
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
                    WHERE m.kind = 1   AND m.order_id = $6::uuid
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
             
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j JOIN target t ON t.sku = j.sku ORDER BY j.sku COLLATE "C";

-- checkout::GLANCE
SELECT p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused,
    EXISTS (SELECT FROM optilock.orders o WHERE o.id = $2::uuid) AS taken
FROM pg_catalog.unnest($1::text[]) AS r (sku)
LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
ORDER BY r.sku COLLATE "C";

-- checkout::GLANCE_ONE
SELECT p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused,
    EXISTS (SELECT FROM optilock.orders o WHERE o.id = $2::uuid) AS taken
FROM (VALUES ($1::text)) AS r (sku)
LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
ORDER BY r.sku COLLATE "C";

-- checkout::FACTS
SELECT p.stock - p.reserved AS available,
    (SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
        SELECT h.held FROM optilock.holds h
        WHERE h.sku = r.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
        ORDER BY h.expires_at LIMIT r.units) e) AS expired,
    p.version, p.price, p.currency, p.paused,
    EXISTS (
        SELECT id FROM optilock.orders WHERE id = $4::uuid
        UNION ALL SELECT id FROM optilock.orders
            WHERE idempotency_key = $3::text AND coalesce(customer, '') = coalesce($2::text, '')
        LIMIT 1) AS taken
FROM unnest($1::text[], $5::bigint[]) AS r (sku, units)
LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
ORDER BY r.sku COLLATE "C";

-- checkout::FACTS_ONE
SELECT p.stock - p.reserved AS available,
    (SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
        SELECT h.held FROM optilock.holds h
        WHERE h.sku = r.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
        ORDER BY h.expires_at LIMIT r.units) e) AS expired,
    p.version, p.price, p.currency, p.paused,
    EXISTS (
        SELECT id FROM optilock.orders WHERE id = $4::uuid
        UNION ALL SELECT id FROM optilock.orders
            WHERE idempotency_key = $3::text AND coalesce(customer, '') = coalesce($2::text, '')
        LIMIT 1) AS taken
FROM (VALUES ($1::text, $5::bigint)) AS r (sku, units)
LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
ORDER BY r.sku COLLATE "C";

-- checkout::EXPIRED
SELECT (SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
        SELECT h.held FROM optilock.holds h
        WHERE h.sku = r.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
            AND (h.reservation_id = $3::uuid) IS NOT TRUE
        ORDER BY h.expires_at LIMIT r.units) e) AS expired
FROM unnest($1::text[], $2::bigint[]) AS r (sku, units) ORDER BY r.sku COLLATE "C";

-- checkout::EXPIRED_ONE
SELECT (SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
        SELECT h.held FROM optilock.holds h
        WHERE h.sku = r.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
            AND (h.reservation_id = $3::uuid) IS NOT TRUE
        ORDER BY h.expires_at LIMIT r.units) e) AS expired
FROM (VALUES ($1::text, $2::bigint)) AS r (sku, units) ORDER BY r.sku COLLATE "C";

-- checkout::LOCK
SELECT p.sku, p.stock - p.reserved AS available, p.price,
    CASE WHEN NOT p.retired THEN p.version END AS version, p.currency, p.paused
FROM optilock.products p WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku FOR NO KEY UPDATE;

-- checkout::LOCK_ONE
SELECT p.sku, p.stock - p.reserved AS available, p.price,
    CASE WHEN NOT p.retired THEN p.version END AS version, p.currency, p.paused
FROM optilock.products p WHERE p.sku = $1::text ORDER BY p.sku FOR NO KEY UPDATE;

-- cleanup::UNPAID
SELECT o.pending_since, o.id FROM optilock.orders o
WHERE o.status IN (0  , 1  )
    AND o.pending_since <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
    AND (o.pending_since, o.id) > ($2::timestamptz, $3::uuid)
ORDER BY o.pending_since, o.id LIMIT $4::bigint;

-- cleanup::UNPAID_OF
SELECT o.id FROM optilock.orders o
WHERE o.id = ANY ($2::uuid[]) AND o.status < 2  
    AND o.pending_since <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
LIMIT $3::bigint;

-- cleanup::CANCEL_UNPAID
WITH requested AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS requested (id, version, reason) ORDER BY id),
unpaid AS MATERIALIZED (
    SELECT o.id, o.version, r.reason
    FROM requested r, LATERAL (
        SELECT o.id, o.version FROM optilock.orders o
        WHERE o.id = r.id AND o.status < 2   AND o.version = coalesce(r.version, o.version) AND o.pending_since <= pg_catalog.statement_timestamp() - $4::float8 * interval '1 microsecond'
        FOR NO KEY UPDATE SKIP LOCKED) o),
lines AS MATERIALIZED (
    SELECT l.order_id, l.sku, l.quantity
    FROM unpaid u, LATERAL (
        SELECT l.order_id, l.sku, l.quantity FROM optilock.order_lines l WHERE l.order_id = u.id
        ORDER BY l.sku) l),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(SELECT DISTINCT sku FROM lines))
    ORDER BY p.sku FOR NO KEY UPDATE SKIP LOCKED),
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
    UPDATE optilock.orders o SET status = 3  , version = c.version, reason = c.reason
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
    SELECT g.sku, g.version, 2  , g.quantity, g.stock, g.order_id,
        coalesce(p.updated_at, g.updated_at)
    FROM given_back g FULL JOIN changed p ON p.sku = g.sku
    RETURNING sku, version, delta, stock_after)
SELECT ARRAY(SELECT id FROM cancelled) AS cancelled,
    (SELECT coalesce(pg_catalog.sum(quantity), 0::numeric)::bigint FROM given_back) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT id, version FROM cancelled WHERE status = 3  
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

-- cleanup::LOCK_ORDER
WITH locked_order AS MATERIALIZED (
    SELECT o.id FROM optilock.orders o WHERE o.id = $1 FOR NO KEY UPDATE),
lines AS MATERIALIZED (
    SELECT l.sku FROM optilock.order_lines l
    WHERE l.order_id = ANY (ARRAY(SELECT id FROM locked_order))),
locked AS MATERIALIZED (
    SELECT p.sku FROM optilock.products p WHERE p.sku = ANY (ARRAY(SELECT sku FROM lines))
    ORDER BY p.sku FOR NO KEY UPDATE)
SELECT pg_catalog.min(l.sku) FROM lines l LEFT JOIN locked k ON k.sku = l.sku WHERE k.sku IS NULL;

-- cleanup::DUE
SELECT h.expires_at, h.sku, h.reservation_id
FROM optilock.holds h
WHERE h.state = 0  
    AND h.expires_at <= pg_catalog.statement_timestamp() - $5::float8 * interval '1 microsecond'
    AND (h.expires_at, h.sku, h.reservation_id) > ($1::timestamptz, $2::text, $3::uuid)
ORDER BY h.expires_at, h.sku, h.reservation_id LIMIT $4::bigint;

-- cleanup::DUE_OF
SELECT d.sku, d.reservation_id
FROM unnest($1::text[]) AS requested (sku) CROSS JOIN LATERAL (
    SELECT h.sku, h.reservation_id FROM optilock.holds h
    WHERE h.sku = requested.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
    ORDER BY h.expires_at LIMIT $2::bigint) d
LIMIT $2::bigint;

-- cleanup::EXPIRE
WITH requested AS MATERIALIZED (
    SELECT sku, reservation_id FROM unnest($1::text[], $2::uuid[]) AS requested (sku, reservation_id)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(SELECT DISTINCT sku FROM requested)) ORDER BY p.sku FOR NO KEY UPDATE SKIP LOCKED),
ending AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, h.state
    FROM optilock.holds h
    WHERE h.reservation_id = ANY ($2) AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
        AND ((h.sku, h.reservation_id) IN (SELECT sku, reservation_id FROM requested)) IS TRUE
        AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
    ORDER BY h.sku, h.reservation_id FOR NO KEY UPDATE SKIP LOCKED),
ended AS (
    UPDATE optilock.holds h SET state = 3  
    FROM ending e
    WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku
    RETURNING h.reservation_id, h.sku, h.held, h.state),
freed AS MATERIALIZED (
    SELECT e.sku, pg_catalog.sum(e.held)::bigint AS units
    FROM ending e WHERE e.state = 0   GROUP BY e.sku),
target AS MATERIALIZED (
    SELECT k.sku, k.stock, k.reserved - f.units AS reserved, k.version + 1 AS version, k.updated_at
    FROM locked k JOIN freed f ON f.sku = k.sku),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
    SELECT sku, version, 5  , 0, stock, NULL, updated_at FROM changed
    RETURNING sku, version, delta, stock_after)
SELECT ARRAY(SELECT sku FROM ended) AS expired, (SELECT pg_catalog.count(*) FROM ended) AS holds,
    (SELECT coalesce(pg_catalog.sum(units), 0::numeric)::bigint FROM freed) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT reservation_id, sku, held FROM ended WHERE state = 3  
                    INTERSECT SELECT reservation_id, sku, held FROM ending
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM ending)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM changed p
                    JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                        AND t.version = p.version
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.stock = m.stock_after
                        AND m.delta = 0
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        ELSE true
    END AS stored;

-- cleanup::LOCK_PRODUCT
SELECT p.sku FROM optilock.products p WHERE p.sku = $1 FOR NO KEY UPDATE;

-- cleanup::KEYS
WITH page AS MATERIALIZED (
    SELECT o.id, (o.idempotency_key IS NOT NULL AND o.created_at
        <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond') AS old
    FROM optilock.orders o WHERE o.id > $2::uuid ORDER BY o.id LIMIT $3::bigint)
SELECT ARRAY(SELECT id FROM page WHERE old) AS old, (SELECT pg_catalog.count(*) FROM page) AS rows,
    (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last;

-- cleanup::KEYS_OF
SELECT o.id FROM optilock.orders o
WHERE o.id = ANY ($2::uuid[]) AND o.idempotency_key IS NOT NULL
    AND o.created_at <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
LIMIT $3::bigint;

-- cleanup::FORGET_KEYS
WITH locked AS MATERIALIZED (
    SELECT o.id FROM optilock.orders o WHERE o.id = ANY ($1::uuid[]) AND o.idempotency_key IS NOT NULL
    ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED),
forgotten AS (
    UPDATE optilock.orders o SET idempotency_key = NULL
    WHERE o.id = ANY (ARRAY(SELECT id FROM locked))
    RETURNING o.id, o.idempotency_key)
SELECT ARRAY(SELECT id FROM forgotten) AS forgotten,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM forgotten WHERE idempotency_key IS NULL)
            = (SELECT pg_catalog.count(*) FROM locked)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM locked)::text)::boolean
        ELSE true
    END AS stored;

-- cleanup::LOCK_KEY
SELECT o.id FROM optilock.orders o WHERE o.id = $1 FOR NO KEY UPDATE;

-- cleanup::WAIT_SHORTLY
SELECT pg_catalog.set_config('lock_timeout', '50ms', true);

-- executor::NAMES
SELECT pg_catalog.current_setting('synchronous_standby_names', true) AS names;

-- executor::FLUSH
SELECT pg_catalog.pg_logical_emit_message(true, 'optilock'::text, ''::text);

-- ledger::MOVEMENTS
SELECT m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id, m.reason, m.moved_at
FROM optilock.movements m WHERE m.sku = $1 AND m.version > $2 ORDER BY m.version LIMIT $3;

-- ledger::MOVEMENTS_SINCE
WITH snapshot AS MATERIALIZED (
    SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint AS horizon)
SELECT s.horizon, m.transaction_id, m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id,
    m.reservation_id, m.reason, m.moved_at
FROM snapshot s LEFT JOIN LATERAL (
    SELECT m.transaction_id, m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id,
        m.reason, m.moved_at
    FROM optilock.movements m
    WHERE (m.transaction_id, m.sku, m.version) > ($1, $2, $3) AND m.transaction_id < s.horizon
    ORDER BY m.transaction_id, m.sku, m.version LIMIT $4) m ON true
ORDER BY m.transaction_id, m.sku, m.version;

-- ledger::AUDIT
WITH found AS (
    SELECT 1   AS kind, p.sku AS subject,
        coalesce(pg_catalog.sum(m.delta), 0::numeric) AS expected,
        p.stock::numeric AS found
    FROM optilock.products p LEFT JOIN optilock.movements m ON m.sku = p.sku
    GROUP BY p.sku, p.stock HAVING p.stock::numeric <> coalesce(pg_catalog.sum(m.delta), 0::numeric)

    UNION ALL
    SELECT 2  , coalesce(p.sku, m.sku), coalesce(p.version, 0::bigint)::numeric,
        coalesce(m.count, 0::bigint)::numeric
    FROM optilock.products p FULL JOIN (
        SELECT sku, pg_catalog.count(*) AS count, pg_catalog.min(version) AS low,
            pg_catalog.max(version) AS high
        FROM optilock.movements GROUP BY sku) m ON m.sku = p.sku
    WHERE m.low IS DISTINCT FROM 1::bigint OR m.high IS DISTINCT FROM p.version
        OR m.count IS DISTINCT FROM p.version

    UNION ALL
    SELECT 3  , m.sku || ' version '::text || m.version::text,
        m.expected, m.stock_after::numeric
    FROM (SELECT sku, version, stock_after,
            coalesce(pg_catalog.lag(stock_after) OVER (PARTITION BY sku ORDER BY version), 0::bigint)::numeric
                + delta::numeric AS expected
        FROM optilock.movements) m
    WHERE m.stock_after::numeric <> m.expected

    UNION ALL
    SELECT 4  , p.sku, coalesce(pg_catalog.sum(h.held), 0::numeric), p.reserved::numeric
    FROM optilock.products p LEFT JOIN optilock.holds h ON h.sku = p.sku AND h.state = 0  
    GROUP BY p.sku, p.reserved HAVING p.reserved::numeric <> coalesce(pg_catalog.sum(h.held), 0::numeric)

    UNION ALL
    SELECT 5  , p.sku, greatest(least(p.reserved, p.stock), 0::bigint)::numeric, p.reserved::numeric
    FROM optilock.products p WHERE p.stock < 0 OR p.reserved < 0 OR p.reserved > p.stock

    UNION ALL
    SELECT 6  , s.subject, s.expected, s.found
    FROM (SELECT coalesce(coalesce(l.order_id, m.order_id)::text, 'no order'::text) || ' '::text
                || coalesce(l.sku, m.sku) AS subject,
            CASE WHEN o.status IS DISTINCT FROM 3   THEN coalesce(l.quantity, 0::bigint)::numeric
                ELSE 0::numeric END AS expected,
            coalesce(- m.delta, 0::numeric) AS found,
            m.order_id IS NULL OR l.order_id IS NULL AS alone
        FROM optilock.order_lines l
        FULL JOIN (SELECT order_id, sku, pg_catalog.sum(delta) AS delta FROM optilock.movements
            WHERE kind IN (1  , 2  , 12  ) GROUP BY order_id, sku) m
            ON m.order_id = l.order_id AND m.sku = l.sku
        LEFT JOIN optilock.orders o ON o.id = l.order_id) s
    WHERE s.expected <> s.found OR s.alone

    UNION ALL
    SELECT 7  , coalesce(coalesce(l.order_id, m.order_id)::text, 'no order'::text) || ' '::text
            || coalesce(l.sku, m.sku),
        coalesce(l.returned, 0::bigint)::numeric, coalesce(m.delta, 0::numeric)
    FROM optilock.order_lines l
    FULL JOIN (SELECT order_id, sku, pg_catalog.sum(delta) AS delta FROM optilock.movements
        WHERE kind = 11   GROUP BY order_id, sku) m ON m.order_id = l.order_id AND m.sku = l.sku
    WHERE coalesce(l.returned, 0::bigint)::numeric <> coalesce(m.delta, 0::numeric)

    UNION ALL
    SELECT 8  , o.id::text,
        coalesce(pg_catalog.sum(l.quantity::numeric * l.price::numeric), 0::numeric),
        o.total::numeric
    FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
    GROUP BY o.id, o.total
    HAVING o.total::numeric <> coalesce(pg_catalog.sum(l.quantity::numeric * l.price::numeric), 0::numeric)

    UNION ALL
    SELECT 9  , coalesce(o.id, l.order_id)::text,
        CASE WHEN o.status IS DISTINCT FROM 4   AND o.id IS NOT NULL
            THEN 1::numeric ELSE 0::numeric END,
        coalesce(l.count, 0::bigint)::numeric
    FROM optilock.orders o FULL JOIN (
        SELECT order_id, pg_catalog.count(*) AS count FROM optilock.order_lines GROUP BY order_id) l
        ON l.order_id = o.id
    WHERE o.id IS NULL OR (o.status <> 4  ) <> (l.order_id IS NOT NULL)

    UNION ALL
    SELECT 10  , coalesce(r.id, h.reservation_id)::text,
        CASE WHEN r.id IS NOT NULL THEN 1::numeric ELSE 0::numeric END, coalesce(h.count, 0::bigint)::numeric
    FROM optilock.reservations r FULL JOIN (
        SELECT reservation_id, pg_catalog.count(*) AS count FROM optilock.holds GROUP BY reservation_id) h
        ON h.reservation_id = r.id
    WHERE r.id IS NULL OR h.reservation_id IS NULL

    UNION ALL
    SELECT 11  , h.reservation_id::text || ' '::text || h.sku,
        CASE WHEN h.held = 0 THEN 1::numeric ELSE 0::numeric END,
        CASE WHEN h.state = 1   THEN 1::numeric ELSE 0::numeric END
    FROM optilock.holds h WHERE (h.held = 0) <> (h.state = 1  )

    UNION ALL
    SELECT 12  , r.id::text, coalesce(pg_catalog.sum(h.held), 0::numeric), r.remaining::numeric
    FROM optilock.reservations r
    LEFT JOIN optilock.holds h ON h.reservation_id = r.id AND h.state IN (0  , 3  )
    GROUP BY r.id, r.remaining
    HAVING r.remaining::numeric <> coalesce(pg_catalog.sum(h.held), 0::numeric)),
ranked AS (
    SELECT f.kind, f.subject, f.expected, f.found, pg_catalog.row_number() OVER (
        PARTITION BY f.kind ORDER BY f.subject COLLATE pg_catalog."C") AS rank
    FROM found f)
SELECT r.kind::smallint AS kind, r.subject,
    greatest(least(r.expected, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS expected,
    greatest(least(r.found, 9223372036854775807::numeric), -9223372036854775807::numeric)::bigint AS found
FROM ranked r WHERE r.rank <= $1 ORDER BY r.kind, r.rank;

-- ledger::REPORT_ORDERS
SELECT pg_catalog.statement_timestamp() AS made_at, pg_catalog.count(*) AS orders,
    pg_catalog.count(*) FILTER (WHERE o.status IN (1  , 3  )) AS failed
FROM optilock.orders o
WHERE o.status <> 4  
    AND o.created_at > pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond';

-- ledger::NEGATIVE_STOCK
SELECT p.sku, p.stock, p.reserved, p.version, pg_catalog.count(*) OVER () AS all
FROM optilock.products p WHERE NOT p.retired AND p.stock < greatest(p.reserved, 0::bigint)
ORDER BY p.stock::numeric - p.reserved::numeric, p.sku LIMIT $1;

-- ledger::UNPAID
SELECT o.id, o.pending_since, o.total, o.currency, pg_catalog.count(*) OVER () AS all
FROM optilock.orders o
WHERE o.status IN (0  , 1  )
    AND o.pending_since <= pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond'
ORDER BY o.pending_since, o.id LIMIT $2;

-- ledger::BEST_SELLERS
SELECT l.sku, pg_catalog.sum(l.quantity - l.returned)::bigint AS units,
    pg_catalog.count(*) AS orders
FROM optilock.orders o JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.status IN (0  , 1  , 2  )
    AND o.created_at > pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond'
GROUP BY l.sku ORDER BY units DESC, l.sku LIMIT $2;

-- ledger::CONTENDED
SELECT sku, version FROM optilock.products WHERE version > $1
ORDER BY version DESC, sku LIMIT $2;

-- orders::ORDER
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.id = $1 ORDER BY l.sku;

-- orders::ORDERS_OF
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM pg_catalog.unnest($1::uuid[]) AS r (id),
    LATERAL (
        SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at
        FROM optilock.orders o WHERE o.id = r.id LIMIT 1) o
    LEFT JOIN LATERAL (
        SELECT l.sku, l.quantity, l.price, l.returned
        FROM optilock.order_lines l WHERE l.order_id = o.id ORDER BY l.sku) l ON true
ORDER BY o.id, l.sku;

-- orders::KNOWN
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.id = (
    SELECT id FROM optilock.orders WHERE id = $1
    UNION ALL SELECT id FROM optilock.orders
        WHERE idempotency_key = $3 AND coalesce(customer, '') = coalesce($2, '')
    LIMIT 1)
ORDER BY l.sku;

-- orders::ORDERS
SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
    l.sku, l.quantity, l.price, l.returned
FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id
WHERE o.id = ANY (ARRAY(
    SELECT id FROM optilock.orders
    WHERE id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid) AND status = ANY ($3)
        AND ($2::text IS NULL OR customer = $2)
    ORDER BY id LIMIT $4))
ORDER BY o.id, l.sku;

-- orders::PAY
WITH marked AS (
    UPDATE optilock.orders o SET status = 2  , version = o.version + 1
    WHERE o.id = $1 AND o.version = $2 AND o.status < 2  
    RETURNING o.id, o.status, o.version)
SELECT (SELECT pg_catalog.count(*) FROM marked) AS orders,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM marked
                WHERE id = $1 AND status = 2   AND version = $2 + 1
            ) = (SELECT pg_catalog.count(*) FROM marked)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM marked)::text)::boolean
        ELSE true
    END AS stored;

-- orders::FAIL
WITH marked AS (
    UPDATE optilock.orders o SET status = 1  , version = o.version + 1
    WHERE o.id = $1 AND o.version = $2 AND o.status < 1  
    RETURNING o.id, o.status, o.version)
SELECT (SELECT pg_catalog.count(*) FROM marked) AS orders,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM marked
                WHERE id = $1 AND status = 1   AND version = $2 + 1
            ) = (SELECT pg_catalog.count(*) FROM marked)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM marked)::text)::boolean
        ELSE true
    END AS stored;

-- orders::REVIVE
WITH cancelled AS MATERIALIZED (
    SELECT o.id, o.version FROM optilock.orders o
    WHERE o.id = $1 AND o.version = $2 AND o.status = 3   FOR NO KEY UPDATE),
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
    SET status = 0  , version = c.version + 1, reason = NULL,
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
    SELECT p.sku, p.version, 12  , -t.quantity, p.stock, $1, p.updated_at
    FROM changed p JOIN target t ON t.sku = p.sku
    RETURNING sku, version, delta, stock_after)
SELECT j.sku, j.quantity, j.available, j.locked, j.paused, EXISTS (SELECT FROM target) AS wrote,
    CASE WHEN j.sold AND j.available < j.quantity THEN (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = j.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT j.quantity) e)
        ELSE 0::bigint END AS expired,
    CASE
        WHEN (
            NOT EXISTS (SELECT FROM target)
                OR (SELECT pg_catalog.count(*)
                    FROM revived
                    WHERE id = $1 AND status = 0   AND version = $2 + 1
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

-- orders::RETURN
WITH requested AS MATERIALIZED (
    SELECT * FROM unnest($3::text[], $4::bigint[]) AS requested (sku, quantity)),
paid AS MATERIALIZED (
    SELECT o.id, o.version FROM optilock.orders o
    WHERE o.id = $1 AND o.version = $2 AND o.status = 2   FOR NO KEY UPDATE),
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
    SELECT p.sku, p.version, 11  , t.quantity, p.stock, $1, $6, p.updated_at
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
                    WHERE id = $1 AND status = 2   AND version = $2 + 1
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

-- orders::RETURNED
SELECT order_id = $2
    AND skus OPERATOR(pg_catalog.=) pg_catalog.to_jsonb($3::text[])
    AND quantities OPERATOR(pg_catalog.=) pg_catalog.to_jsonb($4::bigint[]) AS same
FROM optilock.returns WHERE id = $1;

-- orders::VOID
WITH new_order AS (
    INSERT INTO optilock.orders (id, status, total, currency) VALUES ($1, 4  , 0, 'XXX')
    ON CONFLICT DO NOTHING RETURNING id, status)
SELECT (SELECT pg_catalog.count(*) FROM new_order) AS voided,
    CASE
        WHEN (
            NOT EXISTS (SELECT FROM new_order WHERE (id = $1 AND status = 4  ) IS NOT TRUE)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM new_order)::text)::boolean
        ELSE true
    END AS stored;

-- orders::CANCEL
WITH requested AS MATERIALIZED (
    SELECT * FROM (VALUES ($1::uuid, $2::bigint, $3::text)) AS requested (id, version, reason) ORDER BY id),
unpaid AS MATERIALIZED (
    SELECT o.id, o.version, r.reason
    FROM requested r, LATERAL (
        SELECT o.id, o.version FROM optilock.orders o
        WHERE o.id = r.id AND o.status < 2   AND o.version = coalesce(r.version, o.version)  
        FOR NO KEY UPDATE  ) o),
lines AS MATERIALIZED (
    SELECT l.order_id, l.sku, l.quantity
    FROM unpaid u, LATERAL (
        SELECT l.order_id, l.sku, l.quantity FROM optilock.order_lines l WHERE l.order_id = u.id
        ORDER BY l.sku) l),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(SELECT DISTINCT sku FROM lines))
    ORDER BY p.sku FOR NO KEY UPDATE  ),
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
    UPDATE optilock.orders o SET status = 3  , version = c.version, reason = c.reason
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
    SELECT g.sku, g.version, 2  , g.quantity, g.stock, g.order_id,
        coalesce(p.updated_at, g.updated_at)
    FROM given_back g FULL JOIN changed p ON p.sku = g.sku
    RETURNING sku, version, delta, stock_after)
SELECT ARRAY(SELECT id FROM cancelled) AS cancelled,
    (SELECT coalesce(pg_catalog.sum(quantity), 0::numeric)::bigint FROM given_back) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT id, version FROM cancelled WHERE status = 3  
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

-- outbox::SINCE
WITH snapshot AS MATERIALIZED (
    SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint AS horizon,
        pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint AS ahead,
        pg_catalog.pg_current_xact_id_if_assigned()::text::bigint AS own),
latest AS MATERIALIZED (
    SELECT coalesce(pg_catalog.max(e.transaction_id), 0::bigint) AS transaction_id FROM optilock.outbox e)
SELECT s.horizon, e.transaction_id, e.order_id,
    l.transaction_id >= s.ahead AND l.transaction_id <> coalesce(s.own, 0::bigint) AS restored
FROM snapshot s CROSS JOIN latest l LEFT JOIN LATERAL (
    SELECT e.transaction_id, e.order_id FROM optilock.outbox e
    WHERE (e.transaction_id, e.order_id) > ($1::bigint, $2::uuid) AND e.transaction_id < s.horizon
    ORDER BY e.transaction_id, e.order_id LIMIT $3) e ON true
ORDER BY e.transaction_id, e.order_id;

-- outbox::ACKNOWLEDGE
WITH snapshot AS MATERIALIZED (
    SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint AS horizon),
found AS MATERIALIZED (
    SELECT e.transaction_id, e.order_id FROM optilock.outbox e
    WHERE (e.transaction_id, e.order_id) <= ($1::bigint, $2::uuid)
        AND e.transaction_id < (SELECT horizon FROM snapshot)
    ORDER BY e.transaction_id, e.order_id LIMIT $3),
locked AS MATERIALIZED (
    SELECT e.transaction_id, e.order_id, e.ctid AS place FROM optilock.outbox e
    WHERE (e.transaction_id, e.order_id) <= ($1::bigint, $2::uuid)
        AND e.transaction_id < (SELECT horizon FROM snapshot)
    ORDER BY e.transaction_id, e.order_id LIMIT $3 FOR UPDATE),
deleted AS (
    DELETE FROM optilock.outbox e USING locked k
    WHERE e.transaction_id = k.transaction_id AND e.order_id = k.order_id
        AND e.ctid = ANY (ARRAY(SELECT place FROM locked))
    RETURNING e.transaction_id, e.order_id)
SELECT s.horizon, (SELECT pg_catalog.count(*) FROM locked) AS deleted,
    (SELECT pg_catalog.count(*) FROM found) AS found,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM deleted d
                    JOIN locked k ON k.transaction_id = d.transaction_id AND k.order_id = d.order_id
            ) = (SELECT pg_catalog.count(*) FROM locked)
        ) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || s.horizon::text)::boolean
        ELSE true
    END AS stored
FROM snapshot s;

-- products::PRODUCT
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at
FROM optilock.products p WHERE p.sku = $1::text AND NOT p.retired;

-- products::PRODUCTS_OF
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at
FROM optilock.products p WHERE p.sku = ANY ($1) AND NOT p.retired ORDER BY p.sku;

-- products::PRODUCTS
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at
FROM optilock.products p WHERE p.sku > $1 AND NOT p.retired ORDER BY p.sku LIMIT $2;

-- products::EXISTS
SELECT EXISTS (SELECT FROM optilock.products p WHERE p.sku = $1);

-- products::CHANGED_BY
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at, m.delta, m.kind
FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku WHERE m.token = $1;

-- products::ADD
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.revision, p.retired, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, k.stock AS old_stock, k.reserved, k.version + 1 AS version, k.revision + 1 AS revision,
        k.updated_at
    FROM locked k WHERE k.retired AND k.reserved <= $5::bigint),
new_product AS (
    INSERT INTO optilock.products AS p (sku, name, price, currency, stock)
    SELECT $1::text, $2::text, $3::bigint, $4::text, $5::bigint WHERE NOT EXISTS (SELECT FROM locked)
    ON CONFLICT DO NOTHING
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
reactivated AS (
    UPDATE optilock.products p
    SET name = $2::text, price = $3::bigint, currency = $4::text, stock = $5::bigint, reserved = t.reserved,
        retired = false, paused = false, version = t.version, revision = t.revision,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t
    WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
changed AS (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM new_product p
    UNION ALL SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM reactivated p),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, 8  ,
        p.stock - coalesce((SELECT t.old_stock FROM target t), 0::bigint), p.stock, $6::uuid, NULL::text,
        p.updated_at
    FROM changed p
    RETURNING sku, version, kind, delta, stock_after, token, moved_at)
SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
    p.paused, p.created_at, p.updated_at, k.reserved AS held, k.retired AS old_retired,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM reactivated p
                    JOIN target t ON t.sku = p.sku AND t.reserved = p.reserved AND t.version = p.version
                        AND t.revision = p.revision
            ) = (SELECT pg_catalog.count(*) FROM target)
                AND (SELECT pg_catalog.count(*)
                    FROM changed p
                    WHERE p.name = $2::text AND p.price = $3::bigint AND p.currency = $4::text
                        AND p.stock = $5::bigint AND NOT p.retired AND NOT p.paused
                ) = (SELECT pg_catalog.count(*) FROM changed)
                AND (SELECT pg_catalog.count(*)
                    FROM new_product p
                    WHERE p.sku = $1::text AND p.version = 1 AND p.revision = 1 AND p.reserved = 0
                ) = (SELECT pg_catalog.count(*) FROM new_product)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM changed)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN changed p ON p.sku = m.sku AND p.version = m.version AND p.stock = m.stock_after
                        AND p.updated_at = m.moved_at
                WHERE m.kind = 8   AND m.token = $6::uuid
                    AND m.delta = p.stock - coalesce((SELECT t.old_stock FROM target t), 0::bigint)
            ) = (SELECT pg_catalog.count(*) FROM changed)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM changed)::text)::boolean
        ELSE true
    END AS stored,
    CASE WHEN k.sku IS NULL THEN (
        SELECT ('optilock.suppressed.products ' || hidden.version::text)::boolean
        FROM optilock.products hidden WHERE hidden.sku = $1::text)
        ELSE false END AS hidden
FROM (VALUES ($1::text)) AS requested (sku) LEFT JOIN locked k ON k.sku = requested.sku
LEFT JOIN changed p ON p.sku = requested.sku;

-- products::RETIRE
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, k.name   AS name, k.price   AS price, k.currency   AS currency,
        k.stock   AS stock, k.stock   - k.stock AS delta, k.reserved, k.version + 1 AS version,
        k.revision   AS revision, true   AS retired, k.paused   AS paused,
        k.updated_at
    FROM locked k WHERE NOT k.retired AND k.version = $2::bigint  ),
changed AS (
    UPDATE optilock.products p
    SET retired = t.retired,   stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, 9  ::smallint, (SELECT t.delta FROM target t), p.stock,
        $3::uuid  , NULL::text  , p.updated_at
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
    p.paused, p.created_at, p.updated_at, p.wrote,  
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
                WHERE m.kind = 9  ::smallint AND m.token = $3::uuid  
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

-- products::EDIT
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, $3::text AS name, $4::bigint AS price, $5::text AS currency,
        k.stock   AS stock, k.stock   - k.stock AS delta, k.reserved, k.version + 1 AS version,
        k.revision + 1 AS revision, k.retired AS retired, k.paused   AS paused,
        k.updated_at
    FROM locked k WHERE NOT k.retired AND k.revision = $2::bigint),
changed AS (
    UPDATE optilock.products p
    SET name = t.name, price = t.price, currency = t.currency, revision = t.revision, stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, 7  ::smallint, (SELECT t.delta FROM target t), p.stock,
        $6::uuid, NULL::text  , p.updated_at
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
    p.paused, p.created_at, p.updated_at, p.wrote,  
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
                WHERE m.kind = 7  ::smallint AND m.token = $6::uuid
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

-- products::COUNT
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, k.name   AS name, k.price   AS price, k.currency   AS currency,
        $3::bigint AS stock, $3::bigint - k.stock AS delta, k.reserved, k.version + 1 AS version,
        k.revision   AS revision, k.retired AS retired, k.paused   AS paused,
        k.updated_at
    FROM locked k WHERE NOT k.retired AND k.version = $2::bigint AND k.reserved <= $3::bigint),
changed AS (
    UPDATE optilock.products p
    SET  stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, 6  ::smallint, (SELECT t.delta FROM target t), p.stock,
        $5::uuid, $4::text, p.updated_at
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
    p.paused, p.created_at, p.updated_at, p.wrote,  
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
                WHERE m.kind = 6  ::smallint AND m.token = $5::uuid
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

-- products::ADJUST
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, k.name   AS name, k.price   AS price, k.currency   AS currency,
        k.stock + $4::bigint AS stock, k.stock + $4::bigint - k.stock AS delta, k.reserved, k.version + 1 AS version,
        k.revision   AS revision, k.retired AS retired, k.paused   AS paused,
        k.updated_at
    FROM locked k WHERE NOT k.retired AND k.stock + $4::bigint >= k.reserved AND (k.stock + $4::bigint <= $5::bigint OR $4::bigint < 0::bigint)
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $2::uuid)),
changed AS (
    UPDATE optilock.products p
    SET  stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, 3  ::smallint, (SELECT t.delta FROM target t), p.stock,
        $2::uuid, $3::text, p.updated_at
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
    p.paused, p.created_at, p.updated_at, p.wrote, CASE WHEN p.wrote OR p.retired OR $4::bigint > 0::bigint THEN 0::bigint ELSE (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = p.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT greatest(- $4::bigint, 0::bigint)) e)
        END AS expired,
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
                WHERE m.kind = 3  ::smallint AND m.token = $2::uuid
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

-- products::PAUSE
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at
    FROM optilock.products p WHERE p.sku = $1::text FOR NO KEY UPDATE),
target AS MATERIALIZED (
    SELECT k.sku, k.name   AS name, k.price   AS price, k.currency   AS currency,
        k.stock   AS stock, k.stock   - k.stock AS delta, k.reserved, k.version + 1 AS version,
        k.revision   AS revision, k.retired AS retired, $2::boolean AS paused,
        k.updated_at
    FROM locked k WHERE NOT k.retired AND k.paused <> $2::boolean
            AND NOT EXISTS (SELECT FROM optilock.movements m WHERE m.token = $4::uuid)),
changed AS (
    UPDATE optilock.products p
    SET paused = t.paused, stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku
    RETURNING p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
        p.paused, p.created_at, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason, moved_at)
    SELECT p.sku, p.version, $3::smallint, (SELECT t.delta FROM target t), p.stock,
        $4::uuid, NULL::text  , p.updated_at
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
    p.paused, p.created_at, p.updated_at, p.wrote,  
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
                WHERE m.kind = $3::smallint AND m.token = $4::uuid
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

-- reservations::RESERVE
WITH locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.paused, p.retired, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY ($1::text[]) ORDER BY p.sku FOR NO KEY UPDATE),
judged AS MATERIALIZED (
    SELECT r.sku, r.quantity, CASE WHEN NOT k.retired THEN k.stock END AS stock, k.reserved, k.version,
        k.paused, k.updated_at, k.sku IS NOT NULL AS locked,
        (NOT k.retired AND NOT k.paused AND k.stock - k.reserved >= r.quantity) IS TRUE AS fits
    FROM unnest($1::text[], $2::bigint[]) AS r (sku, quantity) LEFT JOIN locked k ON k.sku = r.sku),
target AS MATERIALIZED (
    SELECT sku, quantity, stock, reserved + quantity AS reserved, version + 1 AS version, updated_at,
        pg_catalog.statement_timestamp() + $6::float8 * interval '1 microsecond' AS expires_at FROM judged),
request AS MATERIALIZED (
    SELECT pg_catalog.bool_and(fits) AS fits, pg_catalog.sum(quantity)::bigint AS units FROM judged),
new_reservation AS (
    INSERT INTO optilock.reservations (id, customer, idempotency_key, remaining)
    SELECT $3::uuid, $4::text, $5::text, r.units FROM request r WHERE r.fits
    ON CONFLICT DO NOTHING RETURNING id, remaining),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM new_reservation n, target t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
    RETURNING p.sku, p.version, p.stock, p.reserved, p.updated_at),
new_holds AS (
    INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
    SELECT n.id, t.sku, t.quantity, t.quantity, t.expires_at FROM new_reservation n, target t
    RETURNING reservation_id, sku, quantity, held, state, expires_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
    SELECT p.sku, p.version, 4  ::smallint, 0::bigint, p.stock, n.id, p.updated_at
    FROM new_reservation n, changed p
    RETURNING sku, version, delta, stock_after)
SELECT j.sku, j.quantity, j.stock - j.reserved AS available, j.paused,
    CASE WHEN j.fits THEN 0::bigint ELSE (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = j.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT j.quantity) e)
        END AS expired,
    CASE
        WHEN (
            j.locked OR NOT EXISTS (SELECT FROM optilock.products p WHERE p.sku = j.sku)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || j.quantity::text)::boolean
        ELSE true
    END
    AND CASE WHEN EXISTS (SELECT FROM new_reservation) THEN
        CASE
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM changed p
                        JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                            AND t.version = p.version
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.products ' || j.quantity::text)::boolean
            WHEN (
                (SELECT n.id = $3::uuid AND n.remaining = r.units FROM new_reservation n, request r)
            ) IS NOT TRUE THEN ('optilock.suppressed.reservations ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM new_holds h
                        JOIN target t ON t.sku = h.sku AND t.quantity = h.quantity AND t.quantity = h.held
                            AND t.expires_at = h.expires_at
                    WHERE h.reservation_id = $3::uuid AND h.state = 0  
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.holds ' || j.quantity::text)::boolean
            WHEN (
                (SELECT pg_catalog.count(*)
                    FROM ledger m
                        JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.stock = m.stock_after
                    WHERE m.delta = 0
                ) = (SELECT pg_catalog.count(*) FROM target)
            ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || j.quantity::text)::boolean
            ELSE true
        END
        ELSE false
    END AS wrote
FROM judged j ORDER BY j.sku COLLATE "C";

-- reservations::RESERVATION
SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at,
    CASE WHEN h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
        THEN 3   ELSE h.state END::smallint AS state
FROM optilock.reservations r JOIN optilock.holds h ON h.reservation_id = r.id
WHERE r.id = $1 ORDER BY h.sku;

-- reservations::RESERVATION_KNOWN
SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at,
    CASE WHEN h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
        THEN 3   ELSE h.state END::smallint AS state
FROM optilock.reservations r JOIN optilock.holds h ON h.reservation_id = r.id
WHERE r.id = (
    SELECT id FROM optilock.reservations WHERE id = $1::uuid
    UNION ALL SELECT id FROM optilock.reservations
        WHERE idempotency_key = $3::text AND coalesce(customer, '') = coalesce($2::text, '')
    LIMIT 1)
ORDER BY h.sku;

-- reservations::EXTEND
WITH reservation AS MATERIALIZED (
    SELECT r.id FROM optilock.reservations r WHERE r.id = $1::uuid FOR NO KEY UPDATE),
live AS MATERIALIZED (
    SELECT h.sku, h.held, greatest(h.expires_at,
        pg_catalog.statement_timestamp() + $2::float8 * interval '1 microsecond') AS expires_at
    FROM optilock.holds h
    WHERE h.reservation_id = $1::uuid AND h.state < 1  
        AND h.expires_at > pg_catalog.statement_timestamp()
        AND (SELECT pg_catalog.count(*) FROM reservation) >= 0
    ORDER BY h.sku FOR NO KEY UPDATE),
extended AS (
    UPDATE optilock.holds h SET expires_at = l.expires_at
    FROM live l WHERE h.reservation_id = $1::uuid AND h.sku = l.sku
    RETURNING h.sku, h.held, h.state, h.expires_at)
SELECT (SELECT pg_catalog.count(*) FROM extended) AS holds,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM reservation)
            = (SELECT pg_catalog.count(*) FROM optilock.reservations WHERE id = $1::uuid)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.reservations ' || (SELECT pg_catalog.count(*) FROM live)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM extended h
                    JOIN live l ON l.sku = h.sku AND l.held = h.held AND l.expires_at = h.expires_at
                WHERE h.state = 0  
            ) = (SELECT pg_catalog.count(*) FROM live)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM live)::text)::boolean
        ELSE true
    END AS stored;

-- reservations::RELEASE
WITH reservation AS MATERIALIZED (
    SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = $1::uuid FOR NO KEY UPDATE),
closed AS (
    UPDATE optilock.reservations r SET remaining = 0::bigint FROM reservation b
    WHERE r.id = b.id AND b.remaining > 0
    RETURNING r.remaining),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (ARRAY(
        SELECT h.sku FROM optilock.holds h WHERE h.reservation_id = $1::uuid
            AND (SELECT pg_catalog.count(*) FROM reservation) >= 0))
    ORDER BY p.sku FOR NO KEY UPDATE),
ending AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, h.state FROM (
        SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
        WHERE h.sku = ANY (ARRAY(SELECT sku FROM locked)) AND h.reservation_id = $1::uuid
        ORDER BY h.sku FOR NO KEY UPDATE) h
    WHERE h.state IN (0  , 3  )),
ended AS (
    UPDATE optilock.holds h SET state = 2  
    FROM ending e
    WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku AND h.reservation_id = $1::uuid
    RETURNING h.reservation_id, h.sku, h.held, h.state),
freed AS MATERIALIZED (
    SELECT e.sku, pg_catalog.sum(e.held)::bigint AS units
    FROM ending e WHERE e.state = 0   GROUP BY e.sku),
target AS MATERIALIZED (
    SELECT k.sku, k.stock, k.reserved - f.units AS reserved, k.version + 1 AS version, k.updated_at
    FROM locked k JOIN freed f ON f.sku = k.sku),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
    SELECT sku, version, 10  , 0, stock, $1::uuid, updated_at FROM changed
    RETURNING sku, version, delta, stock_after)
SELECT
    CASE
        WHEN (
            (SELECT pg_catalog.count(*) FROM reservation)
            = (SELECT pg_catalog.count(*) FROM optilock.reservations WHERE id = $1::uuid)
                AND (SELECT pg_catalog.count(*) FROM closed r WHERE r.remaining = 0)
                = (SELECT pg_catalog.count(*) FROM reservation WHERE remaining > 0)
        ) IS NOT TRUE
            THEN (
                'optilock.suppressed.reservations ' || (SELECT pg_catalog.count(*) FROM ending)::text
            )::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM locked)
            = (SELECT pg_catalog.count(*) FROM optilock.holds WHERE reservation_id = $1::uuid)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) FROM reservation WHERE remaining > 0)
            = (SELECT pg_catalog.count(*) FROM (SELECT 1 FROM ending LIMIT 1) e)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        ELSE true
    END,
    (SELECT pg_catalog.count(*) FROM ended) AS holds,
    (SELECT coalesce(pg_catalog.sum(units), 0::numeric)::bigint FROM freed) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT reservation_id, sku, held FROM ended WHERE state = 2  
                    INTERSECT SELECT reservation_id, sku, held FROM ending
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM ending)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM changed p
                    JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                        AND t.version = p.version
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.stock = m.stock_after
                        AND m.delta = 0
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        ELSE true
    END AS stored;

-- reservations::EXPIRE
WITH reservation AS MATERIALIZED (
    SELECT r.id FROM optilock.reservations r WHERE r.id = $4::uuid FOR NO KEY UPDATE),
requested AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS requested (sku, units, version)),
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
    WHERE p.sku = ANY (
        ARRAY(SELECT sku FROM requested WHERE (SELECT pg_catalog.count(*) FROM reservation) >= 0)
    )
    ORDER BY p.sku FOR NO KEY UPDATE),
ending AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, h.state
    FROM (
        SELECT k.sku, 255 / pg_catalog.count(*) OVER () + 1 AS most
        FROM locked k JOIN requested r ON r.sku = k.sku
        WHERE k.stock - k.reserved + coalesce((
                SELECT h.held FROM optilock.holds h
                WHERE h.reservation_id = $4::uuid AND h.sku = k.sku AND h.state = 0  
            ), 0::bigint) < r.units
            AND NOT EXISTS (
                SELECT FROM locked o JOIN requested p ON p.sku = o.sku
                WHERE o.version <> coalesce(p.version, o.version))
        ORDER BY k.sku) short,
    LATERAL (
        SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
        WHERE h.sku = short.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
            AND (h.reservation_id = $4::uuid) IS NOT TRUE
        ORDER BY h.expires_at LIMIT short.most FOR NO KEY UPDATE) h),
ended AS (
    UPDATE optilock.holds h SET state = 3  
    FROM ending e
    WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku
        AND h.reservation_id = ANY (ARRAY(SELECT reservation_id FROM ending))
    RETURNING h.reservation_id, h.sku, h.held, h.state),
freed AS MATERIALIZED (
    SELECT e.sku, pg_catalog.sum(e.held)::bigint AS units
    FROM ending e WHERE e.state = 0   GROUP BY e.sku),
target AS MATERIALIZED (
    SELECT k.sku, k.stock, k.reserved - f.units AS reserved, k.version + 1 AS version, k.updated_at
    FROM locked k JOIN freed f ON f.sku = k.sku),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
    RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
ledger AS (
    INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
    SELECT sku, version, 5  , 0, stock, NULL::uuid, updated_at FROM changed
    RETURNING sku, version, delta, stock_after)
SELECT ARRAY(SELECT sku FROM target ORDER BY sku) AS changed, (SELECT pg_catalog.count(*) FROM ended) AS holds,
    (SELECT coalesce(pg_catalog.sum(units), 0::numeric)::bigint FROM freed) AS units,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT reservation_id, sku, held FROM ended WHERE state = 3  
                    INTERSECT SELECT reservation_id, sku, held FROM ending
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM ending)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.holds ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM changed p
                    JOIN target t ON t.sku = p.sku AND t.stock = p.stock AND t.reserved = p.reserved
                        AND t.version = p.version
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.products ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM ledger m
                    JOIN target t ON t.sku = m.sku AND t.version = m.version AND t.stock = m.stock_after
                        AND m.delta = 0
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.movements ' || (SELECT pg_catalog.count(*) FROM ending)::text)::boolean
        ELSE true
    END AS stored;

-- batch::MIXED
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
 
orders_before AS MATERIALIZED (
    SELECT o.id, o.version, e.version AS expected, e.status, e.reason
    FROM (SELECT e.* FROM (SELECT $42::uuid[] AS ids, $43::bigint[] AS versions, $44::smallint[] AS states,
                $45::text[] AS reasons OFFSET 0) a,
            LATERAL unnest(a.ids, a.versions, a.states, a.reasons) AS e (id, version, status, reason)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL ORDER BY e.id) e,
        LATERAL (SELECT o.id, o.version FROM optilock.orders o WHERE o.id = e.id FOR NO KEY UPDATE) o),
lines_before AS MATERIALIZED (
    SELECT l.order_id, l.sku, l.returned, e.returned AS expected, e.quantity
    FROM (SELECT e.* FROM (SELECT $46::uuid[] AS orders, $47::text[] AS skus, $48::bigint[] AS quantities,
                $49::bigint[] AS returned OFFSET 0) a,
            LATERAL unnest(a.orders, a.skus, a.quantities, a.returned) AS e (order_id, sku, quantity, returned)
            WHERE (SELECT pg_catalog.count(*) FROM orders_before) >= 0
            ORDER BY e.order_id, e.sku COLLATE "C") e,
        LATERAL (
            SELECT l.order_id, l.sku, l.returned FROM optilock.order_lines l
            WHERE l.order_id = e.order_id AND l.sku = e.sku FOR NO KEY UPDATE) l),
reservations_before AS MATERIALIZED (
    SELECT r.id, r.remaining, e.before AS expected, e.after
    FROM (SELECT e.* FROM (SELECT $32::uuid[] AS ids, $33::bigint[] AS before, $34::bigint[] AS after OFFSET 0) a,
            LATERAL unnest(a.ids, a.before, a.after) AS e (id, before, after)
            WHERE (SELECT pg_catalog.count(*) FROM lines_before) >= 0 ORDER BY e.id) e,
        LATERAL (
            SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = e.id FOR NO KEY UPDATE) r),
 
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM (SELECT e.* FROM (SELECT $1::text[] AS skus OFFSET 0) a, LATERAL unnest(a.skus) AS e (sku)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL
                  AND 0 <= (SELECT pg_catalog.count(*) FROM reservations_before)  
            ORDER BY e.sku COLLATE "C") e,
        LATERAL (
            SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired,
                p.updated_at
            FROM optilock.products p WHERE p.sku = e.sku FOR NO KEY UPDATE) p),
 
holds_before AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, e.held AS expected_held, h.state, e.state AS expected_state,
        e.extension = 0 OR h.expires_at > pg_catalog.statement_timestamp()
            AND pg_catalog.extract('epoch', h.expires_at) * 1000000::numeric = e.expires_at::numeric AS lasts,
        e.new_held, e.new_state,
        CASE WHEN e.extension = 0 THEN h.expires_at
            ELSE greatest(h.expires_at,
                pg_catalog.statement_timestamp() + e.extension::float8 * interval '1 microsecond')
            END AS expires_at
    FROM (SELECT e.* FROM (SELECT $35::uuid[] AS reservations, $36::text[] AS skus, $37::bigint[] AS held,
                $38::smallint[] AS states, $39::bigint[] AS extensions, $40::bigint[] AS new_held,
                $41::smallint[] AS new_states, $55::bigint[] AS expiries OFFSET 0) a,
            LATERAL unnest(a.reservations, a.skus, a.held, a.states, a.extensions, a.new_held, a.new_states,
                a.expiries) AS e (reservation_id, sku, held, state, extension, new_held, new_state, expires_at)
            WHERE (SELECT pg_catalog.count(*) FROM locked) >= 0
            ORDER BY e.sku COLLATE "C", e.reservation_id) e,
        LATERAL (
            SELECT h.reservation_id, h.sku, h.held, h.state, h.expires_at FROM optilock.holds h
            WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku FOR NO KEY UPDATE) h),
 
target AS MATERIALIZED (
    SELECT k.sku, k.stock + e.stock AS stock, k.version + e.changes AS version, k.updated_at, k.price,
        k.stock AS stock_before, k.version AS version_before, coalesce(e.version, k.version) AS expected,
        k.reserved   + e.reserved   AS reserved,
          (e.condition < 1 OR NOT k.retired) AND (e.condition < 2 OR NOT k.paused) AND  
              k.stock - k.reserved >= e.units
            AND k.price = coalesce(e.price, k.price) AND k.currency = coalesce(e.currency, k.currency) AS ok
    FROM (SELECT $1::text[] AS skus, $2::bigint[] AS units, $3::bigint[] AS prices, $4::text[] AS currencies,
            $5::bigint[] AS versions, $6::bigint[] AS changes, $7::bigint[] AS stocks
              , $18::bigint[] AS reserved, $19::smallint[] AS conditions   OFFSET 0) a,
        LATERAL unnest(a.skus, a.units, a.prices, a.currencies, a.versions, a.changes, a.stocks
              , a.reserved, a.conditions  )
            AS e (sku, units, price, currency, version, changes, stock
                  , reserved, condition  ),
        locked k
    WHERE k.sku = e.sku),
verified AS MATERIALIZED (
    SELECT (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(t.ok AND t.version_before = t.expected), true) FROM target t)
         
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($42::uuid[])
                AND coalesce(pg_catalog.bool_and(o.version = o.expected), true) FROM orders_before o)
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($46::uuid[])
                AND coalesce(pg_catalog.bool_and(l.returned = l.expected), true) FROM lines_before l)
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($32::uuid[])
                AND coalesce(pg_catalog.bool_and(r.remaining = r.expected), true)
                FROM reservations_before r)
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($35::uuid[])
                AND coalesce(pg_catalog.bool_and(h.held = h.expected_held
                    AND h.state = h.expected_state AND h.lasts), true) FROM holds_before h)
          AS ok,
        pg_catalog.pg_current_xact_id()::text::bigint AS transaction_id),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t, verified v
    WHERE p.sku = t.sku AND v.ok AND t.version_before = t.expected
    RETURNING p.sku, p.updated_at, t.price, t.stock_before, t.version_before,
        p.stock = t.stock AND p.reserved = t.reserved AND p.version = t.version AS stored),
 
changed_orders AS (
    UPDATE optilock.orders o SET status = t.status, version = t.version + 1, reason = t.reason
    FROM orders_before t, verified v WHERE o.id = t.id AND v.ok AND t.version = t.expected
    RETURNING o.status = t.status AND o.version = t.version + 1 AS stored),
changed_lines AS (
    UPDATE optilock.order_lines l SET returned = t.returned + t.quantity
    FROM lines_before t, verified v
    WHERE l.order_id = t.order_id AND l.sku = t.sku AND v.ok AND t.returned = t.expected
    RETURNING l.returned = t.returned + t.quantity AS stored),
changed_reservations AS (
    UPDATE optilock.reservations r SET remaining = t.after
    FROM reservations_before t, verified v WHERE r.id = t.id AND v.ok AND t.remaining = t.expected
    RETURNING r.remaining = t.after AS stored),
changed_holds AS (
    UPDATE optilock.holds h SET held = t.new_held, state = t.new_state, expires_at = t.expires_at
    FROM holds_before t, verified v
    WHERE h.reservation_id = t.reservation_id AND h.sku = t.sku AND v.ok
        AND t.held = t.expected_held AND t.state = t.expected_state
    RETURNING h.held = t.new_held AND h.state = t.new_state AND h.expires_at = t.expires_at AS stored),
new_reservations AS (
    INSERT INTO optilock.reservations (id, customer, idempotency_key, remaining)
    SELECT r.id, r.customer, r.key, r.remaining
    FROM (SELECT $24::uuid[] AS ids, $25::text[] AS customers, $26::text[] AS keys,
            $27::bigint[] AS remaining OFFSET 0) a,
        LATERAL unnest(a.ids, a.customers, a.keys, a.remaining) AS r (id, customer, key, remaining),
        verified v
    WHERE v.ok
    RETURNING id, remaining),
new_holds AS (
    INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
    SELECT h.reservation_id, h.sku, h.quantity, h.quantity,
        pg_catalog.statement_timestamp() + h.duration::float8 * interval '1 microsecond'
    FROM (SELECT $28::uuid[] AS reservations, $29::text[] AS skus, $30::bigint[] AS quantities,
            $31::bigint[] AS durations OFFSET 0) a,
        LATERAL unnest(a.reservations, a.skus, a.quantities, a.durations)
            AS h (reservation_id, sku, quantity, duration),
        verified v
    WHERE v.ok
    RETURNING reservation_id, sku, quantity, held, state),
new_returns AS (
    INSERT INTO optilock.returns (id, order_id, skus, quantities, reason)
    SELECT r.id, r.order_id, pg_catalog.to_jsonb(r.skus::text[]), pg_catalog.to_jsonb(r.quantities::bigint[]), r.reason
    FROM (SELECT $50::uuid[] AS ids, $51::uuid[] AS orders, $52::text[] AS skus, $53::text[] AS quantities,
            $54::text[] AS reasons OFFSET 0) a,
        LATERAL unnest(a.ids, a.orders, a.skus, a.quantities, a.reasons)
            AS r (id, order_id, skus, quantities, reason),
        verified v
    WHERE v.ok
    RETURNING id, order_id, skus, quantities),
 
new_orders AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency   , reservation_id  )
    SELECT r.id, r.customer, r.key, r.total, r.currency   , r.reservation_id  
    FROM (SELECT $8::uuid[] AS ids, $9::text[] AS customers, $10::text[] AS keys, $11::bigint[] AS totals,
            $12::text[] AS currencies   , $20::uuid[] AS reservations   OFFSET 0) a,
        LATERAL unnest(a.ids, a.customers, a.keys, a.totals, a.currencies
              , a.reservations  )
            AS r (id, customer, key, total, currency   , reservation_id  ),
        verified v
    WHERE v.ok
    RETURNING id, status, version, total),
 
moved AS MATERIALIZED (
    SELECT m.order_id, m.sku, m.delta, c.version_before + m.number AS version, c.stock_before + m.stock AS stock,
        c.price, c.updated_at   , m.reservation_id, m.kind, m.reason  
    FROM (SELECT $13::uuid[] AS orders, $14::text[] AS skus, $15::bigint[] AS deltas, $16::bigint[] AS numbers,
            $17::bigint[] AS stocks
              , $21::uuid[] AS reservations, $22::smallint[] AS kinds, $23::text[] AS reasons  
            OFFSET 0) a,
        LATERAL unnest(a.orders, a.skus, a.deltas, a.numbers, a.stocks
              , a.reservations, a.kinds, a.reasons  )
            AS m (order_id, sku, delta, number, stock   , reservation_id, kind, reason  ),
        changed c
    WHERE c.sku = m.sku),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT m.order_id, m.sku, - m.delta, m.price FROM moved m
      WHERE m.kind = 1    
    RETURNING order_id, sku, quantity, price),
ledger AS (
    INSERT INTO optilock.movements
        (sku, version, delta, stock_after, order_id, moved_at, transaction_id, kind
              , reservation_id, reason  )
    SELECT m.sku, m.version, m.delta, m.stock, m.order_id, m.updated_at, v.transaction_id,
          m.kind, m.reservation_id, m.reason    
    FROM moved m, verified v
    RETURNING sku, version, kind, delta, stock_after, order_id),
sums AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS movements, pg_catalog.sum(m.delta) AS deltas,
        pg_catalog.sum(m.version) AS versions, pg_catalog.sum(m.stock) AS stocks,
        pg_catalog.sum(pg_catalog.hashtext(m.sku)) AS skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)) AS orders,
        pg_catalog.count(*)   FILTER (WHERE m.kind = 1  )   AS lines,
        pg_catalog.sum(m.delta)   FILTER (WHERE m.kind = 1  )   AS sold,
        pg_catalog.sum(m.price)   FILTER (WHERE m.kind = 1  )   AS prices,
        pg_catalog.sum(pg_catalog.hashtext(m.sku))
              FILTER (WHERE m.kind = 1  )   AS sold_skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id))
              FILTER (WHERE m.kind = 1  )   AS sold_by
    FROM moved m)
SELECT k.sku, k.stock, k.stock - k.reserved AS available, CASE WHEN NOT k.retired THEN k.version END AS version,
    k.price, k.currency, k.paused, pg_catalog.statement_timestamp() AS created_at,
    v.ok AND CASE
        WHEN NOT v.ok THEN false
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed c)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($8::uuid[])
                AND coalesce(pg_catalog.bool_and(o.status = 0   AND o.version = 1), true)
                AND (pg_catalog.sum(pg_catalog.uuid_hash(o.id)), pg_catalog.sum(o.total))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(t.total))
                    FROM unnest($8::uuid[], $11::bigint[]) AS t (id, total))
                FROM new_orders o)
             
            AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($42::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_orders c)
             
        ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || v.transaction_id::text)::boolean
         
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($32::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_reservations c)
            AND (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(r.id)),
                    pg_catalog.sum(r.remaining))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(t.id)),
                        pg_catalog.sum(t.units))
                    FROM unnest($24::uuid[], $27::bigint[]) AS t (id, units))
                FROM new_reservations r)
        ) IS NOT TRUE THEN ('optilock.suppressed.reservations ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($35::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_holds c)
            AND (SELECT (pg_catalog.count(*), pg_catalog.sum(h.quantity), pg_catalog.sum(h.held),
                    pg_catalog.sum(pg_catalog.hashtext(h.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(h.reservation_id)), pg_catalog.sum(h.state))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.count(*), pg_catalog.sum(t.quantity), pg_catalog.sum(t.quantity),
                        pg_catalog.sum(pg_catalog.hashtext(t.sku)),
                        pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(0  ))
                    FROM unnest($28::uuid[], $29::text[], $30::bigint[]) AS t (id, sku, quantity))
                FROM new_holds h)
        ) IS NOT TRUE THEN ('optilock.suppressed.holds ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(r.id)),
                    pg_catalog.sum(pg_catalog.uuid_hash(r.order_id)),
                    pg_catalog.sum(pg_catalog.hashtext(r.skus::text)),
                    pg_catalog.sum(pg_catalog.hashtext(r.quantities::text)))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(t.id)),
                        pg_catalog.sum(pg_catalog.uuid_hash(t.order_id)),
                        pg_catalog.sum(pg_catalog.hashtext(pg_catalog.to_jsonb(t.skus::text[])::text)),
                        pg_catalog.sum(pg_catalog.hashtext(pg_catalog.to_jsonb(t.quantities::bigint[])::text)))
                    FROM unnest($50::uuid[], $51::uuid[], $52::text[], $53::text[])
                        AS t (id, order_id, skus, quantities))
                FROM new_returns r)
        ) IS NOT TRUE THEN ('optilock.suppressed.returns ' || v.transaction_id::text)::boolean
         
        WHEN (
            (SELECT (pg_catalog.count(*), - pg_catalog.sum(l.quantity), pg_catalog.sum(l.price),
                    pg_catalog.sum(pg_catalog.hashtext(l.sku)), pg_catalog.sum(pg_catalog.uuid_hash(l.order_id)))
                IS NOT DISTINCT FROM (SELECT (lines, sold, prices, sold_skus, sold_by) FROM sums)
                FROM new_lines l)
             
            AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($46::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_lines c)
             
        ) IS NOT TRUE THEN ('optilock.suppressed.order_lines ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT (pg_catalog.count(*), pg_catalog.sum(m.delta), pg_catalog.sum(m.version),
                    pg_catalog.sum(m.stock_after), pg_catalog.sum(pg_catalog.hashtext(m.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)))
                IS NOT DISTINCT FROM
                    (SELECT (movements, deltas, versions, stocks, skus, orders) FROM sums)
                FROM ledger m)
        ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || v.transaction_id::text)::boolean
         
        ELSE true
    END AS ok
FROM verified v LEFT JOIN locked k ON true;

-- batch::SALES
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),

locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM (SELECT e.* FROM (SELECT $1::text[] AS skus OFFSET 0) a, LATERAL unnest(a.skus) AS e (sku)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL
                
            ORDER BY e.sku COLLATE "C") e,
        LATERAL (
            SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired,
                p.updated_at
            FROM optilock.products p WHERE p.sku = e.sku FOR NO KEY UPDATE) p),

target AS MATERIALIZED (
    SELECT k.sku, k.stock + e.stock AS stock, k.version + e.changes AS version, k.updated_at, k.price,
        k.stock AS stock_before, k.version AS version_before, coalesce(e.version, k.version) AS expected,
        k.reserved  AS reserved,
        
            NOT k.retired AND NOT k.paused AND k.stock - k.reserved >= e.units
            AND k.price = coalesce(e.price, k.price) AND k.currency = coalesce(e.currency, k.currency) AS ok
    FROM (SELECT $1::text[] AS skus, $2::bigint[] AS units, $3::bigint[] AS prices, $4::text[] AS currencies,
            $5::bigint[] AS versions, $6::bigint[] AS changes, $7::bigint[] AS stocks
             OFFSET 0) a,
        LATERAL unnest(a.skus, a.units, a.prices, a.currencies, a.versions, a.changes, a.stocks
            )
            AS e (sku, units, price, currency, version, changes, stock
                ),
        locked k
    WHERE k.sku = e.sku),
verified AS MATERIALIZED (
    SELECT (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(t.ok AND t.version_before = t.expected), true) FROM target t)
         AS ok,
        pg_catalog.pg_current_xact_id()::text::bigint AS transaction_id),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t, verified v
    WHERE p.sku = t.sku AND v.ok AND t.version_before = t.expected
    RETURNING p.sku, p.updated_at, t.price, t.stock_before, t.version_before,
        p.stock = t.stock AND p.reserved = t.reserved AND p.version = t.version AS stored),

new_orders AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency )
    SELECT r.id, r.customer, r.key, r.total, r.currency 
    FROM (SELECT $8::uuid[] AS ids, $9::text[] AS customers, $10::text[] AS keys, $11::bigint[] AS totals,
            $12::text[] AS currencies  OFFSET 0) a,
        LATERAL unnest(a.ids, a.customers, a.keys, a.totals, a.currencies
            )
            AS r (id, customer, key, total, currency ),
        verified v
    WHERE v.ok
    RETURNING id, status, version, total),
 
moved AS MATERIALIZED (
    SELECT m.order_id, m.sku, m.delta, c.version_before + m.number AS version, c.stock_before + m.stock AS stock,
        c.price, c.updated_at 
    FROM (SELECT $13::uuid[] AS orders, $14::text[] AS skus, $15::bigint[] AS deltas, $16::bigint[] AS numbers,
            $17::bigint[] AS stocks
            
            OFFSET 0) a,
        LATERAL unnest(a.orders, a.skus, a.deltas, a.numbers, a.stocks
            )
            AS m (order_id, sku, delta, number, stock ),
        changed c
    WHERE c.sku = m.sku),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT m.order_id, m.sku, - m.delta, m.price FROM moved m
    
    RETURNING order_id, sku, quantity, price),
ledger AS (
    INSERT INTO optilock.movements
        (sku, version, delta, stock_after, order_id, moved_at, transaction_id, kind
            )
    SELECT m.sku, m.version, m.delta, m.stock, m.order_id, m.updated_at, v.transaction_id,
         1  ::smallint
    FROM moved m, verified v
    RETURNING sku, version, kind, delta, stock_after, order_id),
sums AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS movements, pg_catalog.sum(m.delta) AS deltas,
        pg_catalog.sum(m.version) AS versions, pg_catalog.sum(m.stock) AS stocks,
        pg_catalog.sum(pg_catalog.hashtext(m.sku)) AS skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)) AS orders,
        pg_catalog.count(*)  AS lines,
        pg_catalog.sum(m.delta)  AS sold,
        pg_catalog.sum(m.price)  AS prices,
        pg_catalog.sum(pg_catalog.hashtext(m.sku))
             AS sold_skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id))
             AS sold_by
    FROM moved m)
SELECT k.sku, k.stock, k.stock - k.reserved AS available, CASE WHEN NOT k.retired THEN k.version END AS version,
    k.price, k.currency, k.paused, pg_catalog.statement_timestamp() AS created_at,
    v.ok AND CASE
        WHEN NOT v.ok THEN false
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed c)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($8::uuid[])
                AND coalesce(pg_catalog.bool_and(o.status = 0   AND o.version = 1), true)
                AND (pg_catalog.sum(pg_catalog.uuid_hash(o.id)), pg_catalog.sum(o.total))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(t.total))
                    FROM unnest($8::uuid[], $11::bigint[]) AS t (id, total))
                FROM new_orders o)
            
        ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || v.transaction_id::text)::boolean
        
        WHEN (
            (SELECT (pg_catalog.count(*), - pg_catalog.sum(l.quantity), pg_catalog.sum(l.price),
                    pg_catalog.sum(pg_catalog.hashtext(l.sku)), pg_catalog.sum(pg_catalog.uuid_hash(l.order_id)))
                IS NOT DISTINCT FROM (SELECT (lines, sold, prices, sold_skus, sold_by) FROM sums)
                FROM new_lines l)
            
        ) IS NOT TRUE THEN ('optilock.suppressed.order_lines ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT (pg_catalog.count(*), pg_catalog.sum(m.delta), pg_catalog.sum(m.version),
                    pg_catalog.sum(m.stock_after), pg_catalog.sum(pg_catalog.hashtext(m.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)))
                IS NOT DISTINCT FROM
                    (SELECT (movements, deltas, versions, stocks, skus, orders) FROM sums)
                FROM ledger m)
        ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || v.transaction_id::text)::boolean
         
        ELSE true
    END AS ok
FROM verified v LEFT JOIN locked k ON true;

-- batch::MIXED_OUTBOX
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
 
orders_before AS MATERIALIZED (
    SELECT o.id, o.version, e.version AS expected, e.status, e.reason
    FROM (SELECT e.* FROM (SELECT $42::uuid[] AS ids, $43::bigint[] AS versions, $44::smallint[] AS states,
                $45::text[] AS reasons OFFSET 0) a,
            LATERAL unnest(a.ids, a.versions, a.states, a.reasons) AS e (id, version, status, reason)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL ORDER BY e.id) e,
        LATERAL (SELECT o.id, o.version FROM optilock.orders o WHERE o.id = e.id FOR NO KEY UPDATE) o),
lines_before AS MATERIALIZED (
    SELECT l.order_id, l.sku, l.returned, e.returned AS expected, e.quantity
    FROM (SELECT e.* FROM (SELECT $46::uuid[] AS orders, $47::text[] AS skus, $48::bigint[] AS quantities,
                $49::bigint[] AS returned OFFSET 0) a,
            LATERAL unnest(a.orders, a.skus, a.quantities, a.returned) AS e (order_id, sku, quantity, returned)
            WHERE (SELECT pg_catalog.count(*) FROM orders_before) >= 0
            ORDER BY e.order_id, e.sku COLLATE "C") e,
        LATERAL (
            SELECT l.order_id, l.sku, l.returned FROM optilock.order_lines l
            WHERE l.order_id = e.order_id AND l.sku = e.sku FOR NO KEY UPDATE) l),
reservations_before AS MATERIALIZED (
    SELECT r.id, r.remaining, e.before AS expected, e.after
    FROM (SELECT e.* FROM (SELECT $32::uuid[] AS ids, $33::bigint[] AS before, $34::bigint[] AS after OFFSET 0) a,
            LATERAL unnest(a.ids, a.before, a.after) AS e (id, before, after)
            WHERE (SELECT pg_catalog.count(*) FROM lines_before) >= 0 ORDER BY e.id) e,
        LATERAL (
            SELECT r.id, r.remaining FROM optilock.reservations r WHERE r.id = e.id FOR NO KEY UPDATE) r),
 
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM (SELECT e.* FROM (SELECT $1::text[] AS skus OFFSET 0) a, LATERAL unnest(a.skus) AS e (sku)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL
                  AND 0 <= (SELECT pg_catalog.count(*) FROM reservations_before)  
            ORDER BY e.sku COLLATE "C") e,
        LATERAL (
            SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired,
                p.updated_at
            FROM optilock.products p WHERE p.sku = e.sku FOR NO KEY UPDATE) p),
 
holds_before AS MATERIALIZED (
    SELECT h.reservation_id, h.sku, h.held, e.held AS expected_held, h.state, e.state AS expected_state,
        e.extension = 0 OR h.expires_at > pg_catalog.statement_timestamp()
            AND pg_catalog.extract('epoch', h.expires_at) * 1000000::numeric = e.expires_at::numeric AS lasts,
        e.new_held, e.new_state,
        CASE WHEN e.extension = 0 THEN h.expires_at
            ELSE greatest(h.expires_at,
                pg_catalog.statement_timestamp() + e.extension::float8 * interval '1 microsecond')
            END AS expires_at
    FROM (SELECT e.* FROM (SELECT $35::uuid[] AS reservations, $36::text[] AS skus, $37::bigint[] AS held,
                $38::smallint[] AS states, $39::bigint[] AS extensions, $40::bigint[] AS new_held,
                $41::smallint[] AS new_states, $55::bigint[] AS expiries OFFSET 0) a,
            LATERAL unnest(a.reservations, a.skus, a.held, a.states, a.extensions, a.new_held, a.new_states,
                a.expiries) AS e (reservation_id, sku, held, state, extension, new_held, new_state, expires_at)
            WHERE (SELECT pg_catalog.count(*) FROM locked) >= 0
            ORDER BY e.sku COLLATE "C", e.reservation_id) e,
        LATERAL (
            SELECT h.reservation_id, h.sku, h.held, h.state, h.expires_at FROM optilock.holds h
            WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku FOR NO KEY UPDATE) h),
 
target AS MATERIALIZED (
    SELECT k.sku, k.stock + e.stock AS stock, k.version + e.changes AS version, k.updated_at, k.price,
        k.stock AS stock_before, k.version AS version_before, coalesce(e.version, k.version) AS expected,
        k.reserved   + e.reserved   AS reserved,
          (e.condition < 1 OR NOT k.retired) AND (e.condition < 2 OR NOT k.paused) AND  
              k.stock - k.reserved >= e.units
            AND k.price = coalesce(e.price, k.price) AND k.currency = coalesce(e.currency, k.currency) AS ok
    FROM (SELECT $1::text[] AS skus, $2::bigint[] AS units, $3::bigint[] AS prices, $4::text[] AS currencies,
            $5::bigint[] AS versions, $6::bigint[] AS changes, $7::bigint[] AS stocks
              , $18::bigint[] AS reserved, $19::smallint[] AS conditions   OFFSET 0) a,
        LATERAL unnest(a.skus, a.units, a.prices, a.currencies, a.versions, a.changes, a.stocks
              , a.reserved, a.conditions  )
            AS e (sku, units, price, currency, version, changes, stock
                  , reserved, condition  ),
        locked k
    WHERE k.sku = e.sku),
verified AS MATERIALIZED (
    SELECT (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(t.ok AND t.version_before = t.expected), true) FROM target t)
         
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($42::uuid[])
                AND coalesce(pg_catalog.bool_and(o.version = o.expected), true) FROM orders_before o)
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($46::uuid[])
                AND coalesce(pg_catalog.bool_and(l.returned = l.expected), true) FROM lines_before l)
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($32::uuid[])
                AND coalesce(pg_catalog.bool_and(r.remaining = r.expected), true)
                FROM reservations_before r)
        AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($35::uuid[])
                AND coalesce(pg_catalog.bool_and(h.held = h.expected_held
                    AND h.state = h.expected_state AND h.lasts), true) FROM holds_before h)
          AS ok,
        pg_catalog.pg_current_xact_id()::text::bigint AS transaction_id),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t, verified v
    WHERE p.sku = t.sku AND v.ok AND t.version_before = t.expected
    RETURNING p.sku, p.updated_at, t.price, t.stock_before, t.version_before,
        p.stock = t.stock AND p.reserved = t.reserved AND p.version = t.version AS stored),
 
changed_orders AS (
    UPDATE optilock.orders o SET status = t.status, version = t.version + 1, reason = t.reason
    FROM orders_before t, verified v WHERE o.id = t.id AND v.ok AND t.version = t.expected
    RETURNING o.status = t.status AND o.version = t.version + 1 AS stored),
changed_lines AS (
    UPDATE optilock.order_lines l SET returned = t.returned + t.quantity
    FROM lines_before t, verified v
    WHERE l.order_id = t.order_id AND l.sku = t.sku AND v.ok AND t.returned = t.expected
    RETURNING l.returned = t.returned + t.quantity AS stored),
changed_reservations AS (
    UPDATE optilock.reservations r SET remaining = t.after
    FROM reservations_before t, verified v WHERE r.id = t.id AND v.ok AND t.remaining = t.expected
    RETURNING r.remaining = t.after AS stored),
changed_holds AS (
    UPDATE optilock.holds h SET held = t.new_held, state = t.new_state, expires_at = t.expires_at
    FROM holds_before t, verified v
    WHERE h.reservation_id = t.reservation_id AND h.sku = t.sku AND v.ok
        AND t.held = t.expected_held AND t.state = t.expected_state
    RETURNING h.held = t.new_held AND h.state = t.new_state AND h.expires_at = t.expires_at AS stored),
new_reservations AS (
    INSERT INTO optilock.reservations (id, customer, idempotency_key, remaining)
    SELECT r.id, r.customer, r.key, r.remaining
    FROM (SELECT $24::uuid[] AS ids, $25::text[] AS customers, $26::text[] AS keys,
            $27::bigint[] AS remaining OFFSET 0) a,
        LATERAL unnest(a.ids, a.customers, a.keys, a.remaining) AS r (id, customer, key, remaining),
        verified v
    WHERE v.ok
    RETURNING id, remaining),
new_holds AS (
    INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
    SELECT h.reservation_id, h.sku, h.quantity, h.quantity,
        pg_catalog.statement_timestamp() + h.duration::float8 * interval '1 microsecond'
    FROM (SELECT $28::uuid[] AS reservations, $29::text[] AS skus, $30::bigint[] AS quantities,
            $31::bigint[] AS durations OFFSET 0) a,
        LATERAL unnest(a.reservations, a.skus, a.quantities, a.durations)
            AS h (reservation_id, sku, quantity, duration),
        verified v
    WHERE v.ok
    RETURNING reservation_id, sku, quantity, held, state),
new_returns AS (
    INSERT INTO optilock.returns (id, order_id, skus, quantities, reason)
    SELECT r.id, r.order_id, pg_catalog.to_jsonb(r.skus::text[]), pg_catalog.to_jsonb(r.quantities::bigint[]), r.reason
    FROM (SELECT $50::uuid[] AS ids, $51::uuid[] AS orders, $52::text[] AS skus, $53::text[] AS quantities,
            $54::text[] AS reasons OFFSET 0) a,
        LATERAL unnest(a.ids, a.orders, a.skus, a.quantities, a.reasons)
            AS r (id, order_id, skus, quantities, reason),
        verified v
    WHERE v.ok
    RETURNING id, order_id, skus, quantities),
 
new_orders AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency   , reservation_id  )
    SELECT r.id, r.customer, r.key, r.total, r.currency   , r.reservation_id  
    FROM (SELECT $8::uuid[] AS ids, $9::text[] AS customers, $10::text[] AS keys, $11::bigint[] AS totals,
            $12::text[] AS currencies   , $20::uuid[] AS reservations   OFFSET 0) a,
        LATERAL unnest(a.ids, a.customers, a.keys, a.totals, a.currencies
              , a.reservations  )
            AS r (id, customer, key, total, currency   , reservation_id  ),
        verified v
    WHERE v.ok
    RETURNING id, status, version, total),
announced AS (
    INSERT INTO optilock.outbox (order_id, transaction_id)
    SELECT o.id, v.transaction_id FROM new_orders o, verified v
    RETURNING order_id, transaction_id),
moved AS MATERIALIZED (
    SELECT m.order_id, m.sku, m.delta, c.version_before + m.number AS version, c.stock_before + m.stock AS stock,
        c.price, c.updated_at   , m.reservation_id, m.kind, m.reason  
    FROM (SELECT $13::uuid[] AS orders, $14::text[] AS skus, $15::bigint[] AS deltas, $16::bigint[] AS numbers,
            $17::bigint[] AS stocks
              , $21::uuid[] AS reservations, $22::smallint[] AS kinds, $23::text[] AS reasons  
            OFFSET 0) a,
        LATERAL unnest(a.orders, a.skus, a.deltas, a.numbers, a.stocks
              , a.reservations, a.kinds, a.reasons  )
            AS m (order_id, sku, delta, number, stock   , reservation_id, kind, reason  ),
        changed c
    WHERE c.sku = m.sku),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT m.order_id, m.sku, - m.delta, m.price FROM moved m
      WHERE m.kind = 1    
    RETURNING order_id, sku, quantity, price),
ledger AS (
    INSERT INTO optilock.movements
        (sku, version, delta, stock_after, order_id, moved_at, transaction_id, kind
              , reservation_id, reason  )
    SELECT m.sku, m.version, m.delta, m.stock, m.order_id, m.updated_at, v.transaction_id,
          m.kind, m.reservation_id, m.reason    
    FROM moved m, verified v
    RETURNING sku, version, kind, delta, stock_after, order_id),
sums AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS movements, pg_catalog.sum(m.delta) AS deltas,
        pg_catalog.sum(m.version) AS versions, pg_catalog.sum(m.stock) AS stocks,
        pg_catalog.sum(pg_catalog.hashtext(m.sku)) AS skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)) AS orders,
        pg_catalog.count(*)   FILTER (WHERE m.kind = 1  )   AS lines,
        pg_catalog.sum(m.delta)   FILTER (WHERE m.kind = 1  )   AS sold,
        pg_catalog.sum(m.price)   FILTER (WHERE m.kind = 1  )   AS prices,
        pg_catalog.sum(pg_catalog.hashtext(m.sku))
              FILTER (WHERE m.kind = 1  )   AS sold_skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id))
              FILTER (WHERE m.kind = 1  )   AS sold_by
    FROM moved m)
SELECT k.sku, k.stock, k.stock - k.reserved AS available, CASE WHEN NOT k.retired THEN k.version END AS version,
    k.price, k.currency, k.paused, pg_catalog.statement_timestamp() AS created_at,
    v.ok AND CASE
        WHEN NOT v.ok THEN false
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed c)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($8::uuid[])
                AND coalesce(pg_catalog.bool_and(o.status = 0   AND o.version = 1), true)
                AND (pg_catalog.sum(pg_catalog.uuid_hash(o.id)), pg_catalog.sum(o.total))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(t.total))
                    FROM unnest($8::uuid[], $11::bigint[]) AS t (id, total))
                FROM new_orders o)
             
            AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($42::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_orders c)
             
        ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || v.transaction_id::text)::boolean
         
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($32::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_reservations c)
            AND (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(r.id)),
                    pg_catalog.sum(r.remaining))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(t.id)),
                        pg_catalog.sum(t.units))
                    FROM unnest($24::uuid[], $27::bigint[]) AS t (id, units))
                FROM new_reservations r)
        ) IS NOT TRUE THEN ('optilock.suppressed.reservations ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($35::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_holds c)
            AND (SELECT (pg_catalog.count(*), pg_catalog.sum(h.quantity), pg_catalog.sum(h.held),
                    pg_catalog.sum(pg_catalog.hashtext(h.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(h.reservation_id)), pg_catalog.sum(h.state))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.count(*), pg_catalog.sum(t.quantity), pg_catalog.sum(t.quantity),
                        pg_catalog.sum(pg_catalog.hashtext(t.sku)),
                        pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(0  ))
                    FROM unnest($28::uuid[], $29::text[], $30::bigint[]) AS t (id, sku, quantity))
                FROM new_holds h)
        ) IS NOT TRUE THEN ('optilock.suppressed.holds ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(r.id)),
                    pg_catalog.sum(pg_catalog.uuid_hash(r.order_id)),
                    pg_catalog.sum(pg_catalog.hashtext(r.skus::text)),
                    pg_catalog.sum(pg_catalog.hashtext(r.quantities::text)))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.count(*), pg_catalog.sum(pg_catalog.uuid_hash(t.id)),
                        pg_catalog.sum(pg_catalog.uuid_hash(t.order_id)),
                        pg_catalog.sum(pg_catalog.hashtext(pg_catalog.to_jsonb(t.skus::text[])::text)),
                        pg_catalog.sum(pg_catalog.hashtext(pg_catalog.to_jsonb(t.quantities::bigint[])::text)))
                    FROM unnest($50::uuid[], $51::uuid[], $52::text[], $53::text[])
                        AS t (id, order_id, skus, quantities))
                FROM new_returns r)
        ) IS NOT TRUE THEN ('optilock.suppressed.returns ' || v.transaction_id::text)::boolean
         
        WHEN (
            (SELECT (pg_catalog.count(*), - pg_catalog.sum(l.quantity), pg_catalog.sum(l.price),
                    pg_catalog.sum(pg_catalog.hashtext(l.sku)), pg_catalog.sum(pg_catalog.uuid_hash(l.order_id)))
                IS NOT DISTINCT FROM (SELECT (lines, sold, prices, sold_skus, sold_by) FROM sums)
                FROM new_lines l)
             
            AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($46::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_lines c)
             
        ) IS NOT TRUE THEN ('optilock.suppressed.order_lines ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT (pg_catalog.count(*), pg_catalog.sum(m.delta), pg_catalog.sum(m.version),
                    pg_catalog.sum(m.stock_after), pg_catalog.sum(pg_catalog.hashtext(m.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)))
                IS NOT DISTINCT FROM
                    (SELECT (movements, deltas, versions, stocks, skus, orders) FROM sums)
                FROM ledger m)
        ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || v.transaction_id::text)::boolean
        WHEN (
    (SELECT pg_catalog.count(*) = pg_catalog.cardinality($8::uuid[])
        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id)) IS NOT DISTINCT FROM
            (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_orders o)
        AND coalesce(pg_catalog.bool_and(a.transaction_id = v.transaction_id), true)
        FROM announced a)
) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || v.transaction_id::text)::boolean
        ELSE true
    END AS ok
FROM verified v LEFT JOIN locked k ON true;

-- batch::SALES_OUTBOX
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),

locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM (SELECT e.* FROM (SELECT $1::text[] AS skus OFFSET 0) a, LATERAL unnest(a.skus) AS e (sku)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL
                
            ORDER BY e.sku COLLATE "C") e,
        LATERAL (
            SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired,
                p.updated_at
            FROM optilock.products p WHERE p.sku = e.sku FOR NO KEY UPDATE) p),

target AS MATERIALIZED (
    SELECT k.sku, k.stock + e.stock AS stock, k.version + e.changes AS version, k.updated_at, k.price,
        k.stock AS stock_before, k.version AS version_before, coalesce(e.version, k.version) AS expected,
        k.reserved  AS reserved,
        
            NOT k.retired AND NOT k.paused AND k.stock - k.reserved >= e.units
            AND k.price = coalesce(e.price, k.price) AND k.currency = coalesce(e.currency, k.currency) AS ok
    FROM (SELECT $1::text[] AS skus, $2::bigint[] AS units, $3::bigint[] AS prices, $4::text[] AS currencies,
            $5::bigint[] AS versions, $6::bigint[] AS changes, $7::bigint[] AS stocks
             OFFSET 0) a,
        LATERAL unnest(a.skus, a.units, a.prices, a.currencies, a.versions, a.changes, a.stocks
            )
            AS e (sku, units, price, currency, version, changes, stock
                ),
        locked k
    WHERE k.sku = e.sku),
verified AS MATERIALIZED (
    SELECT (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(t.ok AND t.version_before = t.expected), true) FROM target t)
         AS ok,
        pg_catalog.pg_current_xact_id()::text::bigint AS transaction_id),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t, verified v
    WHERE p.sku = t.sku AND v.ok AND t.version_before = t.expected
    RETURNING p.sku, p.updated_at, t.price, t.stock_before, t.version_before,
        p.stock = t.stock AND p.reserved = t.reserved AND p.version = t.version AS stored),

new_orders AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency )
    SELECT r.id, r.customer, r.key, r.total, r.currency 
    FROM (SELECT $8::uuid[] AS ids, $9::text[] AS customers, $10::text[] AS keys, $11::bigint[] AS totals,
            $12::text[] AS currencies  OFFSET 0) a,
        LATERAL unnest(a.ids, a.customers, a.keys, a.totals, a.currencies
            )
            AS r (id, customer, key, total, currency ),
        verified v
    WHERE v.ok
    RETURNING id, status, version, total),
announced AS (
    INSERT INTO optilock.outbox (order_id, transaction_id)
    SELECT o.id, v.transaction_id FROM new_orders o, verified v
    RETURNING order_id, transaction_id),
moved AS MATERIALIZED (
    SELECT m.order_id, m.sku, m.delta, c.version_before + m.number AS version, c.stock_before + m.stock AS stock,
        c.price, c.updated_at 
    FROM (SELECT $13::uuid[] AS orders, $14::text[] AS skus, $15::bigint[] AS deltas, $16::bigint[] AS numbers,
            $17::bigint[] AS stocks
            
            OFFSET 0) a,
        LATERAL unnest(a.orders, a.skus, a.deltas, a.numbers, a.stocks
            )
            AS m (order_id, sku, delta, number, stock ),
        changed c
    WHERE c.sku = m.sku),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT m.order_id, m.sku, - m.delta, m.price FROM moved m
    
    RETURNING order_id, sku, quantity, price),
ledger AS (
    INSERT INTO optilock.movements
        (sku, version, delta, stock_after, order_id, moved_at, transaction_id, kind
            )
    SELECT m.sku, m.version, m.delta, m.stock, m.order_id, m.updated_at, v.transaction_id,
         1  ::smallint
    FROM moved m, verified v
    RETURNING sku, version, kind, delta, stock_after, order_id),
sums AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS movements, pg_catalog.sum(m.delta) AS deltas,
        pg_catalog.sum(m.version) AS versions, pg_catalog.sum(m.stock) AS stocks,
        pg_catalog.sum(pg_catalog.hashtext(m.sku)) AS skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)) AS orders,
        pg_catalog.count(*)  AS lines,
        pg_catalog.sum(m.delta)  AS sold,
        pg_catalog.sum(m.price)  AS prices,
        pg_catalog.sum(pg_catalog.hashtext(m.sku))
             AS sold_skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id))
             AS sold_by
    FROM moved m)
SELECT k.sku, k.stock, k.stock - k.reserved AS available, CASE WHEN NOT k.retired THEN k.version END AS version,
    k.price, k.currency, k.paused, pg_catalog.statement_timestamp() AS created_at,
    v.ok AND CASE
        WHEN NOT v.ok THEN false
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed c)
        ) IS NOT TRUE THEN ('optilock.suppressed.products ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT pg_catalog.count(*) = pg_catalog.cardinality($8::uuid[])
                AND coalesce(pg_catalog.bool_and(o.status = 0   AND o.version = 1), true)
                AND (pg_catalog.sum(pg_catalog.uuid_hash(o.id)), pg_catalog.sum(o.total))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(t.total))
                    FROM unnest($8::uuid[], $11::bigint[]) AS t (id, total))
                FROM new_orders o)
            
        ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || v.transaction_id::text)::boolean
        
        WHEN (
            (SELECT (pg_catalog.count(*), - pg_catalog.sum(l.quantity), pg_catalog.sum(l.price),
                    pg_catalog.sum(pg_catalog.hashtext(l.sku)), pg_catalog.sum(pg_catalog.uuid_hash(l.order_id)))
                IS NOT DISTINCT FROM (SELECT (lines, sold, prices, sold_skus, sold_by) FROM sums)
                FROM new_lines l)
            
        ) IS NOT TRUE THEN ('optilock.suppressed.order_lines ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT (pg_catalog.count(*), pg_catalog.sum(m.delta), pg_catalog.sum(m.version),
                    pg_catalog.sum(m.stock_after), pg_catalog.sum(pg_catalog.hashtext(m.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)))
                IS NOT DISTINCT FROM
                    (SELECT (movements, deltas, versions, stocks, skus, orders) FROM sums)
                FROM ledger m)
        ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || v.transaction_id::text)::boolean
        WHEN (
    (SELECT pg_catalog.count(*) = pg_catalog.cardinality($8::uuid[])
        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id)) IS NOT DISTINCT FROM
            (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_orders o)
        AND coalesce(pg_catalog.bool_and(a.transaction_id = v.transaction_id), true)
        FROM announced a)
) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || v.transaction_id::text)::boolean
        ELSE true
    END AS ok
FROM verified v LEFT JOIN locked k ON true;

-- batch::PRODUCTS
SELECT p.sku, p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused
FROM optilock.products p WHERE p.sku = ANY ($1::text[]) AND NOT p.retired;

-- batch::RESERVATIONS
SELECT r.id, r.customer, r.created_at, r.remaining, h.sku, h.quantity, h.held, h.expires_at, h.state,
    pg_catalog.statement_timestamp() AS as_of
FROM pg_catalog.unnest($1::uuid[]) AS e (id),
    LATERAL (
        SELECT r.id, r.customer, r.created_at, r.remaining
        FROM optilock.reservations r WHERE r.id = e.id LIMIT 1) r,
    LATERAL (
        SELECT h.sku, h.quantity, h.held, h.expires_at, h.state
        FROM optilock.holds h WHERE h.reservation_id = r.id ORDER BY h.sku) h
ORDER BY r.id, h.sku;

-- batch::TAKEN
SELECT e.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS e (id, customer, key),
    LATERAL (
        SELECT FROM optilock.orders o WHERE o.id = e.id
        UNION ALL
        SELECT FROM optilock.orders o
        WHERE o.idempotency_key = e.key AND coalesce(o.customer, '') = coalesce(e.customer, '')
        LIMIT 1) o
UNION ALL
SELECT e.id FROM unnest($4::uuid[], $5::text[], $6::text[]) AS e (id, customer, key),
    LATERAL (
        SELECT FROM optilock.reservations r WHERE r.id = e.id
        UNION ALL
        SELECT FROM optilock.reservations r
        WHERE r.idempotency_key = e.key AND coalesce(r.customer, '') = coalesce(e.customer, '')
        LIMIT 1) r
UNION ALL
SELECT e.id FROM pg_catalog.unnest($7::uuid[]) AS e (id),
    LATERAL (SELECT FROM optilock.returns r WHERE r.id = e.id LIMIT 1) r;

-- batch::AVAILABLE
SELECT p.sku, p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused,
    CASE WHEN p.stock - p.reserved >= w.units THEN 0::bigint ELSE (
        SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
            SELECT h.held FROM optilock.holds h
            WHERE h.sku = p.sku AND h.state = 0   AND h.expires_at <= pg_catalog.statement_timestamp()
            ORDER BY h.expires_at LIMIT w.units) e)
        END AS expired
FROM unnest($1::text[], $2::bigint[]) AS w (sku, units) JOIN optilock.products p ON p.sku = w.sku
WHERE p.sku = ANY ($1::text[]) AND NOT p.retired;

-- batch::LOCK
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
locked_orders AS MATERIALIZED (
    SELECT o.id
    FROM (SELECT e.id FROM pg_catalog.unnest($2::uuid[]) AS e (id)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL ORDER BY e.id) e,
        LATERAL (SELECT o.id FROM optilock.orders o WHERE o.id = e.id FOR NO KEY UPDATE) o),
locked_reservations AS MATERIALIZED (
    SELECT r.id
    FROM (SELECT e.id FROM pg_catalog.unnest($3::uuid[]) AS e (id)
            WHERE (SELECT pg_catalog.count(*) FROM locked_orders) >= 0 ORDER BY e.id) e,
        LATERAL (SELECT r.id FROM optilock.reservations r WHERE r.id = e.id FOR NO KEY UPDATE) r),
named AS MATERIALIZED (
    SELECT e.sku FROM pg_catalog.unnest($1::text[]) AS e (sku)
    UNION
    SELECT l.sku FROM locked_orders o,
        LATERAL (SELECT l.sku FROM optilock.order_lines l WHERE l.order_id = o.id ORDER BY l.sku) l
    UNION
    SELECT h.sku FROM locked_reservations r,
        LATERAL (SELECT h.sku FROM optilock.holds h WHERE h.reservation_id = r.id ORDER BY h.sku) h)
SELECT p.sku, p.stock - p.reserved AS available, CASE WHEN NOT p.retired THEN p.version END AS version,
    p.price, p.currency, p.paused
FROM (SELECT n.sku FROM named n ORDER BY n.sku COLLATE "C") n,
    LATERAL (
        SELECT p.sku, p.stock, p.reserved, p.version, p.retired, p.price, p.currency, p.paused
        FROM optilock.products p WHERE p.sku = n.sku FOR NO KEY UPDATE) p;

-- batch::PAYMENTS
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
requested AS MATERIALIZED (
    SELECT r.id, r.version, r.status
    FROM unnest($1::uuid[], $2::bigint[], $3::smallint[]) AS r (id, version, status), lock_limit l
    WHERE l.within IS NOT NULL ORDER BY r.id),
locked AS MATERIALIZED (
    SELECT o.id, o.version, o.status, r.version AS expected, r.status AS changed
    FROM requested r, LATERAL (
        SELECT o.id, o.version, o.status FROM optilock.orders o WHERE o.id = r.id
        FOR NO KEY UPDATE SKIP LOCKED) o),
target AS MATERIALIZED (
    SELECT k.id, k.version + 1 AS version, k.changed AS status
    FROM locked k
    WHERE k.version = k.expected
        AND (k.status = 0   OR k.status = 1   AND k.changed = 2  )),
marked AS (
    UPDATE optilock.orders o SET status = t.status, version = t.version
    FROM target t WHERE o.id = t.id
    RETURNING o.id, o.status, o.version)
SELECT ARRAY(SELECT id FROM marked) AS marked,
    CASE
        WHEN (
            (SELECT pg_catalog.count(*)
                FROM (
                    SELECT id, status, version FROM marked
                    INTERSECT SELECT id, status, version FROM target
                ) stored
            ) = (SELECT pg_catalog.count(*) FROM target)
        ) IS NOT TRUE
            THEN ('optilock.suppressed.orders ' || (SELECT pg_catalog.count(*) FROM target)::text)::boolean
        ELSE true
    END AS stored;
