//! A reservation from its rows.

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::inventory::{
    model::{Error, Hold, HoldState, Quantity, Reservation},
    postgres::{row::impossible, types::Time},
};

/// Returns a reservation from its rows; `None` without rows.
///
/// # Errors
///
/// [`ErrorKind::Archived`](crate::inventory::ErrorKind::Archived).
pub(crate) fn reservation(rows: &[PgRow]) -> Result<Option<Reservation>, Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let id: Uuid = first.try_get("id")?;
    if first.try_get("archived")? {
        return Err(Error::archived(Reservation::ENTITY, id));
    }
    let mut holds = Vec::with_capacity(rows.len());
    for row in rows {
        let quantity = Quantity::stored(row.try_get("quantity")?);
        let Time(expires_at) = row.try_get("expires_at")?;
        let mut hold = Hold::new(row.try_get("sku")?, quantity, expires_at);
        hold.held = row.try_get("held")?;
        let state: i16 = row.try_get("state")?;
        hold.state = HoldState::of_code(state)
            .ok_or_else(|| impossible(format!("{state} is no state of a hold")))?;
        holds.push(hold);
    }
    let Time(created_at) = first.try_get("created_at")?;
    let mut reservation = Reservation::new(id.into(), holds, created_at);
    reservation.customer = first.try_get("customer")?;
    Ok(Some(reservation))
}
