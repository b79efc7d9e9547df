//! Reservations: each function is one attempt on one connection, and commits nothing of its own.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use super::{orders, row, sql};
use crate::inventory::{
    Checkout, Cleanup, Error, Quantity, Reservation, ReservationId, Reserve, Shortage, Sku,
    reservation::check_duration,
};

/// How often what has run out is lapsed for one request; each time somebody else may take what came
/// free.
pub(super) const ROUNDS: u32 = 3;

pub(super) async fn find(conn: &mut PgConnection, id: ReservationId) -> Result<Reservation, Error> {
    let rows = sqlx::query(sql::reservations::RESERVATION)
        .bind(id.uuid())
        .fetch_all(conn)
        .await;
    row::reservation(&rows.map_err(Error::before)?)?
        .ok_or_else(|| Error::not_found(Reservation::ENTITY, id))
}

/// The reservation that an earlier call of this request made, by its id or its key.
async fn known(conn: &mut PgConnection, request: &Reserve) -> Result<Option<Reservation>, Error> {
    let rows = sqlx::query(sql::reservations::RESERVATION_KNOWN)
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .fetch_all(conn)
        .await;
    row::reservation(&rows.map_err(Error::before)?)
}

pub(super) async fn reserve(
    conn: &mut PgConnection,
    request: &Reserve,
) -> Result<Reservation, Error> {
    request.check()?;
    let mut refusal = Error::suppressed(Reservation::ENTITY, request.id);
    for _ in 0..ROUNDS {
        let rows = hold(conn, request).await?;
        if row::wrote(&rows)? {
            let committed = !conn.is_in_transaction();
            let found = find(conn, request.id).await;
            return found.map_err(|error| error.after(committed));
        }
        if let Some(stored) = known(conn, request).await? {
            return request.replay(stored);
        }
        match judge(&rows)? {
            Some(short) => refusal = short,
            None => return Err(Error::suppressed(Reservation::ENTITY, request.id)),
        }
        let skus: Vec<&Sku> = request.lines.iter().map(|(sku, _)| sku).collect();
        lapse(conn, &skus).await?;
    }
    Err(refusal)
}

async fn hold(conn: &mut PgConnection, request: &Reserve) -> Result<Vec<PgRow>, Error> {
    let (skus, quantities): (Vec<&Sku>, Vec<i64>) = request
        .lines
        .iter()
        .map(|(sku, quantity)| (sku, quantity.get()))
        .unzip();
    sqlx::query(sql::reservations::RESERVE)
        .bind(skus)
        .bind(quantities)
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .bind(orders::micros(request.duration))
        .fetch_all(conn)
        .await
        .map_err(|error| Error::of_several(error, Reservation::ENTITY, request.id))
}

/// Why not all lines can be had: an error, or what is short only until what has run out is lapsed.
fn judge(rows: &[PgRow]) -> Result<Option<Error>, Error> {
    let (mut short, mut waiting) = (Vec::new(), Vec::new());
    for row in rows {
        let (sku, asked): (Sku, i64) = (row.try_get("sku")?, row.try_get("quantity")?);
        let Some(available) = row.try_get::<Option<i64>, _>("available")? else {
            return Err(Error::no_product(&sku));
        };
        let obtainable = available + row.try_get::<i64, _>("expired")?;
        let asked = Quantity::new(asked).map_err(row::impossible)?;
        if obtainable < asked.get() {
            short.push(Shortage::new(sku, asked, obtainable));
        } else if available < asked.get() {
            waiting.push(Shortage::new(sku, asked, available));
        }
    }
    if !short.is_empty() {
        return Err(Error::InsufficientStock(short));
    }
    Ok((!waiting.is_empty()).then_some(Error::InsufficientStock(waiting)))
}

pub(super) async fn extend(
    conn: &mut PgConnection,
    id: ReservationId,
    by: Duration,
) -> Result<Reservation, Error> {
    check_duration(by)?;
    let extended = sqlx::query(sql::reservations::EXTEND)
        .bind(id.uuid())
        .bind(orders::micros(by))
        .execute(&mut *conn)
        .await?;
    let extended = extended.rows_affected() > 0;
    let committed = extended && !conn.is_in_transaction();
    let found = find(conn, id).await;
    let reservation = found.map_err(|error| error.after(committed))?;
    if extended {
        Ok(reservation)
    } else {
        Err(reservation.closed())
    }
}

pub(super) async fn release(conn: &mut PgConnection, id: ReservationId) -> Result<(), Error> {
    let released = sqlx::query(sql::reservations::RELEASE)
        .bind(id.uuid())
        .fetch_one(&mut *conn)
        .await?;
    if released.try_get::<i64, _>("holds")? > 0 {
        return Ok(());
    }
    find(conn, id).await.map(drop)
}

/// Whether this checkout may be made from the reservation that it names.
pub(super) async fn admit(conn: &mut PgConnection, request: &Checkout) -> Result<(), Error> {
    let Some(id) = request.reservation else {
        return Ok(());
    };
    let reservation = find(conn, id).await?;
    reservation.admit(request.customer.as_deref())
}

/// Units of these products in holds that have run out, but for those of one reservation.
pub(super) async fn expired(
    conn: &mut PgConnection,
    skus: &[&Sku],
    but: Option<ReservationId>,
) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar(sql::checkout::EXPIRED)
        .bind(skus)
        .bind(but.map(ReservationId::uuid))
        .fetch_all(conn)
        .await
        .map_err(Error::before)
}

/// Gives back what has run out of these products.
pub(super) async fn lapse(conn: &mut PgConnection, skus: &[&Sku]) -> Result<Cleanup, Error> {
    let lapsed = sqlx::query(sql::reservations::LAPSE)
        .bind(skus)
        .fetch_one(conn)
        .await?;
    count(&lapsed)
}

fn count(lapsed: &PgRow) -> Result<Cleanup, Error> {
    let count = |column| lapsed.try_get(column).map(i64::unsigned_abs);
    Ok(Cleanup::of_holds(count("holds")?, count("units")?))
}
