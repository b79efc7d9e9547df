//! Statements of orders.

super::statement::statements! {
    pub(crate) const ORDER = "../orders/order.sql";
    pub(crate) const ORDERS_OF = "../orders/orders_of.sql";
    pub(crate) const KNOWN = "../orders/known.sql";
    pub(crate) const ORDERS = "../orders/orders.sql";
    pub(crate) const ORDERS_OF_CUSTOMER = "../orders/orders.sql" {
        "/* customer: any */" => "customer = $2::text AND",
    };
    pub(crate) const NEWEST_ORDERS = "../orders/orders.sql" {
        "id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)" =>
            "id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)",
        "ORDER BY id LIMIT" => "ORDER BY id DESC LIMIT",
        "ORDER BY o.id, l.sku" => "ORDER BY o.id DESC, l.sku",
    };
    pub(crate) const NEWEST_ORDERS_OF_CUSTOMER = "../orders/orders.sql" {
        "/* customer: any */" => "customer = $2::text AND",
        "id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)" =>
            "id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)",
        "ORDER BY id LIMIT" => "ORDER BY id DESC LIMIT",
        "ORDER BY o.id, l.sku" => "ORDER BY o.id DESC, l.sku",
    };
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
