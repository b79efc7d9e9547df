//! Every statement of the inventory.
//!
//! Two forms are sound when others write the same row: a guard in the `UPDATE`'s own `WHERE` with
//! relative values ([`SELL_ONE`]); and a materialized CTE that locks, every decision taken from it,
//! and an `UPDATE` that joins by key alone and sets what was decided (all others). A guard on the
//! target row behind a locking CTE would see the old snapshot.

/// A batch waits for locks for half a second at most: a transaction that holds one product for long must
/// not hold up who wants another. For the statement alone, or the transaction that it is in.
macro_rules! locks_within {
    () => {
        "set_config('lock_timeout', '500ms', true)"
    };
}
pub(super) use locks_within;

macro_rules! product {
    () => {
        "p.sku, p.name, p.price, p.currency, p.stock, p.reserved, p.version, p.revision, p.retired,
            p.created_at, p.updated_at"
    };
}

/// `$1` skus.
pub(super) const PRODUCTS_OF: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku = ANY($1) AND NOT p.retired ORDER BY p.sku"
);

/// `$1` after, `$2` limit.
pub(super) const PRODUCTS: &str = concat!(
    "SELECT ",
    product!(),
    " FROM optilock.products p WHERE p.sku > $1 AND NOT p.retired ORDER BY p.sku LIMIT $2"
);

/// The product that the change with this token made. `$1` token.
pub(super) const CHANGED_BY: &str = concat!(
    "SELECT ",
    product!(),
    ", m.delta, m.kind FROM optilock.movements m JOIN optilock.products p ON p.sku = m.sku WHERE m.token = $1"
);

/// `$1` sku, `$2` name, `$3` price, `$4` currency, `$5` stock, `$6` token. One row when it was added
/// or a retired one taken up, or when reservations hold more than `$5`; `held` tells.
pub(super) const ADD: &str = concat!(
    "WITH k AS MATERIALIZED (
        SELECT sku, stock, reserved, version, revision FROM optilock.products
        WHERE sku = $1 AND retired FOR NO KEY UPDATE),
    i AS (
        INSERT INTO optilock.products AS p (sku, name, price, currency, stock)
        SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT FROM k)
        ON CONFLICT DO NOTHING RETURNING ",
    product!(),
    ", p.stock AS delta),
    u AS (
        UPDATE optilock.products p
        SET name = $2, price = $3, currency = $4, stock = $5, reserved = k.reserved, retired = false,
            version = k.version + 1, revision = k.revision + 1, updated_at = statement_timestamp()
        FROM k WHERE p.sku = k.sku AND k.reserved <= $5 RETURNING ",
    product!(),
    ", p.stock - k.stock AS delta),
    w AS (SELECT * FROM i UNION ALL SELECT * FROM u),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token)
        SELECT sku, version, 8, delta, stock, $6 FROM w)
    SELECT w.*, k.reserved AS held FROM w FULL JOIN k ON k.sku = w.sku"
);

/// A change of a product without an order. `$1` sku, `$2` version, `$3` kind, `$4` stock after, `$5`
/// delta, `$6` token, `$7` reason?
pub(super) const RECORD: &str =
    "INSERT INTO optilock.movements (sku, version, kind, stock_after, delta, token, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// A relative change of a stock. `$1` sku, `$2` token, `$3` reason, `$4` delta, `$5` the largest
/// stock. Answers with the locked row's facts, and with the product as it is now if it fitted; no row
/// when it is not sold.
pub(super) const ADJUST: &str = concat!(
    "WITH k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = $1 AND NOT retired FOR NO KEY UPDATE),
    u AS (
        UPDATE optilock.products p
        SET stock = k.stock + $4, reserved = k.reserved, version = k.version + 1,
            updated_at = statement_timestamp()
        FROM k WHERE p.sku = k.sku AND k.stock + $4 >= k.reserved AND k.stock + $4 <= $5
            AND NOT EXISTS (SELECT FROM optilock.movements WHERE token = $2)
        RETURNING ",
    product!(),
    "),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, token, reason)
        SELECT sku, version, 3, $4, stock, $2, $3 FROM u)
    SELECT u.*, k.stock AS old_stock, k.reserved AS old_reserved FROM k LEFT JOIN u ON u.sku = k.sku"
);

