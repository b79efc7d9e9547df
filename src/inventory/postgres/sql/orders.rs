//! Statements of orders.

macro_rules! order {
    () => {
        "SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
            l.sku, l.quantity, l.price, l.returned
        FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id "
    };
}

/// An order, one row per line. `$1` order.
pub(in crate::inventory::postgres) const ORDER: &str =
    concat!(order!(), "WHERE o.id = $1 ORDER BY l.sku");

/// Those of these orders that there are. `$1` orders.
pub(in crate::inventory::postgres) const ORDERS_OF: &str =
    concat!(order!(), "WHERE o.id = ANY ($1) ORDER BY o.id, l.sku");

/// The order that a checkout may have made before. `$1` order, `$2` customer?, `$3` key?.
pub(in crate::inventory::postgres) const KNOWN: &str = concat!(
    order!(),
    "WHERE o.id = ",
    known!("$1", "$2", "$3"),
    " ORDER BY l.sku"
);

/// A page of orders, one row per line. `$1` after?, `$2` customer?, `$3` statuses, `$4` limit.
pub(in crate::inventory::postgres) const ORDERS: &str = concat!(
    order!(),
    "WHERE o.id = ANY (ARRAY(
        SELECT id FROM optilock.orders
        WHERE id > coalesce($1, '00000000-0000-0000-0000-000000000000') AND status = ANY ($3)
            AND ($2::text IS NULL OR customer = $2)
        ORDER BY id LIMIT $4))
    ORDER BY o.id, l.sku"
);

/// `$1` order.
pub(in crate::inventory::postgres) const PAY: &str =
    "UPDATE optilock.orders SET status = 2, version = version + 1
    WHERE id = $1 AND status IN (0, 1)";

/// `$1` order.
pub(in crate::inventory::postgres) const FAIL: &str =
    "UPDATE optilock.orders SET status = 1, version = version + 1
    WHERE id = $1 AND status = 0";

/// Takes the stock of a cancelled order again. `$1` order. One row per line with what could be had;
/// none when it is not cancelled.
pub(in crate::inventory::postgres) const REVIVE: &str = "WITH x AS MATERIALIZED (
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
pub(in crate::inventory::postgres) const RETURN: &str = "WITH x AS MATERIALIZED (
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
pub(in crate::inventory::postgres) const RETURNED: &str =
    "SELECT order_id = $2 AND skus = $3 AND quantities = $4 AS same
    FROM optilock.returns WHERE id = $1";

/// Uses an order id up, so that an attempt still on its way cannot take effect. `$1` order.
pub(in crate::inventory::postgres) const VOID: &str =
    "INSERT INTO optilock.orders (id, status, total, currency) VALUES ($1, 4, 0, 'XXX')
    ON CONFLICT DO NOTHING";

/// See [`cancel!`]; waits for locks.
pub(in crate::inventory::postgres) const CANCEL: &str = cancel!("", orders: "", products: "");

/// The same for a batch of cancellations, which waits for locks like a batch of checkouts.
pub(in crate::inventory::postgres) const CANCEL_MANY: &str = cancel!(
    concat!(" AND (SELECT ", locks_within!(), ") IS NOT NULL"),
    orders: "", products: ""
);
