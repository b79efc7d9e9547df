//! The parameters of a batch's statement, in its order.

use std::time::Duration;

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use super::changes::{Changes, NewOrder};
use crate::{
    Version,
    inventory::model::{Money, OrderId, OrderStatus, Quantity, ReservationId, Sku},
};

type Sql<'q> = Query<'q, Postgres, PgArguments>;

type Lines = [(Sku, Quantity)];

/// Binds the products, the new orders and the movements.
pub(super) fn sales<'q>(sql: Sql<'q>, changes: &Changes<'q>, orders: &[NewOrder<'q>]) -> Sql<'q> {
    let (skus, products) = (changes.products.keys(), changes.products.values());
    let currency = |price: Money| price.currency().to_string();
    let sql = sql
        .bind(column(skus, |sku| sku.as_str()))
        .bind(column(products.clone(), |it| it.units))
        .bind(column(products.clone(), |it| it.price.map(Money::minor)))
        .bind(column(products.clone(), |it| it.price.map(currency)))
        .bind(column(products.clone(), |it| it.pinned.map(Version::get)))
        .bind(column(products.clone(), |it| it.changes))
        .bind(column(products, |it| it.stock))
        .bind(column(orders, |it| it.request.id.uuid()))
        .bind(column(orders, |it| it.request.customer.as_deref()))
        .bind(column(orders, |it| it.request.key.as_deref()))
        .bind(column(orders, |it| it.total.minor()))
        .bind(column(orders, |it| currency(it.total)));
    let movements = &changes.movements;
    sql.bind(column(movements, |it| it.order.map(OrderId::uuid)))
        .bind(column(movements, |it| it.sku.as_str()))
        .bind(column(movements, |it| it.delta))
        .bind(column(movements, |it| it.number))
        .bind(column(movements, |it| it.stock))
}

/// Binds what the part `mixed` takes.
pub(super) fn mixed<'q>(sql: Sql<'q>, changes: &Changes<'q>, orders: &[NewOrder<'q>]) -> Sql<'q> {
    let products = changes.products.values();
    let movements = &changes.movements;
    let reservation = |id: Option<ReservationId>| id.map(ReservationId::uuid);
    let sql = sql
        .bind(column(products.clone(), |it| it.reserved))
        .bind(column(products, |it| it.condition as i16))
        .bind(column(orders, |it| reservation(it.request.reservation)))
        .bind(column(movements, |it| reservation(it.reservation)))
        .bind(column(movements, |it| it.kind.code()))
        .bind(column(movements, |it| it.reason));
    let sql = holds(reservations(sql, changes), changes);
    let sql = returns(changed_orders(sql, changes), changes);
    let expiries = changes.changed_holds.values();
    sql.bind(column(expiries, |it| it.expires_at.timestamp_micros()))
}

/// Binds the new reservations and their holds.
fn reservations<'q>(sql: Sql<'q>, changes: &Changes<'q>) -> Sql<'q> {
    let new = &changes.reservations;
    let lines = || {
        let lines = new
            .iter()
            .map(|it| it.lines.iter().map(move |line| (it, line)));
        lines.flatten()
    };
    sql.bind(column(new, |it| it.id.uuid()))
        .bind(column(new, |it| it.customer.as_deref()))
        .bind(column(new, |it| it.key.as_deref()))
        .bind(column(new, |it| units(&it.lines)))
        .bind(column(lines(), |(it, _)| it.id.uuid()))
        .bind(column(lines(), |(_, (sku, _))| sku.as_str()))
        .bind(column(lines(), |(_, (_, quantity))| quantity.get()))
        .bind(column(lines(), |(it, _)| micros(it.duration)))
}

/// Binds the changed reservations and holds.
fn holds<'q>(sql: Sql<'q>, changes: &Changes<'q>) -> Sql<'q> {
    let (ids, remaining) = (
        changes.changed_reservations.keys(),
        changes.changed_reservations.values(),
    );
    let (keys, holds) = (changes.changed_holds.keys(), changes.changed_holds.values());
    sql.bind(column(ids, |id| id.uuid()))
        .bind(column(remaining.clone(), |it| it.before))
        .bind(column(remaining, |it| it.after))
        .bind(column(keys.clone(), |(_, id)| id.uuid()))
        .bind(column(keys, |(sku, _)| sku.as_str()))
        .bind(column(holds.clone(), |it| it.before.0))
        .bind(column(holds.clone(), |it| it.before.1.code()))
        .bind(column(holds.clone(), |it| micros(it.extension)))
        .bind(column(holds.clone(), |it| it.after.0))
        .bind(column(holds, |it| it.after.1.code()))
}

fn changed_orders<'q>(sql: Sql<'q>, changes: &Changes<'q>) -> Sql<'q> {
    let (ids, orders) = (
        changes.changed_orders.keys(),
        changes.changed_orders.values(),
    );
    sql.bind(column(ids, |id| id.uuid()))
        .bind(column(orders.clone(), |it| it.before.get()))
        .bind(column(orders.clone(), |it| OrderStatus::code(it.status)))
        .bind(column(orders, |it| it.reason))
}

/// Binds the returned lines and their return requests.
fn returns<'q>(sql: Sql<'q>, changes: &Changes<'q>) -> Sql<'q> {
    let (new, lines) = (&changes.returns, &changes.returned_lines);
    sql.bind(column(lines, |it| it.order.uuid()))
        .bind(column(lines, |it| it.sku.as_str()))
        .bind(column(lines, |it| it.quantity))
        .bind(column(lines, |it| it.before))
        .bind(column(new, |it| it.id))
        .bind(column(new, |it| it.order.uuid()))
        .bind(column(new, |it| texts(&it.lines)))
        .bind(column(new, |it| numbers(&it.lines)))
        .bind(column(new, |it| it.reason.as_str()))
}

fn column<R: IntoIterator, T>(rows: R, value: impl FnMut(R::Item) -> T) -> Vec<T> {
    rows.into_iter().map(value).collect()
}

fn units(lines: &Lines) -> i64 {
    let quantities = lines.iter().map(|(_, quantity)| quantity.get());
    quantities.fold(0, i64::saturating_add)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Returns the SKUs as the text of an array: `unnest` takes an array of arrays apart as a whole.
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
