//! What a checkout asks of the database, statement by statement.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{
    expiry::Expiry,
    hook::{Accepted, Change, Hook},
    row, sql,
    time::Time,
};
use crate::{
    Version, Versioned,
    inventory::model::{Checkout, Error, Order, OrderLine, Sku, checkout::Facts},
};

pub(crate) fn skus(request: &Checkout) -> Vec<&Sku> {
    request.lines.iter().map(|line| &line.sku).collect()
}

pub(crate) fn units(request: &Checkout) -> Vec<i64> {
    let lines = request.lines.iter();
    lines.map(|line| line.quantity.get()).collect()
}

/// What an optimistic attempt reads, before it writes and after it lost.
pub(crate) async fn glance(
    conn: &mut PgConnection,
    request: &Checkout,
) -> Result<(Vec<Option<Facts>>, bool), Error> {
    if request.key.is_some() {
        let (mut facts, taken) = facts(conn, request).await?;
        // What has expired is not there yet for a statement that ends no holds.
        for facts in facts.iter_mut().flatten() {
            facts.expired = 0;
        }
        return Ok((facts, taken));
    }
    let read = sqlx::query(sql::checkout::GLANCE)
        .bind(skus(request))
        .bind(request.id.uuid());
    let rows = read.fetch_all(conn).await.map_err(Error::before)?;
    Ok((facts_of(&rows)?, taken(&rows)?))
}

pub(crate) fn taken(rows: &[PgRow]) -> Result<bool, Error> {
    Ok(rows.first().map_or(Ok(false), |row| row.try_get("taken"))?)
}

/// Everything that a refusal depends on.
pub(crate) async fn facts(
    conn: &mut PgConnection,
    request: &Checkout,
) -> Result<(Vec<Option<Facts>>, bool), Error> {
    let read = sqlx::query(sql::checkout::FACTS)
        .bind(skus(request))
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .bind(request.id.uuid())
        .bind(units(request));
    let rows = read.fetch_all(conn).await.map_err(Error::before)?;
    let mut facts = facts_of(&rows)?;
    for (facts, row) in facts.iter_mut().zip(&rows) {
        if let Some(facts) = facts {
            facts.expired = row.try_get("expired")?;
        }
    }
    Ok((facts, taken(&rows)?))
}

pub(crate) fn facts_of(rows: &[PgRow]) -> Result<Vec<Option<Facts>>, Error> {
    rows.iter().map(row::facts).collect()
}

/// The same of rows under the lock, with what the checkout's reservation holds, and what the checkout
/// itself did to the products.
pub(crate) fn locked_facts(
    request: &Checkout,
    rows: &[PgRow],
    expiry: &Expiry,
) -> Result<Vec<Option<Facts>>, Error> {
    let mut facts = facts_of(rows)?;
    for (line, (facts, row)) in request.lines.iter().zip(facts.iter_mut().zip(rows)) {
        if let Some(facts) = facts {
            facts.held = row.try_get("held")?;
            facts.raised = expiry.raised(&line.sku);
        }
    }
    Ok(facts)
}

pub(crate) async fn sell_one(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    version: Option<Version>,
) -> Result<Option<Order>, Error> {
    let line = &request.lines[0]; // a checkout has at least one line
    let sold = sqlx::query(sql::checkout::SELL_ONE)
        .bind(line.sku.as_str())
        .bind(line.quantity.get())
        .bind(version)
        .bind(line.price.map(|price| price.minor()))
        .bind(line.price.map(|price| price.currency().to_string()))
        .bind(i64::MAX / line.quantity.get())
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .fetch_all(&mut *conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, request.id))?;
    if sold.is_empty() {
        Ok(None)
    } else {
        accept(conn, hook, request, &sold).await.map(Some)
    }
}

pub(crate) async fn sell_many(
    conn: &mut PgConnection,
    request: &Checkout,
    versions: &[Option<i64>],
) -> Result<Vec<PgRow>, Error> {
    let lines = request.lines.iter();
    let prices: Vec<Option<i64>> = lines
        .clone()
        .map(|line| line.price.map(|price| price.minor()))
        .collect();
    let currencies: Vec<Option<String>> = lines
        .map(|line| line.price.map(|price| price.currency().to_string()))
        .collect();
    let sell = match request.reservation {
        Some(_) => sql::checkout::SELL_HELD,
        None => sql::checkout::SELL_MANY,
    };
    let sell = sqlx::query(sell)
        .bind(skus(request))
        .bind(units(request))
        .bind(versions)
        .bind(prices)
        .bind(currencies)
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref());
    let sell = match request.reservation {
        Some(id) => sell.bind(id.uuid()),
        None => sell,
    };
    let sold = sell.fetch_all(conn).await;
    sold.map_err(|error| Error::of_several(error, Order::ENTITY, request.id))
}

/// The order that [`sql::checkout::SELL_MANY`] made, if it did.
pub(crate) async fn made(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    rows: &[PgRow],
) -> Result<Option<Order>, Error> {
    if row::wrote(rows)? {
        accept(conn, hook, request, rows).await.map(Some)
    } else {
        Ok(None)
    }
}

/// The order of a sale that was just made, once the host's hook has done its part.
async fn accept(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    rows: &[PgRow],
) -> Result<Order, Error> {
    let order = order(request, rows)?;
    if !hook.is_some() {
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
    let accepted = Accepted::new(order, changes);
    hook.call(conn, &accepted).await?;
    Ok(accepted.order)
}

/// The order from the rows of its sale, one per line.
fn order(request: &Checkout, rows: &[PgRow]) -> Result<Order, Error> {
    let mut lines = Vec::with_capacity(rows.len());
    for (line, row) in request.lines.iter().zip(rows) {
        lines.push(OrderLine::new(
            line.sku.clone(),
            line.quantity,
            row::price(row)?,
        ));
    }
    let Time(created_at) = rows[0].try_get("created_at")?; // one row per line, and at least one line
    let mut order = Order::new(request.id, lines, created_at).ok_or_else(Error::total_too_large)?;
    order.customer.clone_from(&request.customer);
    Ok(order)
}
