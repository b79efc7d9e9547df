//! Statements of orders.

super::statement::statements! {
    pub(crate) const ORDER = "../orders/order.sql";
    pub(crate) const ORDERS_OF = "../orders/orders_of.sql";
    pub(crate) const KNOWN = "../orders/known.sql";
    pub(crate) const ORDERS = "../orders/orders.sql";
    pub(crate) const PAY = "../orders/pay.sql";
    pub(crate) const FAIL = "../orders/fail.sql";
    pub(crate) const REVIVE = "../orders/revive.sql";
    pub(crate) const RETURN = "../orders/return.sql";
    pub(crate) const RETURNED = "../orders/returned.sql";
    pub(crate) const VOID = "../orders/void.sql";

    /// Cancels one order. `$1` order, `$2` the version that it must be at, `$3` reason.
    pub(crate) const CANCEL = "../orders/cancel.sql" {
        "* FROM unnest($1::uuid[], $2::bigint[], $3::text[])" => "* FROM (VALUES ($1::uuid, $2::bigint, $3::text))",
    };
}
