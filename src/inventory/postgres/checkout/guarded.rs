//! The guarded strategy: one line, one statement, one round trip. The guard is in the `WHERE` of the `UPDATE`
//! itself.

use super::{decided, facts, sell};
use crate::{
    Versioned,
    inventory::{
        model::{Checkout, Error, Order, checkout::Facts},
        postgres::{
            hook::Effects,
            reservations::expiry::{Expiry, Piece},
            schema::SchemaConnection,
        },
    },
};

pub(super) async fn sell(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
) -> Result<Piece<Order>, Error> {
    let line = &request.lines[0]; // a checkout has at least one line
    let sold = sell::one(conn, effects, request, line.version)
        .fetch_all(&mut **conn)
        .await;
    let sold = sold.map_err(|error| Error::of_several(error, Order::ENTITY, request.id))?;
    if !sold.is_empty() {
        return sell::accept(conn, effects, request, &sold)
            .await
            .map(Piece::Done);
    }
    let (facts, taken) = facts::all(conn, request).await?;
    refused_or_behind(conn, effects, request, &facts, taken).await
}

/// Decides after a statement that wrote nothing, by facts that were read since.
pub(super) async fn refused_or_behind(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
    facts: &[Option<Facts>],
    taken: bool,
) -> Result<Piece<Order>, Error> {
    if !taken {
        request.judge(facts)?;
        if request.waits_for_expiry(facts) {
            return Ok(Piece::Behind(Expiry::new()));
        }
    }
    // The stock came back between the two statements, or the order exists: decide under the lock.
    decided::decide(conn, effects, request, Expiry::new()).await
}
