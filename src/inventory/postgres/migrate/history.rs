//! What was migrated, and which version of the crate can work on it.

use sqlx::PgPool;

use super::{
    error::MigrateError,
    statement::{OPTIONS, QUESTION, lift_limits, run},
    texts::{LAST, MIGRATIONS, Text},
};
use crate::{inventory::postgres::schema::Schema, postgres::transact_with, with_retry};

/// The name of the table in the format of `sqlx migrate`. A shared one would have the crate and the host each find the
/// other's migrations and refuse.
const HISTORY: &str = "_sqlx_migrations";

/// The tables of the history. The first one marks the schema as one of the crate's.
const TABLES: [&str; 3] = [
    // `readable_since` is the oldest version of the crate that can work on the tables, by its last migration.
    "CREATE TABLE IF NOT EXISTS optilock.migration_state (
        id smallint PRIMARY KEY CHECK (id = 1),
        readable_since bigint NOT NULL,
        holder uuid,
        held_until timestamptz
    )",
    "INSERT INTO optilock.migration_state (id, readable_since) VALUES (1, 0) ON CONFLICT DO NOTHING",
    "CREATE TABLE IF NOT EXISTS optilock._sqlx_migrations (
        version bigint PRIMARY KEY,
        description text NOT NULL,
        installed_on timestamptz NOT NULL DEFAULT pg_catalog.now(),
        success boolean NOT NULL,
        checksum bytea NOT NULL,
        execution_time bigint NOT NULL
    )",
];

/// A relation of one of these names in a schema that has no mark.
const FOREIGN: &str = "SELECT c.relname::text FROM pg_catalog.pg_class c
    WHERE c.relnamespace = pg_catalog.to_regnamespace($1) AND c.relname = ANY ($2)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_class s
            WHERE s.relnamespace = c.relnamespace AND s.relname = 'migration_state'::name)
    ORDER BY c.relname LIMIT 1";

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
        let pending = with_retry(&QUESTION, |_| self.missing());
        pending.await.map_err(|gave_up| gave_up.error)
    }

    async fn missing(self) -> Result<Vec<Text>, MigrateError> {
        if !self.exists(HISTORY).await? {
            return Ok(MIGRATIONS.to_vec());
        }
        let applied: Vec<(i64, Vec<u8>, bool)> = sqlx::query_as(self.schema.statement(APPLIED))
            .fetch_all(self.pool)
            .await?;
        let has_first = applied.first().is_some_and(|(version, ..)| *version == 1);
        if !has_first && !applied.is_empty() && !self.exists("migration_state").await? {
            // That of a migrator of the host's.
            return Err(MigrateError::foreign(self.schema, HISTORY));
        }
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

    async fn exists(self, table: &str) -> Result<bool, MigrateError> {
        let exists = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
        Ok(sqlx::query_scalar(exists)
            .bind(format!("{}.{table}", self.schema.quoted()))
            .fetch_one(self.pool)
            .await?)
    }

    /// Refuses tables on which this version of the crate can't work.
    async fn check_readable(self, found: i64) -> Result<(), MigrateError> {
        // Without a state nothing is known of older versions.
        let needed: Option<i64> = match self.exists("migration_state").await? {
            true => {
                sqlx::query_scalar(self.schema.statement(READABLE))
                    .fetch_optional(self.pool)
                    .await?
            }
            false => None,
        };
        let needed = needed.unwrap_or(found);
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
        let created = with_retry(&QUESTION, |_| self.create_schema());
        created.await.map_err(|gave_up| gave_up.error)?;
        for table in TABLES {
            run(self.pool, &self.schema.rewrite(table)).await?;
        }
        Ok(())
    }

    async fn create_schema(self) -> Result<(), MigrateError> {
        // Probed first: CREATE .. IF NOT EXISTS needs the right to create also when the schema exists.
        let exists = "SELECT pg_catalog.to_regnamespace($1) IS NOT NULL,
            $2 = ANY (pg_catalog.current_schemas(false)::text[])";
        let schema = self.schema.quoted();
        let (exists, in_path): (bool, bool) = sqlx::query_as(exists)
            .bind(&schema)
            .bind(self.schema.name())
            .fetch_one(self.pool)
            .await?;
        if in_path {
            tracing::warn!(
                target: "optilock::migrate", schema = self.schema.name(),
                "the search path has the schema of the inventory: unqualified names refer to its tables"
            );
        }
        if exists {
            return self.check_own().await;
        }
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}")))
            .execute(self.pool)
            .await
            .map_err(|error| MigrateError::of_schema(schema, error))?;
        Ok(())
    }

    /// Refuses a schema with tables of the host's, which `IF NOT EXISTS` would take for those of the crate.
    async fn check_own(self) -> Result<(), MigrateError> {
        let steps = MIGRATIONS.iter().flat_map(|text| text.steps());
        let names: Vec<&str> = steps.filter_map(|step| step.creates()).collect();
        let foreign: Option<String> = sqlx::query_scalar(FOREIGN)
            .bind(self.schema.quoted())
            .bind([names, vec![HISTORY]].concat())
            .fetch_optional(self.pool)
            .await?;
        match foreign {
            Some(relation) => Err(MigrateError::foreign(self.schema, &relation)),
            None => Ok(()),
        }
    }

    /// Records a migration, all of whose steps were made.
    pub(super) async fn record(self, text: Text) -> Result<(), MigrateError> {
        let recorded = transact_with(self.pool, &QUESTION, &OPTIONS, async |tx| {
            lift_limits(tx).await?;
            let recorded = sqlx::query(self.schema.statement(RECORD))
                .bind(text.version)
                .bind(text.description)
                .bind(&*text.checksum())
                .execute(&mut **tx)
                .await?;
            if recorded.rows_affected() != 1 {
                return Err(MigrateError::suppressed(self.schema, HISTORY));
            }
            sqlx::query(self.schema.statement(RAISE))
                .bind(text.readable_since)
                .execute(&mut **tx)
                .await?;
            Ok(())
        });
        recorded.await.map_err(|gave_up| gave_up.error)
    }
}
