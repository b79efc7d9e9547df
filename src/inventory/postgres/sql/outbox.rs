//! Statements of the outbox. Its entries are written by those of checkouts.

super::statement::statements! {
    pub(crate) const SINCE = "../outbox/since.sql";
    pub(crate) const ACKNOWLEDGE = "../outbox/acknowledge.sql";
}

/// The part of a sale that writes the entries of its orders, for the CTEs: it follows those of the sale and reads
/// `new_order`.
pub(crate) const ANNOUNCED: &str = ",
announced AS (
    INSERT INTO optilock.outbox (order_id) SELECT o.id FROM new_order o
    RETURNING transaction_id, order_id)";

/// The part of a sale with [`ANNOUNCED`] that checks it, for the `CASE` of the last `SELECT`. Takes the bigint
/// column of that `SELECT` whose text fails the statement.
macro_rules! unless_announced {
    ($number:literal) => {
        concat!(
            "WHEN (
                (SELECT pg_catalog.count(*) = (SELECT pg_catalog.count(*) FROM new_order)
                        AND pg_catalog.sum(pg_catalog.uuid_hash(a.order_id))
                            = (SELECT pg_catalog.sum(pg_catalog.uuid_hash(o.id)) FROM new_order o)
                        AND pg_catalog.bool_and(
                            a.transaction_id = pg_catalog.pg_current_xact_id()::text::bigint)
                    FROM announced a
                )
            ) IS NOT TRUE THEN ('optilock.suppressed.outbox ' || ",
            $number,
            "::text)::boolean"
        )
    };
}
pub(crate) use unless_announced;
