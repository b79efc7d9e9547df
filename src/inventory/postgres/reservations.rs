//! Reservations. Each function is one attempt on one connection, and commits nothing.

mod counts;
pub(crate) mod expiry;
#[cfg(test)]
mod explored;
pub(crate) mod reserve;
pub(crate) mod row;

use std::time::Duration;

use sqlx::{Connection, Row};

use super::{
    executor::Executor,
    orders::micros,
    sql::{
        self,
        column::{self, Forms},
    },
};
use crate::inventory::{
    model::{Checkout, Error, ErrorKind, Reservation, ReservationId, Sku, reserve::check_duration},
    postgres::{executor::Work, schema::SchemaConnection},
};

/// How often one attempt sends a step that had no effect on a reservation in whose state the step begins.
const ROUNDS: u32 = 2;

/// Makes a step of a reservation. A repeated step has the same answer, so an unknown outcome is retried. In a
/// state in which no such step begins, an attempt that is still running is refused as well, and a reservation
/// that arrives late expires. `in_doubt`: an earlier attempt had an unknown outcome.
pub(crate) async fn step<'a, T: Send + Sync>(
    executor: &Executor,
    label: &'static str,
    in_doubt: bool,
    work: Work<'_, 'a, Result<T, Error>>,
) -> Result<T, Error> {
    executor
        .run(label, (), &|call, attempt, _| {
            Box::pin(async move {
                if in_doubt && attempt.number() == 1 {
                    call.doubt();
                }
                let result = executor.attempt(attempt, work).await;
                if let Err(refused) = &result {
                    call.refused(&refused.error);
                }
                result
            })
        })
        .await
}

pub(crate) async fn find(
    conn: &mut SchemaConnection<'_>,
    id: ReservationId,
) -> Result<Reservation, Error> {
    let rows = sqlx::query(conn.sql(sql::reservations::RESERVATION))
        .bind(id.uuid())
        .fetch_all(&mut **conn)
        .await;
    row::reservation(&rows.map_err(Error::before)?)?
        .ok_or_else(|| Error::not_found(Reservation::ENTITY, id))
}

pub(crate) async fn extend(
    conn: &mut SchemaConnection<'_>,
    id: ReservationId,
    by: Duration,
) -> Result<Reservation, Error> {
    check_duration(by)?;
    for round in 1..=ROUNDS {
        let extended = sqlx::query(conn.sql(sql::reservations::EXTEND))
            .bind(id.uuid())
            .bind(micros(by))
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Reservation::ENTITY, id))?;
        let extended = extended.try_get::<i64, _>("holds")? > 0;
        let committed = extended && !conn.is_in_transaction();
        let found = find(conn, id).await;
        let reservation = found.map_err(|error| error.after(committed))?;
        if let Some(answer) = judge_extended(reservation, extended, round)? {
            return Ok(answer);
        }
    }
    Err(suppressed_holds(id))
}

/// Judges an extension by the reservation as it was read afterwards. Returns `None` if another round decides: the
/// reservation may have been created between the statement and the read.
fn judge_extended(
    reservation: Reservation,
    extended: bool,
    round: u32,
) -> Result<Option<Reservation>, Error> {
    match (extended, reservation.is_live()) {
        (true, _) => Ok(Some(reservation)),
        (false, true) if round < ROUNDS => Ok(None),
        (false, true) => Err(suppressed_holds(reservation.id)),
        (false, false) => Err(reservation.closed()),
    }
}

fn suppressed_holds(id: ReservationId) -> Error {
    Error::suppressed_in("holds", Reservation::ENTITY, id)
}

pub(crate) async fn release(
    conn: &mut SchemaConnection<'_>,
    id: ReservationId,
) -> Result<(), Error> {
    for round in 1..=ROUNDS {
        let released = sqlx::query(conn.sql(sql::reservations::RELEASE))
            .bind(id.uuid())
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Reservation::ENTITY, id))?;
        if released.try_get::<i64, _>("holds")? > 0 {
            return Ok(());
        }
        if judge_unreleased(&find(conn, id).await?, round)? {
            return Ok(());
        }
    }
    Err(suppressed_holds(id))
}

/// Judges a release without an effect by the reservation as it was read afterwards. Returns whether it has ended;
/// otherwise another round decides: it may have been created between the statement and the read.
fn judge_unreleased(reservation: &Reservation, round: u32) -> Result<bool, Error> {
    match reservation.has_ended() {
        false if round == ROUNDS => Err(suppressed_holds(reservation.id)),
        has_ended => Ok(has_ended),
    }
}

/// Returns the refusal of a checkout that can't use the reservation that it names.
pub(crate) async fn refusal(
    conn: &mut SchemaConnection<'_>,
    request: &Checkout,
) -> Result<Option<Error>, Error> {
    let Some(id) = request.reservation else {
        return Ok(None);
    };
    match find(conn, id).await {
        Ok(reservation) => Ok(reservation.admit(request.customer.as_deref()).err()),
        Err(gone) if matches!(gone.kind(), ErrorKind::NotFound | ErrorKind::Archived) => {
            Ok(Some(gone))
        }
        Err(failed) => Err(failed),
    }
}

/// Returns the units of these products in expired holds, without those of one reservation; reads no more holds
/// than `units` needs.
pub(crate) async fn expired(
    conn: &mut SchemaConnection<'_>,
    skus: Vec<&Sku>,
    units: Vec<i64>,
    except: Option<ReservationId>,
) -> Result<Vec<i64>, Error> {
    let forms = Forms {
        one: sql::checkout::EXPIRED_ONE,
        several: sql::checkout::EXPIRED,
    };
    let read = column::bind(forms.query(conn, skus.len()), skus);
    let read = column::bind(read, units).bind(except.map(ReservationId::uuid));
    let rows = read.fetch_all(&mut **conn).await.map_err(Error::before)?;
    let expired = rows.iter().map(|row| Ok(row.try_get("expired")?));
    expired.collect()
}