/// A checkout of one line, in one round trip. `$1` sku, `$2` quantity, `$3` version?, `$4` price?,
/// `$5` currency?, `$6` the highest price whose total fits, `$7` order, `$8` customer?, `$9` key?. No
/// row: refused, ask [`FACTS`] why.
#[doc(hidden)] // for the benches, which give it to pgbench
pub const SELL_ONE: &str = "WITH u AS (
        UPDATE optilock.products p
        SET stock = p.stock - $2, version = p.version + 1, updated_at = statement_timestamp()
        WHERE p.sku = $1 AND NOT p.retired AND p.stock - p.reserved >= $2
            AND p.version = coalesce($3, p.version) AND p.price = coalesce($4, p.price)
            AND p.currency = coalesce($5, p.currency) AND p.price <= $6
        RETURNING p.sku, p.version, p.stock, p.reserved, p.price, p.currency),
    i AS (
        INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency)
        SELECT $7, $8, $9, $2 * u.price, u.currency FROM u RETURNING id),
    l AS (
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
        SELECT i.id, u.sku, $2, u.price FROM i, u),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
        SELECT u.sku, u.version, 1, -$2, u.stock, i.id FROM i, u)
    SELECT u.price, u.currency, u.version AS new_version, u.stock AS new_stock, u.reserved AS new_reserved,
        statement_timestamp() AS created_at FROM u";

/// Units of a product in holds that have run out and were not lapsed yet.
macro_rules! expired {
    ($sku:literal, $but:literal) => {
        concat!(
            "(SELECT coalesce(sum(e.held), 0)::bigint FROM optilock.holds e
                WHERE e.sku = ",
            $sku,
            " AND e.state = 0 AND e.expires_at <= statement_timestamp()",
            $but,
            ")"
        )
    };
}

/// A checkout of many lines, merged and sorted. `$1` skus, `$2` quantities, `$3` versions?, `$4`
/// prices?, `$5` currencies?, `$6` order, `$7` customer?, `$8` key?. One row per line with its facts
/// under the lock; `wrote` tells whether the order was made. All lines well and not written: the order
/// is there already. The division fails the statement when the rows updated are not the rows asked.
macro_rules! sell_many {
    (
        holds: $holds:literal, join: $join:literal, held: $held:literal, consume: $consume:literal,
        reservation: $reservation:literal, open: $open:literal
    ) => {
        concat!(
            "WITH r AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])
            AS r (sku, quantity, version, price, currency)),
    k AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency FROM optilock.products p
        WHERE p.sku = ANY($1) AND NOT p.retired ORDER BY p.sku FOR NO KEY UPDATE),",
            $holds,
            "
    f AS MATERIALIZED (
        SELECT r.sku, r.quantity, k.stock, k.reserved, k.version, k.price, k.currency, ",
            $held,
            " AS held, (k.stock - k.reserved + ",
            $held,
            " >= r.quantity AND k.version = coalesce(r.version, k.version)
                AND k.price = coalesce(r.price, k.price)
                AND k.currency = coalesce(r.currency, k.currency)) IS TRUE AS ok
        FROM r LEFT JOIN k ON k.sku = r.sku",
            $join,
            "),
    t AS MATERIALIZED (
        SELECT sum(quantity::numeric * price) AS total, min(currency) AS currency,
            (bool_and(ok) AND count(DISTINCT currency) = 1
                AND sum(quantity::numeric * price) <= 9223372036854775807",
            $open,
            ") AS ok
        FROM f),
    i AS (
        INSERT INTO optilock.orders (id, customer, idempotency_key, reservation_id, total, currency)
        SELECT $6, $7, $8, ",
            $reservation,
            ", t.total, t.currency FROM t WHERE t.ok ON CONFLICT DO NOTHING RETURNING id),
    u AS (
        UPDATE optilock.products p
        SET stock = f.stock - f.quantity, reserved = f.reserved - least(f.held, f.quantity),
            version = f.version + 1, updated_at = statement_timestamp()
        FROM i, f WHERE p.sku = f.sku AND p.sku = ANY($1)
        RETURNING p.sku, p.version, p.stock, f.quantity),",
            $consume,
            "
    l AS (
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
        SELECT i.id, f.sku, f.quantity, f.price FROM i, f),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, reservation_id)
        SELECT u.sku, u.version, 1, -u.quantity, u.stock, i.id, ",
            $reservation,
            " FROM i, u)
    SELECT f.sku, f.stock - f.reserved + f.held AS available, f.version, f.price, f.currency,
        f.version + 1 AS new_version, f.stock - f.quantity AS new_stock,
        f.reserved - least(f.held, f.quantity) AS new_reserved, statement_timestamp() AS created_at, CASE WHEN EXISTS (SELECT FROM i)
        THEN (1 / ((SELECT count(*) FROM u) = cardinality($1))::int)::bool ELSE false END AS wrote
    FROM f ORDER BY f.sku COLLATE \"C\""
        )
    };
}

