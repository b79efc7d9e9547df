//! Statements of orders.

macro_rules! order {
    () => {
        "SELECT o.id, o.customer, o.status, o.total, o.currency, o.version, o.reason, o.created_at,
            l.sku, l.quantity, l.price, l.returned
        FROM optilock.orders o LEFT JOIN optilock.order_lines l ON l.order_id = o.id "
    };
}

/// An order, one row per line. `$1` order.
pub(crate) const ORDER: &str = concat!(order!(), "WHERE o.id = $1 ORDER BY l.sku");

/// Those of these orders that there are. `$1` orders.
pub(crate) const ORDERS_OF: &str = concat!(order!(), "WHERE o.id = ANY ($1) ORDER BY o.id, l.sku");

/// The order that a checkout may have made before. `$1` order, `$2` customer?, `$3` key?.
pub(crate) const KNOWN: &str = concat!(
    order!(),
    "WHERE o.id = ",
    known!("$1", "$2", "$3"),
    " ORDER BY l.sku"
);

/// A page of orders, one row per line. `$1` after?, `$2` customer?, `$3` statuses, `$4` limit.
pub(crate) const ORDERS: &str = concat!(
    order!(),
    "WHERE o.id = ANY (ARRAY(
        SELECT id FROM optilock.orders
        WHERE id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid) AND status = ANY ($3)
            AND ($2::text IS NULL OR customer = $2)
        ORDER BY id LIMIT $4))
    ORDER BY o.id, l.sku"
);

/// Moves an order to another status. `$1` order, `$2` the version that it must be at.
macro_rules! mark {
    ($from:literal, $to:literal) => {
        concat!(
            "WITH marked AS (
        UPDATE optilock.orders o SET status = ",
            $to,
            ", version = o.version + 1
        WHERE o.id = $1 AND o.version = $2 AND o.status IN (",
            $from,
            ")
        RETURNING o.id, o.status, o.version)
    SELECT (SELECT pg_catalog.count(*) FROM marked) AS orders, ",
            asserted!(
                "(SELECT pg_catalog.count(*) FROM marked)";
                "orders": concat!(
                    "(SELECT pg_catalog.count(*) FROM marked
                WHERE id = $1 AND status = ", $to, " AND version = $2 + 1)
            = (SELECT pg_catalog.count(*) FROM marked)"
                ),
            ),
            " AS stored"
        )
    };
}

/// See [`mark!`].
pub(crate) const PAY: &str = mark!("0, 1", "2");

/// See [`mark!`].
pub(crate) const FAIL: &str = mark!("0", "1");

/// Takes the stock of a cancelled order again. `$1` order, `$2` the version that it must be at. One row per
/// line with what could be had, and whether its product could be locked; none when the order is not
/// cancelled, or at another version.
pub(crate) const REVIVE: &str = concat!(
    "WITH cancelled AS MATERIALIZED (
        SELECT o.id, o.version FROM optilock.orders o
        WHERE o.id = $1 AND o.version = $2 AND o.status = 3 FOR NO KEY UPDATE),
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
    meant AS MATERIALIZED (
        SELECT sku, quantity, stock - quantity AS stock, reserved, version + 1 AS version, updated_at
        FROM judged
        WHERE (SELECT pg_catalog.bool_and(available >= quantity AND NOT paused) FROM judged)),
    revived AS (
        UPDATE optilock.orders o
        SET status = 0, version = c.version + 1, reason = NULL,
            pending_since = pg_catalog.statement_timestamp()
        FROM cancelled c WHERE o.id = c.id AND o.id = $1 AND EXISTS (SELECT FROM meant)
        RETURNING o.id, o.status, o.version),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
        RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
    ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
        SELECT p.sku, p.version, 12, -t.quantity, p.stock, $1, p.updated_at
        FROM changed p JOIN meant t ON t.sku = p.sku
        RETURNING sku, version, delta, stock_after)
    SELECT j.sku, j.quantity, j.available, j.locked, j.paused, EXISTS (SELECT FROM meant) AS wrote,
        CASE WHEN j.sold AND j.available < j.quantity THEN ",
    expired!("j.sku", "j.quantity", ""),
    " ELSE 0::bigint END AS expired, ",
    asserted!(
        "j.quantity";
        "orders": "NOT EXISTS (SELECT FROM meant) OR (SELECT pg_catalog.count(*) FROM revived
                WHERE id = $1 AND status = 0 AND version = $2 + 1) = 1",
        "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version)
            = (SELECT pg_catalog.count(*) FROM meant)",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND m.delta = -t.quantity AND t.stock = m.stock_after)
            = (SELECT pg_catalog.count(*) FROM meant)",
    ),
    " AS stored
    FROM judged j ORDER BY j.sku COLLATE \"C\""
);

