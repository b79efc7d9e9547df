//! What a checkout has to know of its products.

use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::inventory::{
    model::{Checkout, Error, Sku, checkout::Facts},
    postgres::{reservations::expiry::Expiry, row, sql},
};

pub(super) fn skus(request: &Checkout) -> Vec<&Sku> {
    request.lines.iter().map(|line| &line.sku).collect()
}

pub(super) fn units(request: &Checkout) -> Vec<i64> {
    let lines = request.lines.iter();
    lines.map(|line| line.quantity.get()).collect()
}

/// What an optimistic attempt reads, before it writes and after it lost.
pub(super) async fn glance(
    conn: &mut PgConnection,
    request: &Checkout,
) -> Result<(Vec<Option<Facts>>, bool), Error> {
    if request.key.is_some() {
        let (mut facts, taken) = all(conn, request).await?;
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
    Ok((of(&rows)?, taken(&rows)?))
}

pub(super) fn taken(rows: &[PgRow]) -> Result<bool, Error> {
    Ok(rows.first().map_or(Ok(false), |row| row.try_get("taken"))?)
}

/// Everything that a refusal depends on.
pub(super) async fn all(
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
    let mut facts = of(&rows)?;
    for (facts, row) in facts.iter_mut().zip(&rows) {
        if let Some(facts) = facts {
            facts.expired = row.try_get("expired")?;
        }
    }
    Ok((facts, taken(&rows)?))
}

pub(super) fn of(rows: &[PgRow]) -> Result<Vec<Option<Facts>>, Error> {
    rows.iter().map(row::facts).collect()
}

/// The same of rows under the lock, with what the checkout's reservation holds, and what the checkout
/// itself did to the products.
pub(super) fn locked(
    request: &Checkout,
    rows: &[PgRow],
    expiry: &Expiry,
) -> Result<Vec<Option<Facts>>, Error> {
    let mut facts = of(rows)?;
    for (line, (facts, row)) in request.lines.iter().zip(facts.iter_mut().zip(rows)) {
        if let Some(facts) = facts {
            facts.held = row.try_get("held")?;
            facts.raised = expiry.raised(&line.sku);
        }
    }
    Ok(facts)
}
