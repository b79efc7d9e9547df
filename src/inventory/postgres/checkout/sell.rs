//! The statements that sell, and the orders from their rows.

use sqlx::{
    Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::facts::{skus, units};
use crate::{
    Version, Versioned,
    inventory::{
        model::{Checkout, Error, Order, OrderLine},
        postgres::{
            hook::{Accepted, Change, Effects},
            row::{money, wrote},
            schema::SchemaConnection,
            sql::{
                checkout,
                column::{self, Forms},
            },
            types::Time,
        },
    },
};

/// Returns the statement that sells the only line of `request`, if its product is at `version`. It returns no row
/// if it sells nothing.
pub(super) fn one<'a>(
    conn: &SchemaConnection<'_>,
    effects: &Effects,
    request: &'a Checkout,
    version: Option<Version>,
) -> Query<'a, Postgres, PgArguments> {
    let line = &request.lines[0]; // a checkout has at least one line
    let sell = match effects.outbox {
        true => checkout::SELL_ONE_OUTBOX,
        false => checkout::SELL_ONE,
    };
    sqlx::query(conn.sql(sell))
        .bind(line.sku.as_str())
        .bind(line.quantity.get())
        .bind(version)
        .bind(line.price.map(|price| price.minor()))
        .bind(line.price.map(|price| price.currency().to_string()))
        .bind(i64::MAX / line.quantity.get())
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
}

/// Sells all lines, if every product is at its version. Returns one row per line with the facts that were
/// found.
pub(super) async fn many(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
    versions: Vec<Option<i64>>,
) -> Result<Vec<PgRow>, Error> {
    let lines = request.lines.iter();
    let prices: Vec<Option<i64>> = lines
        .clone()
        .map(|line| line.price.map(|price| price.minor()))
        .collect();
    let currencies: Vec<Option<String>> = lines
        .map(|line| line.price.map(|price| price.currency().to_string()))
        .collect();
    let forms = match (request.reservation, effects.outbox) {
        (None, false) => Forms {
            one: checkout::SELL_ONE_LOCKED,
            several: checkout::SELL_MANY,
        },
        (None, true) => Forms {
            one: checkout::SELL_ONE_LOCKED_OUTBOX,
            several: checkout::SELL_MANY_OUTBOX,
        },
        (Some(_), false) => Forms {
            one: checkout::SELL_ONE_HELD,
            several: checkout::SELL_HELD,
        },
        (Some(_), true) => Forms {
            one: checkout::SELL_ONE_HELD_OUTBOX,
            several: checkout::SELL_HELD_OUTBOX,
        },
    };
    let sell = forms.query(conn, request.lines.len());
    let sell = column::bind(sell, skus(request));
    let sell = column::bind(sell, units(request));
    let sell = column::bind(sell, versions);
    let sell = column::bind(sell, prices);
    let sell = column::bind(sell, currencies)
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref());
    let sell = match request.reservation {
        Some(id) => sell.bind(id.uuid()),
        None => sell,
    };
    let sold = sell.fetch_all(&mut **conn).await;
    sold.map_err(|error| Error::of_several(error, Order::ENTITY, request.id))
}

/// Returns the order that [`many`] created, if it did.
pub(super) async fn made(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
    rows: &[PgRow],
) -> Result<Option<Order>, Error> {
    if wrote(rows)? {
        accept(conn, effects, request, rows).await.map(Some)
    } else {
        Ok(None)
    }
}

/// Returns the order of a new sale after the host's hook has run.
pub(super) async fn accept(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
    rows: &[PgRow],
) -> Result<Order, Error> {
    let order = order(request, rows)?;
    if !effects.hook.is_some() {
        return Ok(order);
    }
    let mut changes = Vec::with_capacity(rows.len());
    for (line, row) in request.lines.iter().zip(rows) {
        changes.push(Change::new(
            line.sku.clone(),
            line.quantity,
            row.try_get("new_version")?,
            row.try_get("new_stock")?,
            row.try_get("new_reserved")?,
        ));
    }
    let accepted = Accepted::of(order, changes, &request.context);
    effects.hook.call(conn, &accepted).await?;
    Ok(accepted.order)
}

/// Builds the order from the rows of its sale, one per line.
fn order(request: &Checkout, rows: &[PgRow]) -> Result<Order, Error> {
    let mut lines = Vec::with_capacity(rows.len());
    for (line, row) in request.lines.iter().zip(rows) {
        lines.push(OrderLine::new(
            line.sku.clone(),
            line.quantity,
            money(row, "price")?,
        ));
    }
    let Time(created_at) = rows[0].try_get("created_at")?; // one row per line, and at least one line
    let mut order = Order::new(request.id, lines, created_at).ok_or_else(Error::total_too_large)?;
    order.customer.clone_from(&request.customer);
    Ok(order)
}