/// Takes units of a paid order back. `$1` order, `$2` the version that it must be at, `$3` skus, `$4`
/// quantities, `$5` return, `$6` reason. `locked` tells whether the order was paid and at that version,
/// `made` whether it was done: if not, the return is there already. That the units are left was judged at
/// the same version.
pub(crate) const RETURN: &str = concat!(
    "WITH requested AS MATERIALIZED (
        SELECT * FROM unnest($3::text[], $4::bigint[]) AS requested (sku, quantity)),
    paid AS MATERIALIZED (
        SELECT o.id, o.version FROM optilock.orders o
        WHERE o.id = $1 AND o.version = $2 AND o.status = 2 FOR NO KEY UPDATE),
    lines AS MATERIALIZED (
        SELECT l.sku, l.returned FROM optilock.order_lines l
        WHERE l.order_id = ANY (ARRAY(SELECT id FROM paid)) AND l.sku = ANY ($3)
        ORDER BY l.sku FOR NO KEY UPDATE),
    locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
        WHERE p.sku = ANY (ARRAY(SELECT sku FROM lines)) ORDER BY p.sku FOR NO KEY UPDATE),
    new_return AS (
        INSERT INTO optilock.returns (id, order_id, skus, quantities, reason)
        SELECT $5, o.id, $3, $4, $6 FROM paid o
        WHERE (SELECT pg_catalog.count(*) FROM locked) = (SELECT pg_catalog.count(*) FROM requested)
        ON CONFLICT DO NOTHING RETURNING id, order_id, skus, quantities),
    meant AS MATERIALIZED (
        SELECT r.sku, r.quantity, l.returned + r.quantity AS returned, k.stock + r.quantity AS stock,
            k.reserved, k.version + 1 AS version, k.updated_at
        FROM requested r JOIN lines l ON l.sku = r.sku JOIN locked k ON k.sku = r.sku
        WHERE EXISTS (SELECT FROM new_return)),
    returned AS (
        UPDATE optilock.order_lines l SET returned = t.returned
        FROM meant t WHERE l.order_id = $1 AND l.sku = t.sku
        RETURNING l.order_id, l.sku, l.returned),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
        RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
    ledger AS (
        INSERT INTO optilock.movements
            (sku, version, kind, delta, stock_after, order_id, reason, moved_at)
        SELECT p.sku, p.version, 11, t.quantity, p.stock, $1, $6, p.updated_at
        FROM changed p JOIN meant t ON t.sku = p.sku
        RETURNING sku, version, delta, stock_after),
    moved AS (
        UPDATE optilock.orders o SET version = p.version + 1
        FROM paid p WHERE o.id = p.id AND o.id = $1 AND EXISTS (SELECT FROM new_return)
        RETURNING o.id, o.status, o.version)
    SELECT EXISTS (SELECT FROM paid) AS locked, EXISTS (SELECT FROM new_return) AS made, ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM requested)";
        "returns": "NOT EXISTS (SELECT FROM new_return WHERE (id = $5 AND order_id = $1
                AND skus OPERATOR(pg_catalog.=) $3 AND quantities OPERATOR(pg_catalog.=) $4) IS NOT TRUE)",
        "orders": "NOT EXISTS (SELECT FROM new_return) OR (SELECT pg_catalog.count(*) FROM moved
                WHERE id = $1 AND status = 2 AND version = $2 + 1) = 1",
        "order_lines": "(SELECT pg_catalog.count(*) FROM returned l JOIN meant t ON t.sku = l.sku
                AND t.returned = l.returned WHERE l.order_id = $1)
            = (SELECT pg_catalog.count(*) FROM meant)",
        "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version)
            = (SELECT pg_catalog.count(*) FROM meant)",
        "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND t.quantity = m.delta AND t.stock = m.stock_after)
            = (SELECT pg_catalog.count(*) FROM meant)",
    ),
    " AS stored"
);

/// Whether a return was made, and by the same request. `$1` return, `$2` order, `$3` skus, `$4`
/// quantities.
pub(crate) const RETURNED: &str = "SELECT order_id = $2
        AND skus OPERATOR(pg_catalog.=) $3 AND quantities OPERATOR(pg_catalog.=) $4 AS same
    FROM optilock.returns WHERE id = $1";

/// Uses an order id up, so that an attempt still on its way cannot take effect. `$1` order.
pub(crate) const VOID: &str = concat!(
    "WITH new_order AS (
        INSERT INTO optilock.orders (id, status, total, currency) VALUES ($1, 4, 0, 'XXX')
        ON CONFLICT DO NOTHING RETURNING id, status)
    SELECT (SELECT pg_catalog.count(*) FROM new_order) AS voided, ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM new_order)";
        "orders": "NOT EXISTS (SELECT FROM new_order WHERE (id = $1 AND status = 4) IS NOT TRUE)",
    ),
    " AS stored"
);

/// See [`cancel!`]; waits for locks.
pub(crate) const CANCEL: &str = cancel!("", orders: "", products: "");

/// The same for a batch of cancellations, which waits for locks like a batch of checkouts.
pub(crate) const CANCEL_MANY: &str = cancel!(
    concat!(" AND (SELECT ", locks_within!(), ") IS NOT NULL"),
    orders: "", products: ""
);
