//! The statement of a batch of payments.

use std::collections::HashSet;

use sqlx::Row;
use uuid::Uuid;

use super::plan::Change;
use crate::{
    Attempt, Version, Versioned,
    inventory::{
        model::{Error, Order},
        postgres::{
            executor::{Executor, Work},
            schema::SchemaConnection,
            sql::statement::statements,
        },
    },
};

statements! {
    const PAYMENTS = "write.sql";
}

/// Writes those of these changes whose orders are at their versions and not locked. Returns the ids of the orders.
pub(super) async fn mark(
    conn: &mut SchemaConnection<'_>,
    changes: &[Change<'_>],
) -> Result<HashSet<Uuid>, Error> {
    let ids: Vec<Uuid> = changes.iter().map(|it| it.made.id.uuid()).collect();
    let versions: Vec<Version> = changes.iter().map(|it| it.read).collect();
    let statuses: Vec<i16> = changes.iter().map(|it| it.made.status.code()).collect();
    let marked = sqlx::query(conn.sql(PAYMENTS))
        .bind(ids)
        .bind(versions)
        .bind(statuses)
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, "of a batch"))?;
    let marked: Vec<Uuid> = marked.try_get("marked")?;
    Ok(marked.into_iter().collect())
}

/// Does the same at READ COMMITTED, whatever the level of the session.
pub(super) async fn mark_locking(
    executor: &Executor,
    changes: &[Change<'_>],
) -> Result<HashSet<Uuid>, Error> {
    let work: Work<'_, '_, _> = &|conn, _| Box::pin(mark(conn, changes));
    let marked = executor.locking_attempt(Attempt::FIRST, work).await;
    marked.map_err(|failed| failed.error)
}