pub(super) const SELL_MANY: &str = sell_many! {
    holds: "", join: "", held: "0::bigint", consume: "", reservation: "NULL::uuid", open: ""
};

/// The same from a reservation. All of its holds are locked, after the products: of two checkouts from
/// it the second must see what the first used up. `$9` reservation.
pub(super) const SELL_HELD: &str = sell_many! {
    holds: "
    a AS MATERIALIZED (
        SELECT sku, held, state FROM optilock.holds
        WHERE reservation_id = $9 AND (SELECT count(*) FROM k) >= 0 ORDER BY sku FOR NO KEY UPDATE),
    h AS MATERIALIZED (SELECT sku, held FROM a WHERE state = 0),",
    join: " LEFT JOIN h ON h.sku = r.sku",
    held: "coalesce(h.held, 0)",
    consume: "
    c AS (
        UPDATE optilock.holds o
        SET held = f.held - least(f.held, f.quantity), state = (f.held <= f.quantity)::int
        FROM i, f WHERE f.held > 0 AND o.reservation_id = $9 AND o.sku = f.sku),",
    reservation: "$9",
    open: " AND EXISTS (SELECT FROM a WHERE state IN (0, 3))"
};

/// Holds units. `$1` skus, `$2` quantities, `$3` reservation, `$4` customer?, `$5` key?, `$6` duration in
/// microseconds. One row per line with its facts; `wrote` as in [`SELL_MANY`].
pub(super) const RESERVE: &str = concat!(
    "WITH k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = ANY($1) AND NOT retired ORDER BY sku FOR NO KEY UPDATE),
    f AS MATERIALIZED (
        SELECT r.sku, r.quantity, k.stock, k.reserved, k.version,
            (k.stock - k.reserved >= r.quantity) IS TRUE AS ok
        FROM unnest($1::text[], $2::bigint[]) AS r (sku, quantity) LEFT JOIN k ON k.sku = r.sku),
    i AS (
        INSERT INTO optilock.reservations (id, customer, idempotency_key)
        SELECT $3, $4, $5 WHERE (SELECT bool_and(ok) FROM f) ON CONFLICT DO NOTHING RETURNING id),
    h AS (
        INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
        SELECT i.id, f.sku, f.quantity, f.quantity, statement_timestamp() + $6 * interval '1 microsecond'
        FROM i, f),
    u AS (
        UPDATE optilock.products p
        SET stock = f.stock, reserved = f.reserved + f.quantity, version = f.version + 1,
            updated_at = statement_timestamp()
        FROM i, f WHERE p.sku = f.sku RETURNING p.sku, p.version, p.stock),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id)
        SELECT u.sku, u.version, 4, 0, u.stock, i.id FROM i, u)
    SELECT f.sku, f.quantity, f.stock - f.reserved AS available, CASE WHEN f.ok THEN 0 ELSE ",
    expired!("f.sku", ""),
    " END AS expired, CASE WHEN EXISTS (SELECT FROM i)
        THEN (1 / ((SELECT count(*) FROM u) = cardinality($1))::int)::bool ELSE false END AS wrote
    FROM f ORDER BY f.sku COLLATE \"C\""
);

macro_rules! reservation {
    () => {
        "SELECT r.id, r.customer, r.created_at, h.sku, h.quantity, h.held, h.expires_at,
            CASE WHEN h.state = 0 AND h.expires_at <= statement_timestamp() THEN 3 ELSE h.state END::smallint AS state
        FROM optilock.reservations r JOIN optilock.holds h ON h.reservation_id = r.id "
    };
}

