//! The facts of products by which a checkout is judged.

use sqlx::{Row, postgres::PgRow};

use crate::{
    Version,
    inventory::{
        model::{Checkout, Error, Sku, checkout::Facts},
        postgres::{
            reservations::expiry::Expiry,
            row::money,
            schema::SchemaConnection,
            sql::{
                checkout,
                column::{self, Forms},
            },
        },
    },
};

pub(super) fn skus(request: &Checkout) -> Vec<&Sku> {
    request.lines.iter().map(|line| &line.sku).collect()
}

pub(super) fn units(request: &Checkout) -> Vec<i64> {
    let lines = request.lines.iter();
    lines.map(|line| line.quantity.get()).collect()
}

/// Reads the facts of an optimistic attempt, before it writes and after it lost a race.
pub(super) async fn glance(
    conn: &mut SchemaConnection<'_>,
    request: &Checkout,
) -> Result<(Vec<Option<Facts>>, bool), Error> {
    if request.key.is_some() {
        let (mut facts, taken) = all(conn, request).await?;
        // Expired units are not available to a statement that ends no holds.
        for facts in facts.iter_mut().flatten() {
            facts.expired = 0;
        }
        return Ok((facts, taken));
    }
    let forms = Forms {
        one: checkout::GLANCE_ONE,
        several: checkout::GLANCE,
    };
    let read = forms.query(conn, request.lines.len());
    let read = column::bind(read, skus(request)).bind(request.id.uuid());
    let rows = read.fetch_all(&mut **conn).await.map_err(Error::before)?;
    Ok((of(&rows)?, taken(&rows)?))
}

pub(super) fn taken(rows: &[PgRow]) -> Result<bool, Error> {
    Ok(rows.first().map_or(Ok(false), |row| row.try_get("taken"))?)
}

/// Reads all facts on which a refusal depends.
pub(super) async fn all(
    conn: &mut SchemaConnection<'_>,
    request: &Checkout,
) -> Result<(Vec<Option<Facts>>, bool), Error> {
    let forms = Forms {
        one: checkout::FACTS_ONE,
        several: checkout::FACTS,
    };
    let read = forms.query(conn, request.lines.len());
    let read = column::bind(read, skus(request))
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .bind(request.id.uuid());
    let read = column::bind(read, units(request));
    let rows = read.fetch_all(&mut **conn).await.map_err(Error::before)?;
    let mut facts = of(&rows)?;
    for (facts, row) in facts.iter_mut().zip(&rows) {
        if let Some(facts) = facts {
            facts.expired = row.try_get("expired")?;
        }
    }
    Ok((facts, taken(&rows)?))
}

pub(super) fn of(rows: &[PgRow]) -> Result<Vec<Option<Facts>>, Error> {
    rows.iter().map(of_row).collect()
}

/// As [`of`], from rows under the lock, with the units of the checkout's reservation and the versions that the
/// checkout itself added.
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

/// Returns the facts of a product; `None` if it does not exist.
pub(crate) fn of_row(row: &PgRow) -> Result<Option<Facts>, Error> {
    let Some(version) = row.try_get::<Option<Version>, _>("version")? else {
        return Ok(None);
    };
    Ok(Some(Facts {
        available: row.try_get("available")?,
        expired: 0,
        version,
        price: money(row, "price")?,
        paused: row.try_get("paused")?,
        held: 0,
        raised: 0,
    }))
}
