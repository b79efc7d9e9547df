//! The statements of the inventory, and what they share.
//!
//! Two forms are sound when others write the same row: a guard in the `UPDATE`'s own `WHERE` with
//! relative values ([`checkout::SELL_ONE`]); and a materialized CTE that locks, every decision taken from it,
//! and an `UPDATE` that joins by key alone and sets what was decided (all others). A guard on the
//! target row behind a locking CTE would see the old snapshot.
//!
//! A trigger or a policy may swallow a write, or change it. So every write returns its rows, and the last
//! `SELECT` of every statement compares their number and their values with what was meant
//! ([`asserted!`]): the statement stores all of it, or fails.
//!
//! Another role may own functions and operators in a schema of the search path, and those whose argument
//! types fit better than the ones of `pg_catalog` would be called. So every function is qualified (but for
//! `unnest` of several arrays, which the grammar itself resolves), and every operator has operands of types
//! for which `pg_catalog` has an operator.
//!
//! Locks are taken in one order: orders that exist, by id; the reservation; products by SKU, retired ones
//! included; the holds of those products, by SKU and reservation. Rows that the request itself inserts
//! come after the products.

/// A boolean of SQL's for the last `SELECT`: true if the rows of each table are stored as they were meant;
/// else it fails the statement, by a cast of a text that names the first table for which that is not so.
/// `$number` is a bigint of a row's: a constant would be cast when the statement is planned.
macro_rules! asserted {
    ($number:literal; $($table:literal: $holds:expr),+ $(,)?) => {
        concat!(
            "CASE",
            $(
                " WHEN (", $holds, ") IS NOT TRUE THEN ('optilock.suppressed.", $table, " ' || ", $number,
                "::text)::boolean",
            )+
            " ELSE true END"
        )
    };
}
pub(crate) use asserted;

/// An expression for the last `SELECT` that fails like [`asserted!`] where a product that is there was not
/// locked; else false or null. `$locked` is a column of the locked row, `$sku` the text that was asked for. A
/// policy may let a role read a row and not lock it, and a statement that locks it then does not see it. Products
/// are never deleted and their SKUs never change, so that a plain read of the same statement tells. It reads only
/// where no row was locked.
///
/// Not for a lock that skips locked rows. The last `SELECT` needs a row for each product that was asked for.
macro_rules! hidden {
    ($locked:literal, $sku:literal) => {
        concat!(
            "CASE WHEN ",
            $locked,
            " IS NULL THEN (SELECT ('optilock.suppressed.products ' || hidden.version::text)::boolean
                FROM optilock.products hidden WHERE hidden.sku = ",
            $sku,
            ") ELSE false END"
        )
    };
}

/// Limits each wait for a lock to half a second: a transaction that holds one product for long must not
/// delay the requests for others. Applies to the statement, or to the transaction that it is in.
macro_rules! locks_within {
    () => {
        "pg_catalog.set_config('lock_timeout', '500ms', true)"
    };
}
pub(crate) use locks_within;

/// Units of a product in holds that have expired and were not ended yet. Reads no more holds than units
/// are asked for: if that many are found, they are enough, and else they are all.
macro_rules! expired {
    ($sku:literal, $units:literal, $but:literal) => {
        concat!(
            "(SELECT coalesce(pg_catalog.sum(e.held), 0::numeric)::bigint FROM (
                SELECT h.held FROM optilock.holds h
                WHERE h.sku = ",
            $sku,
            " AND h.state = 0 AND h.expires_at <= pg_catalog.statement_timestamp()",
            $but,
            " ORDER BY h.expires_at LIMIT ",
            $units,
            ") e)"
        )
    };
}

/// Ends holds, and lowers what their products count as reserved by the units of those that were live.
/// `$skus` are the products, `$holds` selects `reservation_id`, `sku`, `held` and `state` of the holds under
/// the products' locks (`locked`) and locks them. `$before` may add CTEs, `$skip` skip locked products. Sets
/// of holds are compared by `INTERSECT`: a join of two of them may become a loop over all pairs, as their
/// sizes can't be estimated. `$by` is a further condition of the holds `h` that are updated, for a statement
/// whose plan would read all of them otherwise; it costs time with the square of their number.
macro_rules! end_holds {
    (
        before: $before:literal, skus: $skus:literal, skip: $skip:literal, holds: $holds:expr, by: $by:literal, state: $state:literal,
        kind: $kind:literal, reservation: $reservation:literal, answer: $answer:expr
    ) => {
        concat!(
            "WITH ",
            $before,
            "locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
        WHERE p.sku = ANY (",
            $skus,
            ") ORDER BY p.sku FOR NO KEY UPDATE",
            $skip,
            "),
    ending AS MATERIALIZED (",
            $holds,
            "),
    ended AS (
        UPDATE optilock.holds h SET state = ",
            $state,
            " FROM ending e WHERE h.reservation_id = e.reservation_id AND h.sku = e.sku",
            $by,
            "
        RETURNING h.reservation_id, h.sku, h.held, h.state),
    freed AS MATERIALIZED (
        SELECT e.sku, pg_catalog.sum(e.held)::bigint AS units
        FROM ending e WHERE e.state = 0 GROUP BY e.sku),
    meant AS MATERIALIZED (
        SELECT k.sku, k.stock, k.reserved - f.units AS reserved, k.version + 1 AS version, k.updated_at
        FROM locked k JOIN freed f ON f.sku = k.sku),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku AND p.sku = ANY (ARRAY(SELECT sku FROM locked))
        RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
    ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id, moved_at)
        SELECT sku, version, ",
            $kind,
            ", 0, stock, ",
            $reservation,
            ", updated_at FROM changed
        RETURNING sku, version, delta, stock_after)
    SELECT ",
            $answer,
            ", (SELECT pg_catalog.count(*) FROM ended) AS holds,
        (SELECT coalesce(pg_catalog.sum(units), 0::numeric)::bigint FROM freed) AS units, ",
            asserted!(
                "(SELECT pg_catalog.count(*) FROM ending)";
                "holds": concat!(
                    "(SELECT pg_catalog.count(*) FROM (
                SELECT reservation_id, sku, held FROM ended WHERE state = ", $state, "
                INTERSECT SELECT reservation_id, sku, held FROM ending) stored)
            = (SELECT pg_catalog.count(*) FROM ending)"
                ),
                "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version)
            = (SELECT pg_catalog.count(*) FROM meant)",
                "movements": "(SELECT pg_catalog.count(*) FROM ledger m JOIN meant t ON t.sku = m.sku
                AND t.version = m.version AND t.stock = m.stock_after AND m.delta = 0)
            = (SELECT pg_catalog.count(*) FROM meant)",
            ),
            " AS stored"
        )
    };
}