/// A reservation, one row per hold. `$1` reservation.
pub(super) const RESERVATION: &str = concat!(reservation!(), "WHERE r.id = $1 ORDER BY h.sku");

/// The reservation that a request may have made before, by its id or, failing that, by its key. `$1`
/// reservation, `$2` customer?, `$3` key?.
pub(super) const RESERVATION_KNOWN: &str = concat!(
    reservation!(),
    "WHERE r.id = (SELECT id FROM optilock.reservations WHERE id = $1
        UNION ALL SELECT id FROM optilock.reservations
            WHERE idempotency_key = $3 AND coalesce(customer, '') = coalesce($2, '') LIMIT 1)
    ORDER BY h.sku"
);

/// `$1` reservation, `$2` microseconds. Who extends locks no product, and so locks its holds in order.
pub(super) const EXTEND: &str = "WITH h AS MATERIALIZED (
        SELECT sku, expires_at FROM optilock.holds WHERE reservation_id = $1 AND state = 0
            AND expires_at > statement_timestamp() ORDER BY sku FOR NO KEY UPDATE)
    UPDATE optilock.holds o
    SET expires_at = greatest(h.expires_at, statement_timestamp() + $2 * interval '1 microsecond')
    FROM h WHERE o.reservation_id = $1 AND o.sku = h.sku";

/// Ends holds and gives their units back: products by SKU, then holds by SKU. `$skus` are those of the
/// products, `$holds` is asked of each hold under its lock.
macro_rules! end_holds {
    (skus: $skus:literal, holds: $holds:literal, state: $state:literal, kind: $kind:literal, reservation: $reservation:literal) => {
        concat!(
            "WITH k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = ANY (",
            $skus,
            ") ORDER BY sku FOR NO KEY UPDATE),
    h AS MATERIALIZED (
        SELECT reservation_id, sku, held FROM optilock.holds
        WHERE sku = ANY (ARRAY(SELECT sku FROM k)) AND state = 0 AND ",
            $holds,
            " ORDER BY sku, reservation_id FOR NO KEY UPDATE),
    s AS MATERIALIZED (
        SELECT k.*, n.units FROM k JOIN (SELECT sku, sum(held) AS units FROM h GROUP BY sku) n ON n.sku = k.sku),
    e AS (
        UPDATE optilock.holds o SET state = ",
            $state,
            " FROM h WHERE o.reservation_id = h.reservation_id AND o.sku = h.sku),
    u AS (
        UPDATE optilock.products p
        SET stock = s.stock, reserved = s.reserved - s.units, version = s.version + 1,
            updated_at = statement_timestamp()
        FROM s WHERE p.sku = s.sku),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id)
        SELECT sku, version + 1, ",
            $kind,
            ", 0, stock, ",
            $reservation,
            " FROM s)
    SELECT (SELECT count(*) FROM h) AS holds, (SELECT coalesce(sum(units), 0)::bigint FROM s) AS units"
        )
    };
}

/// `$1` reservation.
pub(super) const RELEASE: &str = end_holds! {
    skus: "ARRAY(SELECT sku FROM optilock.holds WHERE reservation_id = $1 AND state = 0)",
    holds: "reservation_id = $1",
    state: "2",
    kind: "10",
    reservation: "$1"
};

/// Lapses what has run out of these products. `$1` skus.
pub(super) const LAPSE: &str = end_holds! {
    skus: "$1",
    holds: "expires_at <= statement_timestamp()",
    state: "3",
    kind: "5",
    reservation: "NULL"
};

/// Lapses what has run out, of the products of one batch of holds. `$1` batch.
pub(super) const LAPSE_DUE: &str = end_holds! {
    skus: "ARRAY(SELECT DISTINCT sku FROM (
            SELECT sku FROM optilock.holds WHERE state = 0 AND expires_at <= statement_timestamp()
            ORDER BY expires_at LIMIT $1) due)",
    holds: "expires_at <= statement_timestamp()",
    state: "3",
    kind: "5",
    reservation: "NULL"
};

/// An order by its id or, failing that, by its key. `$1` order, `$2` customer?, `$3` key?.
macro_rules! known {
    ($order:literal, $customer:literal, $key:literal) => {
        concat!(
            "(SELECT id FROM optilock.orders WHERE id = ",
            $order,
            " UNION ALL SELECT id FROM optilock.orders WHERE idempotency_key = ",
            $key,
            " AND coalesce(customer, '') = coalesce(",
            $customer,
            ", '') LIMIT 1)"
        )
    };
}

