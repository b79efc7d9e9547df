//! Reservations that leave.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{LockedPage, check_handed_over};
use crate::inventory::{
    model::{Archived, Error, Reservation},
    postgres::{
        reservations::row::reservation, schema::SchemaConnection, sql::archive as sql, types::Time,
    },
};

/// Archives a page of the reservations after an id. Returns the last id of the page, unless it is the last page.
pub(super) async fn archive(
    conn: &mut SchemaConnection<'_>,
    before: DateTime<Utc>,
    after: Option<Uuid>,
    limit: i64,
    archived: &mut Archived,
) -> Result<Option<Uuid>, Error> {
    let page = LockedPage::read(conn, sql::LOCK_RESERVATIONS, before, after, limit).await?;
    let leaving = page.locked;
    if !leaving.is_empty() {
        let rows = sqlx::query(conn.sql(sql::RESERVATIONS))
            .bind(&leaving)
            .fetch_all(&mut **conn)
            .await
            .map_err(Error::before)?;
        let of_one = |a: &PgRow, b: &PgRow| {
            let id = |row: &PgRow| row.try_get::<Uuid, _>("id").ok();
            id(a) == id(b)
        };
        for rows in rows.chunk_by(of_one) {
            archived.reservations.extend(reservation(rows)?);
        }
        check_handed_over("reservations", archived.reservations.len(), leaving.len())?;
        sqlx::query(conn.sql(sql::REMOVE_RESERVATIONS))
            .bind(&leaving)
            .bind(Time(before))
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Reservation::ENTITY, "of an archive"))?;
    }
    Ok(page.next)
}
