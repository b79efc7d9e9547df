//! An index of a table that is written meanwhile: `CREATE INDEX CONCURRENTLY`.

use sqlx::{AssertSqlSafe, Connection, PgPool};

use super::{error::MigrateError, statement::STEP};
use crate::{inventory::postgres::schema::Schema, with_retry};

/// The limits of the role are meant for requests. A build takes longer, and waits until every transaction that began
/// before it has ended; writers don't wait for it.
const NO_LIMITS: &str = "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout') AND setting <> '0'";

/// `valid` is null if the relation of this name is no index of the table. The build of another role's session is not
/// shown to every role.
const STATE: &str = "SELECT
        (SELECT i.indisvalid FROM pg_catalog.pg_index i
            WHERE i.indexrelid = c.oid AND i.indrelid = pg_catalog.to_regclass($2)) AS valid,
        EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index b WHERE b.index_relid = c.oid) AS being_built
    FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

/// An index by the statement that builds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index {
    name: &'static str,
    table: &'static str,
}

/// What there is under the name of the index.
enum State {
    Missing,
    /// Another process builds it.
    BeingBuilt,
    /// A build failed: no query uses it, and `IF NOT EXISTS` takes it for the index.
    Invalid,
    Valid,
}

impl Index {
    /// Returns the index that the statement builds concurrently, if it does.
    pub(super) fn built_by(statement: &'static str) -> Option<Self> {
        let (_, rest) = statement.split_once("CREATE INDEX CONCURRENTLY IF NOT EXISTS ")?;
        let (name, rest) = rest.split_once(" ON optilock.")?;
        let (table, _) = rest.split_once(' ')?;
        Some(Self { name, table })
    }

    /// Builds it by this statement, unless it exists and is valid.
    pub(super) async fn build(
        self,
        pool: &PgPool,
        schema: &Schema,
        statement: &str,
    ) -> Result<(), MigrateError> {
        let built = with_retry(&STEP, |_| async move {
            match self.state(pool, schema).await? {
                State::Valid => return Ok(()),
                State::BeingBuilt => return Err(self.is_not_built(schema)),
                State::Invalid => {
                    let drop = format!(
                        "DROP INDEX CONCURRENTLY IF EXISTS {}",
                        self.qualified(self.name, schema)
                    );
                    alone(pool, drop).await?;
                }
                State::Missing => {}
            }
            alone(pool, schema.rewrite(statement).into_owned()).await?;
            // Another process may have begun to build it in between: then the statement has no effect.
            match self.state(pool, schema).await? {
                State::Valid => Ok(()),
                _ => Err(self.is_not_built(schema)),
            }
        });
        built.await.map_err(|gave_up| gave_up.error)
    }

    async fn state(self, pool: &PgPool, schema: &Schema) -> Result<State, MigrateError> {
        let found: Option<(Option<bool>, bool)> = sqlx::query_as(STATE)
            .bind(self.qualified(self.name, schema))
            .bind(self.qualified(self.table, schema))
            .fetch_optional(pool)
            .await?;
        match found {
            None => Ok(State::Missing),
            Some((Some(true), _)) => Ok(State::Valid),
            Some((Some(false), true)) => Ok(State::BeingBuilt),
            Some((Some(false), false)) => Ok(State::Invalid),
            Some((None, _)) => Err(MigrateError::foreign(schema, self.name)),
        }
    }

    fn is_not_built(self, schema: &Schema) -> MigrateError {
        MigrateError::NotBuilt {
            schema: schema.name().to_owned(),
            index: self.name,
        }
    }

    fn qualified(self, name: &str, schema: &Schema) -> String {
        format!("{}.{name}", schema.quoted())
    }
}

/// Runs a statement that can't be in a transaction, and that waits for others as long as they take.
async fn alone(pool: &PgPool, statement: String) -> Result<(), MigrateError> {
    // Its settings are changed, so that the pool must not have the connection again.
    let mut conn = pool.acquire().await?.detach();
    sqlx::query(NO_LIMITS).execute(&mut conn).await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut conn)
        .await?;
    // The work is done; an error of the end of the session changes nothing.
    _ = conn.close().await;
    Ok(())
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
