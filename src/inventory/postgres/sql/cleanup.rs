//! Statements of the clean-ups. Each looks at a bounded number of rows, waits for no lock, and leaves what
//! is locked; only those that lock for a direct attempt wait, within the transaction's `lock_timeout`.

/// A page of orders that have awaited payment too long, the oldest first. `$1` age in microseconds, `$2`
/// and `$3` the `pending_since` and the id that it continues behind, `$4` limit.
pub(crate) const UNPAID: &str = "SELECT o.pending_since, o.id FROM optilock.orders o
    WHERE o.status IN (0, 1)
        AND o.pending_since <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
        AND (o.pending_since, o.id) > ($2::timestamptz, $3::uuid)
    ORDER BY o.pending_since, o.id LIMIT $4::bigint";

/// Those of some orders that still await payment. `$1` age in microseconds, `$2` orders, `$3` limit.
pub(crate) const UNPAID_OF: &str = "SELECT o.id FROM optilock.orders o
    WHERE o.id = ANY ($2::uuid[]) AND o.status IN (0, 1)
        AND o.pending_since <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
    LIMIT $3::bigint";

/// Cancels those of a page that still await payment and are not locked, nor any product of theirs. As
/// [`cancel!`]; `$4` age in microseconds.
pub(crate) const SWEEP: &str = cancel!(
    " AND o.pending_since <= pg_catalog.statement_timestamp() - $4::float8 * interval '1 microsecond'",
    orders: " SKIP LOCKED", products: " SKIP LOCKED"
);

/// Locks an order, then its products. `$1` order. Answers with a product that does not exist, if there is
/// one.
pub(crate) const LOCK_ORDER: &str = "WITH locked_order AS MATERIALIZED (
        SELECT o.id FROM optilock.orders o WHERE o.id = $1 FOR NO KEY UPDATE),
    lines AS MATERIALIZED (
        SELECT l.sku FROM optilock.order_lines l
        WHERE l.order_id = ANY (ARRAY(SELECT id FROM locked_order))),
    locked AS MATERIALIZED (
        SELECT p.sku FROM optilock.products p WHERE p.sku = ANY (ARRAY(SELECT sku FROM lines))
        ORDER BY p.sku FOR NO KEY UPDATE)
    SELECT pg_catalog.min(l.sku) FROM lines l LEFT JOIN locked k ON k.sku = l.sku WHERE k.sku IS NULL";

/// A page of holds past their time, the oldest first. `$1`, `$2` and `$3` the expiry, the SKU and the
/// reservation that it continues behind, `$4` limit.
pub(crate) const DUE: &str = "SELECT h.expires_at, h.sku, h.reservation_id
    FROM optilock.holds h
    WHERE h.state = 0
        AND h.expires_at <= pg_catalog.statement_timestamp() - $5::float8 * interval '1 microsecond'
        AND (h.expires_at, h.sku, h.reservation_id) > ($1::timestamptz, $2::text, $3::uuid)
    ORDER BY h.expires_at, h.sku, h.reservation_id LIMIT $4::bigint";

/// Holds of some products that are past their time, the oldest of each first. `$1` SKUs, `$2` limit.
pub(crate) const DUE_OF: &str = "SELECT d.sku, d.reservation_id
    FROM unnest($1::text[]) AS requested (sku) CROSS JOIN LATERAL (
        SELECT h.sku, h.reservation_id FROM optilock.holds h
        WHERE h.sku = requested.sku AND h.state = 0 AND h.expires_at <= pg_catalog.statement_timestamp()
        ORDER BY h.expires_at LIMIT $2::bigint) d
    LIMIT $2::bigint";

/// Expires the holds of a page that are still past their time and not locked, nor their product. `$1` their
/// SKUs, `$2` their reservations. Answers with the SKU of each that was ended.
pub(crate) const EXPIRE: &str = end_holds! {
    before: "requested AS MATERIALIZED (
        SELECT sku, reservation_id FROM unnest($1::text[], $2::uuid[]) AS requested (sku, reservation_id)),
    ",
    skus: "ARRAY(SELECT DISTINCT sku FROM requested)",
    skip: " SKIP LOCKED",
    holds: "SELECT h.reservation_id, h.sku, h.held, h.state
        FROM optilock.holds h
        WHERE h.reservation_id = ANY ($2) AND h.sku = ANY (ARRAY(SELECT sku FROM locked))
            AND ((h.sku, h.reservation_id) IN (SELECT sku, reservation_id FROM requested)) IS TRUE
            AND h.state = 0 AND h.expires_at <= pg_catalog.statement_timestamp()
        ORDER BY h.sku, h.reservation_id FOR NO KEY UPDATE SKIP LOCKED",
    by: "",
    state: "3",
    kind: "5",
    reservation: "NULL",
    answer: "ARRAY(SELECT sku FROM ended) AS expired"
};

/// Locks a product. `$1` SKU.
pub(crate) const LOCK_PRODUCT: &str =
    "SELECT p.sku FROM optilock.products p WHERE p.sku = $1 FOR NO KEY UPDATE";

/// A page of all orders by id, and whether the key of each is to be forgotten: an index by age would cost
/// every sale more than it costs to read all orders every now and then. `$1` age in microseconds, `$2` the
/// id that it continues behind, `$3` limit.
pub(crate) const KEYS: &str = "WITH page AS MATERIALIZED (
        SELECT o.id, (o.idempotency_key IS NOT NULL AND o.created_at
            <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond') AS old
        FROM optilock.orders o WHERE o.id > $2::uuid ORDER BY o.id LIMIT $3::bigint)
    SELECT ARRAY(SELECT id FROM page WHERE old) AS old, (SELECT pg_catalog.count(*) FROM page) AS rows,
        (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last";

/// Those of some orders whose key is still to be forgotten. `$1` age in microseconds, `$2` orders,
/// `$3` limit.
pub(crate) const KEYS_OF: &str = "SELECT o.id FROM optilock.orders o
    WHERE o.id = ANY ($2::uuid[]) AND o.idempotency_key IS NOT NULL
        AND o.created_at <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
    LIMIT $3::bigint";

/// Forgets the keys of the orders of a page that are not locked. `$1` orders. Answers with their ids.
pub(crate) const FORGET_KEYS: &str = concat!(
    "WITH locked AS MATERIALIZED (
        SELECT o.id FROM optilock.orders o WHERE o.id = ANY ($1::uuid[]) AND o.idempotency_key IS NOT NULL
        ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED),
    forgotten AS (
        UPDATE optilock.orders o SET idempotency_key = NULL
        WHERE o.id = ANY (ARRAY(SELECT id FROM locked))
        RETURNING o.id, o.idempotency_key)
    SELECT ARRAY(SELECT id FROM forgotten) AS forgotten, ",
    asserted!(
        "(SELECT pg_catalog.count(*) FROM locked)";
        "orders": "(SELECT pg_catalog.count(*) FROM forgotten WHERE idempotency_key IS NULL)
            = (SELECT pg_catalog.count(*) FROM locked)",
    ),
    " AS stored"
);

/// Locks an order. `$1` order.
pub(crate) const LOCK_KEY: &str =
    "SELECT o.id FROM optilock.orders o WHERE o.id = $1 FOR NO KEY UPDATE";

/// Limits each wait for a lock in a transaction of a direct attempt.
pub(crate) const WAIT_SHORTLY: &str = "SELECT pg_catalog.set_config('lock_timeout', '50ms', true)";
