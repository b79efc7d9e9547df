-- Writes the requests of a batch if the rows still are as the plan assumes: checkouts, reservations, changes
-- of reservations, cancellations and returns. An order or a reservation whose id or key exists fails the
-- whole batch.
--
-- $1 SKUs, sorted, $2 the units that must be available, $3 prices or nulls, $4 currencies or nulls,
-- $5 expected versions or nulls, $6 numbers of changes, $7 changes of the stock;
-- new orders, in the order in which two processes with the same requests insert them, $8 ids, $9 customers,
-- $10 idempotency keys, $11 totals, $12 currencies;
-- movements in the order of arrival $13 orders, $14 SKUs, $15 changes of the stock, $16 numbers of the change
-- of the product, from 1, $17 changes of the stock up to and including this one.
--
-- The part `mixed`, without which it writes checkouts only: of the products $18 changes of the reserved units,
-- $19 what must hold: 0 nothing, 1 not retired, 2 neither retired nor paused; of the new orders
-- $20 reservations or nulls; of the movements $21 reservations or nulls, $22 kinds, $23 reasons or nulls;
-- new reservations $24 ids, $25 customers, $26 idempotency keys, $27 units; their holds $28 reservations,
-- $29 SKUs, $30 quantities, $31 durations in microseconds; changed reservations $32 ids, $33 remaining units
-- before, $34 and after; changed holds $35 reservations, $36 SKUs, $37 held units before, $38 states before,
-- $39 extensions from now in microseconds, or 0, $40 held units after, $41 states after; changed orders
-- $42 ids, $43 versions before, $44 states after, $45 reasons or nulls; returned lines $46 orders, $47 SKUs,
-- $48 units, $49 units that were returned before; return requests $50 ids, $51 orders, $52 arrays of SKUs and
-- $53 of quantities as texts, $54 reasons; $55 the expiries of the changed holds, in microseconds since 1970.
--
-- Slots of the variants that also write the outbox: `outbox`, `outbox stored`.
--
-- Returns one row per product with its facts under the lock, before the batch, or one row without a product.
-- `ok` tells whether the batch was written.
--
-- Each wait for a lock ends after half a second: a transaction that holds one product for long must not
-- delay the requests for other products. Versions and stock on hand are offsets from the locked row, which the
-- plan computes: window functions and DISTINCT took a fifth of the statement. The arrays pass through
-- subqueries that the planner does not flatten, so that it estimates the same for every array and keeps one
-- plan: to plan again takes 0.4 ms for each batch. The stored rows are compared by counts, sums and hashes:
-- a join per row costs a fifth of the batch, and may become a nested loop, as the planner estimates ten rows
-- where there are two hundred.
WITH lock_limit AS MATERIALIZED (SELECT pg_catalog.set_config('lock_timeout', '500ms', true) AS within),
/* mixed { */
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
/* } */
locked AS MATERIALIZED (
    SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
    FROM (SELECT e.* FROM (SELECT $1::text[] AS skus OFFSET 0) a, LATERAL unnest(a.skus) AS e (sku)
            WHERE (SELECT within FROM lock_limit) IS NOT NULL
                /* mixed { */ AND 0 <= (SELECT pg_catalog.count(*) FROM reservations_before) /* } */
            ORDER BY e.sku COLLATE "C") e,
        LATERAL (
            SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired,
                p.updated_at
            FROM optilock.products p WHERE p.sku = e.sku FOR NO KEY UPDATE) p),
