//! An index of a table that is written meanwhile: `CREATE INDEX CONCURRENTLY`.

use sqlx::{AssertSqlSafe, Connection, PgPool};

use super::{
    error::MigrateError,
    statement::{POLICY, in_transaction},
};
use crate::{inventory::postgres::schema::Schema, with_retry};

/// The limits of the role are meant for requests. A build takes longer, and waits until every transaction that began
/// before it has ended; writers don't wait for it.
const NO_LIMITS: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout') AND setting <> '0'";

/// An index by the statement that builds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index {
    statement: &'static str,
    name: &'static str,
    table: &'static str,
}

impl Index {
    /// Returns the index that the statement builds concurrently, if it does.
    pub(super) fn built_by(statement: &'static str) -> Option<Self> {
        let (_, rest) = statement.split_once("CREATE INDEX CONCURRENTLY IF NOT EXISTS ")?;
        let (name, rest) = rest.split_once(" ON optilock.")?;
        let (table, _) = rest.split_once(' ')?;
        Some(Self {
            statement,
            name,
            table,
        })
    }

    /// Builds it. A build that failed leaves an invalid index, which no query uses and `IF NOT EXISTS` takes for the
    /// index: that one is removed first.
    pub(super) async fn build(self, pool: &PgPool, schema: &Schema) -> Result<(), MigrateError> {
        let built = with_retry(&POLICY, |_| async move {
            match self.is_valid(pool, schema).await? {
                Some(true) => return Ok(()),
                Some(false) => self.remove(pool, schema).await?,
                None => {}
            }
            self.create(pool, schema).await
        });
        built.await.map_err(|gave_up| gave_up.error)?;
        Ok(())
    }

    /// Returns whether queries can use it; `None` if there is none.
    async fn is_valid(self, pool: &PgPool, schema: &Schema) -> Result<Option<bool>, MigrateError> {
        let valid = "SELECT i.indisvalid FROM pg_catalog.pg_index i
            WHERE i.indexrelid = pg_catalog.to_regclass($1)";
        Ok(sqlx::query_scalar(valid)
            .bind(self.qualified(self.name, schema))
            .fetch_optional(pool)
            .await?)
    }

    async fn create(self, pool: &PgPool, schema: &Schema) -> Result<(), MigrateError> {
        // Its settings are changed, so that the pool must not have the connection again.
        let mut conn = pool.acquire().await?.detach();
        sqlx::query(NO_LIMITS).execute(&mut conn).await?;
        let statement = AssertSqlSafe(schema.rewrite(self.statement).into_owned());
        sqlx::raw_sql(statement).execute(&mut conn).await?;
        _ = conn.close().await;
        Ok(())
    }

    /// Removes it if it still is invalid. A build holds the same lock: an index that another process builds is not
    /// removed.
    async fn remove(self, pool: &PgPool, schema: &Schema) -> Result<(), MigrateError> {
        let lock = format!(
            "LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE",
            self.qualified(self.table, schema)
        );
        let index = self.qualified(self.name, schema);
        let literal = index.replace('\'', "''");
        let drop = format!(
            "DO $drop$ BEGIN
                IF EXISTS (SELECT FROM pg_catalog.pg_index i
                    WHERE i.indexrelid = pg_catalog.to_regclass('{literal}') AND NOT i.indisvalid) THEN
                    DROP INDEX {index};
                END IF;
            END $drop$"
        );
        in_transaction(pool, &[&lock, &drop]).await
    }

    fn qualified(self, name: &str, schema: &Schema) -> String {
        format!("{}.{name}", schema.quoted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_concurrent_build_is_one() {
        let statement =
            "-- A comment.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_name ON optilock.t (name);";
        let index = Index::built_by(statement).unwrap();
        assert_eq!((index.name, index.table), ("by_name", "t"));
        let other = "CREATE INDEX IF NOT EXISTS by_name ON optilock.t (name);";
        assert_eq!(Index::built_by(other), None);
    }
}
