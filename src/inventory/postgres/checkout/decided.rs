//! The locking statement: locks, judges and writes all lines.

use sqlx::{Connection, Row};

use super::{facts, sell};
use crate::{
    Version, Versioned,
    inventory::{
        model::{Checkout, Error, Order},
        postgres::{
            hook::Effects,
            orders,
            reservations::{
                self,
                expiry::{Expiry, Piece},
            },
            schema::SchemaConnection,
            sql::{
                checkout,
                column::{self, Forms},
            },
        },
    },
};

/// Checks the reservation of the checkout, and decides.
pub(super) async fn decide(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
    expiry: Expiry,
) -> Result<Piece<Order>, Error> {
    if request.reservation.is_some() {
        // An order made from the reservation has used it up: the answer is that order, not the refusal.
        if let Some(stored) = orders::known(conn, request).await? {
            return request.replay(stored).map(Piece::Done);
        }
        if let Some(refusal) = reservations::refusal(conn, request).await? {
            return unless_known(conn, request, refusal).await;
        }
    }
    behind(conn, effects, request, expiry).await
}

/// Returns the refusal, unless another call of this request created the order in between.
async fn unless_known(
    conn: &mut SchemaConnection<'_>,
    request: &Checkout,
    refusal: Error,
) -> Result<Piece<Order>, Error> {
    match orders::known(conn, request).await? {
        Some(stored) => request.replay(stored).map(Piece::Done),
        None => Err(refusal),
    }
}

/// Decides, or returns that the request needs units of expired holds.
pub(super) async fn behind(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
    expiry: Expiry,
) -> Result<Piece<Order>, Error> {
    let expected = request.lines.iter().map(|line| {
        let version = line.version.map(Version::get);
        version.map(|version| version + expiry.raised(&line.sku))
    });
    let rows = sell::many(conn, effects, request, expected.collect()).await?;
    if let Some(order) = sell::made(conn, effects, request, &rows).await? {
        return Ok(Piece::Done(order));
    }
    // A second look in a later snapshot: another call of this request may have taken the last unit.
    if let Some(stored) = orders::known(conn, request).await? {
        return request.replay(stored).map(Piece::Done);
    }
    // The reservation may have been used up or released while this attempt waited, also by this request.
    if let Some(refusal) = reservations::refusal(conn, request).await? {
        return unless_known(conn, request, refusal).await;
    }
    let mut facts = facts::locked(request, &rows, &expiry)?;
    match request.judge(&facts) {
        Ok(()) => return Err(suppressed(request, "orders")),
        Err(refusal) if refusal.is_insufficient_stock() => {}
        Err(other) => return Err(other),
    }
    if !conn.is_in_transaction() {
        // The locks are released, and another request may have ended expired holds since: all facts are read in
        // one snapshot.
        let (mut fresh, _) = facts::all(conn, request).await?;
        for (facts, row) in fresh.iter_mut().zip(&rows) {
            if let Some(facts) = facts {
                let live: i64 = row.try_get("live")?;
                facts.available = facts.available.saturating_add(live);
                facts.held = row.try_get("held")?;
                facts.raised = expiry.raised(&row.try_get("sku")?);
            }
        }
        request.judge(&fresh)?;
        return Ok(Piece::Behind(expiry));
    }
    let (skus, units) = (facts::skus(request), facts::units(request));
    let expired = reservations::expired(conn, skus, units, request.reservation).await?;
    for (facts, expired) in facts.iter_mut().zip(expired) {
        if let Some(facts) = facts {
            facts.expired = expired;
        }
    }
    request.judge(&facts)?;
    Ok(Piece::Behind(expiry))
}

/// Locks the products in a statement of their own, as a `SELECT .. FOR UPDATE` does, and judges.
pub(super) async fn judge_locked(
    conn: &mut SchemaConnection<'_>,
    request: &Checkout,
) -> Result<(), Error> {
    let forms = Forms {
        one: checkout::LOCK_ONE,
        several: checkout::LOCK,
    };
    let lock = column::bind(forms.query(conn, request.lines.len()), facts::skus(request));
    let rows = lock.fetch_all(&mut **conn).await?;
    let mut rows = rows.iter().peekable();
    let mut locked = Vec::with_capacity(request.lines.len());
    for line in &request.lines {
        let row = match rows.peek() {
            Some(row) if row.try_get::<&str, _>("sku")? == line.sku.as_str() => rows.next(),
            _ => None,
        };
        locked.push(row.map(facts::of_row).transpose()?.flatten());
    }
    match request.judge(&locked) {
        // The next statement reads again, for the units of the reservation and of expired holds.
        Err(refusal) if refusal.is_insufficient_stock() || refusal.is_not_found() => Ok(()),
        // An earlier call may have created the order, which the next statement finds.
        Err(refusal) if orders::known(conn, request).await?.is_none() => Err(refusal),
        _ => Ok(()),
    }
}

/// Returns the error of a write whose preconditions held and that wrote nothing.
pub(super) fn suppressed(request: &Checkout, table: &'static str) -> Error {
    Error::suppressed_in(table, Order::ENTITY, request.id)
}
