//! The clean-up of expired holds.

use std::collections::BTreeMap;

use sqlx::Row;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    stamp::Stamp,
    task::{CleanedPage, Page, Task},
};
use crate::{
    Versioned,
    inventory::{
        model::{Cleanup, Error, Product, Sku, cleanup::Cleaned},
        postgres::{orders::micros, schema::SchemaConnection, sql},
    },
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Holds {
    began: Instant,
}

impl Holds {
    pub(crate) fn expired() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

impl Task for Holds {
    const WHAT: &'static str = "reservations";
    const LABEL: &'static str = "clean up reservations";
    type Key = Sku;
    /// The product and the reservation.
    type Due = (Sku, Uuid);
    type Cursor = (Stamp, String, Uuid);

    fn start() -> Self::Cursor {
        (Stamp::FIRST, String::new(), Uuid::nil())
    }

    fn key((sku, _): &Self::Due) -> &Sku {
        sku
    }

    async fn page(
        &self,
        conn: &mut SchemaConnection<'_>,
        (expiry, sku, reservation): &Self::Cursor,
        limit: u64,
    ) -> Result<Page<Self>, Error> {
        let rows: Vec<(Stamp, Sku, Uuid)> = sqlx::query_as(conn.sql(sql::cleanup::DUE))
            .bind(expiry)
            .bind(sku)
            .bind(reservation)
            .bind(limit.cast_signed())
            // Holds that expire during the call are left for the next one, so that this one ends.
            .bind(micros(self.began.elapsed()))
            .fetch_all(&mut **conn)
            .await
            .map_err(Error::before)?;
        let next = rows.last().filter(|_| rows.len() as u64 == limit);
        let next = next.map(|(expiry, sku, id)| (*expiry, sku.as_str().to_owned(), *id));
        let due = rows.into_iter().map(|(_, sku, id)| (sku, id)).collect();
        Ok(Page { due, next })
    }

    async fn due_of(
        &self,
        conn: &mut SchemaConnection<'_>,
        keys: &[Sku],
        limit: u64,
    ) -> Result<Vec<Self::Due>, Error> {
        sqlx::query_as(conn.sql(sql::cleanup::DUE_OF))
            .bind(keys)
            .bind(limit.cast_signed())
            .fetch_all(&mut **conn)
            .await
            .map_err(Error::before)
    }

    async fn clean(
        &self,
        conn: &mut SchemaConnection<'_>,
        due: &[Self::Due],
    ) -> Result<CleanedPage<Sku>, Error> {
        let (skus, ids): (Vec<&Sku>, Vec<Uuid>) = due.iter().map(|(sku, id)| (sku, *id)).unzip();
        let expired = sqlx::query(conn.sql(sql::cleanup::EXPIRE))
            .bind(&skus)
            .bind(&ids)
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Product::ENTITY, "of a clean-up"))?;
        let mut left: BTreeMap<&Sku, usize> = BTreeMap::new();
        for sku in skus {
            *left.entry(sku).or_default() += 1;
        }
        let ended: Vec<Sku> = expired.try_get("expired")?;
        for sku in &ended {
            left.entry(sku).and_modify(|count| *count -= 1);
        }
        let units = expired.try_get::<i64, _>("units")?.unsigned_abs();
        Ok(CleanedPage {
            done: Cleaned {
                cleanup: Cleanup::of_holds(ended.len() as u64, units),
                keys: 0,
            },
            left: left
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(sku, _)| sku.clone())
                .collect(),
        })
    }

    async fn lock(&self, conn: &mut SchemaConnection<'_>, key: &Sku) -> Result<(), Error> {
        let locked = sqlx::query(conn.sql(sql::cleanup::LOCK_PRODUCT))
            .bind(key)
            .fetch_optional(&mut **conn);
        let locked = locked.await.map_err(Error::before)?;
        locked.map_or_else(|| Err(Error::no_product(key)), |_| Ok(()))
    }
}
