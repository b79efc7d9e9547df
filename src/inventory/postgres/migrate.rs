//! The migrations of the crate's own schema.

use std::borrow::Cow;

use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, SqlSafeStr,
    migrate::{Migrate, Migration, MigrationType},
};

use super::schema::Schema;
use crate::{
    Class, Classify, RetryPolicy,
    inventory::model::InvalidValue,
    postgres::{Isolation, TransactOptions, is_forbidden, transact_with},
};

/// The history of the crate's own migrations: with a shared `_sqlx_migrations`, the crate and the host would
/// each find the other's migrations and refuse. Each schema has one.
const HISTORY: &str = "optilock._sqlx_migrations";

/// The key of the advisory lock of migrations: "optilock" in ASCII, as a number.
const LOCK: i64 = i64::from_be_bytes(*b"optilock");

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "products and orders",
        include_str!("../../../migrations/0001_products_and_orders.sql"),
    ),
    (
        2,
        "unfinished sales",
        include_str!("../../../migrations/0002_unfinished_sales.sql"),
    ),
    (
        3,
        "pauses and feed",
        include_str!("../../../migrations/0003_pauses_and_feed.sql"),
    ),
    (
        4,
        "outbox",
        include_str!("../../../migrations/0004_outbox.sql"),
    ),
];

/// Errors returned by [`migrate`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A newer version of the crate has migrated this database: update the crate here too.
    #[error(
        "the database is at migration {found}, this optilock knows {known} at most: update optilock"
    )]
    Ahead {
        /// The newest migration in the database.
        found: i64,
        /// The newest migration of this version of the crate.
        known: i64,
    },
    /// A migration is recorded as failed midway, by another tool than this crate: it is unknown which of its
    /// statements took effect.
    #[error(
        "migration {version} ({description}) is recorded as failed in the table _sqlx_migrations of the schema \
         {schema}: compare the tables with its text; set `success` to true if all of it is there, or undo what is \
         and delete the row"
    )]
    Failed {
        /// The schema.
        schema: String,
        /// The number of the migration.
        version: i64,
        /// The name of the migration.
        description: String,
    },
    /// A migration was applied with another text than that of the crate.
    #[error("migration {0} was applied with another text")]
    Modified(i64),
    /// The schema does not exist, and this role may not create it.
    #[error(
        "the schema {schema} is missing and this role may not create it: as an owner of the database, \
         run CREATE SCHEMA {schema} AUTHORIZATION <this role>"
    )]
    NoSchema {
        /// The schema, quoted as in SQL.
        schema: String,
        /// The error of the database.
        source: sqlx::Error,
    },
    /// The name of the schema can't be one.
    #[error(transparent)]
    InvalidSchema(#[from] InvalidValue),
    /// The database failed or refused a statement.
    #[error("the database failed while migrating: {0}")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<sqlx::migrate::MigrateError> for MigrateError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error)
            | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => Self::Database(error),
            other => Self::Database(sqlx::Error::Migrate(Box::new(other))),
        }
    }
}

impl Classify for MigrateError {
    fn class(&self) -> Class {
        match self {
            Self::Database(error) => error.class(),
            _ => Class::Permanent,
        }
    }
}

/// Creates the schema `optilock` and its tables, or brings them up to date.
///
/// Call it at every start: it returns quickly when there is nothing to do, is safe when many instances start at
/// once, takes effect completely or not at all, and changes nothing of the host's. Its history is
/// `optilock._sqlx_migrations`, with the checksums that `sqlx migrate` would write.
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
/// [`MigrateError::Ahead`] when a newer version of the crate has migrated the database,
/// [`MigrateError::NoSchema`] without the right to create the schema, [`MigrateError::Modified`] when a
/// migration has another text, [`MigrateError::Failed`] when the history contains one that failed midway.
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

async fn run(pool: &PgPool, schema: &Schema) -> Result<(), MigrateError> {
    // Every step is idempotent, so an unknown outcome is retried.
    let policy = RetryPolicy::new()
        .with_label("migrate")
        .with_deadline(None)
        .with_unknown_retried(true);
    let options = TransactOptions::new().with_isolation(Isolation::ReadCommitted);
    transact_with(pool, &policy, &options, async |tx| {
        bring_up_to_date(tx, schema).await
    })
    .await
    .map_err(|gave_up| gave_up.error)
}

async fn bring_up_to_date(conn: &mut PgConnection, schema: &Schema) -> Result<(), MigrateError> {
    let history = &*schema.rewrite(HISTORY);
    sqlx::query("SELECT pg_catalog.pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *conn)
        .await?;
    // Probed first: CREATE .. IF NOT EXISTS needs the right to create also when the schema exists.
    let there: (bool, bool) = sqlx::query_as(
        "SELECT pg_catalog.to_regnamespace($1) IS NOT NULL, pg_catalog.to_regclass($2) IS NOT NULL",
    )
    .bind(schema.quoted())
    .bind(history)
    .fetch_one(&mut *conn)
    .await?;
    if !there.0 {
        let create = format!("CREATE SCHEMA {}", schema.quoted());
        sqlx::query(AssertSqlSafe(create))
            .execute(&mut *conn)
            .await
            .map_err(|source| {
                let schema = schema.quoted();
                match is_forbidden(&source) {
                    true => MigrateError::NoSchema { schema, source },
                    false => source.into(),
                }
            })?;
    }
    if !there.1 {
        conn.ensure_migrations_table(history).await?;
    }
    if let Some(version) = conn.dirty_version(history).await? {
        let known = MIGRATIONS.iter().find(|(known, ..)| *known == version);
        let description = known.map_or("unknown to this version of the crate", |(_, name, _)| name);
        return Err(MigrateError::Failed {
            schema: schema.name().to_owned(),
            version,
            description: description.to_owned(),
        });
    }
    let applied = conn.list_applied_migrations(history).await?;
    let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
    if let Some(found) = applied
        .last()
        .map(|last| last.version)
        .filter(|found| *found > known)
    {
        return Err(MigrateError::Ahead { found, known });
    }
    for (version, description, sql) in MIGRATIONS {
        let mut migration = Migration::new(
            *version,
            Cow::Borrowed(*description),
            MigrationType::Simple,
            (*sql).into_sql_str(),
            true, // in the transaction that is open already
        );
        match applied.iter().find(|applied| applied.version == *version) {
            Some(applied) if applied.checksum != migration.checksum => {
                return Err(MigrateError::Modified(*version));
            }
            Some(_) => {}
            None => {
                // The history has the checksum of the crate's text, in every schema.
                migration.sql = AssertSqlSafe(schema.rewrite(sql).into_owned()).into_sql_str();
                conn.apply(history, &migration).await?;
            }
        }
    }
    Ok(())
}