/// The facts of these products, one row each in byte order, and whether the order is there by its id,
/// all of one moment. `$1` skus, `$2` order. For who reads first: planning it takes half as long as
/// [`FACTS`].
pub(super) const GLANCE: &str =
    "SELECT p.stock - p.reserved AS available, p.version, p.price, p.currency,
        EXISTS (SELECT FROM optilock.orders WHERE id = $2) AS taken
    FROM unnest($1::text[]) AS r (sku)
    LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
    ORDER BY r.sku COLLATE \"C\"";

/// The same with what has run out, and whether the order is there by its key. `$1` skus, `$2`
/// customer?, `$3` key?, `$4` order.
pub(super) const FACTS: &str = concat!(
    "SELECT p.stock - p.reserved AS available, ",
    expired!("r.sku", ""),
    " AS expired, p.version, p.price, p.currency, EXISTS ",
    known!("$4", "$2", "$3"),
    " AS taken
    FROM unnest($1::text[]) AS r (sku)
    LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
    ORDER BY r.sku COLLATE \"C\""
);

/// What has run out of these products, one row each in byte order. `$1` skus, `$2` a reservation not to
/// be counted?.
pub(super) const EXPIRED: &str = concat!(
    "SELECT ",
    expired!("r.sku", " AND e.reservation_id IS DISTINCT FROM $2"),
    " AS expired FROM unnest($1::text[]) AS r (sku) ORDER BY r.sku COLLATE \"C\""
);

/// Locks these products in byte order. `$1` skus.
pub(super) const LOCK: &str = "SELECT p.sku, p.stock - p.reserved AS available, p.version, p.price, p.currency
    FROM optilock.products p WHERE p.sku = ANY($1) AND NOT p.retired ORDER BY p.sku FOR NO KEY UPDATE";

macro_rules! order {
    () => {
        "SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
            l.sku, l.quantity, l.price, l.returned
        FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id "
    };
}

/// An order, one row per line. `$1` order.
pub(super) const ORDER: &str = concat!(order!(), "WHERE o.id = $1 ORDER BY l.sku");

/// Those of these orders that there are. `$1` orders.
pub(super) const ORDERS_OF: &str = concat!(order!(), "WHERE o.id = ANY ($1) ORDER BY o.id, l.sku");

/// The order that a checkout may have made before. `$1` order, `$2` customer?, `$3` key?.
pub(super) const KNOWN: &str = concat!(
    order!(),
    "WHERE o.id = ",
    known!("$1", "$2", "$3"),
    " ORDER BY l.sku"
);

/// A page of orders, one row per line. `$1` after?, `$2` customer?, `$3` statuses, `$4` limit.
pub(super) const ORDERS: &str = concat!(
    order!(),
    "WHERE o.id = ANY (ARRAY(
        SELECT id FROM optilock.orders
        WHERE id > coalesce($1, '00000000-0000-0000-0000-000000000000') AND status = ANY ($3)
            AND ($2::text IS NULL OR customer = $2)
        ORDER BY id LIMIT $4))
    ORDER BY o.id, l.sku"
);

/// `$1` order.
pub(super) const PAY: &str = "UPDATE optilock.orders SET status = 2, version = version + 1
    WHERE id = $1 AND status IN (0, 1)";

/// `$1` order.
pub(super) const FAIL: &str = "UPDATE optilock.orders SET status = 1, version = version + 1
    WHERE id = $1 AND status = 0";

