//! Statements of the clean-ups.

/// A page of orders that have awaited payment too long, the oldest first. `$1` age in microseconds,
/// `$2` limit.
pub(in crate::inventory::postgres) const UNPAID: &str = "SELECT id FROM optilock.orders
    WHERE status IN (0, 1)
        AND pending_since <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
    ORDER BY pending_since, id LIMIT $2";

/// Cancels those of a page that still await payment and are not locked, nor any product of theirs. As
/// [`cancel!`]; `$4` age in microseconds.
pub(in crate::inventory::postgres) const SWEEP: &str = cancel!(
    " AND o.pending_since <= pg_catalog.statement_timestamp() - $4::float8 * interval '1 microsecond'",
    orders: " SKIP LOCKED", products: " SKIP LOCKED"
);

/// Expires what is past its time, of the products of one batch of holds. `$1` batch.
pub(in crate::inventory::postgres) const LAPSE_DUE: &str = end_holds! {
    before: "",
    skus: "ARRAY(SELECT DISTINCT sku FROM (
            SELECT sku FROM optilock.holds WHERE state = 0 AND expires_at <= pg_catalog.statement_timestamp()
            ORDER BY expires_at LIMIT $1) due)",
    skip: "",
    holds: "SELECT h.reservation_id, h.sku, h.held, h.state FROM optilock.holds h
        WHERE h.sku = ANY (ARRAY(SELECT sku FROM locked)) AND h.state = 0
            AND h.expires_at <= pg_catalog.statement_timestamp()
        ORDER BY h.sku, h.reservation_id FOR NO KEY UPDATE",
    state: "3",
    kind: "5",
    reservation: "NULL",
    answer: "NULL::bigint AS unused"
};

/// Forgets one batch of keys, whichever are found first: an index by age would cost every sale more
/// than it costs to read all orders every now and then. `$1` age in microseconds, `$2` batch.
pub(in crate::inventory::postgres) const FORGET_KEYS: &str = "UPDATE optilock.orders SET idempotency_key = NULL
    WHERE id = ANY (ARRAY(
        SELECT id FROM optilock.orders
        WHERE idempotency_key IS NOT NULL
            AND created_at <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
        LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED))";
