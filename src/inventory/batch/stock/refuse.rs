//! Refuses the requests of a batch that can't be made. When a product is sold out, most of them are.

use std::collections::BTreeMap;

use sqlx::Row;

use super::{read, request::Request, sql};
use crate::inventory::{
    model::{Error, Sku, checkout::Facts, reserve::Available},
    postgres::{checkout::facts, schema::SchemaConnection},
};

/// Returns the indexes of those of these requests that are refused, with their errors. The facts are read after
/// the batch, and the ids and keys after the facts: a request whose order exists is not refused, also if that
/// order took the last unit.
pub(super) async fn refused(
    conn: &mut SchemaConnection<'_>,
    requests: &[&Request],
) -> Result<Vec<(usize, Error)>, Error> {
    let mut wanted: BTreeMap<&Sku, i64> = BTreeMap::new();
    let mut want = |sku, units: i64| {
        let most = wanted.entry(sku).or_default();
        *most = units.max(*most);
    };
    for request in requests {
        match request {
            Request::Checkout(it, _) => it
                .lines
                .iter()
                .for_each(|line| want(&line.sku, line.quantity.get())),
            Request::Reserve(it) => it
                .lines
                .iter()
                .for_each(|(sku, units)| want(sku, units.get())),
            Request::Extend { .. }
            | Request::Release(_)
            | Request::Cancel(..)
            | Request::Return(..) => {}
        }
    }
    let rows = sqlx::query(conn.sql(sql::AVAILABLE))
        .bind(wanted.keys().map(|sku| sku.as_str()).collect::<Vec<_>>())
        .bind(wanted.values().copied().collect::<Vec<_>>())
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let mut found: BTreeMap<Sku, Facts> = BTreeMap::new();
    for row in &rows {
        if let Some(mut facts) = facts::of_row(row)? {
            facts.expired = row.try_get("expired")?;
            found.insert(row.try_get("sku")?, facts);
        }
    }
    let taken = read::taken(conn, requests).await?;
    let refused = requests.iter().enumerate().filter_map(|(index, request)| {
        let error = match request {
            Request::Checkout(it, _)
                if it.reservation.is_none() && !taken.contains(&it.id.uuid()) =>
            {
                let facts = it.lines.iter().map(|line| found.get(&line.sku).copied());
                it.judge(&facts.collect::<Vec<_>>()).err()
            }
            Request::Reserve(it) if !taken.contains(&it.id.uuid()) => {
                let facts = it.lines.iter().map(|(sku, _)| found.get(sku));
                let available = facts.map(|facts| facts.map(Available::from));
                it.judge(&available.collect::<Vec<_>>()).err()
            }
            _ => None,
        };
        Some((index, error?))
    });
    Ok(refused.collect())
}
