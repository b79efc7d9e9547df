//! The clean-up of the idempotency keys of old orders.

use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use super::{
    orders::{left, old},
    task::{CleanedPage, Page, Task},
};
use crate::{
    Versioned,
    inventory::{
        model::{Error, Order, cleanup::Cleaned},
        postgres::{orders::micros, schema::SchemaConnection, sql},
    },
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    pub(crate) older_than: Duration,
}

impl Task for Keys {
    const WHAT: &'static str = "keys";
    const LABEL: &'static str = "clean up keys";
    type Key = Uuid;
    type Due = Uuid;
    /// A customer, empty for none, and a key.
    type Cursor = (String, String);

    fn start() -> Self::Cursor {
        Self::Cursor::default()
    }

    fn key(due: &Uuid) -> &Uuid {
        due
    }

    async fn page(
        &self,
        conn: &mut SchemaConnection<'_>,
        (customer, key): &Self::Cursor,
        limit: u64,
    ) -> Result<Page<Self>, Error> {
        let page = sqlx::query(conn.sql(sql::cleanup::KEYS))
            .bind(micros(self.older_than))
            .bind(customer)
            .bind(key)
            .bind(limit.cast_signed())
            .fetch_one(&mut **conn)
            .await
            .map_err(Error::before)?;
        let is_full = page.try_get::<i64, _>("rows")?.unsigned_abs() == limit;
        let next = match is_full {
            true => Some((page.try_get("customer")?, page.try_get("key")?)),
            false => None,
        };
        let due = page.try_get("old")?;
        Ok(Page { due, next })
    }

    async fn due_of(
        &self,
        conn: &mut SchemaConnection<'_>,
        keys: &[Uuid],
        limit: u64,
    ) -> Result<Vec<Uuid>, Error> {
        old(conn, sql::cleanup::KEYS_OF, self.older_than, keys, limit).await
    }

    async fn clean(
        &self,
        conn: &mut SchemaConnection<'_>,
        due: &[Uuid],
    ) -> Result<CleanedPage<Uuid>, Error> {
        let forgotten = sqlx::query(conn.sql(sql::cleanup::FORGET_KEYS))
            .bind(due)
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Order::ENTITY, "of a clean-up"))?;
        let forgotten: Vec<Uuid> = forgotten.try_get("forgotten")?;
        let forgotten = forgotten.into_iter().collect();
        let left = left(due, &forgotten);
        let done = Cleaned {
            keys: forgotten.len() as u64,
            ..Cleaned::default()
        };
        Ok(CleanedPage { done, left })
    }

    async fn lock(&self, conn: &mut SchemaConnection<'_>, key: &Uuid) -> Result<(), Error> {
        let locked = sqlx::query(conn.sql(sql::cleanup::LOCK_KEY))
            .bind(key)
            .execute(&mut **conn);
        locked.await.map(drop).map_err(Error::before)
    }
}
