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
    pub(crate) const CANCEL = "../orders/cancel.sql";
}
