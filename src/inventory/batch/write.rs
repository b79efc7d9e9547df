//! A batch in one statement.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::plan::{Known, Plan};
use crate::{
    Version, Versioned,
    inventory::{
        model::{Error, Order, Sku},
        postgres::{
            row,
            sql::{asserted, locks_within},
            types::Time,
        },
    },
};

/// Writes every order of a batch if the products still are as it was planned. `$1` skus, `$2` units
/// taken, `$3` prices, `$4` currencies, `$5` versions where a request expects one; `$6` orders, `$7`
/// customers, `$8` keys, `$9` totals, `$10` currencies; of the lines in the order of arrival `$11` orders,
/// `$12` skus, `$13` quantities.
///
/// What was written is compared by numbers and sums: a join of each row costs a fifth of the batch, and may
/// become a nested loop, as the planner takes two hundred rows for ten.
///
/// Answers with one row per product, its facts under the lock before the batch; `ok` tells whether the batch
/// was written.
macro_rules! batch {
    (taken: $taken:literal, of: $of:literal, made: $made:literal, left_out: $left_out:literal) => {
        concat!(
            "WITH limited AS MATERIALIZED (SELECT ",
            locks_within!(),
            " AS within),
    planned AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])
            AS planned (sku, units, price, currency, version)),
    locked AS MATERIALIZED (
        SELECT p.sku, p.stock, p.reserved, p.version, p.price, p.currency, p.paused, p.retired, p.updated_at
        FROM optilock.products p
        WHERE p.sku = ANY ($1::text[]) AND (SELECT within FROM limited) IS NOT NULL
        ORDER BY p.sku FOR NO KEY UPDATE),
    verified AS MATERIALIZED (
        SELECT pg_catalog.count(*) = pg_catalog.cardinality($1::text[])
            AND pg_catalog.bool_and(NOT k.retired AND NOT k.paused AND k.stock - k.reserved >= e.units
                AND k.price = e.price AND k.currency = e.currency
                AND k.version = coalesce(e.version, k.version)) AS ok
        FROM locked k JOIN planned e ON e.sku = k.sku),
    requested AS MATERIALIZED (
        SELECT * FROM unnest($6::uuid[], $7::text[], $8::text[], $9::bigint[], $10::text[])
            AS requested (id, customer, key, total, currency)),
    new_order AS (
        INSERT INTO optilock.orders (id, customer, idempotency_key, total, currency)
        SELECT r.id, r.customer, r.key, r.total, r.currency FROM requested r, verified v WHERE v.ok
       ",
            $taken,
            " RETURNING id, status, version, total),
    sold AS MATERIALIZED (
        SELECT o.id, k.sku, o.quantity, k.price, k.reserved, k.updated_at,
            k.version + pg_catalog.row_number() OVER line AS version,
            k.stock - (pg_catalog.sum(o.quantity) OVER line)::bigint AS stock
        FROM unnest($11::uuid[], $12::text[], $13::bigint[]) WITH ORDINALITY AS o (id, sku, quantity, at)
        JOIN locked k ON k.sku = o.sku",
            $of,
            "
        WINDOW line AS (PARTITION BY k.sku ORDER BY o.at ROWS UNBOUNDED PRECEDING)),
    meant AS MATERIALIZED (
        SELECT DISTINCT ON (sku) sku, stock, reserved, version, updated_at FROM sold ORDER BY sku, version DESC),
    changed AS (
        UPDATE optilock.products p
        SET stock = t.stock, reserved = t.reserved, version = t.version,
            updated_at = greatest(t.updated_at, pg_catalog.clock_timestamp())
        FROM meant t WHERE p.sku = t.sku AND p.sku = ANY ($1::text[])
        RETURNING p.sku, p.stock, p.reserved, p.version, p.updated_at),
    line AS (
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
        SELECT s.id, s.sku, s.quantity, s.price FROM sold s
        RETURNING order_id, sku, quantity, price),
    ledger AS (
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id, moved_at)
        SELECT s.sku, s.version, 1::smallint, - s.quantity, s.stock, s.id, p.updated_at
        FROM sold s JOIN changed p ON p.sku = s.sku
        RETURNING order_id, sku, version, delta, stock_after),
    sums AS MATERIALIZED (
        SELECT pg_catalog.count(*) AS lines, pg_catalog.sum(quantity) AS quantities,
            pg_catalog.sum(price) AS prices, pg_catalog.sum(quantity * price) AS total,
            pg_catalog.sum(version) AS versions, pg_catalog.sum(stock) AS stocks,
            pg_catalog.sum(pg_catalog.hashtext(sku)) AS skus, pg_catalog.sum(pg_catalog.uuid_hash(id)) AS ids
        FROM sold)
    SELECT k.sku, k.stock - k.reserved AS available, CASE WHEN NOT k.retired THEN k.version END AS version,
        k.price, k.currency, k.paused, pg_catalog.statement_timestamp() AS created_at,
        CASE WHEN v.ok THEN ",
            asserted!(
                "k.version";
                "products": "(SELECT pg_catalog.count(*) FROM changed p JOIN meant t ON t.sku = p.sku
                AND t.stock = p.stock AND t.reserved = p.reserved AND t.version = p.version)
            = (SELECT pg_catalog.count(*) FROM meant)",
                "orders": concat!(
                    "(SELECT pg_catalog.bool_and(o.status = 0 AND o.version = 1)
                AND pg_catalog.sum(o.total) = (SELECT total FROM sums)
                AND pg_catalog.count(*) = ", $made, " FROM new_order o)"
                ),
                "order_lines": "(SELECT (pg_catalog.count(*), pg_catalog.sum(l.quantity), pg_catalog.sum(l.price),
                    pg_catalog.sum(pg_catalog.hashtext(l.sku)), pg_catalog.sum(pg_catalog.uuid_hash(l.order_id)))
                = (SELECT lines, quantities, prices, skus, ids FROM sums) FROM line l)",
                "movements": "(SELECT (pg_catalog.count(*), - pg_catalog.sum(m.delta), pg_catalog.sum(m.version),
                    pg_catalog.sum(m.stock_after), pg_catalog.sum(pg_catalog.hashtext(m.sku)),
                    pg_catalog.sum(pg_catalog.uuid_hash(m.order_id)))
                = (SELECT lines, quantities, versions, stocks, skus, ids FROM sums) FROM ledger m)",
            ),
            " ELSE false END AS ok,
        ",
            $left_out,
            " AS left_out
    FROM locked k, verified v"
        )
    };
}

