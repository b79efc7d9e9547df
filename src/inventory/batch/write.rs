//! The statements of a batch.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::plan::{Known, Plan};
use crate::{
    Version, Versioned,
    inventory::{
        model::{Error, Order, Sku},
        postgres::{checkout::facts, sql::statement::statements, types::Time},
    },
};

statements! {
    #[doc(hidden)] // for the benches, which measure it alone
    pub const BATCH = "batch.sql";

    /// [`BATCH`] that leaves out an order whose id or key exists, with its lines, and returns its id in the first
    /// row. An order that a trigger suppressed is left out as well. A fifth slower, as every order is looked up
    /// twice.
    pub(super) const CAREFUL_BATCH = "batch.sql" {
        "/* conflict: fail */" => "ON CONFLICT DO NOTHING",
        ", verified v WHERE v.ok /* sold: all orders */" => " JOIN new_order n ON n.id = o.id",
        "pg_catalog.cardinality($6::uuid[]) /* number: all orders */" =>
            "(SELECT pg_catalog.count(*) FROM new_order)",
        "NULL::uuid[] /* left out: none */" =>
            "CASE WHEN v.ok AND pg_catalog.row_number() OVER () = 1
            AND (SELECT pg_catalog.count(*) FROM new_order) < pg_catalog.cardinality($6::uuid[])
        THEN ARRAY(SELECT id FROM requested EXCEPT SELECT id FROM new_order) END",
    };

    pub(super) const FACTS = "facts.sql";
    pub(super) const LOCK = "lock.sql";
}

/// The outcome of a batch.
pub(super) enum BatchOutcome {
    /// Every order is written, but for those whose id or key was taken.
    Written {
        created_at: DateTime<Utc>,
        left_out: Vec<Uuid>,
    },
    /// A product differs from the plan; nothing is written.
    Stale,
}

/// Writes the plan, and updates the facts of its products. `careful`: some of the orders may exist.
pub(super) async fn write(
    conn: &mut PgConnection,
    plan: &Plan<'_>,
    careful: bool,
    known: &mut Known,
) -> Result<BatchOutcome, Error> {
    let (mut skus, mut units, mut prices, mut currencies, mut versions) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (sku, taken) in &plan.taken {
        skus.push(sku.as_str());
        units.push(taken.units);
        prices.push(taken.price.minor());
        currencies.push(taken.price.currency().to_string());
        versions.push(taken.pinned.map(Version::get));
    }
    let mut orders: Vec<_> = plan.accepted.iter().collect();
    // Two processes with the same requests insert them in the same order.
    orders.sort_unstable_by_key(|accepted| accepted.request.id);
    let ids: Vec<Uuid> = orders.iter().map(|it| it.request.id.uuid()).collect();
    let customers = orders.iter().map(|it| it.request.customer.as_deref());
    let keys = orders.iter().map(|it| it.request.key.as_deref());
    let totals = orders.iter().map(|it| it.total.minor());
    let paid_in = orders.iter().map(|it| it.total.currency().to_string());
    let (mut of, mut line_skus, mut quantities) = (Vec::new(), Vec::new(), Vec::new());
    for accepted in &plan.accepted {
        for line in &accepted.request.lines {
            of.push(accepted.request.id.uuid());
            line_skus.push(line.sku.as_str());
            quantities.push(line.quantity.get());
        }
    }
    let rows = sqlx::query(if careful { CAREFUL_BATCH } else { BATCH })
        .bind(&skus)
        .bind(units)
        .bind(prices)
        .bind(currencies)
        .bind(versions)
        .bind(ids)
        .bind(customers.collect::<Vec<_>>())
        .bind(keys.collect::<Vec<_>>())
        .bind(totals.collect::<Vec<_>>())
        .bind(paid_in.collect::<Vec<_>>())
        .bind(of)
        .bind(line_skus)
        .bind(quantities)
        .fetch_all(conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, "of a batch"))?;
    for sku in plan.taken.keys() {
        known.remove(*sku);
    }
    learn(&rows, known)?;
    let Some(first) = rows.first() else {
        return Ok(BatchOutcome::Stale);
    };
    if !first.try_get("ok")? {
        return Ok(BatchOutcome::Stale);
    }
    let Time(created_at) = first.try_get("created_at")?;
    let left_out: Option<Vec<Uuid>> = first.try_get("left_out")?;
    let left_out = left_out.unwrap_or_default();
    // The rows hold the facts from before the batch.
    for accepted in &plan.accepted {
        if left_out.contains(&accepted.request.id.uuid()) {
            continue;
        }
        for line in &accepted.request.lines {
            if let Some(facts) = known.get_mut(&line.sku)
                && let Some(next) = facts.version.next()
            {
                facts.available -= line.quantity.get();
                facts.version = next;
            }
        }
    }
    Ok(BatchOutcome::Written {
        created_at,
        left_out,
    })
}

/// Reads the facts of these products.
pub(super) async fn read(
    conn: &mut PgConnection,
    skus: &[&Sku],
    known: &mut Known,
) -> Result<(), Error> {
    let rows = sqlx::query(FACTS).bind(skus).fetch_all(conn).await;
    learn(&rows.map_err(Error::before)?, known)
}

/// Locks these products until the transaction ends, and reads their facts.
pub(super) async fn lock(
    conn: &mut PgConnection,
    skus: &[&Sku],
    known: &mut Known,
) -> Result<(), Error> {
    let rows = sqlx::query(LOCK).bind(skus).fetch_all(conn).await?;
    learn(&rows, known)
}

fn learn(rows: &[PgRow], known: &mut Known) -> Result<(), Error> {
    for row in rows {
        if let Some(facts) = facts::of_row(row)? {
            known.insert(row.try_get("sku")?, facts);
        }
    }
    Ok(())
}
