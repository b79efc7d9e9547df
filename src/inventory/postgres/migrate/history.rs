//! What was migrated, and which version of the crate can work on it.

use sqlx::PgPool;

use super::{
    error::MigrateError,
    statement::{POLICY, in_transaction},
    texts::{LAST, MIGRATIONS, Text},
};
use crate::{inventory::postgres::schema::Schema, postgres::transact, with_retry};

/// The tables of the history: one in the format of `sqlx migrate`, and one row beside it. A shared `_sqlx_migrations`
/// would have the crate and the host each find the other's migrations and refuse.
const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS optilock._sqlx_migrations (
        version bigint PRIMARY KEY,
        description text NOT NULL,
        installed_on timestamptz NOT NULL DEFAULT now(),
        success boolean NOT NULL,
        checksum bytea NOT NULL,
        execution_time bigint NOT NULL
    )",
    // `readable_since` is the oldest version of the crate that can work on the tables, by its last migration.
    "CREATE TABLE IF NOT EXISTS optilock.migration_state (
        id smallint PRIMARY KEY CHECK (id = 1),
        readable_since bigint NOT NULL,
        holder uuid,
        held_until timestamptz
    )",
    "INSERT INTO optilock.migration_state (id, readable_since) VALUES (1, 0) ON CONFLICT DO NOTHING",
];

const APPLIED: &str =
    "SELECT version, checksum, success FROM optilock._sqlx_migrations ORDER BY version";

const RECORD: &str = "INSERT INTO optilock._sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES ($1, $2, true, $3, 0) ON CONFLICT (version) DO UPDATE SET success = true";

const READABLE: &str = "SELECT readable_since FROM optilock.migration_state WHERE id = 1";

const RAISE: &str =
    "UPDATE optilock.migration_state SET readable_since = $1 WHERE id = 1 AND readable_since < $1";

/// The history of the migrations of one schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct History<'m> {
    pub(super) pool: &'m PgPool,
    pub(super) schema: &'m Schema,
}

impl History<'_> {
    /// Returns the migrations that are missing, or were not finished.
    pub(super) async fn pending(self) -> Result<Vec<Text>, MigrateError> {
        let pending = with_retry(&POLICY, |_| self.missing());
        pending.await.map_err(|gave_up| gave_up.error)
    }

    async fn missing(self) -> Result<Vec<Text>, MigrateError> {
        if !self.exists().await? {
            return Ok(MIGRATIONS.to_vec());
        }
        let applied: Vec<(i64, Vec<u8>, bool)> = sqlx::query_as(self.schema.statement(APPLIED))
            .fetch_all(self.pool)
            .await?;
        if let Some((found, ..)) = applied.last().filter(|(version, ..)| *version > LAST) {
            self.check_readable(*found).await?;
        }
        let mut missing = Vec::new();
        for text in MIGRATIONS {
            match applied
                .iter()
                .find(|(version, ..)| *version == text.version)
            {
                Some((version, checksum, _)) if **checksum != *text.checksum() => {
                    return Err(MigrateError::Modified {
                        schema: self.schema.name().to_owned(),
                        version: *version,
                    });
                }
                Some((.., true)) => {}
                Some((.., false)) | None => missing.push(*text),
            }
        }
        Ok(missing)
    }

    async fn exists(self) -> Result<bool, MigrateError> {
        let exists = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
        Ok(sqlx::query_scalar(exists)
            .bind(&*self.schema.rewrite("optilock._sqlx_migrations"))
            .fetch_one(self.pool)
            .await?)
    }

    /// Refuses tables on which this version of the crate can't work.
    async fn check_readable(self, found: i64) -> Result<(), MigrateError> {
        let needed: i64 = sqlx::query_scalar(self.schema.statement(READABLE))
            .fetch_one(self.pool)
            .await?;
        if needed > LAST {
            return Err(MigrateError::Ahead {
                schema: self.schema.name().to_owned(),
                found,
                needed,
                known: LAST,
            });
        }
        tracing::info!(
            target: "optilock::migrate",
            schema = self.schema.name(), found, known = LAST,
            "a newer version of optilock has migrated these tables, and this one can work on them"
        );
        Ok(())
    }

    /// Creates schema and history, unless they exist.
    pub(super) async fn create(self) -> Result<(), MigrateError> {
        let created = with_retry(&POLICY, |_| self.create_schema());
        created.await.map_err(|gave_up| gave_up.error)?;
        for table in TABLES {
            in_transaction(self.pool, &[&self.schema.rewrite(table)]).await?;
        }
        Ok(())
    }

    async fn create_schema(self) -> Result<(), MigrateError> {
        // Probed first: CREATE .. IF NOT EXISTS needs the right to create also when the schema exists.
        let exists = "SELECT pg_catalog.to_regnamespace($1) IS NOT NULL";
        let schema = self.schema.quoted();
        let exists: bool = sqlx::query_scalar(exists)
            .bind(&schema)
            .fetch_one(self.pool)
            .await?;
        if exists {
            return Ok(());
        }
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
            .execute(self.pool)
            .await
            .map_err(|error| MigrateError::of_schema(schema, error))?;
        Ok(())
    }

    /// Records a migration, all of whose steps were made.
    pub(super) async fn record(self, text: Text) -> Result<(), MigrateError> {
        let recorded = transact(self.pool, &POLICY, async |tx| {
            sqlx::query(self.schema.statement(RECORD))
                .bind(text.version)
                .bind(text.description)
                .bind(&*text.checksum())
                .execute(&mut **tx)
                .await?;
            sqlx::query(self.schema.statement(RAISE))
                .bind(text.readable_since)
                .execute(&mut **tx)
                .await?;
            Ok::<_, MigrateError>(())
        });
        recorded.await.map_err(|gave_up| gave_up.error)
    }
}