/// An order whose id or key is taken fails the whole batch.
#[doc(hidden)] // for the benches, which measure it alone
pub const BATCH: &str = batch! {
    taken: "", of: ", verified v WHERE v.ok", made: "pg_catalog.cardinality($6::uuid[])", left_out: "NULL::uuid[]"
};

/// An order whose id or key is taken is left out, with its lines, and named in the first row. A fifth
/// slower: every order is looked for before it is written, and once more. One that a trigger suppressed is
/// left out, too.
const CAREFUL_BATCH: &str = batch! {
    taken: " ON CONFLICT DO NOTHING", of: " JOIN new_order n ON n.id = o.id",
    made: "(SELECT pg_catalog.count(*) FROM new_order)",
    left_out: "CASE WHEN v.ok AND pg_catalog.row_number() OVER () = 1
            AND (SELECT pg_catalog.count(*) FROM new_order) < pg_catalog.cardinality($6::uuid[])
        THEN ARRAY(SELECT id FROM requested EXCEPT SELECT id FROM new_order) END"
};

/// The facts of these products, before a batch. `$1` skus.
const FACTS: &str =
    "SELECT p.sku, p.stock - p.reserved AS available, p.version, p.price, p.currency, p.paused
    FROM optilock.products p WHERE p.sku = ANY ($1::text[]) AND NOT p.retired";

/// The same, locked, if that is done in half a second; retired ones are without a version. `$1` skus.
const LOCKED: &str = concat!(
    "SELECT p.sku, p.stock - p.reserved AS available, CASE WHEN NOT p.retired THEN p.version END AS version,
        p.price, p.currency, p.paused
    FROM optilock.products p WHERE p.sku = ANY ($1::text[]) AND (SELECT ",
    locks_within!(),
    ") IS NOT NULL ORDER BY p.sku FOR NO KEY UPDATE"
);

/// What the database made of a batch.
pub(super) enum Written {
    /// But for those whose id or key was taken.
    All {
        created_at: DateTime<Utc>,
        left_out: Vec<Uuid>,
    },
    /// A product was not as it was planned.
    Nothing,
}

/// Writes the plan, and learns how the products are. `careful`: although some of the orders may be there.
pub(super) async fn write(
    conn: &mut PgConnection,
    plan: &Plan<'_>,
    careful: bool,
    known: &mut Known,
) -> Result<Written, Error> {
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
    // Two processes with the same requests take them in the same order.
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
        return Ok(Written::Nothing);
    };
    if !first.try_get("ok")? {
        return Ok(Written::Nothing);
    }
    let Time(created_at) = first.try_get("created_at")?;
    let left_out: Option<Vec<Uuid>> = first.try_get("left_out")?;
    let left_out = left_out.unwrap_or_default();
    // From how they were to how they are.
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
    Ok(Written::All {
        created_at,
        left_out,
    })
}

/// Reads how these products are.
pub(super) async fn read(
    conn: &mut PgConnection,
    skus: &[&Sku],
    known: &mut Known,
) -> Result<(), Error> {
    let rows = sqlx::query(FACTS).bind(skus).fetch_all(conn).await;
    learn(&rows.map_err(Error::before)?, known)
}

/// Locks them until the transaction ends, and reads.
pub(super) async fn lock(
    conn: &mut PgConnection,
    skus: &[&Sku],
    known: &mut Known,
) -> Result<(), Error> {
    let rows = sqlx::query(LOCKED).bind(skus).fetch_all(conn).await?;
    learn(&rows, known)
}

fn learn(rows: &[PgRow], known: &mut Known) -> Result<(), Error> {
    for row in rows {
        if let Some(facts) = row::facts(row)? {
            known.insert(row.try_get("sku")?, facts);
        }
    }
    Ok(())
}