/// Takes the stock of a cancelled order again. `$1` order. One row per line with what could be had;
/// none when it is not cancelled.
pub(super) const REVIVE: &str = "WITH x AS MATERIALIZED (
        SELECT id FROM optilock.orders WHERE id = $1 AND status = 3 FOR NO KEY UPDATE),
    b AS MATERIALIZED (
        SELECT sku, quantity FROM optilock.order_lines WHERE order_id = ANY (ARRAY(SELECT id FROM x))),
    k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = ANY (ARRAY(SELECT sku FROM b)) AND NOT retired ORDER BY sku FOR NO KEY UPDATE),
    f AS MATERIALIZED (
        SELECT b.sku, b.quantity, k.stock, k.reserved, k.version,
            (k.stock - k.reserved >= b.quantity) IS TRUE AS ok
        FROM b LEFT JOIN k ON k.sku = b.sku),
    c AS (
        UPDATE optilock.orders
        SET status = 0, version = version + 1, reason = NULL, pending_since = statement_timestamp()
        WHERE id = ANY (ARRAY(SELECT id FROM x)) AND (SELECT bool_and(ok) FROM f) RETURNING id),
    u AS (
        UPDATE optilock.products p
        SET stock = f.stock - f.quantity, reserved = f.reserved, version = f.version + 1,
            updated_at = statement_timestamp()
        FROM c, f WHERE p.sku = f.sku
        RETURNING p.sku, p.version, p.stock, f.quantity),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
        SELECT u.sku, u.version, 12, -u.quantity, u.stock, c.id FROM c, u)
    SELECT f.sku, f.quantity, coalesce(f.stock - f.reserved, 0) AS available, CASE WHEN EXISTS (SELECT FROM c)
        THEN (1 / ((SELECT count(*) FROM u) = (SELECT count(*) FROM f))::int)::bool ELSE false END AS wrote
    FROM f ORDER BY f.sku COLLATE \"C\"";

/// Takes units of a paid order back. `$1` order, `$2` skus, `$3` quantities, `$4` return, `$5` reason.
/// One row per line with what is left of it; `paid` tells whether the order is, `wrote` whether it was
/// done. Order, lines, products, in this order.
pub(super) const RETURN: &str = "WITH x AS MATERIALIZED (
        SELECT id FROM optilock.orders WHERE id = $1 AND status = 2 FOR NO KEY UPDATE),
    b AS MATERIALIZED (
        SELECT sku, quantity, returned FROM optilock.order_lines
        WHERE order_id = ANY (ARRAY(SELECT id FROM x)) AND sku = ANY ($2) ORDER BY sku FOR NO KEY UPDATE),
    k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = ANY (ARRAY(SELECT sku FROM b)) ORDER BY sku FOR NO KEY UPDATE),
    f AS MATERIALIZED (
        SELECT r.sku, r.quantity, coalesce(b.quantity - b.returned, 0) AS remaining, b.returned, k.stock,
            k.reserved, k.version, (b.quantity - b.returned >= r.quantity AND k.sku IS NOT NULL) IS TRUE AS ok
        FROM unnest($2::text[], $3::bigint[]) AS r (sku, quantity)
        LEFT JOIN b ON b.sku = r.sku LEFT JOIN k ON k.sku = r.sku),
    i AS (
        INSERT INTO optilock.returns (id, order_id, skus, quantities, reason)
        SELECT $4, x.id, $2, $3, $5 FROM x WHERE (SELECT bool_and(ok) FROM f)
        ON CONFLICT DO NOTHING RETURNING order_id),
    l AS (
        UPDATE optilock.order_lines l SET returned = f.returned + f.quantity
        FROM i, f WHERE l.order_id = $1 AND l.sku = f.sku),
    u AS (
        UPDATE optilock.products p
        SET stock = f.stock + f.quantity, reserved = f.reserved, version = f.version + 1,
            updated_at = statement_timestamp()
        FROM i, f WHERE p.sku = f.sku
        RETURNING p.sku, p.version, p.stock, f.quantity),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, reason)
        SELECT u.sku, u.version, 11, u.quantity, u.stock, i.order_id, $5 FROM i, u),
    c AS (
        UPDATE optilock.orders SET version = version + 1
        WHERE id = ANY (ARRAY(SELECT order_id FROM i)))
    SELECT f.sku, f.quantity, f.remaining, EXISTS (SELECT FROM x) AS paid,
        CASE WHEN EXISTS (SELECT FROM i)
            THEN (1 / ((SELECT count(*) FROM u) = cardinality($2))::int)::bool ELSE false END AS wrote
    FROM f ORDER BY f.sku COLLATE \"C\"";

/// Whether a return was made, and by the same request. `$1` return, `$2` order, `$3` skus, `$4`
/// quantities.
pub(super) const RETURNED: &str = "SELECT order_id = $2 AND skus = $3 AND quantities = $4 AS same
    FROM optilock.returns WHERE id = $1";

