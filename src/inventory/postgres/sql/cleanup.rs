//! Statements of the clean-ups. Each looks at a bounded number of rows, waits for no lock, and skips rows that
//! are locked; only those that lock for a direct attempt wait, within the transaction's `lock_timeout`.

super::statement::statements! {
    pub(crate) const UNPAID = "../cleanup/unpaid.sql";
    pub(crate) const UNPAID_OF = "../cleanup/unpaid_of.sql";

    /// [`CANCEL`](super::orders::CANCEL) for a page of orders: cancels those that have still awaited payment for
    /// `$4` microseconds and are not locked, nor any product of theirs.
    pub(crate) const CANCEL_UNPAID = "../orders/cancel.sql" {
        "/* condition */" =>
            "AND o.pending_since <= pg_catalog.statement_timestamp() - $4::float8 * interval '1 microsecond'",
        "/* orders: wait */" => "SKIP LOCKED",
        "/* products: wait */" => "SKIP LOCKED",
    };

    pub(crate) const LOCK_ORDER = "../cleanup/lock_order.sql";
    pub(crate) const DUE = "../cleanup/due.sql";
    pub(crate) const DUE_OF = "../cleanup/due_of.sql";
    pub(crate) const EXPIRE = "../cleanup/expire.sql";
    pub(crate) const LOCK_PRODUCT = "../cleanup/lock_product.sql";
    pub(crate) const KEYS = "../cleanup/keys.sql";
    pub(crate) const KEYS_OF = "../cleanup/keys_of.sql";
    pub(crate) const FORGET_KEYS = "../cleanup/forget_keys.sql";
    pub(crate) const LOCK_KEY = "../cleanup/lock_key.sql";
}