/* mixed { */
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
/* } */
target AS MATERIALIZED (
    SELECT k.sku, k.stock + e.stock AS stock, k.version + e.changes AS version, k.updated_at, k.price,
        k.stock AS stock_before, k.version AS version_before, coalesce(e.version, k.version) AS expected,
        k.reserved /* mixed { */ + e.reserved /* } */ AS reserved,
        /* mixed { */ (e.condition < 1 OR NOT k.retired) AND (e.condition < 2 OR NOT k.paused) AND /* } */
            /* sellable: by condition */ k.stock - k.reserved >= e.units
            AND k.price = coalesce(e.price, k.price) AND k.currency = coalesce(e.currency, k.currency) AS ok
    FROM (SELECT $1::text[] AS skus, $2::bigint[] AS units, $3::bigint[] AS prices, $4::text[] AS currencies,
            $5::bigint[] AS versions, $6::bigint[] AS changes, $7::bigint[] AS stocks
            /* mixed { */ , $18::bigint[] AS reserved, $19::smallint[] AS conditions /* } */ OFFSET 0) a,
        LATERAL unnest(a.skus, a.units, a.prices, a.currencies, a.versions, a.changes, a.stocks
            /* mixed { */ , a.reserved, a.conditions /* } */)
            AS e (sku, units, price, currency, version, changes, stock
                /* mixed { */ , reserved, condition /* } */),
        locked k
    WHERE k.sku = e.sku),
verified AS MATERIALIZED (
    SELECT (SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
                AND coalesce(pg_catalog.bool_and(t.ok AND t.version_before = t.expected), true) FROM target t)
        /* mixed { */
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
        /* } */ AS ok,
        pg_catalog.pg_current_xact_id()::text::bigint AS transaction_id),
changed AS (
    UPDATE optilock.products p
    SET stock = t.stock, reserved = t.reserved, version = t.version,
        updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
    FROM target t, verified v
    WHERE p.sku = t.sku AND v.ok AND t.version_before = t.expected
    RETURNING p.sku, p.updated_at, t.price, t.stock_before, t.version_before,
        p.stock = t.stock AND p.reserved = t.reserved AND p.version = t.version AS stored),
/* mixed { */
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
/* } */
new_orders AS (
    INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency /* mixed { */ , reservation_id /* } */)
    SELECT r.id, r.customer, r.key, r.total, r.currency /* mixed { */ , r.reservation_id /* } */
    FROM (SELECT $8::uuid[] AS ids, $9::text[] AS customers, $10::text[] AS keys, $11::bigint[] AS totals,
            $12::text[] AS currencies /* mixed { */ , $20::uuid[] AS reservations /* } */ OFFSET 0) a,
        LATERAL unnest(a.ids, a.customers, a.keys, a.totals, a.currencies
            /* mixed { */ , a.reservations /* } */)
            AS r (id, customer, key, total, currency /* mixed { */ , reservation_id /* } */),
        verified v
    WHERE v.ok
    RETURNING id, status, version, total),
/* outbox: none */
moved AS MATERIALIZED (
    SELECT m.order_id, m.sku, m.delta, c.version_before + m.number AS version, c.stock_before + m.stock AS stock,
        c.price, c.updated_at /* mixed { */ , m.reservation_id, m.kind, m.reason /* } */
    FROM (SELECT $13::uuid[] AS orders, $14::text[] AS skus, $15::bigint[] AS deltas, $16::bigint[] AS numbers,
            $17::bigint[] AS stocks
            /* mixed { */ , $21::uuid[] AS reservations, $22::smallint[] AS kinds, $23::text[] AS reasons /* } */
            OFFSET 0) a,
        LATERAL unnest(a.orders, a.skus, a.deltas, a.numbers, a.stocks
            /* mixed { */ , a.reservations, a.kinds, a.reasons /* } */)
            AS m (order_id, sku, delta, number, stock /* mixed { */ , reservation_id, kind, reason /* } */),
        changed c
    WHERE c.sku = m.sku),
new_lines AS (
    INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
    SELECT m.order_id, m.sku, - m.delta, m.price FROM moved m
    /* mixed { */ WHERE m.kind = 1 /* sale */ /* } */
    RETURNING order_id, sku, quantity, price),
