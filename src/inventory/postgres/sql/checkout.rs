//! Statements of checkouts.

use super::outbox::{ANNOUNCED, unless_announced};

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

    /// [`SELL_ONE`] with the outbox. The entry depends on the movement, as each write depends on the one before.
    pub(crate) const SELL_ONE_OUTBOX = "../checkout/sell_one.sql" {
        "/* outbox: none */" => ",
            announced AS (
                INSERT INTO optilock.outbox (order_id) SELECT m.order_id FROM ledger m
                RETURNING transaction_id, order_id)",
        "/* outbox stored: not asked */" => "
            AND a.order_id = $7::uuid AND a.transaction_id = pg_catalog.pg_current_xact_id()::text::bigint",
        "/* movements stored: the rest */" => "
            WHEN (m.sku = p.sku AND m.version = p.version AND m.delta = - $2::bigint
                AND m.stock_after = p.stock AND m.kind = 1 /* sale */ AND m.order_id = $7::uuid) IS TRUE
                THEN 'outbox'",
        "/* with outbox: none */" => "LEFT JOIN announced a ON true",
    };
    /// [`SELL_MANY`] with the outbox.
    pub(crate) const SELL_MANY_OUTBOX = "../checkout/sell_many.sql" {
        "/* outbox: none */" => ANNOUNCED,
        "/* outbox stored: not asked */" => unless_announced!("j.quantity"),
    };
    /// [`SELL_HELD`] with the outbox.
    pub(crate) const SELL_HELD_OUTBOX = "../checkout/sell_held.sql" {
        "/* outbox: none */" => ANNOUNCED,
        "/* outbox stored: not asked */" => unless_announced!("j.quantity"),
    };

    /// [`SELL_ONE_LOCKED`] with the outbox.
    pub(crate) const SELL_ONE_LOCKED_OUTBOX = "../checkout/sell_many.sql" {
        "* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])" =>
            "* FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))",
        "ANY ($1::text[])" => "$1::text",
        "/* outbox: none */" => ANNOUNCED,
        "/* outbox stored: not asked */" => unless_announced!("j.quantity"),
    };

    /// [`SELL_ONE_HELD`] with the outbox.
    pub(crate) const SELL_ONE_HELD_OUTBOX = "../checkout/sell_held.sql" {
        "* FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])" =>
            "* FROM (VALUES ($1::text, $2::bigint, $3::bigint, $4::bigint, $5::text))",
        "ANY ($1::text[])" => "$1::text",
        "/* outbox: none */" => ANNOUNCED,
        "/* outbox stored: not asked */" => unless_announced!("j.quantity"),
    };

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
