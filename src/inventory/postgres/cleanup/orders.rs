//! The clean-up of orders that have awaited payment for too long.

use std::{collections::HashSet, time::Duration};

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
        model::{Cleanup, Error, Order, Sku, cleanup::Cleaned},
        postgres::{orders::micros, schema::SchemaConnection, sql},
    },
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders {
    older_than: Duration,
    began: Instant,
}

impl Orders {
    pub(crate) fn older_than(age: Duration) -> Self {
        Self {
            older_than: age,
            began: Instant::now(),
        }
    }
}

impl Task for Orders {
    const WHAT: &'static str = "orders";
    const LABEL: &'static str = "clean up orders";
    type Key = Uuid;
    type Due = Uuid;
    type Cursor = (Stamp, Uuid);

    fn start() -> Self::Cursor {
        (Stamp::FIRST, Uuid::nil())
    }

    fn key(due: &Uuid) -> &Uuid {
        due
    }

    async fn page(
        &self,
        conn: &mut SchemaConnection<'_>,
        (since, id): &Self::Cursor,
        limit: u64,
    ) -> Result<Page<Self>, Error> {
        let rows: Vec<(Stamp, Uuid)> = sqlx::query_as(conn.sql(sql::cleanup::UNPAID))
            // Orders that become due during the call are left for the next one, so that this one ends.
            .bind(micros(self.older_than.saturating_add(self.began.elapsed())))
            .bind(since)
            .bind(id)
            .bind(limit.cast_signed())
            .fetch_all(&mut **conn)
            .await
            .map_err(Error::before)?;
        let next = rows.last().copied();
        Ok(Page {
            next: next.filter(|_| rows.len() as u64 == limit),
            due: rows.into_iter().map(|(_, id)| id).collect(),
        })
    }

    async fn due_of(
        &self,
        conn: &mut SchemaConnection<'_>,
        keys: &[Uuid],
        limit: u64,
    ) -> Result<Vec<Uuid>, Error> {
        old(conn, sql::cleanup::UNPAID_OF, self.older_than, keys, limit).await
    }

    async fn clean(
        &self,
        conn: &mut SchemaConnection<'_>,
        due: &[Uuid],
    ) -> Result<CleanedPage<Uuid>, Error> {
        let cancelled = sqlx::query(conn.sql(sql::cleanup::CANCEL_UNPAID))
            .bind(due)
            .bind(vec![None::<i64>; due.len()])
            .bind(vec!["expired"; due.len()])
            .bind(micros(self.older_than))
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Order::ENTITY, "of a clean-up"))?;
        let units = cancelled.try_get::<i64, _>("units")?.unsigned_abs();
        let cancelled: Vec<Uuid> = cancelled.try_get("cancelled")?;
        let cancelled: HashSet<Uuid> = cancelled.into_iter().collect();
        Ok(CleanedPage {
            done: Cleaned {
                cleanup: Cleanup::of_orders(cancelled.len() as u64, units),
                keys: 0,
            },
            left: left(due, &cancelled),
        })
    }

    async fn lock(&self, conn: &mut SchemaConnection<'_>, key: &Uuid) -> Result<(), Error> {
        let missing: Option<Sku> = sqlx::query_scalar(conn.sql(sql::cleanup::LOCK_ORDER))
            .bind(key)
            .fetch_one(&mut **conn)
            .await
            .map_err(Error::before)?;
        missing.map_or(Ok(()), |sku| Err(Error::no_product(&sku)))
    }
}

/// Returns those of `ids` that the statement still finds older than `age`, `limit` of them at most.
pub(crate) async fn old(
    conn: &mut SchemaConnection<'_>,
    statement: &'static str,
    age: Duration,
    ids: &[Uuid],
    limit: u64,
) -> Result<Vec<Uuid>, Error> {
    sqlx::query_scalar(conn.sql(statement))
        .bind(micros(age))
        .bind(ids)
        .bind(limit.cast_signed())
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)
}

/// Returns those of `due` that are not done.
pub(crate) fn left(due: &[Uuid], done: &HashSet<Uuid>) -> Vec<Uuid> {
    due.iter()
        .filter(|id| !done.contains(*id))
        .copied()
        .collect()
}
