//! Ledgers, which are closed from their beginning on.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Version, Versioned,
    inventory::{
        model::{
            Archived, ArchivedLedger, Error, HeldBy, Movement, MovementKind, Product, Sku,
            archive::Place,
        },
        postgres::{
            ledger::movements::movement, row::impossible, schema::SchemaConnection,
            sql::archive as sql, types::Time,
        },
    },
};

/// Closes a page of ledgers. Returns the place of the next page, unless it is the last one.
pub(super) async fn archive(
    conn: &mut SchemaConnection<'_>,
    before: DateTime<Utc>,
    place: &Place,
    limit: i64,
    archived: &mut Archived,
) -> Result<Option<Place>, Error> {
    let (sku, version) = match place {
        Place::After(sku) => (sku.as_str(), i64::MAX),
        Place::From(sku) => (sku.as_str(), i64::MIN),
        Place::Orders(_) | Place::Reservations(_) => ("", i64::MIN),
    };
    let rows = sqlx::query(conn.sql(sql::LEDGERS))
        .bind(Time(before))
        .bind(sku)
        .bind(version)
        .bind(limit)
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let mut closing = Vec::new();
    for row in &rows {
        let ledger = judged(row)?;
        if let Some(through) = ledger.through
            && !row.try_get::<bool, _>("closed")?
        {
            closing.push((ledger.sku.clone(), through));
        }
        archived.ledgers.push(ledger);
    }
    close(conn, &closing, archived).await?;
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    if last.try_get::<i64, _>("rows")? < limit {
        return Ok(None);
    }
    // The page may end within the last ledger, which now begins with the opening balance.
    let sku: String = last.try_get("sku")?;
    let held: Option<i64> = last.try_get("held")?;
    Ok(Some(match held {
        None => Place::From(sku),
        Some(_) => Place::After(sku),
    }))
}

fn judged(row: &PgRow) -> Result<ArchivedLedger, Error> {
    let reason: Option<i16> = row.try_get("reason")?;
    let id = |column| -> Result<Uuid, Error> { Ok(row.try_get(column)?) };
    let held_by = match reason {
        None => None,
        Some(1) => Some(HeldBy::Date),
        Some(2) => Some(HeldBy::Order(id("order_id")?.into())),
        Some(3) => Some(HeldBy::Reservation(id("reservation_id")?.into())),
        Some(4) => Some(HeldBy::Discrepancy),
        Some(other) => return Err(impossible(format!("{other} holds no movement"))),
    };
    Ok(ArchivedLedger {
        sku: row.try_get("sku")?,
        through: row.try_get("through")?,
        held_by,
    })
}

/// Closes each ledger through its version, unless another process has closed it further.
async fn close(
    conn: &mut SchemaConnection<'_>,
    ledgers: &[(Sku, Version)],
    archived: &mut Archived,
) -> Result<(), Error> {
    let (skus, throughs): (Vec<&Sku>, Vec<Version>) =
        ledgers.iter().map(|(sku, through)| (sku, *through)).unzip();
    let rows = sqlx::query(conn.sql(sql::LOCK_MOVEMENTS))
        .bind(&skus)
        .bind(&throughs)
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let locked: Vec<Movement> = rows.iter().map(movement).collect::<Result<_, _>>()?;
    let (mut skus, mut throughs, mut leaving) = (Vec::new(), Vec::new(), 0);
    let mut locked = locked.as_slice();
    for (sku, through) in ledgers {
        let count = locked.partition_point(|it| it.sku <= *sku);
        let (movements, others) = locked.split_at(count);
        locked = others;
        let is_open = |it: &&Movement| it.version == *through && it.kind != MovementKind::Opening;
        if movements.last().filter(is_open).is_none() {
            unless_hidden(conn, sku, *through).await?;
            continue;
        }
        skus.push(sku);
        throughs.push(*through);
        leaving += i64::try_from(movements.len()).map_err(impossible)? - 1;
        let real = movements
            .iter()
            .filter(|it| it.kind != MovementKind::Opening);
        archived.movements.extend(real.cloned());
    }
    if skus.is_empty() {
        return Ok(());
    }
    sqlx::query(conn.sql(sql::CLOSE_LEDGERS))
        .bind(skus)
        .bind(throughs)
        .bind(leaving)
        .fetch_one(&mut **conn)
        .await
        .map(drop)
        .map_err(|error| Error::of_several(error, Product::ENTITY, "of an archive"))
}

/// Asserts that a movement which could not be locked was closed by another process: a policy may let a role read a row
/// and not lock it.
async fn unless_hidden(
    conn: &mut SchemaConnection<'_>,
    sku: &Sku,
    version: Version,
) -> Result<(), Error> {
    let is_open: bool = sqlx::query_scalar(conn.sql(sql::STILL_OPEN))
        .bind(sku)
        .bind(version)
        .fetch_one(&mut **conn)
        .await
        .map_err(Error::before)?;
    if is_open {
        return Err(Error::suppressed_in("movements", Product::ENTITY, sku));
    }
    Ok(())
}
