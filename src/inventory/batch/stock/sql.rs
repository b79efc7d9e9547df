//! The statements of batches.

use crate::inventory::postgres::sql::statement::statements;

/// Returns the statement that writes a batch.
pub(super) const fn batch(mixed: bool, outbox: bool) -> &'static str {
    match (mixed, outbox) {
        (false, false) => SALES,
        (false, true) => SALES_OUTBOX,
        (true, false) => MIXED,
        (true, true) => MIXED_OUTBOX,
    }
}

statements! {
    pub(super) const MIXED = "batch.sql";

    /// [`MIXED`] for a batch of checkouts of free units: a fifth faster.
    #[doc(hidden)] // for the benches, which measure it alone
    pub const SALES = "batch.sql" {
        "/* mixed { */" => "",
        "/* sellable: by condition */" => SELLABLE,
        "/* kind: of the movement */" => SALE,
    };

    /// [`MIXED`] with the outbox.
    pub(super) const MIXED_OUTBOX = "batch.sql" {
        "/* outbox: none */" => ANNOUNCED,
        "/* outbox stored: not asked */" => UNLESS_ANNOUNCED,
    };

    /// [`SALES`] with the outbox.
    pub(super) const SALES_OUTBOX = "batch.sql" {
        "/* mixed { */" => "",
        "/* sellable: by condition */" => SELLABLE,
        "/* kind: of the movement */" => SALE,
        "/* outbox: none */" => ANNOUNCED,
        "/* outbox stored: not asked */" => UNLESS_ANNOUNCED,
    };

    pub(super) const PRODUCTS = "products.sql";
    pub(super) const RESERVATIONS = "reservations.sql";
    pub(super) const TAKEN = "taken.sql";
    pub(super) const AVAILABLE = "available.sql";
    pub(super) const LOCK = "lock.sql";
}

const SELLABLE: &str = "NOT k.retired AND NOT k.paused AND";
const SALE: &str = "1 /* sale */::smallint";

const ANNOUNCED: &str = "announced AS (
    INSERT INTO optilock.outbox (order_id, transaction_id)
    SELECT o.id, v.transaction_id FROM new_orders o, verified v
    RETURNING order_id, transaction_id),";

const UNLESS_ANNOUNCED: &str = "WHEN (
    (SELECT pg_catalog.count(*) = pg_catalog.cardinality($8::uuid[])
        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id)) IS NOT DISTINCT FROM
            (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_orders o)
        AND coalesce(pg_catalog.bool_and(a.transaction_id = v.transaction_id), true)
        FROM announced a)
) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || v.transaction_id::text)::boolean";
