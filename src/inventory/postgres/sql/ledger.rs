//! Statements of the ledger.

/// A page of a product's ledger. `$1` sku, `$2` after, `$3` limit.
pub(crate) const MOVEMENTS: &str =
    "SELECT m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id, m.reason, m.moved_at
    FROM optilock.movements m WHERE m.sku = $1 AND m.version > $2 ORDER BY m.version LIMIT $3";

/// A page of all products' ledgers, by the transactions that wrote them: of those that were over when this
/// statement began, and before which none was still open. `$1` transaction, `$2` sku and `$3` version of the
/// last movement before the page, `$4` limit. Without movements one row, which has `horizon` alone.
pub(crate) const MOVEMENTS_SINCE: &str = "WITH snapshot AS MATERIALIZED (
        SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint AS horizon)
    SELECT s.horizon, m.transaction_id, m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id,
        m.reservation_id, m.reason, m.moved_at
    FROM snapshot s LEFT JOIN LATERAL (
        SELECT m.transaction_id, m.sku, m.version, m.kind, m.delta, m.stock_after, m.order_id, m.reservation_id,
            m.reason, m.moved_at
        FROM optilock.movements m
        WHERE (m.transaction_id, m.sku, m.version) > ($1, $2, $3) AND m.transaction_id < s.horizon
        ORDER BY m.transaction_id, m.sku, m.version LIMIT $4) m ON true
    ORDER BY m.transaction_id, m.sku, m.version";
