//! The optimistic strategy: reads, judges, and writes only if every product is still at the version that was
//! read.

use super::{
    attempted::Attempted,
    decided::{self, suppressed},
    facts, guarded, sell,
};
use crate::{
    Conflict, Version, Versioned,
    inventory::{
        model::{Checkout, Error, Order, Product, checkout::Facts},
        postgres::{hook::Effects, orders, reservations::expiry::Expiry, schema::SchemaConnection},
    },
};

pub(super) async fn sell(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
    known: Option<&[Option<Facts>]>,
) -> Result<Attempted, Error> {
    let read = match known {
        Some(known) => known.to_vec(),
        None => {
            let (read, taken) = facts::glance(conn, request).await?;
            if taken {
                return replay(conn, effects, request).await;
            }
            read
        }
    };
    if request.judge(&read).is_err() {
        // Unless holds have expired, or the order exists.
        let (all, taken) = facts::all(conn, request).await?;
        let piece = guarded::refused_or_behind(conn, effects, request, &all, taken).await?;
        return Ok(piece.into());
    }
    let versions = read.iter().map(|facts| facts.map(|facts| facts.version));
    let found = if let [_] = request.lines.as_slice() {
        let version = versions.into_iter().next().flatten();
        let sold = sell::one(conn, effects, request, version)
            .fetch_all(&mut **conn)
            .await;
        let sold = sold.map_err(|error| Error::of_several(error, Order::ENTITY, request.id))?;
        if !sold.is_empty() {
            return sell::accept(conn, effects, request, &sold)
                .await
                .map(Attempted::Made);
        }
        let (found, taken) = facts::glance(conn, request).await?;
        if taken {
            return replay(conn, effects, request).await;
        }
        found
    } else {
        let versions = versions.map(|version| version.map(Version::get));
        let rows = sell::many(conn, effects, request, versions.collect()).await?;
        if let Some(order) = sell::made(conn, effects, request, &rows).await? {
            return Ok(Attempted::Made(order));
        }
        if let Some(stored) = orders::known(conn, request).await? {
            return request.replay(stored).map(Attempted::Made);
        }
        facts::of(&rows)?
    };
    let moved =
        request
            .lines
            .iter()
            .zip(read.iter().zip(&found))
            .find_map(|(line, pair)| match pair {
                (Some(read), Some(found)) if read.version != found.version => Some(Conflict::new(
                    Product::ENTITY,
                    line.sku.as_str(),
                    read.version,
                    found.version,
                )),
                _ => None,
            });
    match moved {
        Some(conflict) => Ok(Attempted::Lost {
            conflict,
            facts: found,
        }),
        // The product was deleted meanwhile, or the write was suppressed.
        None => {
            request.judge(&found)?;
            let table = if request.lines.len() == 1 {
                "products"
            } else {
                "orders"
            };
            Err(suppressed(request, table))
        }
    }
}

async fn replay(
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    request: &Checkout,
) -> Result<Attempted, Error> {
    match orders::known(conn, request).await? {
        Some(stored) => request.replay(stored).map(Attempted::Made),
        // The key was forgotten in between.
        None => decided::decide(conn, effects, request, Expiry::new())
            .await
            .map(Attempted::from),
    }
}
