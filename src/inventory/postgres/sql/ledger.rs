//! Statements of the ledger.

/// A page of a product's ledger. `$1` sku, `$2` after, `$3` limit.
pub(in crate::inventory::postgres) const MOVEMENTS: &str =
    "SELECT sku, version, kind, delta, stock_after, order_id, reservation_id, reason, moved_at
    FROM optilock.movements WHERE sku = $1 AND version > $2 ORDER BY version LIMIT $3";
