//! Sends the changes of a batch as one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};

use super::{changes::Changes, known::Known, read, sql};
use crate::{
    Version,
    inventory::{
        model::{Error, HoldState, Money, OrderId, ReservationId, Sku, order_status::OrderStatus},
        postgres::types::Time,
    },
};

/// The result of a batch.
pub(super) enum Sent {
    /// Every request of the plan is written.
    Written(Written),
    /// A row differs from the plan, and nothing is written.
    Stale(Known),
}

/// What the statement of a batch returned.
pub(super) struct Written {
    /// The time of the statement, by the database's clock.
    pub(super) at: DateTime<Utc>,
    /// The facts of the products before the batch, under their locks.
    pub(super) before: Known,
    /// The products' units on hand before the batch.
    pub(super) stock: HashMap<Sku, i64>,
}

/// Sends the changes.
pub(super) async fn write(
    conn: &mut PgConnection,
    changes: &Changes<'_>,
    outbox: bool,
) -> Result<Sent, Error> {
    let mixed = changes.is_mixed();
    let products = changes.products.values();
    let prices = || products.clone().map(|it| it.price);
    let mut orders = changes.orders.clone();
    orders.sort_by(|a, b| a.insert_order().cmp(&b.insert_order()));
    let requests = || orders.iter().map(|order| order.request);
    let movements = &changes.movements;
    let query = sqlx::query(sql::batch(mixed, outbox))
        .bind(
            changes
                .products
                .keys()
                .map(|sku| sku.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(products.clone().map(|it| it.units).collect::<Vec<_>>())
        .bind(
            prices()
                .map(|price| price.map(Money::minor))
                .collect::<Vec<_>>(),
        )
        .bind(
            prices()
                .map(|price| price.map(|price| price.currency().to_string()))
                .collect::<Vec<_>>(),
        )
        .bind(
            products
                .clone()
                .map(|it| it.pinned.map(Version::get))
                .collect::<Vec<_>>(),
        )
        .bind(products.clone().map(|it| it.changes).collect::<Vec<_>>())
        .bind(products.clone().map(|it| it.stock).collect::<Vec<_>>())
        .bind(requests().map(|it| it.id.uuid()).collect::<Vec<_>>())
        .bind(
            requests()
                .map(|it| it.customer.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(requests().map(|it| it.key.as_deref()).collect::<Vec<_>>())
        .bind(orders.iter().map(|it| it.total.minor()).collect::<Vec<_>>())
        .bind(
            orders
                .iter()
                .map(|it| it.total.currency().to_string())
                .collect::<Vec<_>>(),
        )
        .bind(
            movements
                .iter()
                .map(|it| it.order.map(OrderId::uuid))
                .collect::<Vec<_>>(),
        )
        .bind(
            movements
                .iter()
                .map(|it| it.sku.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(movements.iter().map(|it| it.delta).collect::<Vec<_>>())
        .bind(movements.iter().map(|it| it.number).collect::<Vec<_>>())
        .bind(movements.iter().map(|it| it.stock).collect::<Vec<_>>());
    let query = match mixed {
        false => query,
        true => {
            let reserves = &changes.reservations;
            let lines = || {
                reserves
                    .iter()
                    .flat_map(|request| request.lines.iter().map(move |line| (request, line)))
            };
            let remaining = &changes.changed_reservations;
            let holds = &changes.changed_holds;
            let changed = &changes.changed_orders;
            let returned = || {
                changes
                    .returns
                    .iter()
                    .flat_map(|request| request.lines.iter().map(move |line| (request, line)))
            };
            let code = |state: HoldState| state.code();
            query
                .bind(products.clone().map(|it| it.reserved).collect::<Vec<_>>())
                .bind(
                    products
                        .clone()
                        .map(|it| it.condition as i16)
                        .collect::<Vec<_>>(),
                )
                .bind(
                    requests()
                        .map(|it| it.reservation.map(ReservationId::uuid))
                        .collect::<Vec<_>>(),
                )
                .bind(
                    movements
                        .iter()
                        .map(|it| it.reservation.map(ReservationId::uuid))
                        .collect::<Vec<_>>(),
                )
                .bind(
                    movements
                        .iter()
                        .map(|it| it.kind.code())
                        .collect::<Vec<_>>(),
                )
                .bind(movements.iter().map(|it| it.reason).collect::<Vec<_>>())
                .bind(reserves.iter().map(|it| it.id.uuid()).collect::<Vec<_>>())
                .bind(
                    reserves
                        .iter()
                        .map(|it| it.customer.as_deref())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    reserves
                        .iter()
                        .map(|it| it.key.as_deref())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    reserves
                        .iter()
                        .map(|it| units(&it.lines))
                        .collect::<Vec<_>>(),
                )
                .bind(lines().map(|(it, _)| it.id.uuid()).collect::<Vec<_>>())
                .bind(
                    lines()
                        .map(|(_, (sku, _))| sku.as_str())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    lines()
                        .map(|(_, (_, quantity))| quantity.get())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    lines()
                        .map(|(it, _)| micros(it.duration))
                        .collect::<Vec<_>>(),
                )
                .bind(remaining.keys().map(|id| id.uuid()).collect::<Vec<_>>())
                .bind(remaining.values().map(|it| it.before).collect::<Vec<_>>())
                .bind(remaining.values().map(|it| it.after).collect::<Vec<_>>())
                .bind(holds.keys().map(|(_, id)| id.uuid()).collect::<Vec<_>>())
                .bind(
                    holds
                        .keys()
                        .map(|(sku, _)| sku.as_str())
                        .collect::<Vec<_>>(),
                )
                .bind(holds.values().map(|it| it.before.0).collect::<Vec<_>>())
                .bind(
                    holds
                        .values()
                        .map(|it| code(it.before.1))
                        .collect::<Vec<_>>(),
                )
                .bind(
                    holds
                        .values()
                        .map(|it| micros(it.extension))
                        .collect::<Vec<_>>(),
                )
                .bind(holds.values().map(|it| it.after.0).collect::<Vec<_>>())
                .bind(
                    holds
                        .values()
                        .map(|it| code(it.after.1))
                        .collect::<Vec<_>>(),
                )
                .bind(changed.keys().map(|id| id.uuid()).collect::<Vec<_>>())
                .bind(
                    changed
                        .values()
                        .map(|it| it.before.get())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    changed
                        .values()
                        .map(|it| OrderStatus::code(it.status))
                        .collect::<Vec<_>>(),
                )
                .bind(changed.values().map(|it| it.reason).collect::<Vec<_>>())
                .bind(
                    returned()
                        .map(|(it, _)| it.order.uuid())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    returned()
                        .map(|(_, (sku, _))| sku.as_str())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    returned()
                        .map(|(_, (_, quantity))| quantity.get())
                        .collect::<Vec<_>>(),
                )
                .bind(changes.returns.iter().map(|it| it.id).collect::<Vec<_>>())
                .bind(
                    changes
                        .returns
                        .iter()
                        .map(|it| it.order.uuid())
                        .collect::<Vec<_>>(),
                )
                .bind(
                    changes
                        .returns
                        .iter()
                        .map(|it| texts(&it.lines))
                        .collect::<Vec<_>>(),
                )
                .bind(
                    changes
                        .returns
                        .iter()
                        .map(|it| numbers(&it.lines))
                        .collect::<Vec<_>>(),
                )
                .bind(
                    changes
                        .returns
                        .iter()
                        .map(|it| it.reason.as_str())
                        .collect::<Vec<_>>(),
                )
        }
    };
    let rows = query.fetch_all(conn).await;
    let rows = rows.map_err(|error| Error::of_several(error, "request", "of a batch"))?;
    let mut before = Known::default();
    read::learn(&rows, &mut before)?;
    match rows.first() {
        Some(first) if first.try_get("ok")? => {
            let Time(at) = first.try_get("created_at")?;
            let stock = rows.iter().filter_map(|row| {
                let sku = row.try_get::<Option<Sku>, _>("sku").transpose()?;
                Some(sku.and_then(|sku| Ok((sku, row.try_get("stock")?))))
            });
            let stock = stock.collect::<Result<_, sqlx::Error>>()?;
            Ok(Sent::Written(Written { at, before, stock }))
        }
        _ => Ok(Sent::Stale(before)),
    }
}

type Lines = [(Sku, crate::inventory::model::Quantity)];

fn units(lines: &Lines) -> i64 {
    lines.iter().map(|(_, quantity)| quantity.get()).sum()
}

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Returns the SKUs as the text of an array: the server unnests an array of arrays as a whole.
fn texts(lines: &Lines) -> String {
    let quoted = lines.iter().map(|(sku, _)| {
        let escaped = sku.as_str().replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    });
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

fn numbers(lines: &Lines) -> String {
    let quantities = lines.iter().map(|(_, quantity)| quantity.get().to_string());
    format!("{{{}}}", quantities.collect::<Vec<_>>().join(","))
}
