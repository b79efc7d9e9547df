//! Statements of checkouts.

/// A checkout of one line, in one round trip. `$1` sku, `$2` quantity, `$3` version?, `$4` price?,
/// `$5` currency?, `$6` the highest price whose total fits, `$7` order, `$8` customer?, `$9` key?. No
/// row: refused, ask [`FACTS`] why.
#[doc(hidden)] // for the benches, which give it to pgbench
pub const SELL_ONE: &str = "WITH u AS (
        UPDATE optilock.products p
        SET stock = p.stock - $2, version = p.version + 1, updated_at = statement_timestamp()
        WHERE p.sku = $1 AND NOT p.retired AND NOT p.paused AND p.stock - p.reserved >= $2
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
        SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused FROM optilock.products p
        WHERE p.sku = ANY($1) AND NOT p.retired ORDER BY p.sku FOR NO KEY UPDATE),",
            $holds,
            "
    f AS MATERIALIZED (
        SELECT r.sku, r.quantity, k.stock, k.reserved, k.version, k.price, k.currency, k.paused, ",
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
    SELECT f.sku, f.stock - f.reserved + f.held AS available, f.version, f.price, f.currency, f.paused,
        f.version + 1 AS new_version, f.stock - f.quantity AS new_stock,
        f.reserved - least(f.held, f.quantity) AS new_reserved, statement_timestamp() AS created_at, CASE WHEN EXISTS (SELECT FROM i)
        THEN (1 / ((SELECT count(*) FROM u) = cardinality($1))::int)::bool ELSE false END AS wrote
    FROM f ORDER BY f.sku COLLATE \"C\""
        )
    };
}

pub(in crate::inventory::postgres) const SELL_MANY: &str = sell_many! {
    holds: "", join: "", held: "0::bigint", consume: "", reservation: "NULL::uuid", open: ""
};

/// The same from a reservation. All of its holds are locked, after the products: of two checkouts from
/// it the second must see what the first used up. `$9` reservation.
pub(in crate::inventory::postgres) const SELL_HELD: &str = sell_many! {
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

/// The facts of these products, one row each in byte order, and whether the order is there by its id,
/// all of one moment. `$1` skus, `$2` order. For who reads first: planning it takes half as long as
/// [`FACTS`].
pub(in crate::inventory::postgres) const GLANCE: &str =
    "SELECT p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused,
        EXISTS (SELECT FROM optilock.orders WHERE id = $2) AS taken
    FROM unnest($1::text[]) AS r (sku)
    LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
    ORDER BY r.sku COLLATE \"C\"";

/// The same with what has run out, and whether the order is there by its key. `$1` skus, `$2`
/// customer?, `$3` key?, `$4` order.
pub(in crate::inventory::postgres) const FACTS: &str = concat!(
    "SELECT p.stock - p.reserved AS available, ",
    expired!("r.sku", ""),
    " AS expired, p.version, p.price, p.currency, p.paused, EXISTS ",
    known!("$4", "$2", "$3"),
    " AS taken
    FROM unnest($1::text[]) AS r (sku)
    LEFT JOIN optilock.products p ON p.sku = r.sku AND NOT p.retired
    ORDER BY r.sku COLLATE \"C\""
);

/// What has run out of these products, one row each in byte order. `$1` skus, `$2` a reservation not to
/// be counted?.
pub(in crate::inventory::postgres) const EXPIRED: &str = concat!(
    "SELECT ",
    expired!("r.sku", " AND e.reservation_id IS DISTINCT FROM $2"),
    " AS expired FROM unnest($1::text[]) AS r (sku) ORDER BY r.sku COLLATE \"C\""
);

/// Locks these products in byte order. `$1` skus.
pub(in crate::inventory::postgres) const LOCK: &str = "SELECT p.sku, p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused
    FROM optilock.products p WHERE p.sku = ANY($1) AND NOT p.retired ORDER BY p.sku FOR NO KEY UPDATE";