/// Forgets one batch of keys, whichever are found first: an index by age would cost every sale more
/// than it costs to read all orders every now and then. `$1` age in microseconds, `$2` batch.
pub(super) const FORGET_KEYS: &str = "UPDATE optilock.orders SET idempotency_key = NULL
    WHERE id = ANY (ARRAY(
        SELECT id FROM optilock.orders
        WHERE idempotency_key IS NOT NULL AND created_at <= statement_timestamp() - $1 * interval '1 microsecond'
        LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED))";

/// A page of a product's ledger. `$1` sku, `$2` after, `$3` limit.
pub(super) const MOVEMENTS: &str =
    "SELECT sku, version, kind, delta, stock_after, order_id, reservation_id, reason, moved_at
    FROM optilock.movements WHERE sku = $1 AND version > $2 ORDER BY version LIMIT $3";

/// Uses an order id up, so that an attempt still on its way cannot take effect. `$1` order.
pub(super) const VOID: &str =
    "INSERT INTO optilock.orders (id, status, total, currency) VALUES ($1, 4, 0, 'XXX')
    ON CONFLICT DO NOTHING";

/// Cancels orders and gives their stock back, each give-back a change of its own. `$orders` chooses and
/// locks them; then products by SKU. `$answer` may tell of those orders `x` and their lines `b`.
macro_rules! cancel {
    ($orders:expr, reason: $reason:literal, answer: $answer:literal) => {
        concat!(
            "WITH x AS MATERIALIZED (SELECT id FROM optilock.orders WHERE status IN (0, 1) AND ",
            $orders,
            "),
    b AS MATERIALIZED (
        SELECT order_id, sku, quantity FROM optilock.order_lines WHERE order_id = ANY (ARRAY(SELECT id FROM x))),
    k AS MATERIALIZED (
        SELECT sku, stock, reserved, version FROM optilock.products
        WHERE sku = ANY (ARRAY(SELECT DISTINCT sku FROM b)) ORDER BY sku FOR NO KEY UPDATE),
    s AS MATERIALIZED (
        SELECT b.order_id, b.sku, b.quantity, k.reserved, k.version + row_number() OVER w AS version,
            k.stock + sum(b.quantity) OVER w AS after
        FROM b JOIN k ON k.sku = b.sku
        WINDOW w AS (PARTITION BY b.sku ORDER BY b.order_id ROWS UNBOUNDED PRECEDING)),
    c AS (
        UPDATE optilock.orders SET status = 3, version = version + 1, reason = ",
            $reason,
            " WHERE id = ANY (ARRAY(SELECT id FROM x))),
    m AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
        SELECT sku, version, 2, quantity, after, order_id FROM s),
    u AS (
        UPDATE optilock.products p
        SET stock = t.after, reserved = t.reserved, version = t.version, updated_at = statement_timestamp()
        FROM (SELECT DISTINCT ON (sku) * FROM s ORDER BY sku, version DESC) t WHERE p.sku = t.sku)
    SELECT ",
            $answer
        )
    };
}

/// `$1` order, `$2` reason.
pub(super) const CANCEL: &str = cancel!(
    "id = $1 FOR NO KEY UPDATE",
    reason: "$2",
    answer: "EXISTS (SELECT FROM x) AS cancelled"
);

/// Each for a reason of its own; no order twice. `$1` orders, `$2` reasons. Waits for locks like a batch
/// of checkouts.
pub(super) const CANCEL_MANY: &str = cancel!(
    concat!(
        "id = ANY ($1) AND (SELECT ", locks_within!(), ") IS NOT NULL ORDER BY id FOR NO KEY UPDATE"
    ),
    reason: "(SELECT r.reason FROM unnest($1, $2::text[]) AS r (order_id, reason) WHERE r.order_id = id)",
    answer: "ARRAY(SELECT id FROM x) AS cancelled"
);

/// One batch of those that have awaited payment too long. `$1` age in microseconds, `$2` batch. Orders
/// that somebody holds are skipped.
pub(super) const SWEEP: &str = cancel!(
    "pending_since <= statement_timestamp() - $1 * interval '1 microsecond'
        ORDER BY pending_since LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
    reason: "'expired'",
    answer: "(SELECT count(*) FROM x) AS orders, (SELECT coalesce(sum(quantity), 0)::bigint FROM b) AS units"
);
