//! Reads the rows that a batch needs to know.

use std::collections::HashSet;

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    known::{Held, Known, order, reservation, skus},
    request::Request,
    sql,
};
use crate::inventory::{
    batch::connection::AttemptConnection,
    model::{Error, ReservationId, Sku},
    postgres::{checkout::facts, orders, reservations, schema::SchemaConnection, types::Time},
};

/// Reads what these requests need and `known` lacks.
pub(super) async fn missing(
    conn: &mut AttemptConnection<'_>,
    requests: &[&Request],
    known: &mut Known,
) -> Result<(), Error> {
    let named = requests.iter().flat_map(|request| skus(request));
    let mut products: Vec<&Sku> = named
        .filter(|sku| !known.products.contains_key(*sku))
        .collect();
    products.sort_unstable();
    products.dedup();
    if !products.is_empty() {
        let rows = sqlx::query(conn.sql(sql::PRODUCTS)).bind(products);
        let rows = rows.fetch_all(&mut *conn.get().await?).await;
        let rows = rows.map_err(Error::before)?;
        learn(&rows, known)?;
    }
    let used = requests.iter().filter_map(|request| reservation(request));
    let unknown = used.filter(|id| !known.reservations.contains_key(id));
    let unknown: HashSet<Uuid> = unknown.map(ReservationId::uuid).collect();
    if !unknown.is_empty() {
        let ids: Vec<Uuid> = unknown.into_iter().collect();
        let rows = sqlx::query(conn.sql(sql::RESERVATIONS)).bind(ids);
        let rows = rows.fetch_all(&mut *conn.get().await?).await;
        let rows = rows.map_err(Error::before)?;
        for rows in rows.chunk_by(|a, b| id(a).ok() == id(b).ok()) {
            if let Some(held) = held(rows)? {
                known.reservations.insert(held.reservation.id, held);
            }
        }
    }
    let changed = requests.iter().filter_map(|request| order(request));
    let changed: HashSet<Uuid> = changed.map(|id| id.uuid()).collect();
    if !changed.is_empty() {
        let ids: Vec<Uuid> = changed.into_iter().collect();
        let found = orders::of(&mut conn.get().await?, &ids).await?.into_iter();
        known.orders = found.map(|order| (order.id, order)).collect();
    }
    Ok(())
}

/// Locks the rows of these requests until the transaction ends, and reads all of their facts.
pub(super) async fn locked(
    conn: &mut SchemaConnection<'_>,
    requests: &[&Request],
) -> Result<Known, Error> {
    let mut skus: Vec<&Sku> = requests.iter().flat_map(|request| skus(request)).collect();
    skus.sort_unstable();
    skus.dedup();
    let changed = requests.iter().filter_map(|request| order(request));
    let used = requests.iter().filter_map(|request| reservation(request));
    let rows = sqlx::query(conn.sql(sql::LOCK))
        .bind(skus)
        .bind(changed.map(|id| id.uuid()).collect::<Vec<_>>())
        .bind(used.map(ReservationId::uuid).collect::<Vec<_>>())
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let mut known = Known::default();
    learn(&rows, &mut known)?;
    let mut conn = AttemptConnection::Begun(conn.reborrow());
    missing(&mut conn, requests, &mut known).await?;
    Ok(known)
}

/// Returns the ids of those of these requests whose id or key exists.
pub(super) async fn taken(
    conn: &mut SchemaConnection<'_>,
    requests: &[&Request],
) -> Result<HashSet<Uuid>, Error> {
    let (mut orders, mut reservations, mut returns) =
        (Keys::default(), Keys::default(), Vec::new());
    for request in requests {
        match request {
            Request::Checkout(it, _) => orders.push(it.id.uuid(), &it.customer, &it.key),
            Request::Reserve(it) => reservations.push(it.id.uuid(), &it.customer, &it.key),
            Request::Return(it, _) => returns.push(it.id),
            Request::Cancel(..) | Request::Extend { .. } | Request::Release(_) => {}
        }
    }
    let ids: Vec<Uuid> = sqlx::query_scalar(conn.sql(sql::TAKEN))
        .bind(orders.ids)
        .bind(orders.customers)
        .bind(orders.keys)
        .bind(reservations.ids)
        .bind(reservations.customers)
        .bind(reservations.keys)
        .bind(returns)
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    Ok(ids.into_iter().collect())
}

#[derive(Default)]
struct Keys<'a> {
    ids: Vec<Uuid>,
    customers: Vec<Option<&'a str>>,
    keys: Vec<Option<&'a str>>,
}

impl<'a> Keys<'a> {
    fn push(&mut self, id: Uuid, customer: &'a Option<String>, key: &'a Option<String>) {
        self.ids.push(id);
        self.customers.push(customer.as_deref());
        self.keys.push(key.as_deref());
    }
}

/// Reads the facts of products from rows.
pub(super) fn learn(rows: &[PgRow], known: &mut Known) -> Result<(), Error> {
    for row in rows {
        if let Some(facts) = facts::of_row(row)? {
            known.products.insert(row.try_get("sku")?, facts);
        }
    }
    Ok(())
}

fn id(row: &PgRow) -> Result<Uuid, sqlx::Error> {
    row.try_get("id")
}

fn held(rows: &[PgRow]) -> Result<Option<Held>, Error> {
    let (Some(reservation), Some(first)) = (reservations::row::reservation(rows)?, rows.first())
    else {
        return Ok(None);
    };
    let Time(as_of) = first.try_get("as_of")?;
    Ok(Some(Held {
        reservation,
        remaining: first.try_get("remaining")?,
        as_of,
    }))
}