/// The id of an order by its id or, failing that, by its key.
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

/// Cancels unpaid orders and returns their units to the stock, each give-back a change of its own.
/// `$1` orders, no order twice; `$2` the versions that they must be at, if any; `$3` reasons. `$which` are
/// further conditions of an order `o`, `$orders` and `$products` may skip rows that are locked. As the sizes
/// of its CTEs can't be estimated, it has no join of two of them that could become a loop over all pairs:
/// `NOT IN`, `FULL JOIN` and `INTERSECT` are always hashed or sorted. Orders of
/// which a product was not got stay as they are. Answers with the ids of those that were cancelled, and
/// their units.
macro_rules! cancel {
    ($which:expr, orders: $orders:literal, products: $products:literal) => {
        concat!(
            "WITH requested AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS requested (id, version, reason)),
    unpaid AS MATERIALIZED (
        SELECT o.id, o.version, r.reason FROM optilock.orders o JOIN requested r ON r.id = o.id
        WHERE o.id = ANY ($1) AND o.status IN (0, 1) AND o.version = coalesce(r.version, o.version)",
            $which,
            "
        ORDER BY o.id FOR NO KEY UPDATE OF o",
            $orders,
            "),
    lines AS MATERIALIZED (
        SELECT l.order_id, l.sku, l.quantity FROM optilock.order_lines l
        WHERE l.order_id = ANY (ARRAY(SELECT id FROM unpaid))),
    locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.updated_at FROM optilock.products p
        WHERE p.sku = ANY (ARRAY(SELECT DISTINCT sku FROM lines)) ORDER BY p.sku FOR NO KEY UPDATE",
            $products,
            "),
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
    meant AS MATERIALIZED (
        SELECT DISTINCT ON (sku) sku, stock, reserved, version, updated_at FROM given_back
        ORDER BY sku, version DESC),
    cancelled AS (
        UPDATE optilock.orders o SET status = 3, version = c.version, reason = c.reason
        FROM cancelling c WHERE o.id = c.id
        RETURNING o.id, o.status, o.version),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku
        RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
    ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
        SELECT g.sku, g.version, 2, g.quantity, g.stock, g.order_id, coalesce(p.updated_at, g.updated_at)
        FROM given_back g FULL JOIN changed p ON p.sku = g.sku
        RETURNING sku, version, delta, stock_after)
    SELECT ARRAY(SELECT id FROM cancelled) AS cancelled,
        (SELECT coalesce(pg_catalog.sum(quantity), 0::numeric)::bigint FROM given_back) AS units, ",
            asserted!(
                "(SELECT pg_catalog.count(*) FROM cancelling)";
                "orders": "(SELECT pg_catalog.count(*) FROM (
                SELECT id, version FROM cancelled WHERE status = 3
                INTERSECT SELECT id, version FROM cancelling) stored)
            = (SELECT pg_catalog.count(*) FROM cancelling)",
                "products": "(SELECT pg_catalog.count(*) FROM (
                SELECT sku, stock, reserved, version FROM changed
                INTERSECT SELECT sku, stock, reserved, version FROM meant) stored)
            = (SELECT pg_catalog.count(*) FROM meant)",
                "movements": "(SELECT pg_catalog.count(*) FROM (
                SELECT sku, version, delta, stock_after FROM ledger
                INTERSECT SELECT sku, version, quantity, stock FROM given_back) stored)
            = (SELECT pg_catalog.count(*) FROM given_back)",
            ),
            " AS stored"
        )
    };
}

pub(crate) mod checkout;
pub(crate) mod cleanup;
pub(crate) mod ledger;
pub(crate) mod orders;
pub(crate) mod products;
pub(crate) mod reservations;
