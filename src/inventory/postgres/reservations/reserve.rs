//! Reservations of units: all lines or none.

use sqlx::{Connection, Row, postgres::PgRow};

use super::{
    expiry::{self, Expiry, Needed, Piece, Request},
    find,
};
use crate::{
    RetryPolicy,
    inventory::{
        model::{Error, Reservation, Reserve, Sku, reserve::Available},
        postgres::{executor::Executor, orders::micros, row::wrote, schema::SchemaConnection, sql},
    },
};

/// Reserves once per id or key. `in_doubt`: an earlier attempt had an unknown outcome.
pub(crate) async fn exactly_once(
    executor: &Executor,
    request: &Reserve,
    in_doubt: bool,
) -> Result<Reservation, Error> {
    request.check()?;
    executor
        .run("reserve", (), &|call, attempt, _| {
            Box::pin(async move {
                if in_doubt && attempt.number() == 1 {
                    call.doubt();
                }
                let result = expiry::attempt(executor, call.since, attempt, request).await;
                match &result {
                    Ok(reservation) => call.is_replay |= reservation.replayed,
                    Err(refused) => call.refused(&refused.error),
                }
                result
            })
        })
        .await
}

/// Reserves in the caller's transaction, which commits it.
pub(crate) async fn in_transaction(
    conn: &mut SchemaConnection<'_>,
    policy: &RetryPolicy,
    request: &Reserve,
) -> Result<Reservation, Error> {
    request.check()?;
    expiry::in_transaction(conn, policy, request).await
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

    /// Locks, judges and writes all lines in one statement.
    async fn decide(
        &self,
        conn: &mut SchemaConnection<'_>,
        expiry: Expiry,
    ) -> Result<Piece<Reservation>, Error> {
        let rows = hold(conn, self).await?;
        if wrote(&rows)? {
            let committed = !conn.is_in_transaction();
            let found = find(conn, self.id).await;
            return found
                .map(Piece::Done)
                .map_err(|error| error.after(committed));
        }
        let known = known(conn, self).await?;
        Ok(match judge_unwritten(self, known, &found(&rows)?)? {
            Some(stored) => Piece::Done(stored),
            None => Piece::Behind(expiry),
        })
    }
}

/// Judges a request whose statement wrote nothing, by the reservation of an earlier call, if there is one, and by
/// what the statement found. Returns that reservation, or `None` if the request needs units of expired holds.
pub(super) fn judge_unwritten(
    request: &Reserve,
    known: Option<Reservation>,
    found: &[Option<Available>],
) -> Result<Option<Reservation>, Error> {
    if let Some(stored) = known {
        return request.replay(stored).map(Some);
    }
    if request.judge(found)? {
        return Ok(None);
    }
    let (entity, id) = (Reservation::ENTITY, request.id);
    Err(Error::suppressed_in("reservations", entity, id))
}

async fn hold(conn: &mut SchemaConnection<'_>, request: &Reserve) -> Result<Vec<PgRow>, Error> {
    let (skus, quantities): (Vec<&Sku>, Vec<i64>) = request
        .lines
        .iter()
        .map(|(sku, quantity)| (sku, quantity.get()))
        .unzip();
    sqlx::query(conn.sql(sql::reservations::RESERVE))
        .bind(skus)
        .bind(quantities)
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .bind(micros(request.duration))
        .fetch_all(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Reservation::ENTITY, request.id))
}

/// Returns the reservation that an earlier call of this request created, by its id or its key.
async fn known(
    conn: &mut SchemaConnection<'_>,
    request: &Reserve,
) -> Result<Option<Reservation>, Error> {
    let rows = sqlx::query(conn.sql(sql::reservations::RESERVATION_KNOWN))
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .fetch_all(&mut **conn)
        .await;
    super::row::reservation(&rows.map_err(Error::before)?)
}

/// Returns what was found of the product of each line; `None` for a missing one.
fn found(rows: &[PgRow]) -> Result<Vec<Option<Available>>, Error> {
    let found = rows.iter().map(|row| {
        let Some(units) = row.try_get("available")? else {
            return Ok(None);
        };
        Ok(Some(Available {
            units,
            expired: row.try_get("expired")?,
            paused: row.try_get("paused")?,
        }))
    });
    found.collect()
}
