//! Statements of checkouts.

super::statement::statements! {
    #[doc(hidden)] // for the benches, which give it to pgbench
    pub const SELL_ONE = "../checkout/sell_one.sql";
    pub(crate) const SELL_MANY = "../checkout/sell_many.sql";
    pub(crate) const SELL_HELD = "../checkout/sell_held.sql";
    pub(crate) const GLANCE = "../checkout/glance.sql";
    pub(crate) const FACTS = "../checkout/facts.sql";
    pub(crate) const EXPIRED = "../checkout/expired.sql";
    pub(crate) const LOCK = "../checkout/lock.sql";
}
