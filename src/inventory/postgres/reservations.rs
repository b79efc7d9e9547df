//! Reservations: each function is one attempt on one connection, and commits nothing of its own.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use super::{
    Call, PgInventory,
    expiry::{self, Expiry, Needed, Piece, Request},
    orders, row, sql,
};
use crate::{
    RetryPolicy,
    inventory::model::{
        Checkout, Cleanup, Error, Quantity, Reservation, ReservationId, Reserve, Shortage, Sku,
        reservation::check_duration,
    },
};

pub(crate) async fn find(conn: &mut PgConnection, id: ReservationId) -> Result<Reservation, Error> {
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

impl PgInventory {
    pub(crate) async fn hold(&self, request: &Reserve) -> Result<Reservation, Error> {
        request.check()?;
        self.call("reserve", (), async |call: &mut Call, attempt| {
            let result = self.by_pieces(call.since, attempt, request).await;
            if let Err(refused) = &result {
                call.refused(&refused.error);
            }
            result
        })
        .await
    }
}

impl Request for Reserve {
    type Answer = Reservation;

    fn needed(&self) -> Vec<Needed<'_>> {
        let lines = self.lines.iter();
        let needed = lines.map(|(sku, quantity)| Needed {
            sku,
            units: quantity.get(),
            version: None,
        });
        needed.collect()
    }

    /// All lines in one statement that locks, judges and writes.
    async fn decide(
        &self,
        conn: &mut PgConnection,
        expiry: Expiry,
    ) -> Result<Piece<Reservation>, Error> {
        let rows = hold(conn, self).await?;
        if row::wrote(&rows)? {
            let committed = !conn.is_in_transaction();
            let found = find(conn, self.id).await;
            return found
                .map(Piece::Done)
                .map_err(|error| error.after(committed));
        }
        if let Some(stored) = known(conn, self).await? {
            return self.replay(stored).map(Piece::Done);
        }
        if judge(&rows)? {
            Ok(Piece::Behind(expiry))
        } else {
            let (entity, id) = (Reservation::ENTITY, self.id);
            Err(Error::suppressed_in("reservations", entity, id))
        }
    }
}

/// In the caller's transaction, which commits it.
pub(crate) async fn reserve(
    conn: &mut PgConnection,
    policy: &RetryPolicy,
    request: &Reserve,
) -> Result<Reservation, Error> {
    request.check()?;
    expiry::in_transaction(conn, policy, request).await
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

/// Whether a line can be had only when expired holds are ended; or why not all of them can be had.
fn judge(rows: &[PgRow]) -> Result<bool, Error> {
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        let (sku, asked): (Sku, i64) = (row.try_get("sku")?, row.try_get("quantity")?);
        let Some(available) = row.try_get::<Option<i64>, _>("available")? else {
            return Err(Error::no_product(&sku));
        };
        known.push((row, sku, asked, available));
    }
    for (row, sku, ..) in &known {
        if row.try_get("paused")? {
            return Err(Error::product_paused(sku.clone()));
        }
    }
    let (mut short, mut behind) = (Vec::new(), false);
    for (row, sku, asked, available) in known {
        let obtainable = available + row.try_get::<i64, _>("expired")?;
        behind |= available < asked;
        if obtainable < asked {
            let asked = Quantity::new(asked).map_err(row::impossible)?;
            short.push(Shortage::new(sku, asked, obtainable));
        }
    }
    if short.is_empty() {
        Ok(behind)
    } else {
        Err(Error::insufficient_stock(short))
    }
}

pub(crate) async fn extend(
    conn: &mut PgConnection,
    id: ReservationId,
    by: Duration,
) -> Result<Reservation, Error> {
    check_duration(by)?;
    let extended = sqlx::query(sql::reservations::EXTEND)
        .bind(id.uuid())
        .bind(orders::micros(by))
        .fetch_one(&mut *conn)
        .await
        .map_err(|error| Error::of_several(error, Reservation::ENTITY, id))?;
    let extended = extended.try_get::<i64, _>("holds")? > 0;
    let committed = extended && !conn.is_in_transaction();
    let found = find(conn, id).await;
    let reservation = found.map_err(|error| error.after(committed))?;
    if extended {
        Ok(reservation)
    } else if reservation.is_live() {
        Err(Error::suppressed_in("holds", Reservation::ENTITY, id))
    } else {
        Err(reservation.closed())
    }
}

pub(crate) async fn release(conn: &mut PgConnection, id: ReservationId) -> Result<(), Error> {
    let released = sqlx::query(sql::reservations::RELEASE)
        .bind(id.uuid())
        .fetch_one(&mut *conn)
        .await
        .map_err(|error| Error::of_several(error, Reservation::ENTITY, id))?;
    if released.try_get::<i64, _>("holds")? > 0 {
        return Ok(());
    }
    find(conn, id).await.map(drop)
}

/// Whether this checkout may be made from the reservation that it names.
pub(crate) async fn admit(conn: &mut PgConnection, request: &Checkout) -> Result<(), Error> {
    let Some(id) = request.reservation else {
        return Ok(());
    };
    let reservation = find(conn, id).await?;
    reservation.admit(request.customer.as_deref())
}

/// Units of these products in holds that have expired, but for those of one reservation; no more of them
/// are read than `units` asks for.
pub(crate) async fn expired(
    conn: &mut PgConnection,
    skus: &[&Sku],
    units: &[i64],
    but: Option<ReservationId>,
) -> Result<Vec<i64>, Error> {
    sqlx::query_scalar(sql::checkout::EXPIRED)
        .bind(skus)
        .bind(units)
        .bind(but.map(ReservationId::uuid))
        .fetch_all(conn)
        .await
        .map_err(Error::before)
}

pub(crate) fn count(ended: &PgRow) -> Result<Cleanup, Error> {
    let count = |column| ended.try_get(column).map(i64::unsigned_abs);
    Ok(Cleanup::of_holds(count("holds")?, count("units")?))
}
