//! The migrations of the crate's own schema.

mod error;
mod history;
mod index;
mod lease;
mod statement;
mod step;
mod texts;

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;

pub use error::MigrateError;
use history::History;
use lease::Lease;

use super::schema::Schema;

/// How long an instance waits before it asks again whether another one has migrated.
const PAUSE: Duration = Duration::from_millis(500);

/// After how many pauses an instance that waits says so again.
const REPORTED_EVERY: u32 = 60;

/// Creates the schema `optilock` and its tables, or brings them up to date.
///
/// Call it at every start: it returns quickly when there is nothing to do, and changes nothing of the host's. Its
/// history is `optilock._sqlx_migrations`, with the checksums that `sqlx migrate` would write.
///
/// A migration only adds, in steps of one statement each: processes of the version before continue to sell while it
/// runs and after it, and that version can be rolled back to. A process that is killed between two steps leaves what
/// the next one continues. A statement waits for its lock for half a second at most, and is tried again for five
/// minutes; an index of a table with rows is built `CONCURRENTLY`, which writers don't wait for. When many instances
/// start at once, one of them migrates. The others ask twice a second whether it is done, with no connection held; if it
/// is killed, one of them continues after 30 seconds.
///
/// A role that may not create schemas needs an existing one; the error states how to create it. If another role
/// creates tables, as is good practice, run it under the role that owns them.
///
/// The host should not use a role called `optilock`: with PostgreSQL's default search path (`"$user", public`),
/// its unqualified names, those of its own migrator included, would refer to the crate's schema.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = optilock::postgres::pool_options().connect("postgres://localhost/shop").await?;
/// optilock::migrate(&pool).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`MigrateError::Foreign`] when the schema has tables of the same names that the crate did not create,
/// [`MigrateError::Ahead`] when a newer version of the crate has migrated the database and this one can't work on the
/// result, [`MigrateError::NoSchema`] without the right to create the schema, [`MigrateError::Modified`] when a
/// migration has another text, [`MigrateError::Suppressed`] when a trigger keeps the history from being written,
/// [`MigrateError::Database`] when a statement fails, or its lock is not to be had.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    run(pool, &Schema::default()).await
}

/// Creates the tables of an inventory in a schema of this name, or brings them up to date: one shop, one schema.
///
/// It is [`migrate`] for a [`PgInventory::in_schema`](crate::inventory::PgInventory::in_schema). Each schema has a
/// history of its own.
///
/// ```no_run
/// use optilock::inventory::PgInventory;
///
/// # async fn doc(pool: optilock::sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
/// optilock::migrate_schema(&pool, "shop_042").await?;
/// let shop = PgInventory::new(pool).in_schema("shop_042")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`migrate`], and [`MigrateError::InvalidSchema`] for a name that is empty, has more than 63 bytes or
/// contains NUL, or that PostgreSQL reserves. Every other name is quoted.
pub async fn migrate_schema(pool: &PgPool, name: &str) -> Result<(), MigrateError> {
    run(pool, &Schema::new(name)?).await
}

/// Returns the texts of all steps.
pub(crate) fn migrations() -> impl Iterator<Item = &'static str> {
    texts::MIGRATIONS
        .iter()
        .flat_map(|text| text.steps())
        .map(step::Step::text)
}

pub(super) async fn run(pool: &PgPool, schema: &Schema) -> Result<(), MigrateError> {
    let history = History { pool, schema };
    if history.pending().await?.is_empty() {
        return Ok(());
    }
    history.create().await?;
    let mut waited = 0;
    while !history.pending().await?.is_empty() {
        let lease = match Lease::take(pool, schema).await? {
            Ok(lease) => lease,
            Err(holder) => {
                if waited % REPORTED_EVERY == 0 {
                    tracing::info!(
                        target: "optilock::migrate", schema = schema.name(), %holder,
                        "waits until another process has migrated"
                    );
                }
                waited += 1;
                sleep(PAUSE).await;
                continue;
            }
        };
        let migrated = lease.during(bring_up_to_date(history)).await;
        lease.give_back().await;
        migrated?;
    }
    Ok(())
}

async fn bring_up_to_date(history: History<'_>) -> Result<(), MigrateError> {
    for text in history.pending().await? {
        for step in text.steps() {
            step.make(history.pool, history.schema).await?;
        }
        history.record(text).await?;
    }
    Ok(())
}
