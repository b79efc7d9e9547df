//! Return requests: units of a paid order that come back into stock.

use sqlx::Row;

use super::{doubt::Doubt, find, step::ROUNDS, stored};
use crate::{
    Version, Versioned,
    inventory::{
        model::{Error, Order, ReturnRequest, Sku, order_step::moved},
        postgres::{schema::SchemaConnection, sql},
    },
};

/// Makes a return, once per id. Guarded by the version of the order that was read, so that an attempt which
/// arrives late takes no effect after the answer.
pub(crate) async fn make(
    conn: &mut SchemaConnection<'_>,
    request: &ReturnRequest,
    doubt: &Doubt,
) -> Result<Order, Error> {
    let id = request.order;
    let mut tried = None;
    for _ in 0..ROUNDS {
        let order = stored(conn, id).await?;
        let judged = match &order {
            Some(order) if tried == Some(order.version) => {
                Err(Error::suppressed(Order::ENTITY, id))
            }
            Some(order) => request.made(order).map(|made| (made, order.version)),
            None => Err(Error::not_found(Order::ENTITY, id)),
        };
        let refusal = match judged {
            Ok((made, version)) => {
                doubt.send(version);
                match write(conn, request, version).await? {
                    Written::Made => return Ok(made),
                    Written::Elsewhere => {
                        tried = Some(version);
                        None
                    }
                    Written::Not => Some(Error::suppressed(Order::ENTITY, id)),
                }
            }
            Err(refusal) => Some(refusal),
        };
        // The return may exist, by an earlier attempt or another call; this is read after the order.
        match is_made(conn, request).await? {
            Some(true) => {
                let mut order = find(conn, id).await?;
                order.replayed = true;
                return Ok(order);
            }
            Some(false) => {
                doubt.settle();
                return Err(Error::idempotency_mismatch("return", request.id, None));
            }
            None => {}
        }
        // The order has passed the version of an earlier attempt, or that attempt is refused in the same way.
        doubt.settle();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    let order = find(conn, id).await?;
    Err(match tried {
        Some(version) if version != order.version => moved(&order, version),
        _ => Error::suppressed(Order::ENTITY, id),
    })
}

/// The result of the statement.
enum Written {
    Made,
    /// The order was at another version, or could not be locked.
    Elsewhere,
    /// The order was at the version and nothing was written: a return with this id exists, or the write was
    /// suppressed.
    Not,
}

async fn write(
    conn: &mut SchemaConnection<'_>,
    request: &ReturnRequest,
    version: Version,
) -> Result<Written, Error> {
    let (skus, quantities) = lines(request);
    let returned = sqlx::query(conn.sql(sql::orders::RETURN))
        .bind(request.order.uuid())
        .bind(version)
        .bind(skus)
        .bind(quantities)
        .bind(request.id)
        .bind(&request.reason)
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, request.order))?;
    Ok(if returned.try_get("made")? {
        Written::Made
    } else if returned.try_get("locked")? {
        Written::Not
    } else {
        Written::Elsewhere
    })
}

/// Returns whether a return with this id exists, and whether the same request made it.
async fn is_made(
    conn: &mut SchemaConnection<'_>,
    request: &ReturnRequest,
) -> Result<Option<bool>, Error> {
    let (skus, quantities) = lines(request);
    sqlx::query_scalar(conn.sql(sql::orders::RETURNED))
        .bind(request.id)
        .bind(request.order.uuid())
        .bind(skus)
        .bind(quantities)
        .fetch_optional(&mut **conn)
        .await
        .map_err(Error::before)
}

fn lines(request: &ReturnRequest) -> (Vec<&Sku>, Vec<i64>) {
    let lines = request.lines.iter();
    lines.map(|(sku, quantity)| (sku, quantity.get())).unzip()
}
