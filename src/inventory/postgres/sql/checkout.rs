//! Statements of checkouts.

super::statement::statements! {
    #[doc(hidden)] // for the benches, which give it to pgbench
    pub const SELL_ONE = "../checkout/sell_one.sql";
    pub(crate) const SELL_MANY = "../checkout/sell_many.sql";

    /// [`SELL_MANY`] for one line, whose columns are scalars: see [`column`](super::column).
    pub(crate) const SELL_ONE_LOCKED = "../checkout/sell_many.sql" {
        "* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])" =>
            "* FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))",
        "ANY ($1::text[])" => "$1::text",
    };

    pub(crate) const SELL_HELD = "../checkout/sell_held.sql";

    /// [`SELL_HELD`] for one line.
    pub(crate) const SELL_ONE_HELD = "../checkout/sell_held.sql" {
        "* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])" =>
            "* FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))",
        "ANY ($1::text[])" => "$1::text",
    };

    pub(crate) const GLANCE = "../checkout/glance.sql";

    /// [`GLANCE`] for one line.
    pub(crate) const GLANCE_ONE = "../checkout/glance.sql" {
        "pg_catalog.unnest($1::text[])" => "(VALUES ($1::text))",
    };

    pub(crate) const FACTS = "../checkout/facts.sql";

    /// [`FACTS`] for one line.
    pub(crate) const FACTS_ONE = "../checkout/facts.sql" {
        "unnest($1::text[], $5::bigint[])" => "(VALUES ($1::text, $5::bigint))",
    };

    pub(crate) const EXPIRED = "../checkout/expired.sql";

    /// [`EXPIRED`] for one product.
    pub(crate) const EXPIRED_ONE = "../checkout/expired.sql" {
        "unnest($1::text[], $2::bigint[])" => "(VALUES ($1::text, $2::bigint))",
    };

    pub(crate) const LOCK = "../checkout/lock.sql";

    /// [`LOCK`] for one product.
    pub(crate) const LOCK_ONE = "../checkout/lock.sql" {
        "ANY ($1::text[])" => "$1::text",
    };
}