ledger AS (
    INSERT INTO optilock.movements
        (sku, version, delta, stock_after, order_id, moved_at, transaction_id, kind
            /* mixed { */ , reservation_id, reason /* } */)
    SELECT m.sku, m.version, m.delta, m.stock, m.order_id, m.updated_at, v.transaction_id,
        /* mixed { */ m.kind, m.reservation_id, m.reason /* } */ /* kind: of the movement */
    FROM moved m, verified v
    RETURNING sku, version, kind, delta, stock_after, order_id),
sums AS MATERIALIZED (
    SELECT pg_catalog.count(*) AS movements, pg_catalog.sum(m.delta) AS deltas,
        pg_catalog.sum(m.version) AS versions, pg_catalog.sum(m.stock) AS stocks,
        pg_catalog.sum(pg_catalog.hashtext(m.sku)) AS skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)) AS orders,
        pg_catalog.count(*) /* mixed { */ FILTER (WHERE m.kind = 1 /* sale */) /* } */ AS lines,
        pg_catalog.sum(m.delta) /* mixed { */ FILTER (WHERE m.kind = 1 /* sale */) /* } */ AS sold,
        pg_catalog.sum(m.price) /* mixed { */ FILTER (WHERE m.kind = 1 /* sale */) /* } */ AS prices,
        pg_catalog.sum(pg_catalog.hashtext(m.sku))
            /* mixed { */ FILTER (WHERE m.kind = 1 /* sale */) /* } */ AS sold_skus,
        pg_catalog.sum(pg_catalog.uuid_hash(m.order_id))
            /* mixed { */ FILTER (WHERE m.kind = 1 /* sale */) /* } */ AS sold_by
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
                AND coalesce(pg_catalog.bool_and(o.status = 0 /* pending-payment */ AND o.version = 1), true)
                AND (pg_catalog.sum(pg_catalog.uuid_hash(o.id)), pg_catalog.sum(o.total))
                IS NOT DISTINCT FROM
                    (SELECT (pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(t.total))
                    FROM unnest($8::uuid[], $11::bigint[]) AS t (id, total))
                FROM new_orders o)
            /* mixed { */
            AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($42::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_orders c)
            /* } */
        ) IS NOT TRUE THEN ('optilock.suppressed.orders ' || v.transaction_id::text)::boolean
        /* mixed { */
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
                        pg_catalog.sum(pg_catalog.uuid_hash(t.id)), pg_catalog.sum(0 /* held */))
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
        /* } */
        WHEN (
            (SELECT (pg_catalog.count(*), - pg_catalog.sum(l.quantity), pg_catalog.sum(l.price),
                    pg_catalog.sum(pg_catalog.hashtext(l.sku)), pg_catalog.sum(pg_catalog.uuid_hash(l.order_id)))
                IS NOT DISTINCT FROM (SELECT (lines, sold, prices, sold_skus, sold_by) FROM sums)
                FROM new_lines l)
            /* mixed { */
            AND (SELECT pg_catalog.count(*) = pg_catalog.cardinality($46::uuid[])
                AND coalesce(pg_catalog.bool_and(c.stored), true) FROM changed_lines c)
            /* } */
        ) IS NOT TRUE THEN ('optilock.suppressed.order_lines ' || v.transaction_id::text)::boolean
        WHEN (
            (SELECT (pg_catalog.count(*), pg_catalog.sum(m.delta), pg_catalog.sum(m.version),
                    pg_catalog.sum(m.stock_after), pg_catalog.sum(pg_catalog.hashtext(m.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)))
                IS NOT DISTINCT FROM
                    (SELECT (movements, deltas, versions, stocks, skus, orders) FROM sums)
                FROM ledger m)
        ) IS NOT TRUE THEN ('optilock.suppressed.movements ' || v.transaction_id::text)::boolean
        /* outbox stored: not asked */
        ELSE true
    END AS ok
FROM verified v LEFT JOIN locked k ON true;
